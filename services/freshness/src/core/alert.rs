//! The life of an alert: fires when a rule is true, freezes while that can't be told, and resolves after
//! `keep` closed minutes in which it was false.

use meshwork_model::slo::Severity;

use super::rules::Truth;

/// An alert of one SLO and severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    /// How loud.
    pub severity: Severity,
    /// Since when, while it is one.
    pub firing: Option<Firing>,
}

/// An alert that has not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// End of the minute that fired it, ms.
    pub fired_at: i64,
    /// Name of the rule that was true first.
    pub rule: String,
    /// Closed minutes in a row in which it was false.
    pub false_minutes: u32,
    /// Whether it is true can't be told.
    pub frozen: bool,
}

/// What a closed minute changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// It began.
    Fired,
    /// What could not be measured decides.
    Froze,
    /// It is known again, and still an alert.
    Thawed,
    /// It is over.
    Resolved {
        /// `recovered` or `not due`.
        reason: &'static str,
    },
}

/// Data came in time again.
pub(super) const RECOVERED: &str = "recovered";
/// Nothing was due any more.
pub(super) const NOT_DUE: &str = "not due";

impl Alert {
    pub(super) fn new(severity: Severity) -> Self {
        Self {
            severity,
            firing: None,
        }
    }

    /// A minute closed. `rule`: the first that is true. `good`: the short window has a good slice.
    /// For a resolved alert the second value is what it was.
    pub(super) fn step(
        &mut self,
        truth: Truth,
        rule: &str,
        end: i64,
        keep: u32,
        good: bool,
    ) -> Option<(AlertChange, Firing)> {
        let Some(firing) = &mut self.firing else {
            if truth != Truth::True {
                return None;
            }
            let firing = Firing {
                fired_at: end,
                rule: rule.to_owned(),
                false_minutes: 0,
                frozen: false,
            };
            self.firing = Some(firing.clone());
            return Some((AlertChange::Fired, firing));
        };
        let was_frozen = std::mem::replace(&mut firing.frozen, truth == Truth::Unknown);
        firing.false_minutes = match truth {
            Truth::False => firing.false_minutes.saturating_add(1),
            Truth::Unknown | Truth::True => 0,
        };
        let change = match truth {
            Truth::False if firing.false_minutes >= keep.max(1) => AlertChange::Resolved {
                reason: if good { RECOVERED } else { NOT_DUE },
            },
            Truth::Unknown if !was_frozen => AlertChange::Froze,
            Truth::False | Truth::True if was_frozen => AlertChange::Thawed,
            _ => return None,
        };
        let firing = firing.clone();
        if matches!(change, AlertChange::Resolved { .. }) {
            self.firing = None;
        }
        Some((change, firing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs truths, one a minute, and tells what changed at which.
    fn run(truths: &[Truth], good: bool) -> Vec<(usize, AlertChange)> {
        let mut alert = Alert::new(Severity::Page);
        let mut changes = Vec::new();
        for (i, truth) in truths.iter().enumerate() {
            let end = i64::try_from(i).unwrap() * 60_000;
            if let Some((change, _)) = alert.step(*truth, "1h_5m", end, 5, good) {
                changes.push((i, change));
            }
        }
        changes
    }

    #[test]
    fn lives_by_its_rules() {
        use AlertChange::{Fired, Froze, Resolved, Thawed};
        use Truth::{False as F, True as T, Unknown as U};
        let recovered = Resolved { reason: RECOVERED };
        type Case<'a> = (&'a [Truth], Vec<(usize, AlertChange)>);
        let cases: [Case<'_>; 7] = [
            (
                &[F, T, T, F, F, F, F, F, F],
                vec![(1, Fired), (7, recovered)],
            ),
            // A condition that hovers does not resolve.
            (&[T, F, F, F, F, T, F, F, F, F], vec![(0, Fired)]),
            // Unknown fires nothing and resolves nothing.
            (&[U, U, U], vec![]),
            (
                &[T, U, U, U, U, U, U, T],
                vec![(0, Fired), (1, Froze), (7, Thawed)],
            ),
            (
                &[T, F, F, F, F, U, F, F, F, F],
                vec![(0, Fired), (5, Froze), (6, Thawed)],
            ),
            (
                &[T, U, F, F, F, F, F],
                vec![(0, Fired), (1, Froze), (2, Thawed), (6, recovered)],
            ),
            // Fires again afterwards.
            (
                &[T, F, F, F, F, F, T],
                vec![(0, Fired), (5, recovered), (6, Fired)],
            ),
        ];
        for (truths, expected) in cases {
            assert_eq!(run(truths, true), expected, "{truths:?}");
        }
        let not_due = Resolved { reason: NOT_DUE };
        assert_eq!(run(&[T, F, F, F, F, F], false), [(0, Fired), (5, not_due)]);
    }
}
