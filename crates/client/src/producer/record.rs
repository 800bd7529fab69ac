//! Records as they are handed in, and what becomes of them.

use std::fmt;
use std::sync::Arc;

use meshwork_model::time::Timestamp;
use meshwork_pipeline::Refusal;

/// A record to be produced; its bytes are copied when it is queued.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value: framed Avro (or bare, with a schema header).
    pub value: Option<&'a [u8]>,
    /// Record timestamp; none: the clock's reading.
    pub timestamp: Option<Timestamp>,
    /// Headers of the application's own.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// What it was made from, as `mesh-parents` writes it. Malformed: dropped and counted.
    pub parents: Option<&'a str>,
    /// Partition; none: Kafka's default partitioner.
    pub partition: Option<i32>,
}

/// Where a record came from, for people: `line 7 of flights.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPosition {
    /// File or stream.
    pub source: Option<Arc<str>>,
    /// Line, or record, from 1; 0: not known.
    pub line: u64,
}

impl RecordPosition {
    /// A line of an unnamed source.
    #[must_use]
    pub const fn line(line: u64) -> Self {
        Self { source: None, line }
    }

    /// A line of a named source.
    #[must_use]
    pub fn of(source: &Arc<str>, line: u64) -> Self {
        Self {
            source: Some(Arc::clone(source)),
            line,
        }
    }
}

impl fmt::Display for RecordPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.source) {
            (0, None) => f.write_str("record"),
            (0, Some(source)) => write!(f, "record of {source}"),
            (line, None) => write!(f, "line {line}"),
            (line, Some(source)) => write!(f, "line {line} of {source}"),
        }
    }
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way to the product's topic.
    Accepted,
    /// It is on its way to the product's topic, marked.
    Marked(Box<Refusal>),
    /// It is on its way to quarantine.
    Quarantined(Box<Refusal>),
}
