//! The log as it is: read while it grows, and read whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use meshwork_kafka::{Assigned, From, InRecord, KafkaConfig, LogReader, ReaderOptions};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::oracle::LogRecord;

/// How long a whole read, or a record that must come, is waited for.
const DEADLINE: Duration = Duration::from_secs(60);
/// Longest wait for the next batch.
const WAIT: Duration = Duration::from_millis(500);

fn reader(kafka: &KafkaConfig, topic: &str, read_committed: bool) -> Result<LogReader> {
    let log = Assigned {
        topic: topic.to_owned(),
        partition: 0,
        from: From::Beginning,
    };
    let options = ReaderOptions {
        read_committed,
        ..ReaderOptions::default()
    };
    Ok(LogReader::start(kafka, vec![log], options)?)
}

fn record(record: InRecord) -> LogRecord {
    LogRecord {
        offset: record.offset,
        writer: record
            .header("meshwork-writer")
            .map(|writer| String::from_utf8_lossy(writer).into_owned()),
        key: record.key.map(|key| key.to_vec()),
        value: record.value.map(|value| value.to_vec()),
    }
}

/// Reads the log whole, to what is its end now; also gives that end.
///
/// # Errors
/// It can't be read within a minute.
pub(super) async fn read_whole(
    kafka: &KafkaConfig,
    topic: &str,
    read_committed: bool,
) -> Result<(Vec<LogRecord>, i64)> {
    let mut reader = reader(kafka, topic, read_committed)?;
    let until = Instant::now() + DEADLINE;
    let mut records = Vec::new();
    let mut end = 0;
    while Instant::now() < until {
        let batch = reader.next(WAIT).await?;
        records.extend(batch.records.into_iter().map(record));
        if let Some((_, next)) = batch.positions.last() {
            end = *next;
        }
        if batch.caught_up {
            return Ok((records, end));
        }
    }
    bail!(
        "could not judge: {topic} was not read to its end within {} s",
        DEADLINE.as_secs()
    )
}

/// Follows the log for as long as it lives.
#[derive(Debug)]
pub struct Tail {
    records: Arc<Mutex<Vec<LogRecord>>>,
    news: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tail {
    /// From the log's beginning on. Aborted records are among what it reads unless `read_committed`.
    ///
    /// # Errors
    /// The reader can't be made.
    pub fn start(kafka: &KafkaConfig, topic: &str, read_committed: bool) -> Result<Self> {
        let mut reader = reader(kafka, topic, read_committed)?;
        let records = Arc::new(Mutex::new(Vec::new()));
        let (tell, news) = watch::channel(0);
        let kept = Arc::clone(&records);
        let task = tokio::spawn(async move {
            while let Ok(batch) = reader.next(WAIT).await {
                if batch.records.is_empty() {
                    continue;
                }
                let mut kept = kept.lock();
                kept.extend(batch.records.into_iter().map(record));
                tell.send_replace(kept.len());
            }
        });
        Ok(Self {
            records,
            news,
            task,
        })
    }

    /// Everything so far.
    #[must_use]
    pub fn records(&self) -> Vec<LogRecord> {
        self.records.lock().clone()
    }

    /// Waits for a record that `wanted` accepts, and gives it.
    ///
    /// # Errors
    /// None came within `limit`.
    pub async fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&LogRecord) -> bool,
    ) -> Result<LogRecord> {
        let mut news = self.news.clone();
        let mut looked_at = 0;
        let looking = async {
            loop {
                news.borrow_and_update();
                let found = {
                    let records = self.records.lock();
                    let new = records.get(looked_at..).unwrap_or_default();
                    looked_at = records.len();
                    new.iter().find(|record| wanted(record)).cloned()
                };
                if let Some(found) = found {
                    return Ok(found);
                }
                if news.changed().await.is_err() {
                    bail!("could not judge: the log can't be read any more");
                }
            }
        };
        match tokio::time::timeout(limit, looking).await {
            Ok(found) => found,
            Err(_) => bail!(
                "could not judge: {what} did not come into the log within {} s",
                limit.as_secs()
            ),
        }
    }
}
