//! Can a reader's schema read what a writer's schema wrote, and where not? Verdicts, order,
//! paths and messages are those of Avro Java 1.12's `SchemaCompatibility`; levels and message
//! entries are the Confluent Schema Registry's.

mod compare;
mod found;
mod level;
mod plain;
#[cfg(test)]
mod tests;

use std::fmt;

pub use compare::incompatibilities;
pub use level::{CompatibilityLevel, Existing, Finding, UnknownLevel, Verdict, check};

/// What kind of incompatibility; the names are Java's.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum IncompatibilityKind {
    /// Named types whose names differ, and no alias of the reader's mends it.
    NameMismatch,
    /// Fixed types of different sizes.
    FixedSizeMismatch,
    /// The writer's enum has symbols that the reader's lacks, and the reader's has no default.
    MissingEnumSymbols,
    /// The reader has a field that the writer lacks, without a default.
    ReaderFieldMissingDefaultValue,
    /// Types of which one can't be read as the other.
    TypeMismatch,
    /// The reader's union has no branch for what is written.
    MissingUnionBranch,
    /// The comparison itself failed; the message says why. Java throws an exception then, and
    /// Confluent answers `Unexpected exception during compatibility check`.
    NotComparable,
}

impl IncompatibilityKind {
    /// Java's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameMismatch => "NAME_MISMATCH",
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
            Self::NotComparable => "NOT_COMPARABLE",
        }
    }
}

impl fmt::Display for IncompatibilityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One reason why a reader can't read a writer's data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incompatibility {
    /// What kind.
    pub kind: IncompatibilityKind,
    /// JSON pointer into the reader's schema, as Java gives it: `/` for the whole.
    pub path: String,
    /// Java's words for the details.
    pub message: String,
}

impl Incompatibility {
    /// Confluent's entry for it. `reader` and `writer` say whose schemas they are: `new`, `old`.
    #[must_use]
    pub fn entry(&self, reader: &str, writer: &str) -> String {
        let Self {
            kind,
            path,
            message,
        } = self;
        let description = match kind {
            IncompatibilityKind::FixedSizeMismatch => format!(
                "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} schema"
            ),
            IncompatibilityKind::TypeMismatch => format!(
                "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
            ),
            IncompatibilityKind::NameMismatch => {
                format!("The name of the schema has changed (path '{path}')")
            }
            IncompatibilityKind::MissingEnumSymbols => format!(
                "The {reader} schema is missing enum symbols '{message}' at path '{path}' in the {writer} schema"
            ),
            IncompatibilityKind::MissingUnionBranch => format!(
                "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
            ),
            IncompatibilityKind::ReaderFieldMissingDefaultValue => format!(
                "The field '{message}' at path '{path}' in the {reader} schema has no default value and is missing in the {writer} schema"
            ),
            IncompatibilityKind::NotComparable => {
                return format!("Unexpected exception during compatibility check: {message}");
            }
        };
        format!("{{errorType:'{kind}', description:'{description}', additionalInfo:'{message}'}}")
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.kind, self.path, self.message)
    }
}
