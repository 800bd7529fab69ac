//! Produce (API key 0), versions 3 to 13: a request's partitions where they lie, the request with
//! some of them taken out or replaced, and the answer with those answered that the broker never saw.
//! Source: `ProduceRequest.json` and `ProduceResponse.json` of Kafka 4.2.

use std::ops::RangeInclusive;

mod answer;
mod own;
mod request;

pub use answer::{
    AnswerSummary, Edit, PartitionAnswer, has_endpoints, read_answers, rewrite_answer, throttle_ms,
};
pub use own::{
    MESSAGE_BYTES, OwnAnswer, RECORD_ERRORS, RECORD_ERRORS_IN_ALL, RECORD_MESSAGE_BYTES,
    RecordError, TEXT_BYTES, own_answer,
};
pub use request::{Partitions, ProducePartition, ProduceRequest, Replacement, Segment};

use super::api::ApiKey;
use super::reader::{Reader, Uuid, WireError};

/// Known versions, as in Kafka 4.
pub const VERSIONS: RangeInclusive<i16> = 3..=13;
/// From this version on topics go by id (KIP-516).
const IDS: i16 = 13;
/// From this version on an answer names the nodes of new leaders (KIP-951).
const ENDPOINTS: i16 = 10;
/// From this version on an answer has errors by record, and a message (KIP-467).
const RECORD_ERRORS_FROM: i16 = 8;
/// From this version on an answer has the log's start offset.
const LOG_START: i16 = 5;

/// A topic as a request or an answer names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TopicRef<'a> {
    /// By name, up to version 12.
    Name(&'a str),
    /// By id, from version 13 on.
    Id(Uuid),
}

impl TopicRef<'_> {
    /// The same, holding its name itself.
    #[must_use]
    pub fn owned(self) -> OwnedTopic {
        match self {
            Self::Name(name) => OwnedTopic::Name(name.into()),
            Self::Id(id) => OwnedTopic::Id(id),
        }
    }
}

/// A topic as a request or an answer names it, when the frame is gone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum OwnedTopic {
    /// By name, up to version 12.
    Name(Box<str>),
    /// By id, from version 13 on.
    Id(Uuid),
}

impl OwnedTopic {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> TopicRef<'_> {
        match self {
            Self::Name(name) => TopicRef::Name(name),
            Self::Id(id) => TopicRef::Id(*id),
        }
    }
}

/// Why a request or an answer can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// What is to be rewritten can't be read, or the version is not known.
    #[error("produce message can't be rewritten")]
    Wire(#[from] WireError),
    /// There must be one replacement for each partition of the request.
    #[error(
        "{given} replacements for {partitions} partitions: give one for each, in request order"
    )]
    Replacements {
        /// How many came.
        given: usize,
        /// How many there must be.
        partitions: usize,
    },
    /// A topic by name where the version has ids, or the other way round, or a name that is too long
    /// for the protocol.
    #[error("topic {topic:?} can't be written in produce version {version}")]
    Topic {
        /// The topic.
        topic: OwnedTopic,
        /// The version.
        version: i16,
    },
}

const fn is_flexible(version: i16) -> bool {
    ApiKey::PRODUCE.is_flexible(version)
}

/// Least bytes of a topic's entry in request and answer: name or id, the partitions' count, tags.
const fn topic_least(version: i16) -> usize {
    if version >= IDS {
        18
    } else if is_flexible(version) {
        3
    } else {
        6
    }
}

/// An array's count; null is refused, as the broker does.
fn count(at: &mut Reader<'_>, least: usize) -> Result<usize, WireError> {
    let from = at.position();
    at.nullable_array(least)?
        .ok_or(WireError::Null { at: from })
}

/// Strings have at most 32,767 bytes, in flexible versions too, where the encoding could say more.
const STRING_BYTES: usize = 32_767;

fn short(text: &str, at: usize, left: usize) -> Result<(), WireError> {
    if text.len() <= STRING_BYTES {
        return Ok(());
    }
    Err(WireError::Length {
        at,
        stated: i64::try_from(text.len()).unwrap_or(i64::MAX),
        left,
    })
}

fn topic<'a>(at: &mut Reader<'a>, version: i16) -> Result<TopicRef<'a>, WireError> {
    if version >= IDS {
        return at.uuid().map(TopicRef::Id);
    }
    let from = at.position();
    let left = at.left();
    let name = at.string()?;
    short(name, from, left)?;
    Ok(TopicRef::Name(name))
}
