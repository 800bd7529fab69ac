//! Which offsets of a partition were counted.

/// Ranges of offsets remembered for each partition, so that a repeat, which a broker answers with
/// its old offsets, is counted once.
const RANGES_KEPT: usize = 256;

/// Offsets that were counted, as disjoint ranges in ascending order; the lowest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Covered {
    ranges: Vec<(i64, i64)>,
}

impl Covered {
    /// Adds `from..until` unless any of it is there.
    pub(super) fn add(&mut self, from: i64, until: i64) -> bool {
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
