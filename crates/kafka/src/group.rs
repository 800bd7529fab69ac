//! A member of a consumer group: Kafka hands round the partitions and keeps the offsets.

mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use tokio::sync::{mpsc, oneshot};

use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::record::InRecord;
use worker::{GroupContext, Order, Piece, Worker};

/// Batches that may wait for the caller; partitions are paused beyond, and the group is kept.
const BATCHES_WAITING: usize = 4;
/// Commits that may wait.
const ORDERS_WAITING: usize = 64;

/// Where to begin in a partition for which the group has no offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With the first record that is there.
    #[default]
    Beginning,
    /// With the next that is written.
    End,
}

/// How a [`GroupConsumer`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOptions {
    /// Where to begin without an offset.
    pub start: StartAt,
    /// Leave out records of aborted transactions, and wait at open ones. On by default.
    pub read_committed: bool,
    /// A member that is silent for so long loses its partitions. 45 s, as Kafka's default.
    pub session_timeout: Duration,
    /// Bytes that librdkafka may read ahead. 16 MiB.
    pub max_bytes: usize,
    /// A batch is handed over at this size or when there is no more for now. 1 MiB.
    pub batch_bytes: usize,
    /// Most records in a batch. 10,000.
    pub batch_records: usize,
    /// Read nothing: only who has which partition matters. Off by default.
    pub membership_only: bool,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            start: StartAt::Beginning,
            read_committed: true,
            session_timeout: Duration::from_secs(45),
            max_bytes: 16 << 20,
            batch_bytes: 1 << 20,
            batch_records: 10_000,
            membership_only: false,
        }
    }
}

/// What has been read.
#[derive(Clone, Debug, Default)]
pub struct GroupBatch {
    /// Records; those of one partition are in order of their offsets.
    pub records: Vec<InRecord>,
    /// The partitions that this member has now, where that changed. Records of one that it no
    /// longer has may still come once: another member then reads them again from the committed
    /// offset.
    pub assignment: Option<Vec<(String, i32)>>,
}

/// A member of a group, on a thread of its own. Dropping it leaves the group in the background.
#[derive(Debug)]
pub struct GroupConsumer {
    pieces: mpsc::Receiver<Result<Piece, KafkaError>>,
    orders: mpsc::Sender<Order>,
    stop: Arc<AtomicBool>,
    group: String,
    failed: Option<KafkaError>,
}

impl GroupConsumer {
    /// Joins `group` (classic protocol, cooperative-sticky) to read `topics`.
    ///
    /// # Errors
    /// [`KafkaError::Config`].
    pub fn subscribe(
        config: &KafkaConfig,
        group: &str,
        topics: &[&str],
        options: GroupOptions,
    ) -> Result<Self, KafkaError> {
        let isolation = if options.read_committed {
            "read_committed"
        } else {
            "read_uncommitted"
        };
        let start = match options.start {
            StartAt::Beginning => "earliest",
            StartAt::End => "latest",
        };
        let session = options.session_timeout.as_millis().to_string();
        let heartbeat = (options.session_timeout / 10)
            .as_millis()
            .clamp(100, 3_000)
            .to_string();
        let ahead = (options.max_bytes / 1024).clamp(64, 1 << 20).to_string();
        let client = config.client(
            &[],
            &[
                ("group.id", group),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", start),
                ("allow.auto.create.topics", "false"),
                ("isolation.level", isolation),
                ("session.timeout.ms", &session),
                ("heartbeat.interval.ms", &heartbeat),
                ("queued.max.messages.kbytes", &ahead),
                ("fetch.wait.max.ms", "100"),
                ("fetch.queue.backoff.ms", "20"),
                ("fetch.error.backoff.ms", "100"),
            ],
        );
        let context = GroupContext::default();
        let consumer = BaseConsumer::from_config_and_context(&client, context)
            .map_err(|e| KafkaError::config(&e))?;
        let (tell, pieces) = mpsc::channel(BATCHES_WAITING);
        let (orders, ordered) = mpsc::channel(ORDERS_WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(
            topics.iter().map(|t| (*t).to_owned()).collect(),
            group.to_owned(),
            options,
            tell,
            ordered,
            Arc::clone(&stop),
        );
        std::thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || worker.run(consumer))
            .map_err(|e| ended(group, Some(e.to_string())))?;
        Ok(Self {
            pieces,
            orders,
            stop,
            group: group.to_owned(),
            failed: None,
        })
    }

    /// The next batch; an empty one if nothing came within `max_wait`. May be dropped and called
    /// again without losing anything.
    ///
    /// # Errors
    /// What can't be retried, such as a topic that must not be read; the member has left then, and
    /// says the same ever after. Brokers that are down are waited for.
    pub async fn next(&mut self, max_wait: Duration) -> Result<GroupBatch, KafkaError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match tokio::time::timeout(max_wait, self.pieces.recv()).await {
            Err(_) => Ok(GroupBatch::default()),
            Ok(Some(Ok(piece))) => Ok(GroupBatch {
                records: piece.records,
                assignment: piece.assignment,
            }),
            Ok(Some(Err(error))) => Err(self.fail(error)),
            Ok(None) => {
                let error = ended(&self.group, None);
                Err(self.fail(error))
            }
        }
    }

    /// Commits the next offset to read of each partition given, and waits for the broker's answer.
    ///
    /// # Errors
    /// See [`KafkaError`]; a refusal mostly means that the partition is another member's by now.
    pub async fn commit(&self, next: &[(String, i32, i64)]) -> Result<(), KafkaError> {
        if next.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        let order = Order::Commit(next.to_vec(), answer);
        if self.orders.send(order).await.is_err() {
            return Err(ended(&self.group, None));
        }
        answered
            .await
            .unwrap_or_else(|_| Err(ended(&self.group, None)))
    }

    /// Leaves the group, and waits until that is done. Batches that wait are dropped.
    pub async fn close(mut self) {
        let (answer, answered) = oneshot::channel();
        self.pieces.close();
        if self.orders.send(Order::Close(answer)).await.is_ok() {
            // The thread answers when the consumer is closed, or has ended already.
            let _ = answered.await;
        }
    }

    fn fail(&mut self, error: KafkaError) -> KafkaError {
        self.failed = Some(error.clone());
        error
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ended(group: &str, said: Option<String>) -> KafkaError {
    KafkaError::Ended {
        what: format!("consumer group {group}"),
        said,
    }
}
