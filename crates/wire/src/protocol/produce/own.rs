//! Answers that the gateway gives itself, for partitions that the broker never saw.

use std::collections::{HashMap, HashSet};

use super::{
    LOG_START, OwnedTopic, ProduceError, RECORD_ERRORS_FROM, STRING_BYTES, TopicRef, VERSIONS,
    is_flexible,
};
use crate::protocol::api::ApiKey;
use crate::protocol::header::{LENGTH_BYTES, seal};
use crate::protocol::walk::known;
use crate::protocol::writer::Writer;

/// Errors by record in one partition's answer; the caller says in `message` how many more there
/// were. Enough to find a fault, and a batch of a million bad records gets no answer of megabytes.
pub const RECORD_ERRORS: usize = 1_000;
/// Errors by record in an answer, all partitions together.
pub const RECORD_ERRORS_IN_ALL: usize = 10_000;
/// Bytes of the message of one record's error; cut at a character above that.
pub const RECORD_MESSAGE_BYTES: usize = 256;
/// Bytes of a partition's message; cut at a character above that.
pub const MESSAGE_BYTES: usize = 1_024;
/// Bytes of all messages of an answer; a message that would go beyond is left out (null).
pub const TEXT_BYTES: usize = 1 << 20;

/// One partition's answer, not from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAnswer {
    /// Its topic, named as in the request.
    pub topic: OwnedTopic,
    /// Its number.
    pub partition: i32,
    /// Kafka's error code; 0 is success.
    pub error_code: i16,
    /// Offset of the first record; −1 where there is none.
    pub base_offset: i64,
    /// In milliseconds since 1970 if the topic's timestamps are by the broker, else −1.
    pub log_append_time_ms: i64,
    /// Least offset of the partition; −1 where not known. From version 5 on.
    pub log_start_offset: i64,
    /// Which records are at fault; of more than [`RECORD_ERRORS`] the first. From version 8 on.
    pub record_errors: Vec<RecordError>,
    /// What is wrong, for people. From version 8 on.
    pub message: Option<String>,
}

/// One record's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// The record's place in its batch, from 0.
    pub batch_index: i32,
    /// What is wrong, for people.
    pub message: Option<String>,
}

/// A whole frame, its length in front, that answers these partitions: grouped by topic, else in the
/// given order. Of a partition that is there twice the first answer stands, as the protocol wants
/// each once.
///
/// # Errors
/// A version that is not known, or a topic that it can't name.
pub fn own_answer(
    correlation_id: i32,
    version: i16,
    answers: &[OwnAnswer],
) -> Result<Vec<u8>, ProduceError> {
    let mut own = OwnTopics::group(answers, version)?;
    let flexible = is_flexible(version);
    let mut out = vec![0; LENGTH_BYTES];
    let mut at = Writer::new(&mut out, flexible);
    at.i32(correlation_id);
    at.no_tags();
    at.length(own.topics.len());
    own.write_rest(&mut out);
    let mut at = Writer::new(&mut out, flexible);
    at.i32(0); // throttle time
    at.no_tags();
    Ok(seal(out)?)
}

/// Own answers by topic, each topic until it is written.
pub(super) struct OwnTopics<'a> {
    version: i16,
    topics: Vec<(TopicRef<'a>, Vec<&'a OwnAnswer>)>,
    /// Place of each topic in `topics`.
    places: HashMap<TopicRef<'a>, usize>,
    seen: HashSet<(TopicRef<'a>, i32)>,
    record_errors_left: usize,
    text_left: usize,
}

impl<'a> OwnTopics<'a> {
    pub(super) fn group(answers: &'a [OwnAnswer], version: i16) -> Result<Self, ProduceError> {
        known(ApiKey::PRODUCE, version, &VERSIONS)?;
        let mut own = Self {
            version,
            topics: Vec::new(),
            places: HashMap::new(),
            seen: HashSet::new(),
            record_errors_left: RECORD_ERRORS_IN_ALL,
            text_left: TEXT_BYTES,
        };
        for answer in answers {
            let topic = answer.topic.borrowed();
            let fits = match topic {
                TopicRef::Name(name) => version < super::IDS && name.len() <= STRING_BYTES,
                TopicRef::Id(_) => version >= super::IDS,
            };
            if !fits {
                return Err(ProduceError::Topic {
                    topic: answer.topic.clone(),
                    version,
                });
            }
            if !own.seen.insert((topic, answer.partition)) {
                continue;
            }
            let place = *own.places.entry(topic).or_insert(own.topics.len());
            match own.topics.get_mut(place) {
                Some((_, answers)) => answers.push(answer),
                None => own.topics.push((topic, vec![answer])),
            }
        }
        Ok(own)
    }

    /// Whether this partition is among them, written or not.
    pub(super) fn has(&self, topic: TopicRef<'_>, partition: i32) -> bool {
        self.seen.contains(&(topic, partition))
    }

    /// Writes the entries of a topic's partitions, once. How many.
    pub(super) fn write_topic(&mut self, topic: TopicRef<'_>, out: &mut Vec<u8>) -> usize {
        let Some((_, answers)) = self
            .places
            .get(&topic)
            .and_then(|place| self.topics.get_mut(*place))
        else {
            return 0;
        };
        let answers = std::mem::take(answers);
        for answer in &answers {
            self.write(answer, out);
        }
        answers.len()
    }

    /// Writes the topics that were not written yet, whole. How many.
    pub(super) fn write_rest(&mut self, out: &mut Vec<u8>) -> usize {
        let flexible = is_flexible(self.version);
        let mut topics = 0;
        for (topic, answers) in std::mem::take(&mut self.topics) {
            if answers.is_empty() {
                continue;
            }
            topics += 1;
            let mut at = Writer::new(out, flexible);
            match topic {
                TopicRef::Name(name) => at.string(name),
                TopicRef::Id(id) => at.uuid(&id),
            }
            at.length(answers.len());
            for answer in answers {
                self.write(answer, out);
            }
            Writer::new(out, flexible).no_tags();
        }
        topics
    }

    fn write(&mut self, answer: &OwnAnswer, out: &mut Vec<u8>) {
        let mut at = Writer::new(out, is_flexible(self.version));
        at.i32(answer.partition);
        at.i16(answer.error_code);
        at.i64(answer.base_offset);
        at.i64(answer.log_append_time_ms);
        if self.version >= LOG_START {
            at.i64(answer.log_start_offset);
        }
        if self.version >= RECORD_ERRORS_FROM {
            // The partition's own message first: it says what the list can't hold.
            let message = self.text(answer.message.as_deref(), MESSAGE_BYTES);
            let errors = RECORD_ERRORS.min(self.record_errors_left);
            let errors = answer.record_errors.get(..errors);
            let errors = errors.unwrap_or(&answer.record_errors);
            self.record_errors_left -= errors.len();
            at.length(errors.len());
            for error in errors {
                at.i32(error.batch_index);
                at.nullable_string(self.text(error.message.as_deref(), RECORD_MESSAGE_BYTES));
                at.no_tags();
            }
            at.nullable_string(message);
        }
        at.no_tags();
    }

    /// A message as far as there is room for it.
    fn text<'t>(&mut self, text: Option<&'t str>, limit: usize) -> Option<&'t str> {
        let text = cut(text?, limit);
        self.text_left = self.text_left.checked_sub(text.len())?;
        Some(text)
    }
}

/// The text as far as the limit, at a character.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit))
        .unwrap_or_default()
}
