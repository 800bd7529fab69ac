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
    pub met: bool,
}

/// Prints the table; whether every goal is met.
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
        let met = if line.met { "met" } else { "NOT MET" };
        println!(
            "{:name$}  {:>figure$}  {:<goal$}  {met}",
            line.name, line.figure, line.goal
        );
    }
    lines.iter().all(|line| line.met)
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
