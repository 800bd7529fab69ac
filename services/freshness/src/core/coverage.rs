//! Which offsets of a partition are accounted for: a set of ranges, never a sum of observations.

use meshwork_model::mesh::observation::OffsetRange;

/// Most ranges kept. Beyond, the highest one is forgotten: its offsets show as a gap and are read
/// back.
pub(super) const RANGES_MAX: usize = 65;

/// What adding a range told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// None of its offsets was covered.
    New,
    /// Some were.
    Partly,
    /// All were, or the range is empty or makes no sense.
    Already,
}

/// A set of offsets as ascending, disjoint ranges that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    ranges: Vec<OffsetRange>,
}

impl Coverage {
    /// One past the last offset of the stretch that is covered from 0 on.
    #[must_use]
    pub fn covered_to(&self) -> i64 {
        match self.ranges.first() {
            Some(first) if first.from <= 0 => first.until,
            _ => 0,
        }
    }

    /// One past the greatest covered offset.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.ranges.last().map_or(0, |r| r.until)
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[OffsetRange] {
        &self.ranges
    }

    /// Adds a range.
    pub fn add(&mut self, range: OffsetRange) -> Added {
        let from = range.from.max(0);
        let until = range.until;
        if until <= from {
            return Added::Already;
        }
        // The usual case: traffic goes on where it was.
        if let Some(last) = self.ranges.last_mut()
            && last.until == from
        {
            last.until = until;
            return Added::New;
        }
        // Those that overlap or touch [from, until) are merged into one.
        let low = self.ranges.partition_point(|r| r.until < from);
        let high = self.ranges.partition_point(|r| r.from <= until);
        let touched = self.ranges.get(low..high).unwrap_or_default();
        let (mut merged_from, mut merged_until) = (from, until);
        let mut overlap = 0_i64;
        for r in touched {
            merged_from = merged_from.min(r.from);
            merged_until = merged_until.max(r.until);
            let common = r.until.min(until).saturating_sub(r.from.max(from));
            overlap = overlap.saturating_add(common.max(0));
        }
        if overlap == until.saturating_sub(from) {
            return Added::Already;
        }
        let merged = OffsetRange {
            from: merged_from,
            until: merged_until,
        };
        self.ranges.splice(low..high, [merged]);
        if self.ranges.len() > RANGES_MAX {
            self.ranges.pop();
        }
        if overlap == 0 {
            Added::New
        } else {
            Added::Partly
        }
    }

    /// Forgets offsets from `end` on: the log was cut there.
    pub fn cut(&mut self, end: i64) {
        self.ranges.retain_mut(|r| {
            r.until = r.until.min(end);
            r.from < r.until
        });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// The offsets below `end` that are not covered, as ranges, ascending.
    #[must_use]
    pub fn holes(&self, end: i64) -> Vec<OffsetRange> {
        let mut holes = Vec::new();
        let mut at = 0_i64;
        for r in &self.ranges {
            if r.from >= end {
                break;
            }
            if r.from > at {
                holes.push(OffsetRange {
                    from: at,
                    until: r.from,
                });
            }
            at = at.max(r.until);
        }
        if at < end {
            holes.push(OffsetRange {
                from: at,
                until: end,
            });
        }
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(from: i64, until: i64) -> OffsetRange {
        OffsetRange { from, until }
    }

    #[test]
    fn tells_new_from_known() {
        let mut c = Coverage::default();
        for (r, expected) in [
            (range(0, 10), Added::New),
            (range(10, 20), Added::New),
            (range(5, 20), Added::Already),
            (range(30, 40), Added::New),
            (range(35, 45), Added::Partly),
            (range(7, 7), Added::Already),
            (range(9, 3), Added::Already),
            (range(20, 30), Added::New),
            (range(-5, 3), Added::Already),
        ] {
            assert_eq!(c.add(r), expected, "{r:?}");
        }
        assert_eq!(c.ranges(), [range(0, 45)]);
        assert_eq!(c.covered_to(), 45);
    }

    #[test]
    fn forgets_the_highest_beyond_its_limit() {
        let mut c = Coverage::default();
        for i in 0..100 {
            c.add(range(i * 10, i * 10 + 1));
        }
        assert_eq!(c.ranges().len(), RANGES_MAX);
        assert_eq!(c.covered_to(), 1);
        assert_eq!(c.holes(21), [range(1, 10), range(11, 20)]);
    }

    proptest! {
        /// Agrees with a plain set of offsets.
        #[test]
        fn agrees_with_a_set(adds in prop::collection::vec((0_i64..60, 0_i64..12), 0..20), end in 0_i64..80) {
            let mut c = Coverage::default();
            let mut set = std::collections::BTreeSet::new();
            for (from, len) in adds {
                let before = set.len();
                let known = (from..from + len).filter(|o| set.contains(o)).count();
                set.extend(from..from + len);
                let expected = if set.len() == before {
                    Added::Already
                } else if known == 0 {
                    Added::New
                } else {
                    Added::Partly
                };
                prop_assert_eq!(c.add(range(from, from + len)), expected);
            }
            let covered: Vec<i64> = c.ranges().iter().flat_map(|r| r.from..r.until).collect();
            prop_assert_eq!(&covered, &set.iter().copied().collect::<Vec<_>>());
            let holes: Vec<i64> = c.holes(end).iter().flat_map(|r| r.from..r.until).collect();
            prop_assert_eq!(holes, (0..end).filter(|o| !set.contains(o)).collect::<Vec<_>>());
            prop_assert!(c.ranges().windows(2).all(|w| w[0].until < w[1].from));
        }
    }
}
