//! What was seen of each partition, added up and written to `mesh.observations` once a second;
//! never in a client's way.

mod covered;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_model::mesh::observation::{OffsetRange, PartitionObservation};
use meshwork_model::time::Timestamp;
use meshwork_pipeline::PartitionTally;
use parking_lot::Mutex;

use crate::connection::pending::Sent;
use crate::metrics::Metrics;
use crate::topics::Topics;
use covered::Covered;

pub(crate) use write::{Asked, Writer};

/// Partitions observed at a time. Beyond, what is acknowledged is left for the observer to read
/// back.
const PARTITIONS_MAX: usize = 100_000;

/// Adds up what was acknowledged. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Observations {
    slots: Mutex<HashMap<(Arc<str>, i32), Slot>>,
    metrics: Metrics,
    /// Which partitions there are.
    topics: Arc<Topics>,
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
    /// Adds a range, unless some of it was counted. Gives how many records are new.
    fn add(
        &mut self,
        tally: &PartitionTally,
        range: OffsetRange,
        stretch: Option<Stretch>,
        alone: bool,
    ) -> i64 {
        if !self.seen.add(range.from, range.until) {
            return 0;
        }
        let added = range.until.saturating_sub(range.from);
        if alone {
            let mut own = tally.clone();
            // It has no ranges yet.
            let _ = own.cover(range);
            self.cut.extend(own.take().map(|seen| Ready {
                seen,
                observed_at: stretch.map(|stretch| stretch.newest),
            }));
            return added;
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
        added
    }

    fn close(&mut self) {
        let observed_at = self.stretch.take().map(|stretch| stretch.newest);
        self.cut
            .extend(self.tally.take().map(|seen| Ready { seen, observed_at }));
    }
}

impl Observations {
    pub(crate) fn new(metrics: Metrics, topics: Arc<Topics>) -> Self {
        Self {
            slots: Mutex::default(),
            metrics,
            topics,
        }
    }

    /// Adds what the broker has acknowledged, from `base_offset` on. Gives how many records of it are
    /// new: of a repeat, none.
    pub(crate) fn acknowledged(&self, sent: &Sent, base_offset: i64) -> i64 {
        if base_offset < 0 {
            return sent.records;
        }
        let added = self.with(&sent.name, sent.partition, |slot| {
            let range = |from: i64, records: i64| OffsetRange {
                from,
                until: from.saturating_add(records),
            };
            if sent.parts.is_empty() {
                let all = range(base_offset, sent.records);
                return slot.add(&sent.tally, all, None, sent.alone);
            }
            let mut added = 0;
            let mut from = base_offset;
            for part in &sent.parts {
                let stretch = Stretch {
                    number: part.span,
                    newest: part.newest,
                };
                let of_part = range(from, part.records.into());
                added += slot.add(&part.tally, of_part, Some(stretch), sent.alone);
                from = of_part.until;
            }
            added
        });
        // What there is no room to remember can't be told from a repeat.
        added.unwrap_or(sent.records)
    }

    /// Adds what was refused and never reached the broker. Of a partition that no broker has told of,
    /// which a client may have made up, nothing is kept.
    pub(crate) fn refused(&self, topic: &Arc<str>, partition: i32, tally: &PartitionTally) {
        let there = self.topics.known(topic);
        if there.is_some_and(|(_, partitions)| (0..partitions).contains(&partition)) {
            self.with(topic, partition, |slot| slot.tally.absorb(tally));
        }
    }

    /// A topic was made anew under its name: its offsets begin again.
    pub(crate) fn made_anew(&self, topic: &str) {
        let mut slots = self.slots.lock();
        for ((name, _), slot) in slots.iter_mut() {
            if **name == *topic {
                slot.seen = Covered::default();
            }
        }
    }

    /// `None`: there is no room for one more partition.
    fn with<T>(
        &self,
        topic: &Arc<str>,
        partition: i32,
        change: impl FnOnce(&mut Slot) -> T,
    ) -> Option<T> {
        let mut slots = self.slots.lock();
        let key = (Arc::clone(topic), partition);
        if slots.len() >= PARTITIONS_MAX && !slots.contains_key(&key) {
            self.metrics.unobserved();
            return None;
        }
        let slot = slots.entry(key).or_insert_with(|| Slot {
            tally: PartitionTally::new(topic, partition),
            seen: Covered::default(),
            stretch: None,
            grew: false,
            cut: Vec::new(),
        });
        Some(change(slot))
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

#[cfg(test)]
mod tests;
