//! One partition of a product's topic: which offsets are accounted for, up to when that is known to be
//! all there was, and the watermark. What was observed in minutes that are still open waits in a short
//! list, so that each minute is judged on what was there at its end, and not on what came since.

use std::collections::VecDeque;

use meshwork_model::mesh::observation::OffsetRange;

use super::coverage::{Added, Coverage};
use super::record::PartitionView;
use super::{Minute, minute_of};

/// Most polls kept whose end is not covered yet. Beyond, one in the middle is dropped, which only
/// makes what it would have settled wait for the next.
pub(super) const POLLS_MAX: usize = 32;
/// Most open minutes with observations. Beyond, the latest takes in the rest.
pub(super) const OPEN_MINUTES_MAX: usize = 4096;

/// What was seen in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Greatest event time observed.
    pub greatest: Option<i64>,
    /// Greatest event time that may have been there from this minute on.
    pub maybe: Option<i64>,
    /// Records with a measured delay came.
    pub delays: bool,
    /// Greatest delay that a record may have had, ms.
    pub delay_most: Option<i64>,
    /// Greatest delay that a record had for certain, ms.
    pub delay_sure: Option<i64>,
}

impl Seen {
    pub(super) fn join(&mut self, other: &Self) {
        self.greatest = self.greatest.max(other.greatest);
        self.maybe = self.maybe.max(other.maybe);
        self.delays |= other.delays;
        self.delay_most = self.delay_most.max(other.delay_most);
        self.delay_sure = self.delay_sure.max(other.delay_sure);
    }
}

/// A poll: at `at` the log ended at `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Last stable offset.
    pub end: i64,
    /// Stamp, ms.
    pub at: i64,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    pub(super) topic_id: Option<String>,
    pub(super) coverage: Coverage,
    /// Greatest event time observed in closed minutes.
    pub(super) watermark: Option<i64>,
    /// Greatest event time that may have been there in closed minutes.
    pub(super) maybe: Option<i64>,
    /// Greatest stamp of a poll whose end is covered.
    pub(super) known_until: Option<i64>,
    pub(super) latest: Option<Poll>,
    pub(super) polls: Vec<Poll>,
    pub(super) open: VecDeque<(Minute, Seen)>,
}

/// What an observation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// All its offsets were accounted for before.
    pub covered_before: bool,
    /// Its minute was closed before it came.
    pub late: bool,
    /// The log was made anew or cut, and coverage starts over from there.
    pub restarted: bool,
}

impl Partition {
    /// Whether anything at all is known of it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.latest.is_some() || !self.coverage.ranges().is_empty()
    }

    /// Greatest event time seen, in open minutes too.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        let open = self.open.iter().filter_map(|(_, seen)| seen.greatest).max();
        self.watermark.max(open)
    }

    /// Everything that was readable before this moment is accounted for.
    #[must_use]
    pub fn known_until(&self) -> Option<i64> {
        self.known_until
    }

    /// The latest poll.
    #[must_use]
    pub fn latest(&self) -> Option<Poll> {
        self.latest
    }

    /// Offsets that exist by the latest poll and that no observation accounts for.
    #[must_use]
    pub fn gaps(&self) -> Vec<OffsetRange> {
        self.latest
            .map_or_else(Vec::new, |poll| self.coverage.holes(poll.end))
    }

    /// Takes in an observation made at `at`. `next` is the first minute that is not closed.
    pub fn apply(&mut self, at: i64, o: &PartitionView<'_>, next: Minute) -> Applied {
        let mut applied = Applied::default();
        if let Some(id) = o.topic_id
            && self.topic_id.as_deref() != Some(id)
        {
            if self.topic_id.is_some() {
                self.restart();
                applied.restarted = true;
            }
            self.topic_id = Some(id.to_owned());
        }
        let mut tells = o.offsets.is_empty();
        for range in &o.offsets {
            tells |= self.coverage.add(*range) != Added::Already;
        }
        applied.covered_before = !tells;
        if tells && o.records > 0 {
            applied.late = self.count(at, o, next);
        }
        if let Some(end) = o.end_offset {
            applied.restarted |= self.poll(Poll { end, at });
        }
        self.settle();
        applied
    }

    fn restart(&mut self) {
        self.coverage.clear();
        self.polls.clear();
        self.latest = None;
    }

    /// Takes in a poll; whether the log turned out to be cut.
    fn poll(&mut self, poll: Poll) -> bool {
        let newer = self.latest.is_none_or(|l| poll.at >= l.at);
        let mut cut = false;
        if let Some(latest) = &mut self.latest
            && !newer
            && poll.end > latest.end
        {
            // A clock that was set back, or another observer's: the log has grown all the same.
            latest.end = poll.end;
        }
        if newer {
            if self.latest.is_some_and(|l| poll.end < l.end) {
                self.coverage.cut(poll.end);
                self.polls.clear();
                cut = true;
            }
            self.latest = Some(poll);
        }
        match self.polls.last_mut() {
            Some(last) if last.end == poll.end => last.at = last.at.max(poll.at),
            Some(last) if last.end > poll.end => {}
            _ => {
                if self.polls.len() >= POLLS_MAX {
                    self.polls.remove(POLLS_MAX / 2);
                }
                self.polls.push(poll);
            }
        }
        cut
    }

    /// Polls whose end is covered say up to when all is known.
    fn settle(&mut self) {
        let covered = self.coverage.covered_to();
        let settled = self.polls.iter().take_while(|p| p.end <= covered).count();
        for poll in self.polls.drain(..settled) {
            self.known_until = self.known_until.max(Some(poll.at));
        }
    }

    /// Puts what was observed where it belongs in time; whether it came late.
    fn count(&mut self, at: i64, o: &PartitionView<'_>, next: Minute) -> bool {
        let times = o.event_times.filter(|t| t.records > 0);
        let greatest = times.map(|t| t.greatest.as_millis());
        let since = o
            .not_before
            .map(meshwork_model::time::Timestamp::as_millis)
            .filter(|s| *s < at);
        let delay_most = o.lag.map(|l| l.greatest.max(0));
        let delay_sure = match (since, times) {
            (None, _) => delay_most,
            (Some(since), Some(t)) => Some(since.saturating_sub(t.least.as_millis()).max(0)),
            (Some(_), None) => None,
        };
        let minute = minute_of(at);
        if let Some(since) = since {
            let from = minute_of(since).max(next);
            if from < minute && greatest.is_some() {
                let maybe = Seen {
                    maybe: greatest,
                    ..Seen::default()
                };
                self.join(from, &maybe);
            }
        }
        if minute < next {
            self.watermark = self.watermark.max(greatest);
            return true;
        }
        let seen = Seen {
            greatest,
            maybe: None,
            delays: delay_most.is_some(),
            delay_most,
            delay_sure,
        };
        self.join(minute, &seen);
        false
    }

    /// Adds to the entry of an open minute.
    fn join(&mut self, minute: Minute, what: &Seen) {
        let mut place = self.open.len();
        while let Some((m, _)) = place.checked_sub(1).and_then(|i| self.open.get(i)) {
            if *m < minute {
                break;
            }
            place -= 1;
        }
        let found = self.open.get(place).is_some_and(|(m, _)| *m == minute);
        if !found {
            if self.open.len() < OPEN_MINUTES_MAX {
                self.open.insert(place, (minute, Seen::default()));
            } else {
                place = self.open.len().saturating_sub(1);
            }
        }
        if let Some((_, seen)) = self.open.get_mut(place) {
            seen.join(what);
        }
    }

    /// Closes every minute up to and including `minute` and gives what was seen in them.
    pub(super) fn close(&mut self, minute: Minute) -> Seen {
        let mut seen = Seen::default();
        while let Some((m, s)) = self.open.front() {
            if *m > minute {
                break;
            }
            seen.join(s);
            self.watermark = self.watermark.max(s.greatest);
            self.maybe = self.maybe.max(s.maybe);
            self.open.pop_front();
        }
        if self.maybe <= self.watermark {
            self.maybe = None;
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::{Delay, Through};
    use meshwork_model::time::Timestamp;

    fn traffic(from: i64, until: i64, event: i64) -> PartitionView<'static> {
        PartitionView {
            topic: "a.b.v1",
            offsets: vec![OffsetRange { from, until }],
            records: until - from,
            event_times: Some(Through {
                least: Timestamp::from_millis(event),
                greatest: Timestamp::from_millis(event),
                records: until - from,
            }),
            lag: Some(Delay { greatest: 5 }),
            ..PartitionView::default()
        }
    }

    fn end(end: i64) -> PartitionView<'static> {
        PartitionView {
            topic: "a.b.v1",
            end_offset: Some(end),
            ..PartitionView::default()
        }
    }

    #[test]
    fn a_poll_counts_once_its_end_is_covered() {
        let mut p = Partition::default();
        p.apply(1_000, &end(0), 0);
        assert_eq!(p.known_until(), Some(1_000));
        p.apply(11_000, &end(10), 0);
        p.apply(21_000, &end(20), 0);
        p.apply(31_000, &end(20), 0);
        assert_eq!(p.known_until(), Some(1_000));
        p.apply(31_500, &traffic(0, 15, 7), 0);
        assert_eq!(p.known_until(), Some(11_000));
        assert_eq!(
            p.gaps(),
            [OffsetRange {
                from: 15,
                until: 20
            }]
        );
        p.apply(31_600, &traffic(15, 20, 8), 0);
        assert_eq!(p.known_until(), Some(31_000));
        assert!(p.gaps().is_empty());
    }

    #[test]
    fn minutes_are_judged_on_what_was_there_at_their_end() {
        let mut p = Partition::default();
        p.apply(59_999, &traffic(0, 1, 100), 0);
        p.apply(60_000, &traffic(1, 2, 200), 0);
        p.apply(30_000, &traffic(2, 3, 50), 0);
        assert_eq!(p.close(0).greatest, Some(100));
        assert_eq!(p.watermark, Some(100));
        assert_eq!(p.watermark(), Some(200));
        assert_eq!(p.close(1).greatest, Some(200));
        assert!(p.apply(59_999, &traffic(3, 4, 300), 2).late);
        assert_eq!(p.watermark, Some(300));
    }

    #[test]
    fn offsets_seen_before_are_not_counted_again() {
        let mut p = Partition::default();
        assert!(!p.apply(1, &traffic(0, 10, 1), 0).covered_before);
        assert!(p.apply(2, &traffic(0, 10, 999), 0).covered_before);
        assert_eq!(p.watermark(), Some(1));
        assert!(!p.apply(3, &traffic(5, 15, 2), 0).covered_before);
        assert_eq!(p.watermark(), Some(2));
    }

    #[test]
    fn what_was_read_back_may_have_been_there_earlier() {
        let mut p = Partition::default();
        let mut o = traffic(0, 10, 40_000);
        o.not_before = Some(Timestamp::from_millis(65_000));
        p.apply(200_000, &o, 0);
        p.close(0);
        assert_eq!((p.watermark, p.maybe), (None, None));
        p.close(1);
        assert_eq!((p.watermark, p.maybe), (None, Some(40_000)));
        p.close(2);
        assert_eq!((p.watermark, p.maybe), (None, Some(40_000)));
        let seen = p.close(3);
        assert_eq!((p.watermark, p.maybe), (Some(40_000), None));
        assert_eq!(seen.delay_sure, Some(25_000));
    }

    #[test]
    fn a_topic_made_again_starts_anew_and_keeps_its_watermark() {
        let mut p = Partition::default();
        let with_id = |mut o: PartitionView<'static>, id| {
            o.topic_id = Some(id);
            o
        };
        p.apply(1, &with_id(end(10), "one"), 0);
        p.apply(2, &traffic(0, 10, 5), 0);
        assert!(p.apply(3, &with_id(end(2), "two"), 0).restarted);
        assert_eq!(p.gaps(), [OffsetRange { from: 0, until: 2 }]);
        assert_eq!(p.watermark(), Some(5));
        // Without ids a lower end says the same.
        p.apply(4, &traffic(0, 2, 6), 0);
        assert!(p.apply(5, &end(1), 0).restarted);
        assert_eq!(p.coverage.covered_to(), 1);
    }

    #[test]
    fn lists_stay_bounded() {
        let mut p = Partition::default();
        for i in 0..10_000 {
            p.apply(i * 60_000, &traffic(i * 2, i * 2 + 1, i), 0);
            p.apply(i * 60_000, &end(i * 2 + 2), 0);
        }
        assert_eq!(p.open.len(), OPEN_MINUTES_MAX);
        assert_eq!(p.polls.len(), POLLS_MAX);
        assert!(p.coverage.ranges().len() <= super::super::coverage::RANGES_MAX);
    }
}
