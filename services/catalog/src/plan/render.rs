//! A plan as lines that begin with `+`, `~`, `-` or `!`.

use std::fmt;

use meshwork_model::text::counted;

use super::difference::retention;
use super::{Plan, Step};

/// What a line says happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Comes to be.
    Add,
    /// Changes.
    Change,
    /// Goes.
    Remove,
    /// Is refused.
    Refuse,
    /// Says more about the line above, or heads a product.
    Plain,
}

impl Sign {
    /// The character that begins the line.
    #[must_use]
    pub const fn as_char(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
            Self::Refuse => '!',
            Self::Plain => ' ',
        }
    }

    /// Of a line that begins with it.
    fn of(text: &str) -> (Self, &str) {
        for sign in [Self::Add, Self::Change, Self::Remove] {
            if let Some(rest) = text.strip_prefix(sign.as_char()) {
                return (sign, rest.trim_start());
            }
        }
        (Self::Plain, text)
    }
}

/// A line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says happens.
    pub sign: Sign,
    /// Levels of indentation.
    pub depth: usize,
    /// What.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:indent$}{} {}",
            "",
            self.sign.as_char(),
            self.text,
            indent = 2 * self.depth
        )
    }
}

fn line(sign: Sign, depth: usize, text: impl Into<String>) -> Line {
    Line {
        sign,
        depth,
        text: text.into(),
    }
}

impl Step {
    /// The step as lines, the first says what is done.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let nested = |differences: &[String]| -> Vec<Line> {
            differences
                .iter()
                .map(|d| {
                    let (sign, text) = Sign::of(d);
                    line(sign, 2, text)
                })
                .collect()
        };
        match self {
            Self::CreateTopic {
                topic,
                partitions,
                configs,
            } => {
                let configs: Vec<String> = configs
                    .iter()
                    .map(|(key, value)| config_words(key, value))
                    .collect();
                vec![line(
                    Sign::Add,
                    1,
                    format!(
                        "topic {topic}: {}, {}",
                        counted(partitions, "partition"),
                        configs.join(", ")
                    ),
                )]
            }
            Self::AddPartitions {
                topic,
                from,
                to,
                keyed,
            } => {
                let mut lines = vec![line(
                    Sign::Change,
                    1,
                    format!("topic {topic}: partitions {from} → {to}"),
                )];
                if *keyed {
                    lines.push(line(
                        Sign::Plain,
                        2,
                        "keys move: new records of a key may go to another partition than its old ones",
                    ));
                }
                lines
            }
            Self::SetConfigs { topic, changes } => {
                let mut lines = vec![line(Sign::Change, 1, format!("topic {topic}: settings"))];
                for (key, from, to) in changes {
                    let from_words = from.as_deref().unwrap_or("unset");
                    let words = match key.as_str() {
                        "retention.ms" => format!(
                            "{key}: {from_words} ({}) → {to} ({})",
                            retention(from_words.parse().ok()),
                            retention(to.parse().ok())
                        ),
                        _ => format!("{key}: {from_words} → {to}"),
                    };
                    lines.push(line(Sign::Change, 2, words));
                    if key == "retention.ms" && is_shorter(from.as_deref(), to) {
                        lines.push(line(
                            Sign::Remove,
                            2,
                            format!(
                                "records older than {}: Kafka deletes them",
                                retention(to.parse().ok())
                            ),
                        ));
                    }
                }
                lines
            }
            Self::SetLevel { subject, from, to } => vec![match from {
                None => line(
                    Sign::Add,
                    1,
                    format!("subject {subject}: compatibility {to}"),
                ),
                Some(from) => line(
                    Sign::Change,
                    1,
                    format!("subject {subject}: compatibility {from} → {to}"),
                ),
            }],
            Self::Register {
                subject,
                after,
                differences,
                ..
            } => {
                let mut lines = vec![match after {
                    None => line(Sign::Add, 1, format!("subject {subject}: first version")),
                    Some(after) => line(
                        Sign::Change,
                        1,
                        format!("subject {subject}: a version after {after}"),
                    ),
                }];
                lines.extend(nested(differences));
                lines
            }
            Self::Announce { differences } => match differences {
                None => vec![line(Sign::Add, 1, "announcement on mesh.catalog")],
                Some(differences) => {
                    let mut lines = vec![line(Sign::Change, 1, "announcement on mesh.catalog")];
                    lines.extend(nested(differences));
                    lines
                }
            },
        }
    }
}

fn config_words(key: &str, value: &str) -> String {
    match key {
        "retention.ms" => format!("{key}={value} ({})", retention(value.parse().ok())),
        _ => format!("{key}={value}"),
    }
}

fn is_shorter(from: Option<&str>, to: &str) -> bool {
    let Ok(to) = to.parse::<i64>() else {
        return false;
    };
    match from.and_then(|f| f.parse::<i64>().ok()) {
        Some(-1) => to >= 0,
        Some(from) => (0..from).contains(&to),
        None => false,
    }
}

impl Plan {
    /// The plan as lines: each product that isn't as it should be, with what is done for it.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for product in &self.products {
            if product.steps.is_empty() && product.refusals.is_empty() {
                continue;
            }
            let first = product
                .steps
                .iter()
                .any(|s| matches!(s, Step::Announce { differences: None }));
            let sign = if first { Sign::Add } else { Sign::Change };
            lines.push(line(sign, 0, product.urn.to_string()));
            for refusal in &product.refusals {
                lines.push(line(Sign::Refuse, 1, format!("refused: {}", refusal.what)));
                lines.push(line(
                    Sign::Plain,
                    2,
                    format!("instead: {}", refusal.instead),
                ));
            }
            for step in &product.steps {
                lines.extend(step.lines());
            }
        }
        lines
    }

    /// One sentence: how many products change.
    #[must_use]
    pub fn summary(&self) -> String {
        let new = |p: &&super::ProductPlan| {
            p.steps
                .iter()
                .any(|s| matches!(s, Step::Announce { differences: None }))
        };
        let refused = self.products.iter().filter(|p| !p.refusals.is_empty());
        let sound = || {
            self.products
                .iter()
                .filter(|p| p.refusals.is_empty() && !p.steps.is_empty())
        };
        let same = self
            .products
            .iter()
            .filter(|p| p.refusals.is_empty() && p.steps.is_empty());
        let counts: Vec<String> = [
            (sound().filter(new).count(), "to add"),
            (sound().filter(|p| !new(p)).count(), "to change"),
            (refused.count(), "refused"),
            (same.count(), "as announced"),
        ]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, words)| format!("{n} {words}"))
        .collect();
        if counts.is_empty() {
            "nothing to plan".to_owned()
        } else {
            counts.join(", ")
        }
    }
}

/// The lines and the summary.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        f.write_str(&self.summary())
    }
}
