//! Reads the mesh's own topics directly, as any Avro consumer can.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use meshwork_kafka::{Admin, Assigned, From, LogReader, ReadBatch, ReaderOptions};
use meshwork_model::mesh::MeshRecord;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshReader, RegistryClient};

use crate::config::Config;

/// Longest silence of Kafka before a command gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mesh topic being read.
#[derive(Debug)]
pub(crate) struct Topic<T> {
    topic: ControlTopic,
    reader: LogReader,
    decode: MeshReader<T>,
}

impl<T: MeshRecord> Topic<T> {
    /// Begins to read all partitions of `topic`.
    ///
    /// # Errors
    /// Kafka can't be reached, or has no such topic.
    pub(crate) async fn open(
        config: &Config,
        registry: &RegistryClient,
        topic: ControlTopic,
        from: From,
    ) -> anyhow::Result<Self> {
        let admin = Admin::new(&config.kafka)?;
        let partitions = Assigned::all(&admin, topic.name(), |_| from).await?;
        let reader = LogReader::start(&config.kafka, partitions, ReaderOptions::default())?;
        Ok(Self {
            topic,
            reader,
            decode: MeshReader::new(registry.clone()),
        })
    }

    /// Keys and values of the next batch, and whether the end known at the start is reached. A
    /// value is none where the record is a tombstone.
    ///
    /// # Errors
    /// The topic can't be read, or holds what does not decode.
    pub(crate) async fn next(
        &mut self,
        wait: Duration,
    ) -> anyhow::Result<(Vec<(String, Option<T>)>, ReadBatch)> {
        let batch = self.reader.next(wait).await?;
        let mut records = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            let key = record
                .key
                .as_deref()
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            let value = match &record.value {
                Some(value) => Some(self.decode.decode(value).await?),
                None => None,
            };
            records.push((key.into_owned(), value));
        }
        Ok((records, batch))
    }

    /// The latest value of each key.
    ///
    /// # Errors
    /// As [`Topic::next`], or Kafka is silent for long.
    pub(crate) async fn latest(mut self) -> anyhow::Result<BTreeMap<String, T>> {
        let mut latest = BTreeMap::new();
        let mut heard = Instant::now();
        loop {
            let (records, batch) = self.next(Duration::from_secs(1)).await?;
            if !batch.positions.is_empty() {
                heard = Instant::now();
            }
            for (key, value) in records {
                match value {
                    Some(value) => latest.insert(key, value),
                    None => latest.remove(&key),
                };
            }
            if batch.caught_up {
                return Ok(latest);
            }
            if heard.elapsed() >= PATIENCE {
                let said = batch.trouble.map(|t| t.said).unwrap_or_default();
                bail!(
                    "nothing came from {} for {} s {said}",
                    self.topic.name(),
                    PATIENCE.as_secs()
                );
            }
        }
    }
}
