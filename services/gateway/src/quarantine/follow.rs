//! Follows partition 0 of every quarantine, where the verdicts are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::{
    Assigned, From, KafkaConfig, KafkaError, LogReader, ReadBatch, ReaderOptions,
};
use meshwork_model::time::{Clock as _, WallClock};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::kept::{Kept, Now, Presence};
use super::topics::Quarantine;
use super::verdict;
use crate::error::Error;
use crate::refusals::Refusals;
use crate::service::Shared;

/// Longest wait for records before looking at anything else.
const WAIT: Duration = Duration::from_millis(500);
/// Wait before what failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How long further changes are waited for before the reader is made anew.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a topic that might not be read is tried.
const TRIED_FOR: Duration = Duration::from_secs(5);
/// How often is looked for sessions to be forgotten.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Connections that may wait for the end to be read; more are put off.
const WAITING_MAX: usize = 10_000;

/// Whoever waits until a quarantine has been read to its end; dropped where the reader does not have
/// it, or is made anew.
#[derive(Debug)]
struct Waiter {
    kept: Arc<Kept>,
    tell: oneshot::Sender<()>,
}

/// Asks for everything to be read that is there now.
#[derive(Debug)]
pub(crate) struct Follower {
    ask: mpsc::Sender<Waiter>,
    asked: Mutex<Option<mpsc::Receiver<Waiter>>>,
}

impl Follower {
    pub(super) fn new() -> Self {
        let (ask, asked) = mpsc::channel(WAITING_MAX);
        Self {
            ask,
            asked: Mutex::new(Some(asked)),
        }
    }

    /// Waits until everything has been read that was written to a quarantine by now; all who ask
    /// meanwhile are served by the next look. `false`: that could not be done by `deadline`, or its
    /// topic is not there or may not be read.
    pub(crate) async fn read_to_end(
        &self,
        kept: &Arc<Kept>,
        deadline: tokio::time::Instant,
    ) -> bool {
        let reads = async {
            while kept.is_there() {
                let (tell, told) = oneshot::channel();
                let kept = Arc::clone(kept);
                if self.ask.try_send(Waiter { kept, tell }).is_err() {
                    return false;
                }
                // Else the reader was made anew meanwhile, or the topic is no more.
                if told.await.is_ok() {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout_at(deadline, reads)
            .await
            .unwrap_or(false)
    }
}

/// Follows until `stop`.
pub(crate) async fn follow(shared: Arc<Shared>, stop: CancellationToken) -> Result<(), Error> {
    follow_all(&shared.quarantine, &shared.refusals, &stop).await;
    Ok(())
}

pub(super) async fn follow_all(
    quarantine: &Quarantine,
    refusals: &Refusals,
    stop: &CancellationToken,
) {
    let Some(mut asked) = quarantine.follower.asked.lock().take() else {
        return;
    };
    let mut changes = quarantine.changes();
    let mut positions: HashMap<Arc<str>, i64> = HashMap::new();
    loop {
        changes.mark_unchanged();
        let round = Round {
            quarantine,
            kept: there(quarantine),
        };
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = round.run(&mut changes, &mut asked, &mut positions) => ended,
        };
        if let Err(error) = ended {
            match &error {
                // The others are followed without it, at once: there may be more like it.
                KafkaError::Forbidden { topic, .. } => {
                    if let Some(kept) = round.kept.get(topic.as_str()) {
                        kept.is(Presence::Denied);
                        refusals.say(&format!("quarantine-denied {topic}"), || {
                            tracing::warn!(%error, "a product's quarantine may not be read; its new idempotent producers wait");
                        });
                        continue;
                    }
                }
                // Retention has overtaken the reader, or the topic was made anew: what is known
                // holds, and reading the same again changes nothing.
                KafkaError::OffsetOutOfRange { topic, .. } => {
                    positions.remove(topic.as_str());
                }
                // The others are followed without it.
                KafkaError::UnknownTopic { topic, .. } => {
                    positions.remove(topic.as_str());
                    if let Some(kept) = round.kept.get(topic.as_str()) {
                        quarantine.lose(kept);
                    }
                }
                _ => {}
            }
            refusals.say("quarantine-reader", || {
                tracing::warn!(%error, "quarantine can't be read for now; new idempotent producers of products with one wait");
            });
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }
}

/// Whether a topic that might not be read may be by now. `false`: not, or nobody knows.
///
/// # Errors
/// [`KafkaError::UnknownTopic`], and what else ends a [`LogReader`].
pub(super) async fn may_be_read(kafka: &KafkaConfig, kept: &Kept) -> Result<bool, KafkaError> {
    let first = Assigned {
        topic: kept.topic.to_string(),
        partition: 0,
        // Behind the end nothing would have to be read.
        from: From::Beginning,
    };
    let options = ReaderOptions {
        batch_records: 1,
        ..options()
    };
    let mut reader = LogReader::start(kafka, vec![first], options)?;
    // A broker has told of a record, or that there is none.
    let told = async {
        while reader.next(WAIT).await?.positions.is_empty() {}
        Ok(true)
    };
    let told = tokio::time::timeout(TRIED_FOR, told);
    match told.await.unwrap_or(Ok(false)) {
        Err(KafkaError::Forbidden { .. }) => Ok(false),
        told => told,
    }
}

fn options() -> ReaderOptions {
    ReaderOptions {
        // Nothing there is transactional.
        read_committed: false,
        ..ReaderOptions::default()
    }
}

/// What is remembered of the topics that are there, by their names.
fn there(quarantine: &Quarantine) -> HashMap<Arc<str>, Arc<Kept>> {
    let all = quarantine.all().into_iter();
    all.filter(|kept| kept.is_there())
        .map(|kept| (Arc::clone(&kept.topic), kept))
        .collect()
}

/// Reading with one set of topics.
struct Round<'r> {
    quarantine: &'r Quarantine,
    kept: HashMap<Arc<str>, Arc<Kept>>,
}

impl Round<'_> {
    /// Runs until the set changes, or reading fails.
    async fn run(
        &self,
        changes: &mut tokio::sync::watch::Receiver<u64>,
        asked: &mut mpsc::Receiver<Waiter>,
        positions: &mut HashMap<Arc<str>, i64>,
    ) -> Result<(), KafkaError> {
        if self.kept.is_empty() {
            tokio::select! {
                // It is never closed: what it is part of is held.
                _ = changes.changed() => {}
                // Of a topic that is known since the round began; the next one has it.
                Some(_) = asked.recv() => {}
            }
            return Ok(());
        }
        let partitions = self
            .kept
            .keys()
            .map(|topic| Assigned {
                topic: topic.to_string(),
                partition: 0,
                from: positions
                    .get(topic)
                    .map_or(From::Beginning, |at| From::Offset(*at)),
            })
            .collect();
        let mut reader = LogReader::start(self.quarantine.kafka(), partitions, options())?;
        let mut waiting: Vec<Waiter> = Vec::new();
        let mut expired = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = changes.changed() => {
                    if !self.is_all() {
                        // Several products are often announced at a time.
                        tokio::time::sleep(SETTLE).await;
                        return Ok(());
                    }
                }
                // Those who come while ends are looked up wait for the next look.
                Some(waiter) = asked.recv(), if waiting.is_empty() => {
                    waiting.push(waiter);
                    while let Ok(waiter) = asked.try_recv() {
                        waiting.push(waiter);
                    }
                    waiting.retain(|waiter| waiter.kept.is_there());
                    if !waiting.iter().all(|waiter| self.has(&waiter.kept)) {
                        return Ok(());
                    }
                    if !waiting.is_empty() {
                        reader.chase();
                    }
                }
                batch = reader.next(WAIT) => {
                    let batch = batch?;
                    let caught_up = batch.caught_up && batch.trouble.is_none();
                    self.take(&batch, positions);
                    if caught_up {
                        for waiter in waiting.drain(..) {
                            // Whoever asked may have stopped waiting.
                            let _ = waiter.tell.send(());
                        }
                    }
                }
            }
            if expired.elapsed() >= EXPIRE_EVERY {
                expired = Instant::now();
                for kept in self.quarantine.all() {
                    kept.expire(expired);
                }
            }
        }
    }

    /// Whether these are still the topics that are there.
    fn is_all(&self) -> bool {
        let there = there(self.quarantine);
        there.len() == self.kept.len() && there.values().all(|kept| self.has(kept))
    }

    /// Whether this one is read.
    fn has(&self, kept: &Arc<Kept>) -> bool {
        let known = self.kept.get(&kept.topic);
        known.is_some_and(|known| Arc::ptr_eq(known, kept))
    }

    fn take(&self, batch: &ReadBatch, positions: &mut HashMap<Arc<str>, i64>) {
        // Retention goes by real time.
        let now = Now {
            clock: WallClock.now(),
            instant: Instant::now(),
        };
        for record in &batch.records {
            let Some(kept) = self.kept.get(&record.topic) else {
                continue;
            };
            if let Some(read) = verdict::read(&kept.source, |name| record.header(name)) {
                kept.record(&read, record.timestamp, now);
            }
        }
        for ((topic, _), position) in &batch.positions {
            positions.insert(Arc::clone(topic), *position);
            if let Some(kept) = self.kept.get(topic) {
                kept.position.send_replace(*position);
            }
        }
    }
}
