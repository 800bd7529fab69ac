//! What one minute of one SLO was.

use meshwork_model::mesh::slice::SliceState;
use meshwork_model::slo::{Cadence, Indicator, Slo};

use super::partition::Seen;

/// A product at a minute's end, all its partitions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AtEnd {
    /// End of the minute, ms.
    pub(super) end: i64,
    /// Greatest event time observed before the end.
    pub(super) watermark: Option<i64>,
    /// Greatest event time that may have been there before the end.
    pub(super) maybe: Option<i64>,
    /// Every partition is accounted for up to an end that the broker gave at or after this one.
    pub(super) covered: bool,
    /// What was seen in the minute itself.
    pub(super) seen: Seen,
}

/// A verdict, and the lag or delay it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The slice.
    pub state: SliceState,
    /// Freshness: lag at the end, as far as it is known. Latency: the worst delay in the minute.
    pub lag_ms: Option<i64>,
}

/// Judges a minute. `due`: whether it lies within the SLO's hours. `since`: from when lag counts where
/// there is no record yet, ms.
pub(super) fn judge(slo: &Slo, due: bool, since: i64, at: &AtEnd) -> Judged {
    let within = slo.indicator.within_ms();
    match slo.indicator {
        Indicator::Freshness { .. } => {
            let newest = at.watermark.unwrap_or(since);
            // Without what was not observed in time, and with it at its best.
            let most = at.end.saturating_sub(newest).max(0);
            let least = match at.maybe {
                _ if !at.covered => 0,
                Some(maybe) => at.end.saturating_sub(maybe.max(newest)).max(0),
                None => most,
            };
            let lag_ms = (most == least).then_some(most);
            let silent = slo.cadence == Cadence::Event && at.seen.greatest.is_none();
            let state = if !due || (silent && at.covered) {
                SliceState::ExpectedQuiet
            } else if silent {
                SliceState::Unmeasurable
            } else if most <= within {
                SliceState::Good
            } else if least > within {
                SliceState::Bad
            } else {
                SliceState::Unmeasurable
            };
            Judged { state, lag_ms }
        }
        Indicator::Latency { .. } => {
            let over = |delay: Option<i64>| delay.is_some_and(|d| d > within);
            let state = if !due {
                SliceState::ExpectedQuiet
            } else if over(at.seen.delay_sure) {
                SliceState::Bad
            } else if over(at.seen.delay_most) || !at.covered {
                SliceState::Unmeasurable
            } else if at.seen.delays {
                SliceState::Good
            } else {
                SliceState::ExpectedQuiet
            };
            Judged {
                state,
                lag_ms: at.seen.delay_most,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwork_model::slo::Severity;

    fn slo(indicator: Indicator, cadence: Cadence) -> Slo {
        Slo {
            id: "x".into(),
            indicator,
            objective_millionths: 990_000,
            window_ms: 30 * 86_400_000,
            cadence,
            hours: None,
            severity: Severity::Page,
        }
    }

    #[test]
    fn freshness() {
        use SliceState::{Bad, ExpectedQuiet, Good, Unmeasurable};
        let fresh = |cadence| slo(Indicator::Freshness { within_ms: 100 }, cadence);
        let continuous = fresh(Cadence::Continuous);
        let event = fresh(Cadence::Event);
        // (SLO, due, watermark, maybe, covered, seen in the minute, state, lag)
        for (slo, due, watermark, maybe, covered, seen, state, lag) in [
            (
                &continuous,
                true,
                Some(900),
                None,
                true,
                false,
                Good,
                Some(100),
            ),
            (
                &continuous,
                true,
                Some(899),
                None,
                true,
                false,
                Bad,
                Some(101),
            ),
            (
                &continuous,
                true,
                Some(1_050),
                None,
                true,
                false,
                Good,
                Some(0),
            ),
            // Before the first record lag counts from the announcement, at 950.
            (&continuous, true, None, None, true, false, Good, Some(50)),
            // Outside of hours.
            (
                &continuous,
                false,
                Some(0),
                None,
                true,
                false,
                ExpectedQuiet,
                Some(1_000),
            ),
            // What is not covered may be just now: not good, and never bad.
            (
                &continuous,
                true,
                Some(0),
                None,
                false,
                false,
                Unmeasurable,
                None,
            ),
            // Known enough to be good.
            (&continuous, true, Some(950), None, false, false, Good, None),
            // Read back afterwards: may have been there, or not.
            (
                &continuous,
                true,
                Some(0),
                Some(950),
                true,
                false,
                Unmeasurable,
                None,
            ),
            (
                &continuous,
                true,
                Some(0),
                Some(500),
                true,
                false,
                Bad,
                None,
            ),
            (
                &event,
                true,
                Some(0),
                None,
                true,
                false,
                ExpectedQuiet,
                Some(1_000),
            ),
            (&event, true, Some(0), None, true, true, Bad, Some(1_000)),
            (&event, true, Some(950), None, true, true, Good, Some(50)),
            (
                &event,
                true,
                Some(0),
                None,
                false,
                false,
                Unmeasurable,
                None,
            ),
        ] {
            let at = AtEnd {
                end: 1_000,
                watermark,
                maybe,
                covered,
                seen: Seen {
                    greatest: seen.then_some(0),
                    ..Seen::default()
                },
            };
            let judged = judge(slo, due, 950, &at);
            assert_eq!(judged, Judged { state, lag_ms: lag }, "{at:?}");
        }
    }

    #[test]
    fn latency() {
        use SliceState::{Bad, ExpectedQuiet, Good, Unmeasurable};
        let slo = slo(Indicator::Latency { within_ms: 100 }, Cadence::Event);
        // (due, at most, for certain, covered, state)
        for (due, most, sure, covered, state) in [
            (true, None, None, true, ExpectedQuiet),
            (true, Some(100), Some(100), true, Good),
            (true, Some(101), Some(101), true, Bad),
            (true, Some(101), Some(101), false, Bad),
            (true, Some(500), Some(20), true, Unmeasurable),
            (true, None, None, false, Unmeasurable),
            (false, Some(101), Some(101), true, ExpectedQuiet),
        ] {
            let at = AtEnd {
                end: 1_000,
                covered,
                seen: Seen {
                    delays: most.is_some(),
                    delay_most: most,
                    delay_sure: sure,
                    ..Seen::default()
                },
                ..AtEnd::default()
            };
            assert_eq!(judge(&slo, due, 0, &at).state, state, "{at:?}");
        }
    }
}
