//! How the sequence numbers of an idempotent producer become those of the log, where records were
//! taken out on the way: pure, and the same at every gateway that has read the same verdicts.
//!
//! A batch at sequence *s* goes on as *s* − (records taken out before *s*), without those taken out
//! of it. What was taken out is decided once and written down as a verdict on a range of sequences;
//! of several verdicts on a range the first in the log holds. A batch that comes again follows it,
//! also where it is split otherwise.

use std::collections::BTreeMap;

/// Sequences wrap from 2^31 − 1 to 0.
const WRAP: i64 = 1 << 31;
/// Verdicts kept apart; what older ones took out is only counted. A broker itself knows the last
/// five batches of a producer again.
const VERDICTS_KEPT: usize = 64;
/// Removed records kept apart, beyond the last few verdicts.
const REMOVED_KEPT: usize = 100_000;
/// Verdicts kept apart however many records they took out.
const VERDICTS_LEAST: usize = 8;
/// Verdicts of one session that may be on their way, or lost. A client has one batch looked at at a
/// time, so that more come only of one that tries others while quarantine is away.
const ATTEMPTS_MAX: usize = 256;
/// Distance from the last verdict at which the count is written down anew: well before the numbers
/// could be taken for older ones.
const CARRY_EVERY: i64 = 1 << 28;

/// A decision on a range of a producer's records, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Sequence of the first record.
    pub(crate) first: i32,
    /// Records in the range; 0: it only carries the count on.
    pub(crate) count: u32,
    /// Records taken out before it.
    pub(crate) removed_before: u64,
    /// Those taken out of it, ascending: place in the range, digest.
    pub(crate) removed: Vec<(u32, u32)>,
}

/// What is known of a batch's range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing was decided on it.
    New {
        /// Records taken out before it.
        removed_before: u64,
        /// A verdict on some of it is on its way, or lost: whatever is decided has to be written
        /// down, and read back.
        attempted: bool,
    },
    /// It was decided on.
    Recorded {
        /// Records taken out before it.
        removed_before: u64,
        /// Those taken out of it: place in the batch, digest.
        removed: Vec<(u32, u32)>,
    },
    /// Some of it was decided on, and some was not: no client puts a batch together so.
    Mixed,
    /// Some of it lies before what is remembered apart: so many verdicts ago that no broker knows the
    /// batch again either, and which of its records were taken out can't be told.
    Forgotten,
}

/// One producer's epoch on one partition.
#[derive(Clone, Debug)]
pub(crate) struct Numbering {
    /// The greatest position seen. Positions are sequences that do not wrap.
    latest: i64,
    /// The last position that something in the log speaks of.
    written: i64,
    /// Records taken out before `horizon`.
    folded: u64,
    /// Below it nothing is known but the count.
    horizon: i64,
    /// Ranges decided on: first and last position. They do not overlap.
    covered: BTreeMap<i64, i64>,
    /// Positions of records taken out, with their digests.
    removed: BTreeMap<i64, u32>,
    /// Ranges on which a verdict was sent off and not seen yet.
    attempted: Vec<(i64, i64)>,
}

impl Numbering {
    /// Of a producer that is first heard of at `sequence`.
    pub(crate) fn at(sequence: i32) -> Self {
        Self {
            latest: sequence.into(),
            written: sequence.into(),
            folded: 0,
            horizon: i64::MIN,
            covered: BTreeMap::new(),
            removed: BTreeMap::new(),
            attempted: Vec::new(),
        }
    }

    /// What is known of the `count` records from sequence `first` on.
    pub(crate) fn look(&mut self, first: i32, count: u32) -> Look {
        let (from, last) = self.range(first, count);
        self.latest = self.latest.max(last);
        if from < self.horizon {
            return Look::Forgotten;
        }
        let removed_before = self.removed_before(from);
        let mut known = 0;
        // The range that begins at or before the batch, and those in it.
        let earlier = self.covered.range(..from).next_back();
        for (begins, ends) in earlier.into_iter().chain(self.covered.range(from..=last)) {
            known += (ends.min(&last) - begins.max(&from) + 1).max(0);
        }
        if known == 0 {
            return Look::New {
                removed_before,
                attempted: self.attempted.iter().any(|(a, b)| *a <= last && from <= *b),
            };
        }
        if known <= last - from {
            return Look::Mixed;
        }
        let removed = self.removed.range(from..=last);
        Look::Recorded {
            removed_before,
            removed: removed
                .map(|(at, digest)| (u32::try_from(at - from).unwrap_or(u32::MAX), *digest))
                .collect(),
        }
    }

    /// Notes that a verdict on these records is about to be sent off. `false`: too many are on their
    /// way already, and it may not be.
    #[must_use]
    pub(crate) fn attempt(&mut self, first: i32, count: u32) -> bool {
        let range = self.range(first, count);
        if self.attempted.contains(&range) {
            return true;
        }
        let has_room = self.attempted.len() < ATTEMPTS_MAX;
        if has_room {
            self.attempted.push(range);
        }
        has_room
    }

    /// Whether [`attempt`](Self::attempt) would be `true`.
    pub(crate) fn may_attempt(&self, first: i32, count: u32) -> bool {
        self.attempted.len() < ATTEMPTS_MAX || self.attempted.contains(&self.range(first, count))
    }

    /// Takes a verdict in that was read from the log, in the log's order. One on a range that was
    /// decided on before changes nothing.
    pub(crate) fn record(&mut self, verdict: &Verdict) {
        let (from, last) = self.range(verdict.first, verdict.count);
        if self.is_blank() {
            self.folded = verdict.removed_before;
            if verdict.removed_before > 0 {
                self.horizon = from;
            }
        }
        self.written = self.written.max(from);
        self.latest = self.latest.max(last.max(from));
        if verdict.count == 0 {
            return;
        }
        let overlaps = self
            .covered
            .range(..=last)
            .next_back()
            .is_some_and(|(_, ends)| *ends >= from);
        if from < self.horizon || overlaps {
            return;
        }
        self.covered.insert(from, last);
        for (place, digest) in &verdict.removed {
            if *place < verdict.count {
                self.removed.insert(from + i64::from(*place), *digest);
            }
        }
        let covered = &self.covered;
        self.attempted.retain(|(a, b)| {
            let inside = covered.range(..=b).next_back();
            inside.is_none_or(|(begins, ends)| begins > a || ends < b)
        });
        self.fold();
    }

    /// A record of the count alone, where the last word in the log is far behind `first`, or old.
    pub(crate) fn carry(&self, first: i32, old: bool) -> Option<Verdict> {
        let (from, _) = self.range(first, 1);
        let removed_before = self.removed_before(from);
        let far = from - self.written > CARRY_EVERY;
        (removed_before > 0 && from >= self.horizon && (old || far)).then_some(Verdict {
            first,
            count: 0,
            removed_before,
            removed: Vec::new(),
        })
    }

    /// Whether nothing was decided yet.
    fn is_blank(&self) -> bool {
        self.folded == 0 && self.covered.is_empty() && self.horizon == i64::MIN
    }

    fn removed_before(&self, position: i64) -> u64 {
        let all_before = self
            .removed
            .last_key_value()
            .is_none_or(|(at, _)| *at < position);
        let apart = if all_before {
            self.removed.len()
        } else {
            self.removed.range(..position).count()
        };
        self.folded
            .saturating_add(u64::try_from(apart).unwrap_or(u64::MAX))
    }

    /// First and last position: the nearest to what was seen last.
    fn range(&self, first: i32, count: u32) -> (i64, i64) {
        let ahead = (i64::from(first) - self.latest).rem_euclid(WRAP);
        let distance = if ahead >= WRAP / 2 {
            ahead - WRAP
        } else {
            ahead
        };
        let from = self.latest.saturating_add(distance);
        (from, from.saturating_add(i64::from(count) - 1))
    }

    fn fold(&mut self) {
        while self.covered.len() > VERDICTS_KEPT
            || (self.removed.len() > REMOVED_KEPT && self.covered.len() > VERDICTS_LEAST)
        {
            let Some((_, last)) = self.covered.pop_first() else {
                return;
            };
            let kept = self.removed.split_off(&last.saturating_add(1));
            let gone = std::mem::replace(&mut self.removed, kept);
            let gone = u64::try_from(gone.len()).unwrap_or(u64::MAX);
            self.folded = self.folded.saturating_add(gone);
            if self.folded > 0 {
                self.horizon = last.saturating_add(1);
            }
        }
    }
}

/// A count of removed records, as a sequence is shifted by it.
pub(crate) fn shift(removed_before: u64) -> u32 {
    let wrap = u64::try_from(WRAP).unwrap_or(u64::MAX);
    u32::try_from(removed_before % wrap).unwrap_or(0)
}

#[cfg(test)]
mod tests;
