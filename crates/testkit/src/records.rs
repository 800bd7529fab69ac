//! Topics, and records written and read without anything of ours in between but the client.

use std::time::Instant;

use meshwork_kafka::{
    Assigned, Delivered, From, InRecord, LogReader, NewTopic, OutRecord, Producer, ProducerOptions,
    ReaderOptions,
};

use crate::cluster::Cluster;
use crate::wait::{DEADLINE, unique};

impl Cluster {
    /// Creates a topic with a unique name, and gives that.
    ///
    /// # Panics
    /// If it can't be created.
    pub async fn topic(&self, prefix: &str, partitions: i32) -> String {
        let name = unique(prefix);
        self.create_topic(&NewTopic::new(name.clone(), partitions))
            .await;
        name
    }

    /// Creates a topic.
    ///
    /// # Panics
    /// If it can't be created.
    pub async fn create_topic(&self, topic: &NewTopic) {
        if let Err(e) = self.admin().create_topic(topic).await {
            panic!("topic {} not created: {e}", topic.name);
        }
    }

    /// A new idempotent producer.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn producer(&self) -> Producer {
        match Producer::new(&self.config(), &ProducerOptions::default()) {
            Ok(producer) => producer,
            Err(e) => panic!("no producer: {e}"),
        }
    }

    /// Writes keys and values in order, and gives where they went once all are acknowledged.
    ///
    /// # Panics
    /// If one is not acknowledged.
    pub async fn produce<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        topic: &str,
        records: &[(K, V)],
    ) -> Vec<Delivered> {
        let producer = self.producer();
        let mut waiting = Vec::with_capacity(records.len());
        for (key, value) in records {
            let (tell, told) = tokio::sync::oneshot::channel();
            let record = OutRecord {
                topic,
                key: Some(key.as_ref()),
                value: Some(value.as_ref()),
                ..OutRecord::default()
            };
            let done = Box::new(move |result| {
                let _ = tell.send(result);
            });
            if let Err(e) = producer.queue(&record, done).await {
                panic!("record for {topic} not queued: {:?}", e.error);
            }
            waiting.push(told);
        }
        let mut delivered = Vec::with_capacity(records.len());
        for told in waiting {
            match told.await {
                Ok(Ok(at)) => delivered.push(at),
                other => panic!("record for {topic} not acknowledged: {other:?}"),
            }
        }
        delivered
    }

    /// All records of a topic that are committed now, by partition and offset.
    ///
    /// # Panics
    /// If they can't be read within [`DEADLINE`].
    pub async fn read_all(&self, topic: &str) -> Vec<InRecord> {
        self.read(topic, ReaderOptions::default(), |records, caught_up| {
            let _ = records;
            caught_up
        })
        .await
    }

    /// Reads a topic from its beginning until there are `count` records.
    ///
    /// # Panics
    /// If there are not so many within [`DEADLINE`].
    pub async fn read_until(&self, topic: &str, count: usize) -> Vec<InRecord> {
        self.read(topic, ReaderOptions::default(), |records, _| {
            records >= count
        })
        .await
    }

    async fn read(
        &self,
        topic: &str,
        options: ReaderOptions,
        enough: impl Fn(usize, bool) -> bool,
    ) -> Vec<InRecord> {
        let started = Instant::now();
        let partitions = match Assigned::all(&self.admin(), topic, |_| From::Beginning).await {
            Ok(partitions) => partitions,
            Err(e) => panic!("{topic} not read: {e}"),
        };
        let mut reader = match LogReader::start(&self.config(), partitions, options) {
            Ok(reader) => reader,
            Err(e) => panic!("{topic} not read: {e}"),
        };
        let mut records: Vec<InRecord> = Vec::new();
        loop {
            let left = DEADLINE.saturating_sub(started.elapsed());
            let batch = match reader.next(left).await {
                Ok(batch) => batch,
                Err(e) => panic!("{topic} not read: {e}"),
            };
            records.extend(batch.records);
            if enough(records.len(), batch.caught_up) {
                records.sort_by_key(|r| (r.partition, r.offset));
                return records;
            }
            assert!(
                started.elapsed() < DEADLINE,
                "{topic}: {} records within {} s (caught up: {}, trouble: {:?})",
                records.len(),
                DEADLINE.as_secs(),
                batch.caught_up,
                batch.trouble
            );
        }
    }
}
