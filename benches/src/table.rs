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
    /// It was not measured: something that only some machines have is not here.
    NotRun,
}

impl From<bool> for Outcome {
    fn from(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }
}

/// Prints the table; whether no goal is missed.
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
            Outcome::NotRun => "NOT RUN",
        };
        println!(
            "{:name$}  {:>figure$}  {:<goal$}  {met}",
            line.name, line.figure, line.goal
        );
    }
    lines.iter().all(|line| line.outcome != Outcome::Missed)
}

/// The middle one; of two middle ones the lower. 0 where there is none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0.0)
}
