//! What was seen of each partition, added up and written to `mesh.observations` once a second;
//! never in a client's way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::control;
use meshwork_kafka::{Admin, BoxedDelivery, KafkaConfig, OutRecord, Producer, ProducerOptions};
use meshwork_model::mesh::StreamObservation;
use meshwork_model::mesh::observation::{
    ObservationFact, ObservationSource, OffsetRange, PartitionObservation, SourceKind,
};
use meshwork_model::time::{Clock as _, SharedClock};
use meshwork_model::topic::{ControlTopic, partition_for_key};
use meshwork_pipeline::PartitionTally;
use meshwork_registry_client::{MeshWriter, RegistryClient};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::consumption::{self, Consumption};
use crate::metrics::Metrics;

/// Ranges of offsets remembered for each partition, so that a repeat, which a broker answers with
/// its old offsets, is counted once.
const RANGES_KEPT: usize = 256;
/// Partitions observed at a time. Beyond, what is acknowledged is left for the observer to read
/// back.
const PARTITIONS_MAX: usize = 100_000;
/// Observations that may wait for a broker; the oldest ones are given up beyond that, and the
/// observer reads their ranges back.
const WAITING_MAX: usize = 100_000;

/// Adds up what was acknowledged. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Observations {
    slots: Mutex<HashMap<(Arc<str>, i32), Slot>>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Slot {
    tally: PartitionTally,
    seen: Covered,
    /// Observations that had to be cut because their lists were full.
    cut: Vec<PartitionObservation>,
}

/// Offsets that were counted, as disjoint ranges in ascending order; the lowest are forgotten.
#[derive(Debug, Default)]
struct Covered {
    ranges: Vec<(i64, i64)>,
}

impl Covered {
    /// Adds `from..until` unless any of it is there.
    fn add(&mut self, from: i64, until: i64) -> bool {
        let at = self.ranges.partition_point(|(_, end)| *end <= from);
        if self.ranges.get(at).is_some_and(|(start, _)| *start < until) {
            return false;
        }
        let joins_next = self
            .ranges
            .get(at)
            .is_some_and(|(start, _)| *start == until);
        let joins_last = at
            .checked_sub(1)
            .filter(|last| self.ranges.get(*last).is_some_and(|(_, end)| *end == from));
        match (joins_last, joins_next) {
            (Some(last), true) => {
                let (_, end) = self.ranges.remove(at);
                if let Some(range) = self.ranges.get_mut(last) {
                    range.1 = end;
                }
            }
            (Some(last), false) => {
                if let Some(range) = self.ranges.get_mut(last) {
                    range.1 = until;
                }
            }
            (None, true) => {
                if let Some(range) = self.ranges.get_mut(at) {
                    range.0 = from;
                }
            }
            (None, false) => {
                self.ranges.insert(at, (from, until));
                if self.ranges.len() > RANGES_KEPT {
                    self.ranges.remove(0);
                }
            }
        }
        true
    }
}

impl Observations {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            slots: Mutex::default(),
            metrics,
        }
    }

    /// Adds what the broker has acknowledged: `tally` of `records` records from `base_offset` on.
    pub(crate) fn acknowledged(
        &self,
        topic: &Arc<str>,
        partition: i32,
        tally: &PartitionTally,
        base_offset: i64,
        records: i64,
    ) {
        self.with(topic, partition, |slot| {
            let range = OffsetRange {
                from: base_offset,
                until: base_offset.saturating_add(records),
            };
            if base_offset < 0 || !slot.seen.add(range.from, range.until) {
                return;
            }
            if slot.tally.cover(range).is_err() {
                slot.cut.extend(slot.tally.take());
                // An emptied tally has room for a range.
                let _ = slot.tally.cover(range);
            }
            slot.tally.absorb(tally);
        });
    }

    /// Adds what was refused and never reached the broker.
    pub(crate) fn refused(&self, topic: &Arc<str>, partition: i32, tally: &PartitionTally) {
        self.with(topic, partition, |slot| slot.tally.absorb(tally));
    }

    fn with(&self, topic: &Arc<str>, partition: i32, change: impl FnOnce(&mut Slot)) {
        let mut slots = self.slots.lock();
        let key = (Arc::clone(topic), partition);
        if slots.len() >= PARTITIONS_MAX && !slots.contains_key(&key) {
            self.metrics.unobserved();
            return;
        }
        let slot = slots.entry(key).or_insert_with(|| Slot {
            tally: PartitionTally::new(topic, partition),
            seen: Covered::default(),
            cut: Vec::new(),
        });
        change(slot);
    }

    /// What has come together since the last call.
    fn take(&self) -> Vec<PartitionObservation> {
        let mut slots = self.slots.lock();
        let mut ready = Vec::new();
        for slot in slots.values_mut() {
            ready.append(&mut slot.cut);
            ready.extend(slot.tally.take());
        }
        ready
    }
}

/// Writes observations for as long as it is run.
pub(crate) struct Writer {
    pub(crate) observations: Arc<Observations>,
    pub(crate) consumption: Arc<Consumption>,
    pub(crate) kafka: KafkaConfig,
    pub(crate) registry: RegistryClient,
    pub(crate) clock: SharedClock,
    pub(crate) every: Duration,
    pub(crate) instance: String,
    pub(crate) metrics: Metrics,
}

/// What writing takes, once broker and registry have answered.
struct Tools {
    producer: Producer<BoxedDelivery>,
    encoder: MeshWriter<StreamObservation>,
    partitions: i32,
}

impl Writer {
    /// Runs until `stop`, then writes what is left.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let epoch = meshwork_model::time::WallClock.now().as_millis();
        let mut sequence = 0i64;
        let mut tools = None;
        let mut waiting: std::collections::VecDeque<StreamObservation> = Default::default();
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
            };
            let observed_at = self.clock.now();
            let (written, read) = (self.observations.take(), self.consumption.take());
            for seen in consumption::join(written, read) {
                waiting.push_back(StreamObservation {
                    source: ObservationSource {
                        kind: SourceKind::Gateway,
                        instance: self.instance.clone(),
                        epoch,
                        sequence,
                    },
                    observed_at,
                    fact: ObservationFact::PartitionObservation(seen),
                });
                sequence += 1;
            }
            while waiting.len() > WAITING_MAX {
                waiting.pop_front();
                self.metrics.unobserved();
            }
            if tools.is_none() {
                tools = self.tools().await;
            }
            if let Some(tools) = &tools {
                self.write(tools, &mut waiting).await;
            }
            if last {
                if let Some(tools) = &tools {
                    // Best effort: what does not leave is read back by the observer.
                    let _ = tools.producer.flush(Duration::from_secs(5)).await;
                }
                return;
            }
        }
    }

    async fn tools(&self) -> Option<Tools> {
        let tried = async {
            let admin = Admin::new(&self.kafka)?;
            let partitions = control::ensure(&admin, ControlTopic::Observations).await?;
            let subject = format!("{}-value", ControlTopic::Observations.name());
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Tools {
                producer: Producer::new(&self.kafka, &ProducerOptions::default())?,
                encoder: MeshWriter::register(&self.registry, &subject).await?,
                partitions,
            })
        };
        match tried.await {
            Ok(tools) => Some(tools),
            Err(error) => {
                tracing::warn!(%error, "observations wait until Kafka and the registry are there");
                None
            }
        }
    }

    async fn write(
        &self,
        tools: &Tools,
        waiting: &mut std::collections::VecDeque<StreamObservation>,
    ) {
        while let Some(observation) = waiting.front() {
            let ObservationFact::PartitionObservation(seen) = &observation.fact else {
                waiting.pop_front();
                continue;
            };
            let partition = partition_for_key(seen.topic.as_bytes(), tools.partitions);
            let key = observation.key();
            let value = match tools.encoder.encode(observation) {
                Ok(value) => value,
                Err(error) => {
                    tracing::warn!(%key, %error, "an observation can't be written");
                    self.metrics.unobserved();
                    waiting.pop_front();
                    continue;
                }
            };
            let out = OutRecord {
                topic: ControlTopic::Observations.name(),
                partition: Some(partition),
                key: Some(key.as_bytes()),
                value: Some(&value),
                headers: &[],
                timestamp: None,
            };
            let metrics = self.metrics.clone();
            let done: BoxedDelivery = Box::new(move |result| match result {
                Ok(_) => metrics.observed(),
                Err(error) => {
                    tracing::warn!(%error, "an observation was not acknowledged; the observer reads its range back");
                    metrics.unobserved();
                }
            });
            // A full queue: try again with the next round.
            if tools.producer.send(&out, done).is_err() {
                return;
            }
            waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_counted_once() {
        let mut covered = Covered::default();
        assert!(covered.add(10, 20));
        assert!(!covered.add(10, 20), "a repeat");
        assert!(!covered.add(15, 25));
        assert!(covered.add(30, 40));
        assert!(covered.add(20, 30), "between two");
        assert_eq!(covered.ranges, [(10, 40)]);
        assert!(covered.add(0, 5));
        assert!(covered.add(5, 10));
        assert_eq!(covered.ranges, [(0, 40)]);
        assert!(covered.add(40, 41));
        assert!(!covered.add(0, 1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut covered = Covered::default();
        for n in 0..1_000 {
            assert!(covered.add(n * 10, n * 10 + 1));
        }
        assert_eq!(covered.ranges.len(), RANGES_KEPT);
    }
}
