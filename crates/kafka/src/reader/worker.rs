//! The reader's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::Sender;

use super::{Assigned, From, ReaderOptions, Trouble};
use crate::context::Context;
use crate::error::{ErrorCode, KafkaError};
use crate::raw::admin::{self as raw, Failure, LATEST};
use crate::raw::events::{Event, Queue};
use crate::record::InRecord;

/// How long the thread waits for records before it looks at anything else.
const POLL: Duration = Duration::from_millis(100);
/// How long one look at the ends may take, and how long after a failed one the next is.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What goes to the caller.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) records: Vec<InRecord>,
    pub(super) positions: Vec<((Arc<str>, i32), i64)>,
    pub(super) reached: Option<u64>,
    pub(super) trouble: Option<Trouble>,
}

struct Partition {
    topic: Arc<str>,
    partition: i32,
    from: From,
    /// Next offset to come; −1 as long as nothing is known.
    position: i64,
    /// The end to be reached.
    target: i64,
    moved: bool,
}

pub(super) struct Worker {
    partitions: Vec<Partition>,
    options: ReaderOptions,
    tell: Sender<Result<Piece, KafkaError>>,
    chased: Receiver<u64>,
    stop: Arc<AtomicBool>,
    records: Vec<InRecord>,
    bytes: usize,
    /// Where the last record's partition is in `partitions`.
    last: usize,
    /// Number of the question whose ends `target` holds; `reached` once they are read.
    answering: u64,
    reached: Option<u64>,
    /// A question that could not be answered yet.
    open: Option<u64>,
    trouble: Option<Trouble>,
    /// Something other than records is new.
    news: bool,
}

/// The caller is gone, or has been told why the reader ends.
struct End;

impl Worker {
    pub(super) fn new(
        assigned: Vec<Assigned>,
        options: ReaderOptions,
        tell: Sender<Result<Piece, KafkaError>>,
        chased: Receiver<u64>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let partitions = assigned
            .into_iter()
            .map(|a| Partition {
                topic: a.topic.into(),
                partition: a.partition,
                from: a.from,
                position: match a.from {
                    From::Offset(offset) => offset,
                    From::Beginning | From::End => -1,
                },
                target: 0,
                moved: false,
            })
            .collect();
        Self {
            partitions,
            options,
            tell,
            chased,
            stop,
            records: Vec::new(),
            bytes: 0,
            last: 0,
            answering: 0,
            reached: None,
            open: None,
            trouble: None,
            news: false,
        }
    }

    pub(super) fn run(mut self, consumer: &BaseConsumer<Context>) {
        // The end of the thread is the end of the channel, which the caller sees.
        let _ = self.read(consumer);
    }

    fn read(&mut self, consumer: &BaseConsumer<Context>) -> Result<(), End> {
        let client = consumer.client();
        let Some(mut queue) = Queue::consumer(client) else {
            return Err(self.fail("it gave no queue".to_owned()));
        };
        self.first_ends(client, &mut queue)?;
        self.assign(consumer)?;
        let mut looked = Instant::now();
        loop {
            if self.stop.load(Ordering::Relaxed) || self.tell.is_closed() {
                return Err(End);
            }
            if let Some(asked) = self.chased.try_iter().last() {
                self.open = Some(asked);
                looked = Instant::now();
                self.look(client)?;
            } else if (self.open.is_some() || self.trouble.is_some())
                && looked.elapsed() >= LOOK_AGAIN
            {
                self.look(client)?;
                looked = Instant::now();
            }
            // Records that are there already are taken at once, others are waited for.
            let wait = if self.records.is_empty() && !self.news {
                POLL
            } else {
                Duration::ZERO
            };
            match queue.poll(wait) {
                Some(Event::Record(record)) => self.take(record),
                Some(Event::End {
                    topic,
                    partition,
                    offset,
                }) => self.move_to(&topic, partition, offset),
                Some(Event::Error {
                    code,
                    said,
                    fatal,
                    at,
                }) => self.error(client, code, said, fatal, at)?,
                None => {
                    self.hand_over()?;
                    continue;
                }
            }
            if self.bytes >= self.options.batch_bytes
                || self.records.len() >= self.options.batch_records
            {
                self.hand_over()?;
            }
        }
    }

    /// Finds out how far the logs reach before anything is read.
    fn first_ends(&mut self, client: &Client<Context>, queue: &mut Queue<'_>) -> Result<(), End> {
        loop {
            if self.stop.load(Ordering::Relaxed) || self.tell.is_closed() {
                return Err(End);
            }
            self.open = Some(0);
            self.look(client)?;
            if self.open.is_none() {
                break;
            }
            self.hand_over()?;
            // What waits in the queue is about connections.
            queue.poll(LOOK_AGAIN);
        }
        for partition in &mut self.partitions {
            if partition.from == From::End {
                partition.position = partition.target;
                partition.moved = true;
            }
        }
        Ok(())
    }

    /// Looks up the ends for the open question, if any; also tells whether brokers answer.
    fn look(&mut self, client: &Client<Context>) -> Result<(), End> {
        let asked: Vec<(String, i32, i64)> = self
            .partitions
            .iter()
            .map(|p| (p.topic.to_string(), p.partition, LATEST))
            .collect();
        let listed = if asked.is_empty() {
            Ok(Vec::new())
        } else {
            // The end of all records, also for a reader of committed ones: a transaction's markers
            // are written a little after its commit was answered, so that the last stable offset
            // may not cover yet what its producer was told is there. An open one is waited for, at
            // most for its own time-out.
            raw::list_offsets(client, &asked, false, LOOK_WITHIN)
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(failure) => return self.look_failed(client, &failure),
        };
        let mut retry = None;
        for one in listed {
            let Some(partition) = self
                .partitions
                .iter_mut()
                .find(|p| *p.topic == *one.topic && p.partition == one.partition)
            else {
                continue;
            };
            match one.failure {
                None => {
                    if self.open.is_some() {
                        partition.target = one.offset.max(0);
                    }
                }
                Some(code) if ErrorCode(code).is_unknown_topic() => {
                    self.still_there(client, &one.topic)?;
                    retry = Some(code);
                }
                Some(code) if ErrorCode(code).is_forbidden() => {
                    return Err(self.forbidden(&one.topic, code));
                }
                // No leader for the moment, and the like.
                Some(code) => retry = Some(code),
            }
        }
        if let Some(code) = retry {
            self.troubled(code.to_string());
            return Ok(());
        }
        if self.trouble.take().is_some() {
            self.news = true;
        }
        if let Some(asked) = self.open.take() {
            self.answering = asked;
            self.reached = None;
            self.news = true;
        }
        self.measure();
        Ok(())
    }

    fn look_failed(&mut self, client: &Client<Context>, failure: &Failure) -> Result<(), End> {
        let code = ErrorCode(failure.code);
        // No leader was found, or no such topic.
        if failure.code == Code::NoEnt || code.is_unknown_topic() {
            let mut topics: Vec<Arc<str>> = self
                .partitions
                .iter()
                .map(|p| Arc::clone(&p.topic))
                .collect();
            topics.dedup();
            for topic in topics {
                self.still_there(client, &topic)?;
            }
        }
        if code.is_forbidden() {
            return Err(self.end(KafkaError::Refused {
                what: "look up how far logs reach".to_owned(),
                code,
                said: failure.said.clone(),
            }));
        }
        self.troubled(failure.said.clone());
        Ok(())
    }

    /// Ends the reader if `topic` is not there. Brokers that have not heard of it yet, and a
    /// broker that is down, are no proof.
    fn still_there(&mut self, client: &Client<Context>, topic: &str) -> Result<(), End> {
        match raw::describe_topics(client, &[topic], LOOK_WITHIN) {
            Ok(found) if found.is_empty() => Err(self.end(KafkaError::UnknownTopic {
                topic: topic.to_owned(),
                what: "read it".to_owned(),
            })),
            Ok(found) => {
                let count = found.first().map_or(0, |t| t.partitions);
                let missing = self.partitions.iter().any(|p| {
                    *p.topic == *topic && usize::try_from(p.partition).is_ok_and(|n| n >= count)
                });
                if missing {
                    return Err(self.end(KafkaError::UnknownTopic {
                        topic: topic.to_owned(),
                        what: format!("read a partition beyond its {count}"),
                    }));
                }
                Ok(())
            }
            Err(failure) if ErrorCode(failure.code).is_forbidden() => {
                Err(self.forbidden(topic, failure.code))
            }
            Err(_) => Ok(()),
        }
    }

    fn assign(&mut self, consumer: &BaseConsumer<Context>) -> Result<(), End> {
        let mut list = TopicPartitionList::new();
        for p in &self.partitions {
            let offset = match p.from {
                From::Beginning => Offset::Beginning,
                From::End => Offset::Offset(p.target),
                From::Offset(offset) => Offset::Offset(offset),
            };
            if let Err(e) = list.add_partition_offset(&p.topic, p.partition, offset) {
                return Err(self.fail(e.to_string()));
            }
        }
        consumer.assign(&list).map_err(|e| self.fail(e.to_string()))
    }

    fn take(&mut self, record: InRecord) {
        let next = record.offset.saturating_add(1);
        let same = self
            .partitions
            .get(self.last)
            .is_some_and(|p| p.partition == record.partition && *p.topic == *record.topic);
        if !same {
            self.last = self
                .partitions
                .iter()
                .position(|p| p.partition == record.partition && *p.topic == *record.topic)
                .unwrap_or(0);
        }
        if let Some(partition) = self.partitions.get_mut(self.last) {
            partition.position = next;
            partition.moved = true;
        }
        self.recovered();
        self.bytes += record.bytes();
        self.records.push(record);
    }

    fn move_to(&mut self, topic: &str, partition: i32, offset: i64) {
        self.recovered();
        if let Some(p) = self
            .partitions
            .iter_mut()
            .find(|p| p.partition == partition && *p.topic == *topic)
            && offset > p.position
        {
            p.position = offset;
            p.moved = true;
            self.news = true;
        }
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            self.news = true;
        }
    }

    fn troubled(&mut self, said: String) {
        if self.trouble.is_none() {
            tracing::warn!(said, "no records can be read for now; trying again");
            self.trouble = Some(Trouble {
                since: Instant::now(),
                said,
            });
            self.news = true;
        }
    }

    fn measure(&mut self) {
        if self.reached != Some(self.answering)
            && self.open.is_none()
            // A partition that is empty from its beginning has nothing to tell us a position.
            && self.partitions.iter().all(|p| p.position >= p.target || p.target == 0)
        {
            self.reached = Some(self.answering);
            self.news = true;
        }
    }

    fn error(
        &mut self,
        client: &Client<Context>,
        code: Code,
        said: String,
        fatal: bool,
        at: Option<(String, i32, i64)>,
    ) -> Result<(), End> {
        if matches!(code, Code::AutoOffsetReset | Code::OffsetOutOfRange) {
            let (topic, partition, _) = at.unwrap_or_default();
            let offset = self
                .partitions
                .iter()
                .find(|p| p.partition == partition && *p.topic == *topic)
                .map_or(-1, |p| p.position);
            return Err(self.end(KafkaError::OffsetOutOfRange {
                topic,
                partition,
                offset,
            }));
        }
        if fatal {
            return Err(self.fail(said));
        }
        let topic = at.map(|(topic, _, _)| topic);
        if ErrorCode(code).is_forbidden() {
            return Err(match topic {
                Some(topic) => self.forbidden(&topic, code),
                None => self.end(KafkaError::Refused {
                    what: "read".to_owned(),
                    code: ErrorCode(code),
                    said,
                }),
            });
        }
        if ErrorCode(code).is_unknown_topic()
            && let Some(topic) = &topic
        {
            self.still_there(client, topic)?;
        }
        self.troubled(said);
        Ok(())
    }

    /// Gives the caller what there is, and waits while it is busy.
    fn hand_over(&mut self) -> Result<(), End> {
        self.measure();
        let moved = self.partitions.iter().any(|p| p.moved);
        if self.records.is_empty() && !moved && !self.news {
            return Ok(());
        }
        self.news = false;
        self.bytes = 0;
        let positions = self
            .partitions
            .iter_mut()
            .filter_map(|p| {
                std::mem::take(&mut p.moved)
                    .then(|| ((Arc::clone(&p.topic), p.partition), p.position))
            })
            .collect();
        let piece = Piece {
            records: std::mem::take(&mut self.records),
            positions,
            reached: self.reached,
            trouble: self.trouble.clone(),
        };
        self.tell.blocking_send(Ok(piece)).map_err(|_| End)
    }

    fn forbidden(&mut self, topic: &str, code: Code) -> End {
        self.end(KafkaError::Forbidden {
            topic: topic.to_owned(),
            code: ErrorCode(code),
        })
    }

    fn fail(&mut self, said: String) -> End {
        self.end(KafkaError::Ended {
            what: "reading a log".to_owned(),
            said: Some(said),
        })
    }

    /// Gives the caller what was read so far, and then the error.
    fn end(&mut self, error: KafkaError) -> End {
        if self.hand_over().is_ok() {
            let _ = self.tell.blocking_send(Err(error));
        }
        End
    }
}
