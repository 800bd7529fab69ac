//! Compatibility levels and what a registry says about a new version.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Incompatibility;
use super::compare::incompatibilities;
use crate::schema::Schema;

/// What a subject demands of a new version.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Hash)]
pub enum CompatibilityLevel {
    /// Nothing.
    None,
    /// The new version reads what the latest one wrote.
    #[default]
    Backward,
    /// The new version reads what all earlier ones wrote.
    BackwardTransitive,
    /// The latest version reads what the new one writes.
    Forward,
    /// All earlier versions read what the new one writes.
    ForwardTransitive,
    /// Both ways with the latest version.
    Full,
    /// Both ways with all earlier versions.
    FullTransitive,
}

impl CompatibilityLevel {
    /// All levels.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// As Confluent writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Whether all earlier versions count, not only the latest.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }

    /// Whether the new version must read what earlier ones wrote.
    #[must_use]
    pub fn is_backward(self) -> bool {
        !matches!(self, Self::None | Self::Forward | Self::ForwardTransitive)
    }

    /// Whether earlier versions must read what the new one writes.
    #[must_use]
    pub fn is_forward(self) -> bool {
        !matches!(self, Self::None | Self::Backward | Self::BackwardTransitive)
    }
}

impl fmt::Display for CompatibilityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A level that does not exist.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error(
    "unknown compatibility level {0:?}, valid are none, backward, forward, full, backward_transitive, forward_transitive and full_transitive"
)]
pub struct UnknownLevel(pub String);

impl FromStr for CompatibilityLevel {
    type Err = UnknownLevel;

    /// In any case, as Confluent takes it.
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

/// An earlier version.
#[derive(Copy, Clone, Debug)]
pub struct Existing<'a> {
    /// Its number, which messages name.
    pub version: Option<i32>,
    /// Its schema.
    pub schema: &'a Schema,
}

/// An incompatibility and which way it goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is. Its path points into the schema that reads.
    pub incompatibility: Incompatibility,
    /// The new schema reads and the old one wrote; otherwise the other way round.
    pub new_reads: bool,
}

/// What a level says about a new version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The level that was asked.
    pub level: CompatibilityLevel,
    /// All incompatibilities with the first earlier version that has any, forward ones first.
    pub findings: Vec<Finding>,
    /// That version's number.
    pub version: Option<i32>,
    /// Confluent's lines about that version's schema, where it writes them.
    old: Vec<String>,
}

impl Verdict {
    /// Whether the new version may be registered.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.findings.is_empty()
    }

    /// Confluent's message entries; none where compatible. `validate_fields` is the subject's
    /// setting of that name.
    #[must_use]
    pub fn messages(&self, validate_fields: bool) -> Vec<String> {
        if self.is_compatible() {
            return Vec::new();
        }
        let mut messages: Vec<String> = self
            .findings
            .iter()
            .map(|finding| {
                let (reader, writer) = if finding.new_reads {
                    ("new", "old")
                } else {
                    ("old", "new")
                };
                finding.incompatibility.entry(reader, writer)
            })
            .collect();
        messages.extend(self.old.iter().cloned());
        messages.push(format!(
            "{{validateFields: '{validate_fields}', compatibility: '{}'}}",
            self.level
        ));
        messages
    }
}

/// Checks a new version against earlier ones, newest first.
///
/// The levels that are not transitive look at the first only; the others stop at the first that
/// fails, as Confluent does.
#[must_use]
pub fn check(level: CompatibilityLevel, new: &Schema, newest_first: &[Existing<'_>]) -> Verdict {
    let mut verdict = Verdict {
        level,
        findings: Vec::new(),
        version: None,
        old: Vec::new(),
    };
    let count = if level.is_transitive() {
        newest_first.len()
    } else {
        1
    };
    for existing in newest_first.iter().take(count) {
        let mut findings = |reader: &Schema, writer: &Schema, new_reads: bool| {
            let before = verdict.findings.len();
            verdict
                .findings
                .extend(
                    incompatibilities(reader, writer)
                        .into_iter()
                        .map(|incompatibility| Finding {
                            incompatibility,
                            new_reads,
                        }),
                );
            verdict.findings.len() > before
        };
        let forward = level.is_forward() && findings(existing.schema, new, false);
        let backward = level.is_backward() && findings(new, existing.schema, true);
        if forward || backward {
            verdict.version = existing.version;
            // Under FULL only the backward half tells of the old schema.
            if backward || !level.is_backward() {
                verdict.old = old_lines(existing);
            }
            break;
        }
    }
    verdict
}

/// UTF-16 units of an old schema that Confluent shows.
const SHOWN: usize = 10 * 1024;

fn old_lines(existing: &Existing<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(version) = existing.version {
        lines.push(format!("{{oldSchemaVersion: {version}}}"));
    }
    let text = existing.schema.to_text();
    let mut units = 0;
    let cut = text.char_indices().find_map(|(at, c)| {
        units += c.len_utf16();
        (units > SHOWN).then_some(at)
    });
    lines.push(match cut {
        None => format!("{{oldSchema: '{text}'}}"),
        Some(at) => {
            let shown = text.get(..at).unwrap_or_default();
            format!("{{oldSchema: <truncated> '{shown}...'}}")
        }
    });
    lines
}

impl Verdict {
    /// What Confluent says where the earlier version is of another schema language.
    pub const DIFFERENT_TYPE: &'static str = "Incompatible because of different schema type";
}
