//! Do these bytes decode exactly under this schema?
//!
//! A schema is compiled once into a flat program of small steps
//! ([`program`]), which a quick walk runs over each datum ([`run`]) without
//! allocating. Only where that says no does an exact walk over the schema
//! ([`walk`]) look again and name the place and the reason. One field may be
//! read on the way: the event time ([`event_time`]).
//!
//! What is refused is what `tests/conformance/data/avro-datum` says: bytes left
//! over, text that is not UTF-8, varints that are too long or do not fit,
//! booleans above 1, indices out of range, negative lengths, block sizes that
//! are not what the items took, nesting and empty items without end.

mod event_time;
mod program;
mod run;
mod size;
mod text;
mod varint;
mod walk;

use crate::schema::{NodeId, Schema};

use event_time::Seen;
use program::Program;
use run::Walk;

/// Levels that a datum may nest: each record, union branch and item of an array
/// or map within another counts one. Real schemas stay below 20; the limit keeps
/// every later reader's stack safe.
pub const MAX_DEPTH: u32 = 64;

/// Items that take no bytes (`array<null>`) which a datum may have in all. A few
/// bytes can claim 2^63 of them, and whoever decodes them pays for each.
pub const MAX_EMPTY_ITEMS: u64 = 100_000;

/// Longest path of a [`Fault`], bytes. A batch may have many faults, and names in a schema may be as
/// long as its text.
pub const MAX_PATH: usize = 1_024;

/// A schema compiled for validating data. Cheap to share behind an `Arc`.
#[derive(Clone, Debug)]
pub struct Validator {
    schema: Schema,
    program: Program,
    event: Option<Vec<String>>,
}

/// What is known of a datum that decodes exactly.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Valid {
    /// Its event time in milliseconds since 1970, rounded down. `None` if none
    /// was asked for, the field is null, or its text is no time.
    pub event_time: Option<i64>,
}

/// Where and why a datum does not decode.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason} at byte {offset}, {}", Place(path))]
pub struct Fault {
    /// JSON pointer (RFC 6901) to the value: field names, positions in arrays,
    /// keys of maps. Unions add nothing, as in the plain JSON form; a fault in a
    /// map's key is one of the map. Empty for the datum as a whole. What is longer than
    /// [`MAX_PATH`] is cut.
    pub path: String,
    /// The byte, from the start of the datum, where the faulty value begins; for
    /// text, its first byte that is not UTF-8.
    pub offset: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a datum.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The datum ends within a value.
    #[error("the datum ends within this value")]
    Truncated,
    /// The datum ends and bytes are left over.
    #[error("{count} bytes left over after the datum")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A string or a map key is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A boolean is neither 0 nor 1.
    #[error("boolean byte is {byte}, expected 0 or 1")]
    NotBoolean {
        /// What it is.
        byte: u8,
    },
    /// A varint goes on for too long.
    #[error("varint is longer than {most} bytes")]
    VarintTooLong {
        /// 5 for an `int`, 10 for a `long`.
        most: usize,
    },
    /// A varint's last byte holds bits that do not fit.
    #[error("varint does not fit in {} bits", if *most == 5 { 32 } else { 64 })]
    VarintOutOfRange {
        /// 5 for an `int`, 10 for a `long`.
        most: usize,
    },
    /// Bytes or text of a negative length.
    #[error("length is negative: {length}")]
    NegativeLength {
        /// What it is.
        length: i64,
    },
    /// No such symbol.
    #[error("enum index is {index}, there are {count} symbols")]
    EnumIndex {
        /// What it is.
        index: i64,
        /// How many symbols there are.
        count: usize,
    },
    /// No such branch.
    #[error("union index is {index}, there are {count} branches")]
    UnionIndex {
        /// What it is.
        index: i64,
        /// How many branches there are.
        count: usize,
    },
    /// A block's count is the least `long`, which has no positive counterpart.
    #[error("block count is the least long")]
    BlockCount,
    /// A block claims more items than the bytes left can hold.
    #[error("block of {count} items cannot be in the {left} bytes left")]
    BlockCountBeyond {
        /// Items claimed.
        count: u64,
        /// Bytes left.
        left: u64,
    },
    /// A block's size is negative.
    #[error("block size is negative: {size}")]
    BlockSizeNegative {
        /// What it is.
        size: i64,
    },
    /// A block's size goes beyond the datum.
    #[error("block size is {size}, {left} bytes are left")]
    BlockSizeBeyond {
        /// Bytes claimed.
        size: u64,
        /// Bytes left.
        left: u64,
    },
    /// A block's size is not what its items took.
    #[error("block size is {said}, its items took {took} bytes")]
    BlockSizeMismatch {
        /// Bytes claimed.
        said: u64,
        /// Bytes taken.
        took: u64,
    },
    /// More nesting than [`MAX_DEPTH`].
    #[error("nested deeper than {most} levels")]
    TooDeep {
        /// The limit.
        most: u32,
    },
    /// More than [`MAX_EMPTY_ITEMS`].
    #[error("more than {most} items that take no bytes")]
    TooManyItems {
        /// The limit.
        most: u64,
    },
}

impl Reason {
    /// A short name that stays, for metrics, headers and scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Truncated => "truncated",
            Reason::TrailingBytes { .. } => "trailing-bytes",
            Reason::NotUtf8 => "utf8",
            Reason::NotBoolean { .. } => "boolean",
            Reason::VarintTooLong { .. } => "varint-too-long",
            Reason::VarintOutOfRange { .. } => "varint-out-of-range",
            Reason::NegativeLength { .. } => "negative-length",
            Reason::EnumIndex { .. } => "enum-index",
            Reason::UnionIndex { .. } => "union-index",
            Reason::BlockCount => "block-count",
            Reason::BlockCountBeyond { .. } => "block-count-beyond",
            Reason::BlockSizeNegative { .. } => "block-size-negative",
            Reason::BlockSizeBeyond { .. } => "block-size-beyond",
            Reason::BlockSizeMismatch { .. } => "block-size-mismatch",
            Reason::TooDeep { .. } => "too-deep",
            Reason::TooManyItems { .. } => "too-many-items",
        }
    }
}

/// Why a schema cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A record contains itself before it has taken a byte.
    #[error(
        "record {record} contains itself without an end; put a union with null, an array or a map between"
    )]
    Endless {
        /// The record's full name.
        record: String,
    },
    /// The event-time field is not there or is no time.
    #[error(
        "no event time at field {field:?}: expected a field, or a dotted path through records, \
         whose type is a timestamp, a date or a string"
    )]
    EventTime {
        /// As asked for.
        field: String,
    },
    /// More steps than 32 bits can count.
    #[error("the schema is too large to compile")]
    TooLarge,
}

impl Validator {
    /// Compiles a schema. `event_time` names the field to read as event time, a
    /// dotted path where it is in a record within the record; unions on the way
    /// are seen through. It is a `timestamp-*` or `local-timestamp-*` (taken as
    /// UTC), a `date` (its midnight, UTC), or a string in ISO 8601 or RFC 3339.
    ///
    /// # Errors
    /// A record that contains itself without an end, or no such event-time field.
    pub fn compile(schema: &Schema, event_time: Option<&str>) -> Result<Validator, CompileError> {
        let event = event_time.map(|path| path.split('.').map(str::to_owned).collect::<Vec<_>>());
        let program = program::compile(schema, event.as_deref())?;
        Ok(Validator {
            schema: schema.clone(),
            program,
            event,
        })
    }

    /// Whether `datum` decodes exactly, to its last byte. Takes no memory where
    /// it does, and time in proportion to the datum's length.
    ///
    /// # Errors
    /// Where and why it does not.
    #[inline]
    pub fn validate(&self, datum: &[u8]) -> Result<Valid, Fault> {
        let mut walk = Walk {
            empty_items: MAX_EMPTY_ITEMS,
            seen: Seen::Nothing,
        };
        let seen = match run::run(&self.program, datum, &mut walk) {
            Some(end) if end == datum.len() => walk.seen,
            _ => self.walk(datum)?,
        };
        Ok(Valid {
            event_time: seen.to_millis(datum),
        })
    }

    /// What [`Validator::validate`] answers, from the exact walk alone: slower,
    /// to check the quick one against.
    ///
    /// # Errors
    /// Where and why the datum does not decode.
    pub fn explain(&self, datum: &[u8]) -> Result<Valid, Fault> {
        let seen = self.walk(datum)?;
        Ok(Valid {
            event_time: seen.to_millis(datum),
        })
    }

    /// The schema that was compiled.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The event-time field's dotted path, if there is one.
    #[must_use]
    pub fn event_time(&self) -> Option<String> {
        self.event.as_ref().map(|path| path.join("."))
    }

    #[cold]
    #[inline(never)]
    fn walk(&self, datum: &[u8]) -> Result<Seen, Fault> {
        walk::walk(
            &self.schema,
            &self.program.sizes,
            self.event.as_deref(),
            datum,
        )
    }
}

/// A path for a person to read.
struct Place<'a>(&'a str);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            f.write_str("at the top")
        } else {
            write!(f, "in {}", self.0)
        }
    }
}

/// The ids of all nodes.
fn ids(schema: &Schema) -> impl Iterator<Item = NodeId> + use<> {
    let count = u32::try_from(schema.nodes().len()).unwrap_or(u32::MAX);
    (0..count).map(NodeId)
}
