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
use meshwork_model::time::{Clock as _, SharedClock, Timestamp};
use meshwork_model::topic::{ControlTopic, partition_for_key};
use meshwork_pipeline::PartitionTally;
use meshwork_registry_client::{MeshWriter, RegistryClient};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::connection::pending::Sent;
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
    /// In record time: the stretch that is added up, and its greatest timestamp.
    stretch: Option<Stretch>,
    /// Whether anything came since observations were taken last.
    grew: bool,
    /// Observations that had to be cut, because their lists were full or a stretch was over.
    cut: Vec<Ready>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    number: i64,
    newest: Timestamp,
}

/// An observation to be written.
#[derive(Debug)]
struct Ready {
    seen: PartitionObservation,
    /// None: the clock's reading.
    observed_at: Option<Timestamp>,
}

impl Slot {
    fn add(
        &mut self,
        tally: &PartitionTally,
        range: OffsetRange,
        stretch: Option<Stretch>,
        alone: bool,
    ) {
        if !self.seen.add(range.from, range.until) {
            return;
        }
        if alone {
            let mut own = tally.clone();
            // It has no ranges yet.
            let _ = own.cover(range);
            self.cut.extend(own.take().map(|seen| Ready {
                seen,
                observed_at: stretch.map(|stretch| stretch.newest),
            }));
            return;
        }
        if let (Some(now), Some(before)) = (stretch, self.stretch)
            && now.number != before.number
        {
            self.close();
        }
        if self.tally.cover(range).is_err() {
            self.close();
            // An emptied tally has room for a range.
            let _ = self.tally.cover(range);
        }
        if let Some(now) = stretch {
            self.stretch = Some(Stretch {
                newest: self
                    .stretch
                    .map_or(now.newest, |s| s.newest.max(now.newest)),
                ..now
            });
        }
        self.grew = true;
        self.tally.absorb(tally);
    }

    fn close(&mut self) {
        let observed_at = self.stretch.take().map(|stretch| stretch.newest);
        self.cut
            .extend(self.tally.take().map(|seen| Ready { seen, observed_at }));
    }
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

    /// Adds what the broker has acknowledged, from `base_offset` on.
    pub(crate) fn acknowledged(&self, sent: &Sent, base_offset: i64) {
        if base_offset < 0 {
            return;
        }
        self.with(&sent.name, sent.partition, |slot| {
            let range = |from: i64, records: i64| OffsetRange {
                from,
                until: from.saturating_add(records),
            };
            if sent.parts.is_empty() {
                slot.add(
                    &sent.tally,
                    range(base_offset, sent.records),
                    None,
                    sent.alone,
                );
            }
            let mut from = base_offset;
            for part in &sent.parts {
                let stretch = Stretch {
                    number: part.span,
                    newest: part.newest,
                };
                let of_part = range(from, part.records.into());
                slot.add(&part.tally, of_part, Some(stretch), sent.alone);
                from = of_part.until;
            }
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
            stretch: None,
            grew: false,
            cut: Vec::new(),
        });
        change(slot);
    }

    /// What has come together since the last call. In record time a stretch is waited for until the
    /// next has begun or nothing more comes; with `all` nothing is waited for.
    fn take(&self, all: bool) -> Vec<Ready> {
        let mut slots = self.slots.lock();
        let mut ready = Vec::new();
        for slot in slots.values_mut() {
            let grew = std::mem::take(&mut slot.grew);
            if all || slot.stretch.is_none() || !grew {
                slot.close();
            }
            ready.append(&mut slot.cut);
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

/// Who wants everything written that is acknowledged so far, and hears when it is; dropped unheard
/// where it can't be written now.
pub(crate) type Asked = mpsc::Receiver<oneshot::Sender<()>>;

/// How long observations that are asked for may take to be acknowledged.
const ASKED_WITHIN: Duration = Duration::from_secs(30);

/// What writing takes, once broker and registry have answered.
struct Tools {
    producer: Producer<BoxedDelivery>,
    encoder: MeshWriter<StreamObservation>,
    partitions: i32,
}

impl Writer {
    /// Runs until `stop`, then writes what is left.
    pub(crate) async fn run(self, mut asked: Asked, stop: CancellationToken) {
        let epoch = meshwork_model::time::WallClock.now().as_millis();
        let mut sequence = 0i64;
        let mut tools = None;
        let mut waiting: std::collections::VecDeque<StreamObservation> = Default::default();
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut now = None;
            let last = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
                Some(ask) = asked.recv() => {
                    now = Some(ask);
                    false
                }
            };
            let observed_at = self.clock.now();
            let mut ready = self.observations.take(last || now.is_some());
            let written = ready.iter_mut().map(|ready| &mut ready.seen);
            let only_read = consumption::join(written, self.consumption.take());
            ready.extend(only_read.into_iter().map(|seen| Ready {
                seen,
                observed_at: None,
            }));
            for Ready {
                seen,
                observed_at: stamp,
            } in ready
            {
                waiting.push_back(StreamObservation {
                    source: ObservationSource {
                        kind: SourceKind::Gateway,
                        instance: self.instance.clone(),
                        epoch,
                        sequence,
                    },
                    observed_at: stamp.unwrap_or(observed_at),
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
            if let (Some(now), Some(tools)) = (now, &tools) {
                let written = tools.producer.flush(ASKED_WITHIN).await.is_ok();
                if written && waiting.is_empty() {
                    // Whoever asked may have gone.
                    let _ = now.send(());
                }
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

    fn sent(records: i64, parts: &[(i64, i64, u32)]) -> Sent {
        let mut tally = PartitionTally::new("a.b.v1", 0);
        for _ in 0..records {
            tally.record(&meshwork_pipeline::Tallied {
                bytes: 1,
                producer: None,
                schema_id: None,
                event_time: None,
                arrived: Timestamp::default(),
                parents: None,
            });
        }
        let parts = parts
            .iter()
            .map(|(span, newest, records)| meshwork_pipeline::Part {
                span: *span,
                newest: Timestamp::from_millis(*newest),
                records: *records,
                tally: PartitionTally::new("a.b.v1", 0),
            });
        Sent {
            topic: meshwork_wire::protocol::OwnedTopic::Name("a.b.v1".into()),
            name: "a.b.v1".into(),
            partition: 0,
            tally,
            parts: parts.collect(),
            records,
            renumbered: false,
            alone: false,
            session: None,
        }
    }

    fn taken(observations: &Observations, all: bool) -> Vec<(i64, i64, Option<i64>)> {
        observations
            .take(all)
            .into_iter()
            .map(|ready| {
                let (first, last) = (ready.seen.offsets.first(), ready.seen.offsets.last());
                (
                    first.unwrap().from,
                    last.unwrap().until,
                    ready.observed_at.map(Timestamp::as_millis),
                )
            })
            .collect()
    }

    #[test]
    fn a_repeat_with_its_old_offsets_is_counted_once() {
        let observations = Observations::new(Metrics::default());
        for _ in 0..2 {
            observations.acknowledged(&sent(5, &[]), 10);
        }
        observations.acknowledged(&sent(2, &[(1, 1, 1), (2, 2, 1)]), -1);
        let ready = observations.take(false);
        assert_eq!(ready.len(), 1);
        assert_eq!(ready[0].seen.records, 5);
    }

    #[test]
    fn what_may_be_another_gateways_repeat_is_observed_by_itself() {
        let observations = Observations::new(Metrics::default());
        observations.acknowledged(&sent(5, &[]), 10);
        let alone = Sent {
            alone: true,
            ..sent(2, &[])
        };
        observations.acknowledged(&alone, 15);
        observations.acknowledged(&alone, 15);
        observations.acknowledged(&sent(3, &[]), 17);
        let mut ranges: Vec<_> = observations
            .take(false)
            .into_iter()
            .map(|ready| (ready.seen.records, ready.seen.offsets))
            .collect();
        ranges.sort_by_key(|(records, _)| *records);
        let range = |from, until| OffsetRange { from, until };
        assert_eq!(
            ranges,
            [
                (2, vec![range(15, 17)]),
                (8, vec![range(10, 15), range(17, 20)])
            ]
        );
    }

    #[test]
    fn in_record_time_an_observation_covers_one_stretch_and_is_stamped_with_its_end() {
        let observations = Observations::new(Metrics::default());
        observations.acknowledged(&sent(0, &[(1, 110, 3), (2, 205, 2)]), 10);
        assert_eq!(taken(&observations, false), [(10, 13, Some(110))]);
        observations.acknowledged(&sent(0, &[(2, 203, 4)]), 15);
        assert_eq!(taken(&observations, false), [], "it goes on");
        assert_eq!(
            taken(&observations, false),
            [(13, 19, Some(205))],
            "nothing more came"
        );
        observations.acknowledged(&sent(0, &[(3, 301, 1)]), 19);
        assert_eq!(taken(&observations, true), [(19, 20, Some(301))]);
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
