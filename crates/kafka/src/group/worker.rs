//! The group member's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use meshwork_model::time::Timestamp;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::GroupOptions;
use crate::context::Context;
use crate::error::{ErrorCode, KafkaError};
use crate::record::{Header, InRecord};

/// How long the thread waits for records before it looks at anything else.
const POLL: Duration = Duration::from_millis(100);

/// What the caller wants done.
pub(super) enum Order {
    Commit(
        Vec<(String, i32, i64)>,
        oneshot::Sender<Result<(), KafkaError>>,
    ),
    Close(oneshot::Sender<()>),
}

/// What goes to the caller.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) records: Vec<InRecord>,
    pub(super) assignment: Option<Vec<(String, i32)>>,
}

/// Hears of rebalances.
#[derive(Default)]
pub(super) struct GroupContext {
    context: Context,
    changed: Mutex<bool>,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: RdError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ConsumerContext for GroupContext {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        *self.changed.lock() = true;
    }
}

pub(super) struct Worker {
    topics: Vec<String>,
    group: String,
    options: GroupOptions,
    tell: mpsc::Sender<Result<Piece, KafkaError>>,
    ordered: mpsc::Receiver<Order>,
    stop: Arc<AtomicBool>,
    piece: Piece,
    bytes: usize,
    paused: bool,
    topic: Option<Arc<str>>,
    closing: Option<oneshot::Sender<()>>,
}

/// The member is to leave.
struct End;

type Native = BaseConsumer<GroupContext>;

impl Worker {
    pub(super) fn new(
        topics: Vec<String>,
        group: String,
        options: GroupOptions,
        tell: mpsc::Sender<Result<Piece, KafkaError>>,
        ordered: mpsc::Receiver<Order>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            topics,
            group,
            options,
            tell,
            ordered,
            stop,
            piece: Piece::default(),
            bytes: 0,
            paused: false,
            topic: None,
            closing: None,
        }
    }

    pub(super) fn run(mut self, consumer: Native) {
        let _ = self.read(&consumer);
        // Leaves the group; blocks until the coordinator knows.
        drop(consumer);
        if let Some(answer) = self.closing {
            let _ = answer.send(());
        }
    }

    fn read(&mut self, consumer: &Native) -> Result<(), End> {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        if let Err(e) = consumer.subscribe(&topics) {
            return Err(self.end(KafkaError::Ended {
                what: format!("consumer group {}", self.group),
                said: Some(e.to_string()),
            }));
        }
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(End);
            }
            self.obey(consumer)?;
            let wait = if self.piece.records.is_empty() || self.paused {
                POLL
            } else {
                Duration::ZERO
            };
            let polled = match consumer.poll(wait) {
                None => None,
                Some(Ok(message)) => Some(self.record(&message)),
                Some(Err(error)) => {
                    self.error(&error)?;
                    continue;
                }
            };
            if std::mem::take(&mut *consumer.context().changed.lock()) {
                self.piece.assignment = Some(assignment(consumer));
                if self.paused || self.options.membership_only {
                    // What was newly assigned must wait too.
                    self.pause(consumer);
                }
            }
            let more = polled.is_some();
            if let Some(record) = polled {
                self.bytes += record.bytes();
                self.piece.records.push(record);
            }
            let full = self.bytes >= self.options.batch_bytes
                || self.piece.records.len() >= self.options.batch_records;
            if !more || full {
                self.hand_over(consumer)?;
            }
        }
    }

    fn obey(&mut self, consumer: &Native) -> Result<(), End> {
        loop {
            match self.ordered.try_recv() {
                Ok(Order::Commit(next, answer)) => {
                    let _ = answer.send(self.commit(consumer, &next));
                }
                Ok(Order::Close(answer)) => {
                    self.closing = Some(answer);
                    return Err(End);
                }
                Err(mpsc::error::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(End),
            }
        }
    }

    fn commit(&self, consumer: &Native, next: &[(String, i32, i64)]) -> Result<(), KafkaError> {
        let what = || format!("commit offsets of consumer group {}", self.group);
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in next {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .map_err(|e| KafkaError::config(&e))?;
        }
        consumer.commit(&list, CommitMode::Sync).map_err(|e| {
            let code = ErrorCode(e.rdkafka_error_code().unwrap_or(Code::Fail));
            KafkaError::Refused {
                what: what(),
                code,
                said: e.to_string(),
            }
        })
    }

    /// Gives the caller what there is. While it is busy, partitions are paused and polling goes on:
    /// a member that does not poll is thrown out of its group.
    fn hand_over(&mut self, consumer: &Native) -> Result<(), End> {
        if self.piece.records.is_empty() && self.piece.assignment.is_none() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        match self.tell.try_send(Ok(piece)) {
            Ok(()) => {
                self.bytes = 0;
                if self.paused && !self.options.membership_only {
                    self.resume(consumer);
                }
                Ok(())
            }
            Err(TrySendError::Full(back)) => {
                self.piece = back.unwrap_or_default();
                if !self.paused {
                    self.pause(consumer);
                }
                Ok(())
            }
            Err(TrySendError::Closed(_)) => {
                // Closing or dropped: the order, or the flag, says which.
                self.bytes = 0;
                Ok(())
            }
        }
    }

    fn pause(&mut self, consumer: &Native) {
        if let Ok(assigned) = consumer.assignment()
            && consumer.pause(&assigned).is_ok()
        {
            self.paused = true;
        }
    }

    fn resume(&mut self, consumer: &Native) {
        if let Ok(assigned) = consumer.assignment()
            && consumer.resume(&assigned).is_ok()
        {
            self.paused = false;
        }
    }

    fn error(&mut self, error: &RdError) -> Result<(), End> {
        let fatal = matches!(error, RdError::MessageConsumptionFatal(_));
        let code = ErrorCode(error.rdkafka_error_code().unwrap_or(Code::Fail));
        if fatal || code.is_forbidden() {
            return Err(self.end(KafkaError::Refused {
                what: format!("read as a member of consumer group {}", self.group),
                code,
                said: error.to_string(),
            }));
        }
        // A topic that is not there yet may come; brokers that are down are tried again.
        tracing::debug!(group = self.group, %error, "librdkafka goes on trying");
        Ok(())
    }

    fn end(&mut self, error: KafkaError) -> End {
        let _ = self.tell.blocking_send(Err(error));
        End
    }

    fn record(&mut self, message: &BorrowedMessage<'_>) -> InRecord {
        let topic = match &self.topic {
            Some(topic) if **topic == *message.topic() => Arc::clone(topic),
            _ => {
                let topic: Arc<str> = message.topic().into();
                self.topic = Some(Arc::clone(&topic));
                topic
            }
        };
        InRecord {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().map(Timestamp::from_millis),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers: message
                .headers()
                .map(|headers| {
                    headers
                        .iter()
                        .map(|header| Header {
                            name: header.key.into(),
                            value: header.value.map(Bytes::copy_from_slice),
                        })
                        .collect()
                })
                .unwrap_or_default(),
        }
    }
}

fn assignment(consumer: &Native) -> Vec<(String, i32)> {
    let mut all: Vec<(String, i32)> = consumer
        .assignment()
        .map(|list| {
            list.elements()
                .iter()
                .map(|e| (e.topic().to_owned(), e.partition()))
                .collect()
        })
        .unwrap_or_default();
    all.sort();
    all
}
