//! Burn-rate rules, after the Google SRE workbook, chapter 5: two windows, both over. A rule's share is
//! of the budget B = (1 − objective) × D, where D is what the schedule makes due in the SLO's window.
//! Whole numbers only.

use meshwork_model::slo::Severity;

use super::page::Counts;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `<long>_<short>`.
    pub name: &'static str,
    /// How loud its alert is.
    pub severity: Severity,
    /// Long window, minutes.
    pub long: i64,
    /// Short window, minutes.
    pub short: i64,
    /// Share of the budget that the long window must have spent, percent.
    pub percent: i64,
}

/// The rules in force. Those of one severity are joined by *or* into one alert.
pub const RULES: &[Rule] = &[
    // 14.4 times the rate at which the budget would last just as long as the window.
    Rule {
        name: "1h_5m",
        severity: Severity::Page,
        long: 60,
        short: 5,
        percent: 2,
    },
];

/// Fewest bad minutes in the long window that an alert may rest on: one bad minute wakes nobody.
#[must_use]
pub(super) const fn least(severity: Severity) -> i64 {
    match severity {
        Severity::Page => 3,
        Severity::Ticket => 1,
    }
}

/// Whether a rule, or several joined, holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// Not even if every unmeasurable minute had been bad.
    False,
    /// It depends on what could not be measured.
    Unknown,
    /// On bad minutes alone.
    True,
}

impl Rule {
    /// Whether it holds with these counts in its windows. `objective` in millionths, `due`: D.
    #[must_use]
    pub fn holds(&self, objective: u32, due: i64, long: Counts, short: Counts) -> Truth {
        if self.exceeded(objective, due, i64::from(long.bad), i64::from(short.bad)) {
            return Truth::True;
        }
        let at_worst = |c: Counts| i64::from(c.bad).saturating_add(i64::from(c.unmeasurable));
        if self.exceeded(objective, due, at_worst(long), at_worst(short)) {
            Truth::Unknown
        } else {
            Truth::False
        }
    }

    fn exceeded(&self, objective: u32, due: i64, long: i64, short: i64) -> bool {
        let share = self.share(objective, due);
        let (long, short) = (i128::from(long), i128::from(short));
        long * 100_000_000 > share
            && short * 100_000_000 * i128::from(self.long) > share * i128::from(self.short)
            && long >= i128::from(least(self.severity))
    }

    /// percent × (10^6 − objective) × D: the share of the budget, in units of 10^−8 slices.
    fn share(&self, objective: u32, due: i64) -> i128 {
        let budget =
            i128::from(1_000_000_i64.saturating_sub(i64::from(objective))) * i128::from(due);
        i128::from(self.percent) * budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_6H: Rule = Rule {
        name: "6h_30m",
        severity: Severity::Page,
        long: 360,
        short: 30,
        percent: 5,
    };
    const TICKET: Rule = Rule {
        name: "3d_6h",
        severity: Severity::Ticket,
        long: 4320,
        short: 360,
        percent: 10,
    };
    const MONTH: i64 = 43_200;

    fn counts(bad: u32, unmeasurable: u32) -> Counts {
        Counts {
            bad,
            unmeasurable,
            due: 0,
        }
    }

    /// Bad minutes needed where every minute is due.
    #[test]
    fn thresholds_are_those_of_the_workbook() {
        for (rule, objective, long, short) in [
            (RULES[0], 950_000, 44, 4),
            (RULES[0], 990_000, 9, 1),
            (PAGE_6H, 990_000, 22, 2),
            (TICKET, 990_000, 44, 4),
            (RULES[0], 999_000, 3, 1),
            (PAGE_6H, 999_000, 3, 1),
            (TICKET, 999_000, 5, 1),
        ] {
            let holds = |l, s| rule.holds(objective, MONTH, counts(l, 0), counts(s, 0));
            let what = format!("{} at {objective}", rule.name);
            assert_eq!(holds(long, short), Truth::True, "{what}");
            assert_eq!(holds(long - 1, short), Truth::False, "{what}");
            assert_eq!(holds(long, short - 1), Truth::False, "{what}");
        }
    }

    #[test]
    fn what_could_not_be_measured_makes_it_unknown() {
        let holds = |l, s| RULES[0].holds(990_000, MONTH, l, s);
        assert_eq!(holds(counts(8, 1), counts(1, 0)), Truth::Unknown);
        assert_eq!(holds(counts(8, 0), counts(0, 5)), Truth::False);
        assert_eq!(holds(counts(9, 0), counts(0, 1)), Truth::Unknown);
        assert_eq!(holds(counts(9, 50), counts(1, 4)), Truth::True);
        assert_eq!(holds(counts(0, 60), counts(0, 5)), Truth::Unknown);
    }
}
