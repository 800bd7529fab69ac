//! Whether an objective can raise an alert at all, and whether it raises one for next to nothing.
//!
//! The rules are those of the Google SRE workbook, chapter 5, with the budget share as the
//! definition: B = (1 − objective) × D, with D = the slices that the schedule makes due in the
//! period. A rule is true when bad(long) > share × B, bad(short) > share × B × short ÷ long, and
//! bad(long) ≥ `least`. So it can never be true where a threshold is not below the most due slices
//! that its window can hold.

use super::{Cadence, DailyHours, Indicator, Severity, Slo};
use crate::time::MINUTE_MS;

/// A multi-window burn-rate rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurnRule {
    /// How loud it alerts.
    pub severity: Severity,
    /// Burn rate for a 30-day window with every minute due, in tenths: 144 is 14.4.
    pub burn_tenths: u32,
    /// Minutes of the long window.
    pub long_minutes: i64,
    /// Minutes of the short window.
    pub short_minutes: i64,
    /// Share of the budget spent in the long window, percent.
    pub budget_percent: i64,
    /// Fewest bad minutes of the long window that alert.
    pub least: i64,
}

/// The rules, loudest first.
pub const BURN_RULES: [BurnRule; 3] = [
    BurnRule {
        severity: Severity::Page,
        burn_tenths: 144,
        long_minutes: 60,
        short_minutes: 5,
        budget_percent: 2,
        least: 3,
    },
    BurnRule {
        severity: Severity::Page,
        burn_tenths: 60,
        long_minutes: 360,
        short_minutes: 30,
        budget_percent: 5,
        least: 3,
    },
    BurnRule {
        severity: Severity::Ticket,
        burn_tenths: 10,
        long_minutes: 4_320,
        short_minutes: 360,
        budget_percent: 10,
        least: 1,
    },
];

/// SLOs without a schedule reckon with at least so many slices in the period.
pub const LEAST_DUE_WITHOUT_SCHEDULE: i64 = 1_000;

/// A rule with the numbers that an SLO gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The rule.
    pub rule: BurnRule,
    /// Bad minutes of the long window from which it is true.
    pub needs_long: i64,
    /// Most due minutes that the long window can hold.
    pub most_long: i64,
    /// Bad minutes of the short window from which it is true.
    pub needs_short: i64,
    /// Most due minutes that the short window can hold.
    pub most_short: i64,
    /// Whether `least` asks for more than the budget's share does.
    pub by_least: bool,
}

impl Reach {
    /// Whether it can ever be true.
    #[must_use]
    pub const fn can_fire(&self) -> bool {
        self.needs_long <= self.most_long && self.needs_short <= self.most_short
    }
}

/// How far each rule of the SLO's severity reaches.
#[must_use]
pub fn reach(slo: &Slo) -> Vec<Reach> {
    let due = due_in_period(slo);
    BURN_RULES
        .into_iter()
        .filter(|rule| rule.severity == slo.severity)
        .map(|rule| of(rule, slo, due))
        .collect()
}

/// Lowest objective, in millionths, with which every rule of the severity can fire; all else as it
/// is. None: no objective does.
#[must_use]
pub fn least_objective(slo: &Slo) -> Option<u32> {
    let fires = |objective: u32| {
        let slo = Slo {
            objective_millionths: objective,
            ..slo.clone()
        };
        reach(&slo).iter().all(Reach::can_fire)
    };
    if !fires(999_999) {
        return None;
    }
    // The threshold falls as the objective rises, so the answer is found by halving.
    let (mut low, mut high) = (0u32, 999_999u32);
    while low < high {
        let middle = low + (high - low) / 2;
        if fires(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

fn of(rule: BurnRule, slo: &Slo, due: i64) -> Reach {
    let failing = 1_000_000 - i64::from(slo.objective_millionths.min(1_000_000));
    // bad × 10⁸ > percent × (10⁶ − objective) × D, so the least such bad is the quotient plus one.
    let share = i128::from(rule.budget_percent) * i128::from(failing) * i128::from(due);
    let above = |threshold: i128, per: i128| -> i64 {
        i64::try_from(threshold / per + 1).unwrap_or(i64::MAX)
    };
    let by_share = above(share, 100_000_000);
    let short_share = share * i128::from(rule.short_minutes);
    let needs_short = above(short_share, 100_000_000 * i128::from(rule.long_minutes));
    Reach {
        rule,
        needs_long: by_share.max(rule.least),
        most_long: most_due(slo, rule.long_minutes),
        needs_short,
        most_short: most_due(slo, rule.short_minutes),
        by_least: by_share < rule.least,
    }
}

/// Whether the schedule says which minutes are due. Latency has none: a minute without a record is
/// quiet; nor has `event`.
#[must_use]
pub fn has_schedule(slo: &Slo) -> bool {
    matches!(slo.indicator, Indicator::Freshness { .. }) && slo.cadence != Cadence::Event
}

fn open_minutes(hours: &DailyHours) -> i64 {
    let (from, until) = (i64::from(hours.from_minute), i64::from(hours.until_minute));
    if until > from {
        until - from
    } else {
        1_440 - from + until
    }
}

fn due_in_period(slo: &Slo) -> i64 {
    if !has_schedule(slo) {
        return LEAST_DUE_WITHOUT_SCHEDULE;
    }
    let minutes = slo.window_ms / MINUTE_MS;
    match &slo.hours {
        None => minutes,
        Some(hours) => minutes * open_minutes(hours) / 1_440,
    }
}

/// Most due minutes that a window of so many minutes can hold.
fn most_due(slo: &Slo, window: i64) -> i64 {
    let Some(hours) = &slo.hours else {
        return window;
    };
    let open = open_minutes(hours);
    let days = window / 1_440;
    days * open + (window % 1_440).min(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slo(objective: u32) -> Slo {
        Slo {
            id: "fresh".to_owned(),
            indicator: Indicator::Freshness { within_ms: 60_000 },
            objective_millionths: objective,
            window_ms: 30 * 86_400_000,
            cadence: Cadence::Continuous,
            hours: None,
            severity: Severity::Page,
        }
    }

    fn needs(slo: &Slo) -> Vec<(i64, i64)> {
        reach(slo)
            .iter()
            .map(|r| (r.needs_long, r.needs_short))
            .collect()
    }

    /// The figures that the workbook's rules give for a 30-day window with every minute due.
    #[test]
    fn bad_minutes_needed() {
        assert_eq!(needs(&slo(950_000)), [(44, 4), (109, 10)]);
        assert_eq!(needs(&slo(990_000)), [(9, 1), (22, 2)]);
        assert_eq!(needs(&slo(999_000)), [(3, 1), (3, 1)]);
        assert!(reach(&slo(999_000))[0].by_least && !reach(&slo(999_000))[1].by_least);
        let ticket = |objective| Slo {
            severity: Severity::Ticket,
            ..slo(objective)
        };
        assert_eq!(needs(&ticket(990_000)), [(44, 4)]);
        assert_eq!(needs(&ticket(999_000)), [(5, 1)]);
    }

    /// 14.4× needs more than 93.05 %, 6× more than 83.33 %.
    #[test]
    fn what_can_never_fire() {
        let fires = |objective| -> Vec<bool> {
            reach(&slo(objective)).iter().map(Reach::can_fire).collect()
        };
        assert_eq!(fires(930_555), [false, true]);
        assert_eq!(fires(930_556), [true, true]);
        assert_eq!(fires(833_333), [false, false]);
        assert_eq!(fires(833_334), [false, true]);
        assert_eq!(least_objective(&slo(900_000)), Some(930_556));
    }

    #[test]
    fn hours_count_both_in_the_budget_and_in_the_windows() {
        let mut s = slo(990_000);
        s.hours = Some(DailyHours {
            from_minute: 390,
            until_minute: 1260,
            zone: "America/New_York".to_owned(),
        });
        // D = 26,100, B = 261, 2 % of it 5.22.
        assert_eq!(needs(&s)[0], (6, 1));
        // Two minutes a day never hold the three bad ones that a page needs.
        s.hours = Some(DailyHours {
            from_minute: 1439,
            until_minute: 1,
            zone: "UTC".to_owned(),
        });
        assert!(!reach(&s)[0].can_fire());
        assert_eq!(least_objective(&s), None);
    }

    #[test]
    fn without_a_schedule_the_least_number_of_slices_counts() {
        let mut s = slo(990_000);
        s.indicator = Indicator::Latency { within_ms: 300_000 };
        s.cadence = Cadence::Event;
        assert_eq!(needs(&s)[0], (3, 1));
    }
}
