//! What a bench came to: figure, goal, met or not.

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub name: String,
    /// What came out, with its unit.
    pub figure: String,
    /// What should come out at least or at most.
    pub goal: String,
    /// Whether it did.
    pub outcome: Outcome,
}

/// How a figure stands to its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It meets it.
    Met,
    /// It does not.
    Missed,
    /// It could not be measured, so that nobody can say.
    NotMeasured,
    /// It was not tried: something that only some machines have is not here.
    NotRun,
    /// There is none.
    NoGoal,
}

impl Outcome {
    /// Of a figure that is to be at least so much. One that is no number was not measured.
    #[must_use]
    pub fn at_least(figure: f64, least: f64) -> Self {
        if figure.is_finite() && least.is_finite() {
            (figure >= least).into()
        } else {
            Self::NotMeasured
        }
    }

    /// Of a figure that is to be at most so much, likewise.
    #[must_use]
    pub fn at_most(figure: f64, most: f64) -> Self {
        Self::at_least(-figure, -most)
    }

    /// Of both goals.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let worst = [Self::Missed, Self::NotMeasured, Self::NotRun, Self::Met];
        let is = |outcome: &Self| self == *outcome || other == *outcome;
        worst.into_iter().find(is).unwrap_or(Self::NoGoal)
    }
}

impl From<bool> for Outcome {
    fn from(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }
}

/// Prints the table; whether no goal is missed, as far as it was tried.
#[must_use]
pub fn print(lines: &[Line]) -> bool {
    let width = |of: fn(&Line) -> &str| {
        lines
            .iter()
            .map(|line| of(line).chars().count())
            .max()
            .unwrap_or(0)
    };
    let name = width(|line| &line.name);
    let figure = width(|line| &line.figure);
    let goal = width(|line| &line.goal);
    for line in lines {
        let met = match line.outcome {
            Outcome::Met => "met",
            Outcome::Missed => "NOT MET",
            Outcome::NotMeasured => "NOT MEASURED",
            Outcome::NotRun => "NOT RUN",
            Outcome::NoGoal => "",
        };
        let text = format!(
            "{:name$}  {:>figure$}  {:<goal$}  {met}",
            line.name, line.figure, line.goal
        );
        println!("{}", text.trim_end());
    }
    let failed = [Outcome::Missed, Outcome::NotMeasured];
    !lines.iter().any(|line| failed.contains(&line.outcome))
}

/// The middle one; of two middle ones the lower. No number where there is none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

/// Of times in ascending order, the one within which that part of all lies.
#[must_use]
pub fn within<T: Copy>(times: &[T], part: f64) -> Option<T> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    let at = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
    times.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_meets_no_goal() {
        assert_eq!(Outcome::at_least(1.0, 1.0), Outcome::Met);
        assert_eq!(Outcome::at_most(1.1, 1.0), Outcome::Missed);
        let none = median(Vec::new());
        for unknown in [none, 0.0 / none, f64::INFINITY] {
            assert_eq!(Outcome::at_most(unknown, 1.0), Outcome::NotMeasured);
            assert_eq!(Outcome::at_least(1.0, unknown), Outcome::NotMeasured);
        }
        assert_eq!(within::<f64>(&[], 0.5), None);
    }

    #[test]
    fn the_worst_of_several_goals_counts() {
        use Outcome::{Met, Missed, NoGoal, NotMeasured};
        assert_eq!(NoGoal.and(NoGoal), NoGoal);
        assert_eq!(NoGoal.and(Met), Met);
        assert_eq!(Met.and(NotMeasured), NotMeasured);
        assert_eq!(NotMeasured.and(Missed), Missed);
    }

    #[test]
    fn only_a_goal_that_is_missed_or_not_measured_fails() {
        let passes = |outcome| {
            print(&[Line {
                name: "a".to_owned(),
                figure: "1".to_owned(),
                goal: String::new(),
                outcome,
            }])
        };
        for outcome in [Outcome::Met, Outcome::NotRun, Outcome::NoGoal] {
            assert!(passes(outcome), "{outcome:?}");
        }
        for outcome in [Outcome::Missed, Outcome::NotMeasured] {
            assert!(!passes(outcome), "{outcome:?}");
        }
    }
}
