//! What is on its way, what was acknowledged and not yet observed, and what failed.
//!
//! Delivery reports come on the Kafka client's thread, one a record: each takes the lock once, and
//! never waits for anything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use meshwork_kafka::{Delivered, Delivery, SendError};
use meshwork_model::mesh::observation::{OffsetRange, PartitionObservation, Trust};
use meshwork_model::time::{SharedClock, Timestamp};
use meshwork_pipeline::{Facts, Parents, PartitionTally, ProducerTag, Reason, Tallied};
use meshwork_registry_client::MeshError;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::counts::Counts;
use super::error::ProduceError;
use super::options::Span;
use super::record::RecordPosition;

/// What travels with a record to Kafka and back.
#[derive(Debug)]
pub(super) enum Load {
    /// A record of the product.
    Record {
        bytes: usize,
        facts: Facts,
        timestamp: Timestamp,
        parents: Option<Box<str>>,
        /// Why it was marked, and its partition as far as that could be told beforehand.
        marked: Option<(Reason, i32)>,
        position: RecordPosition,
    },
    /// A refused record.
    Quarantined {
        reason: Reason,
        /// Where it would have gone.
        partition: i32,
        timestamp: Timestamp,
        position: RecordPosition,
    },
    /// An observation, by its key.
    Observation { key: String },
}

impl Load {
    fn bucket(&self, span: Span) -> Option<i64> {
        match self {
            Self::Record { timestamp, .. } | Self::Quarantined { timestamp, .. } => {
                Some(span.bucket(*timestamp))
            }
            Self::Observation { .. } => None,
        }
    }
}

/// Tells the ledger what became of a record, whatever happens to it.
#[derive(Debug)]
pub(super) struct Tracked {
    ledger: Arc<Ledger>,
    load: Option<Load>,
}

impl Tracked {
    /// The client did not take it.
    pub(super) fn not_queued(self, error: SendError) {
        self.delivered(Err(error));
    }
}

impl Delivery for Tracked {
    fn delivered(mut self, result: Result<Delivered, SendError>) {
        if let Some(load) = self.load.take() {
            self.ledger.settled(&load, result);
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if let Some(load) = self.load.take() {
            self.ledger.settled(&load, Err(SendError::Closed));
        }
    }
}

/// An observation to be written.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) seen: PartitionObservation,
    /// None: the clock's reading.
    pub(super) observed_at: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    topic: String,
    topic_id: String,
    producer: String,
    trust: Trust,
    span: Span,
    clock: SharedClock,
    inner: Mutex<Inner>,
    in_flight: AtomicU64,
    idle: Notify,
    due: AtomicBool,
    failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    buckets: BTreeMap<i64, Bucket>,
    newest_bucket: Option<i64>,
    /// Observations that had to be cut because their lists were full.
    full: Vec<Ready>,
    counts: Counts,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    what: String,
    error: FailureKind,
    more: u64,
}

#[derive(Debug)]
enum FailureKind {
    Send(SendError),
    Encode(MeshError),
}

/// One stretch of record timestamps, or all of real time.
#[derive(Debug, Default)]
struct Bucket {
    pending: u64,
    slots: BTreeMap<i32, Slot>,
}

#[derive(Debug)]
struct Slot {
    tally: PartitionTally,
    newest: Option<Timestamp>,
}

impl Ledger {
    pub(super) fn new(
        topic: &str,
        topic_id: String,
        tag: &ProducerTag,
        span: Span,
        clock: SharedClock,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            topic_id,
            producer: tag.name().to_owned(),
            trust: tag.trust(),
            span,
            clock,
            inner: Mutex::default(),
            in_flight: AtomicU64::new(0),
            idle: Notify::new(),
            due: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// Notes what is about to be queued.
    pub(super) fn track(self: &Arc<Self>, load: Load) -> Tracked {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = load.bucket(self.span) {
            let mut inner = self.inner.lock();
            inner.counts.sent += 1;
            inner.buckets.entry(bucket).or_default().pending += 1;
            if inner.newest_bucket.is_none_or(|newest| newest < bucket) {
                inner.newest_bucket = Some(bucket);
                self.note_due(&inner);
            }
        }
        Tracked {
            ledger: Arc::clone(self),
            load: Some(load),
        }
    }

    fn settled(&self, load: &Load, result: Result<Delivered, SendError>) {
        {
            let mut inner = self.inner.lock();
            match result {
                Ok(delivered) => self.acknowledged(&mut inner, load, delivered),
                Err(error) => {
                    self.failed.store(true, Ordering::Release);
                    inner.fail(what(load, &self.topic), FailureKind::Send(error));
                }
            }
            if let Some(bucket) = load.bucket(self.span)
                && let Some(found) = inner.buckets.get_mut(&bucket)
            {
                found.pending = found.pending.saturating_sub(1);
                if found.pending == 0 {
                    self.note_due(&inner);
                }
            }
        }
        if self.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }

    fn acknowledged(&self, inner: &mut Inner, load: &Load, delivered: Delivered) {
        match load {
            Load::Record {
                bytes,
                facts,
                timestamp,
                parents,
                marked,
                ..
            } => {
                inner.counts.accepted += 1;
                inner.counts.bytes += u64::try_from(*bytes).unwrap_or(u64::MAX);
                inner.counts.unverified += u64::from(facts.unverified);
                let slot = self.slot(inner, *timestamp, delivered.partition);
                let range = OffsetRange {
                    from: delivered.offset,
                    until: delivered.offset.saturating_add(1),
                };
                let mut cut = None;
                if slot.tally.cover(range).is_err() {
                    cut = slot.take(self.span);
                    // An emptied tally has room for a range.
                    let _ = slot.tally.cover(range);
                }
                slot.newest = slot.newest.max(Some(*timestamp));
                slot.tally.record(&Tallied {
                    bytes: *bytes,
                    producer: Some((&self.producer, self.trust)),
                    schema_id: facts.schema_id,
                    event_time: facts.event_time,
                    arrived: match self.span {
                        Span::RealTime(_) => self.clock.now(),
                        Span::RecordTime(_) => *timestamp,
                    },
                    parents: parents
                        .as_deref()
                        .and_then(|text| Parents::parse(text.as_bytes())),
                });
                if let Some((reason, _)) = marked {
                    slot.tally.refused(*reason, 1);
                    inner.counts.marked += 1;
                    *inner.counts.refused.entry(*reason).or_default() += 1;
                }
                if let Some(cut) = cut {
                    inner.full.push(cut);
                    self.due.store(true, Ordering::Release);
                }
            }
            Load::Quarantined {
                reason,
                partition,
                timestamp,
                ..
            } => {
                inner.counts.quarantined += 1;
                self.refuse(inner, *reason, *partition, *timestamp);
            }
            Load::Observation { .. } => inner.counts.observations += 1,
        }
    }

    /// Counts a record that was given back as refused.
    pub(super) fn rejected(&self, reason: Reason, partition: i32, timestamp: Timestamp) {
        let mut inner = self.inner.lock();
        inner.counts.rejected += 1;
        self.refuse(&mut inner, reason, partition, timestamp);
        let bucket = self.span.bucket(timestamp);
        inner.newest_bucket = inner.newest_bucket.max(Some(bucket));
        self.note_due(&inner);
    }

    fn refuse(&self, inner: &mut Inner, reason: Reason, partition: i32, timestamp: Timestamp) {
        *inner.counts.refused.entry(reason).or_default() += 1;
        let slot = self.slot(inner, timestamp, partition);
        slot.newest = slot.newest.max(Some(timestamp));
        slot.tally.refused(reason, 1);
    }

    fn slot<'i>(&self, inner: &'i mut Inner, timestamp: Timestamp, partition: i32) -> &'i mut Slot {
        inner
            .buckets
            .entry(self.span.bucket(timestamp))
            .or_default()
            .slots
            .entry(partition)
            .or_insert_with(|| {
                let mut tally = PartitionTally::new(&self.topic, partition);
                tally.set_topic_id(Some(self.topic_id.clone()));
                Slot {
                    tally,
                    newest: None,
                }
            })
    }

    pub(super) fn dropped_parents(&self, count: u32) {
        if count > 0 {
            self.inner.lock().counts.parents_dropped += u64::from(count);
        }
    }

    /// Stretches of record time are complete once a later one has begun and nothing of them is on
    /// its way. Real time is cut by the ticker alone.
    fn note_due(&self, inner: &Inner) {
        if let (Span::RecordTime(_), Some(newest)) = (self.span, inner.newest_bucket)
            && inner
                .buckets
                .range(..newest)
                .any(|(_, bucket)| bucket.pending == 0)
        {
            self.due.store(true, Ordering::Release);
        }
    }

    /// Whether an observation is complete and waits to be written.
    pub(super) fn has_due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    /// The observations that are complete, or (`all`) of everything acknowledged so far.
    pub(super) fn take(&self, all: bool) -> Vec<Ready> {
        let mut inner = self.inner.lock();
        self.due.store(false, Ordering::Release);
        let mut ready = std::mem::take(&mut inner.full);
        let newest = inner.newest_bucket;
        for (number, bucket) in &mut inner.buckets {
            let complete = matches!(self.span, Span::RecordTime(_))
                && bucket.pending == 0
                && newest.is_some_and(|newest| *number < newest);
            if all || complete {
                ready.extend(bucket.slots.values_mut().filter_map(|s| s.take(self.span)));
            }
        }
        inner.buckets.retain(|number, bucket| {
            bucket.pending > 0
                || matches!(self.span, Span::RealTime(_))
                || Some(*number) == newest
                || bucket.slots.values().any(|slot| !slot.tally.is_empty())
        });
        ready
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Waits until nothing is on its way.
    pub(super) async fn wait_idle(&self) {
        loop {
            let told = self.idle.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            told.await;
        }
    }

    /// An observation could not be encoded.
    pub(super) fn not_encoded(&self, key: &str, error: MeshError) {
        self.failed.store(true, Ordering::Release);
        self.inner.lock().fail(
            format!("the observation of {key}"),
            FailureKind::Encode(error),
        );
    }

    /// The first failure, if there was any: it stays.
    pub(super) fn check_failed(&self) -> Result<(), ProduceError> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        match &self.inner.lock().failure {
            None => Ok(()),
            Some(failure) => Err(match &failure.error {
                FailureKind::Send(error) => ProduceError::NotWritten {
                    what: failure.what.clone(),
                    more: failure.more,
                    source: error.clone(),
                },
                FailureKind::Encode(error) => ProduceError::Observation {
                    topic: self.topic.clone(),
                    source: error.clone(),
                },
            }),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.inner.lock().counts.clone()
    }
}

impl Inner {
    fn fail(&mut self, what: String, error: FailureKind) {
        match &mut self.failure {
            Some(failure) => failure.more += 1,
            none => {
                *none = Some(Failure {
                    what,
                    error,
                    more: 0,
                });
            }
        }
    }
}

impl Slot {
    fn take(&mut self, span: Span) -> Option<Ready> {
        let newest = self.newest.take();
        self.tally.take().map(|seen| Ready {
            seen,
            observed_at: match span {
                Span::RealTime(_) => None,
                Span::RecordTime(_) => newest,
            },
        })
    }
}

fn what(load: &Load, topic: &str) -> String {
    match load {
        Load::Record { position, .. } => format!("{position} for topic {topic}"),
        Load::Quarantined { position, .. } => format!("{position} for the quarantine of {topic}"),
        Load::Observation { key } => format!("the observation of {key}"),
    }
}

#[cfg(test)]
mod tests;
