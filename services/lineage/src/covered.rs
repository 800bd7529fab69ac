//! Which offsets of a topic-partition were counted: observations repeat and overlap, and each
//! offset counts once.

use meshwork_model::mesh::observation::OffsetRange;
use serde::{Deserialize, Serialize};

/// Most ranges kept; the lowest hole counts as covered beyond. Transaction markers leave holes.
pub(crate) const RANGES_MAX: usize = 1024;

/// Offsets counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Covered {
    topic_id: Option<String>,
    /// `(from, until)`, ascending, disjoint and not adjacent.
    ranges: Vec<(i64, i64)>,
}

/// How much of an observation is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewShare {
    new: u64,
    total: u64,
}

impl NewShare {
    /// The part of `records` that is new: all or nothing as a rule, in proportion where an
    /// observation overlaps what was covered. Without offsets nothing is: it can't be told.
    #[must_use]
    pub(crate) fn share(self, records: i64) -> i64 {
        if self.new == self.total {
            return if self.total == 0 { 0 } else { records };
        }
        let part = i128::from(records) * i128::from(self.new) / i128::from(self.total.max(1));
        i64::try_from(part).unwrap_or(records)
    }
}

impl Covered {
    /// Adds ranges and says how much of them is new. Another topic id than before is another topic
    /// under the same name: its offsets start anew.
    pub(crate) fn add(&mut self, topic_id: Option<&str>, ranges: &[OffsetRange]) -> NewShare {
        if let Some(id) = topic_id {
            if self.topic_id.as_deref().is_some_and(|known| known != id) {
                self.ranges.clear();
            }
            if self.topic_id.as_deref() != Some(id) {
                self.topic_id = Some(id.to_owned());
            }
        }
        let mut share = NewShare { new: 0, total: 0 };
        for range in ranges {
            if range.from >= 0 && range.until > range.from {
                share.total = share.total.saturating_add(range.until.abs_diff(range.from));
                share.new = share
                    .new
                    .saturating_add(self.insert(range.from, range.until));
            }
        }
        share
    }

    /// Inserts one range; gives how many of its offsets are new.
    fn insert(&mut self, from: i64, until: i64) -> u64 {
        let start = self.ranges.partition_point(|(_, u)| *u < from);
        let end = self.ranges.partition_point(|(f, _)| *f <= until);
        let touched = self.ranges.get(start..end).unwrap_or_default();
        let overlap: u64 = touched
            .iter()
            .map(|(f, u)| u64::try_from((*u).min(until) - (*f).max(from)).unwrap_or(0))
            .sum();
        let merged = (
            touched.first().map_or(from, |(f, _)| from.min(*f)),
            touched.last().map_or(until, |(_, u)| until.max(*u)),
        );
        self.ranges.splice(start..end, [merged]);
        if self.ranges.len() > RANGES_MAX
            && let [lowest, second, ..] = self.ranges.as_mut_slice()
        {
            lowest.1 = second.1;
            self.ranges.remove(1);
        }
        until.abs_diff(from).saturating_sub(overlap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(from: i64, until: i64) -> OffsetRange {
        OffsetRange { from, until }
    }

    #[test]
    fn counts_each_offset_once() {
        let mut covered = Covered::default();
        assert_eq!(covered.add(None, &[range(0, 10)]).share(10), 10);
        assert_eq!(covered.add(None, &[range(0, 10)]).share(10), 0);
        assert_eq!(covered.add(None, &[range(5, 15)]).share(10), 5);
        assert_eq!(covered.add(None, &[range(20, 30)]).share(7), 7);
        assert_eq!(covered.add(None, &[range(10, 25)]).share(15), 5);
        assert_eq!(covered.ranges, [(0, 30)]);
        assert_eq!(covered.add(None, &[]).share(7), 0);
    }

    #[test]
    fn a_topic_made_again_starts_anew() {
        let mut covered = Covered::default();
        assert_eq!(covered.add(Some("a"), &[range(0, 10)]).share(10), 10);
        assert_eq!(covered.add(None, &[range(0, 10)]).share(10), 0);
        assert_eq!(covered.add(Some("b"), &[range(0, 10)]).share(10), 10);
        assert_eq!(covered.add(Some("b"), &[range(0, 10)]).share(10), 0);
    }

    #[test]
    fn stays_within_its_limit() {
        let mut covered = Covered::default();
        for i in 0..5000 {
            assert_eq!(covered.add(None, &[range(2 * i, 2 * i + 1)]).share(1), 1);
        }
        assert_eq!(covered.ranges.len(), RANGES_MAX);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_offsets(
            ranges in proptest::collection::vec((0..60i64, 1..12i64), 0..40),
        ) {
            let mut covered = Covered::default();
            let mut set = std::collections::BTreeSet::new();
            for (from, length) in ranges {
                let new = (from..from + length).filter(|o| set.insert(*o)).count();
                let share = covered.add(None, &[range(from, from + length)]);
                prop_assert_eq!(share.share(length), i64::try_from(new).unwrap());
            }
            for pair in covered.ranges.windows(2) {
                prop_assert!(pair[0].1 < pair[1].0);
            }
        }
    }
}
