//! Reads logs whole, as the source of a view: partitions are given, nothing is committed, and where
//! to go on is the caller's to keep, beside the state that the records made.

mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use tokio::sync::mpsc;

use crate::admin::Admin;
use crate::config::KafkaConfig;
use crate::context::Context;
use crate::error::KafkaError;
use crate::record::InRecord;
use worker::{Piece, Worker};

/// Batches that may wait for the caller; the reader's thread stops reading beyond.
const BATCHES_WAITING: usize = 4;

/// Where to begin in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the first record that is still there.
    Beginning,
    /// With the first record that is written after the start.
    End,
    /// With this offset. If the log does not reach there: [`KafkaError::OffsetOutOfRange`].
    Offset(i64),
}

/// A partition to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Where to begin.
    pub from: From,
}

impl Assigned {
    /// All partitions of `topic`, each from where `from` says.
    ///
    /// # Errors
    /// [`KafkaError::UnknownTopic`] if it is not there; else see [`KafkaError`].
    pub async fn all(
        admin: &Admin,
        topic: &str,
        from: impl Fn(i32) -> From,
    ) -> Result<Vec<Self>, KafkaError> {
        let info = admin
            .topic(topic)
            .await?
            .ok_or_else(|| KafkaError::UnknownTopic {
                topic: topic.to_owned(),
                what: "read it".to_owned(),
            })?;
        Ok((0..info.partitions)
            .map(|partition| Self {
                topic: topic.to_owned(),
                partition,
                from: from(partition),
            })
            .collect())
    }
}

/// How a [`LogReader`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Leave out records of aborted transactions, and wait at open ones. On by default.
    pub read_committed: bool,
    /// Bytes that librdkafka may read ahead. 16 MiB.
    pub max_bytes: usize,
    /// A batch is handed over at this size or when there is no more for now. 1 MiB; four may wait.
    pub batch_bytes: usize,
    /// Most records in a batch. 10,000.
    pub batch_records: usize,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            read_committed: true,
            max_bytes: 16 << 20,
            batch_bytes: 1 << 20,
            batch_records: 10_000,
        }
    }
}

/// What has been read.
#[derive(Clone, Debug, Default)]
pub struct ReadBatch {
    /// Records; those of one partition are in order of their offsets, which may have gaps.
    pub records: Vec<InRecord>,
    /// Next offset of every partition that moved: behind the records above, and behind transaction
    /// markers and aborted records, which are not among them. Keep these with the state.
    pub positions: Vec<((Arc<str>, i32), i64)>,
    /// Whether everything has been read that had been written at the start, or at the last
    /// [`LogReader::chase`]. Transactions that were open then are waited for, so that whatever had
    /// been acknowledged by then has been read.
    pub caught_up: bool,
    /// Set while no broker can be reached. The reader goes on trying by itself.
    pub trouble: Option<Trouble>,
}

/// Why nothing can be read for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Instant,
    /// What librdkafka says.
    pub said: String,
}

/// Reads partitions on a thread of its own. Dropping it ends the thread in the background.
#[derive(Debug)]
pub struct LogReader {
    pieces: mpsc::Receiver<Result<Piece, KafkaError>>,
    chase: std::sync::mpsc::Sender<u64>,
    stop: Arc<AtomicBool>,
    /// How often the caller has asked for the ends.
    asked: u64,
    /// For which of these questions the reader has caught up.
    reached: Option<u64>,
    trouble: Option<Trouble>,
    failed: Option<KafkaError>,
}

impl LogReader {
    /// Begins to read. Brokers are first spoken to on the reader's thread, so that one that is down
    /// shows as [`ReadBatch::trouble`].
    ///
    /// # Errors
    /// [`KafkaError::Config`].
    pub fn start(
        config: &KafkaConfig,
        partitions: Vec<Assigned>,
        options: ReaderOptions,
    ) -> Result<Self, KafkaError> {
        let isolation = if options.read_committed {
            "read_committed"
        } else {
            "read_uncommitted"
        };
        let ahead = (options.max_bytes / 1024).clamp(64, 1 << 20).to_string();
        let client = config.client(
            &[],
            &[
                // librdkafka reads nothing without one; nobody joins it, nothing is committed.
                ("group.id", "meshwork-log-reader"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("enable.partition.eof", "true"),
                ("allow.auto.create.topics", "false"),
                ("isolation.level", isolation),
                ("queued.max.messages.kbytes", &ahead),
                // How soon the end is known, and reading resumes after a full queue.
                ("fetch.wait.max.ms", "100"),
                ("fetch.queue.backoff.ms", "20"),
                ("fetch.error.backoff.ms", "100"),
            ],
        );
        let consumer = BaseConsumer::from_config_and_context(&client, Context::default())
            .map_err(|e| KafkaError::config(&e))?;
        let (tell, pieces) = mpsc::channel(BATCHES_WAITING);
        let (chase, chased) = std::sync::mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(partitions, options, tell, chased, Arc::clone(&stop));
        std::thread::Builder::new()
            .name("kafka-log-reader".to_owned())
            .spawn(move || worker.run(&consumer))
            .map_err(|e| KafkaError::Ended {
                what: "reading a log".to_owned(),
                said: Some(e.to_string()),
            })?;
        Ok(Self {
            pieces,
            chase,
            stop,
            asked: 0,
            reached: None,
            trouble: None,
            failed: None,
        })
    }

    /// The next batch; an empty one if nothing came within `max_wait`. May be dropped and called
    /// again without losing anything.
    ///
    /// # Errors
    /// [`KafkaError::OffsetOutOfRange`], [`KafkaError::UnknownTopic`], [`KafkaError::Forbidden`] and
    /// what else can't be retried; the reader has ended then, and says the same ever after.
    pub async fn next(&mut self, max_wait: Duration) -> Result<ReadBatch, KafkaError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let piece = match tokio::time::timeout(max_wait, self.pieces.recv()).await {
            Err(_) => None,
            Ok(Some(Ok(piece))) => Some(piece),
            Ok(Some(Err(error))) => return Err(self.fail(error)),
            Ok(None) => {
                return Err(self.fail(KafkaError::Ended {
                    what: "reading a log".to_owned(),
                    said: None,
                }));
            }
        };
        let mut batch = ReadBatch::default();
        if let Some(piece) = piece {
            batch.records = piece.records;
            batch.positions = piece.positions;
            self.reached = piece.reached;
            self.trouble = piece.trouble;
        }
        batch.caught_up = self.reached == Some(self.asked);
        batch.trouble.clone_from(&self.trouble);
        Ok(batch)
    }

    /// Looks up the ends anew: [`ReadBatch::caught_up`] is false until everything has been read
    /// that is there now.
    pub fn chase(&mut self) {
        self.asked += 1;
        // If the thread has ended, `next` says so.
        let _ = self.chase.send(self.asked);
    }

    fn fail(&mut self, error: KafkaError) -> KafkaError {
        self.failed = Some(error.clone());
        error
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
