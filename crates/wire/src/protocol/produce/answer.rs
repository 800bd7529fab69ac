//! The broker's answer: read where it lies, and written anew with the partitions that the broker
//! never saw, with edits, and with addresses that lead back to the gateway.

use std::ops::Range;

use super::own::{MESSAGE_BYTES, OwnAnswer, OwnTopics, cut};
use super::{
    ENDPOINTS, LOG_START, ProduceError, RECORD_ERRORS_FROM, TopicRef, VERSIONS, count, is_flexible,
    topic, topic_least,
};
use crate::protocol::api::ApiKey;
use crate::protocol::header::{LENGTH_BYTES, seal};
use crate::protocol::reader::{Reader, WireError};
use crate::protocol::walk::{known, response};
use crate::protocol::writer::Writer;

/// One partition's part of an answer, without its errors by record and its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionAnswer<'a> {
    /// Its topic.
    pub topic: TopicRef<'a>,
    /// Its number.
    pub partition: i32,
    /// Kafka's error code; 0 is success.
    pub error_code: i16,
    /// Offset of the first record; −1 where there is none.
    pub base_offset: i64,
    /// In milliseconds since 1970 if the topic's timestamps are by the broker, else −1.
    pub log_append_time_ms: i64,
    /// Least offset of the partition; −1 where not known, and below version 5.
    pub log_start_offset: i64,
}

/// What an answer says beside its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerSummary {
    /// Number of partitions.
    pub partitions: usize,
    /// How long the broker holds the client back, in milliseconds.
    pub throttle_ms: i32,
    /// Whether it has addresses of nodes, which must be rewritten.
    pub has_endpoints: bool,
}

/// What to change in a partition's answer. `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Kafka's error code.
    pub error_code: Option<i16>,
    /// Offset of the first record.
    pub base_offset: Option<i64>,
    /// In milliseconds since 1970.
    pub log_append_time_ms: Option<i64>,
    /// Least offset of the partition; nothing below version 5.
    pub log_start_offset: Option<i64>,
    /// What is wrong, for people, cut to [`MESSAGE_BYTES`]; nothing below version 8.
    pub message: Option<String>,
}

/// Reads a response's frame, its length left out, and gives each partition in the answer's order. It
/// is read whole first, so that `each` sees nothing of an answer that is malformed further on.
///
/// # Errors
/// Cut or malformed, bytes behind the last field, or a version that is not read here.
pub fn read_answers(
    frame: &[u8],
    version: i16,
    each: impl FnMut(PartitionAnswer<'_>),
) -> Result<AnswerSummary, WireError> {
    walk(frame, version, |_| {})?;
    walk(frame, version, each)
}

/// An answer's throttle time in milliseconds.
///
/// # Errors
/// As [`read_answers`].
pub fn throttle_ms(frame: &[u8], version: i16) -> Result<i32, WireError> {
    walk(frame, version, |_| {}).map(|summary| summary.throttle_ms)
}

/// Whether an answer has addresses, and so must be rewritten even with nothing to add.
///
/// # Errors
/// As [`read_answers`].
pub fn has_endpoints(frame: &[u8], version: i16) -> Result<bool, WireError> {
    // Before the field was there, nothing needs a look.
    if version < ENDPOINTS {
        return known(ApiKey::PRODUCE, version, &VERSIONS).map(|()| false);
    }
    walk(frame, version, |_| {}).map(|summary| summary.has_endpoints)
}

/// The broker's answer (a frame, its length left out) as a whole frame, its length in front:
///
/// - partitions of `own` are added, to their topic's entry where the broker has one, else in a new
///   entry behind the others; where the broker answers one of them as well, `own` stands;
/// - `edit` says what to change in each partition that the broker answers;
/// - addresses of nodes (version 10 on) become what `endpoint` gives for the node's id; a node for
///   which it gives none is left out of the list, and the list when it is empty.
///
/// All else, unknown tagged fields among it, stays as it came.
///
/// # Errors
/// The answer can't be read, a topic of `own` can't be named in this version, or more bytes than a
/// frame can have.
pub fn rewrite_answer(
    frame: &[u8],
    version: i16,
    own: &[OwnAnswer],
    mut edit: impl FnMut(&PartitionAnswer<'_>) -> Option<Edit>,
    mut endpoint: impl FnMut(i32) -> Option<(String, i32)>,
) -> Result<Vec<u8>, ProduceError> {
    walk(frame, version, |_| {})?;
    let mut own = OwnTopics::group(own, version)?;
    let mut at = body(frame, version)?;
    let mut out = vec![0; LENGTH_BYTES];
    let out_flexible = is_flexible(version);
    let topics_at = at.position();
    out.extend_from_slice(slice(frame, 0..topics_at));

    let topics = count(&mut at, topic_least(version))?;
    let topics_count = topics_at..at.position();
    let mut entries = Vec::new();
    let mut partitions = Vec::new();
    for _ in 0..topics {
        let from = at.position();
        let topic = topic(&mut at, version)?;
        let count_at = at.position();
        let was = count(&mut at, partition_least(version))?;
        let behind_count = at.position();
        partitions.clear();
        let mut is = 0;
        for _ in 0..was {
            let entry = Entry::read(&mut at, topic, version)?;
            if !own.has(topic, entry.answer.partition) {
                let edit = edit(&entry.answer).unwrap_or_default();
                entry.write(frame, version, edit, &mut partitions);
                is += 1;
            }
        }
        is += own.write_topic(topic, &mut partitions);
        entries.extend_from_slice(slice(frame, from..count_at));
        write_count(
            &mut entries,
            frame,
            count_at..behind_count,
            version,
            was,
            is,
        );
        entries.extend_from_slice(&partitions);
        let tags = at.position();
        at.skip_tagged()?;
        entries.extend_from_slice(slice(frame, tags..at.position()));
    }
    let all = topics + own.write_rest(&mut entries);
    write_count(&mut out, frame, topics_count, version, topics, all);
    out.extend_from_slice(&entries);

    let throttle_at = at.position();
    at.i32()?;
    out.extend_from_slice(slice(frame, throttle_at..at.position()));
    if version < ENDPOINTS {
        out.extend_from_slice(slice(frame, at.position()..frame.len()));
        return Ok(seal(out)?);
    }
    let tags_at = at.position();
    let mut fields = 0u32;
    let mut tagged = Vec::new();
    let mut changed = false;
    at.tagged(|tag, range| {
        if tag == 0 {
            changed = true;
            let list = endpoints(frame, range, &mut endpoint)?;
            if let Some(list) = list {
                fields += 1;
                write_field(&mut tagged, tag, &list);
            }
        } else {
            fields += 1;
            write_field(&mut tagged, tag, slice(frame, range));
        }
        Ok(())
    })?;
    if changed {
        Writer::new(&mut out, out_flexible).unsigned_varint(fields);
        out.extend_from_slice(&tagged);
    } else {
        out.extend_from_slice(slice(frame, tags_at..frame.len()));
    }
    Ok(seal(out)?)
}

/// Reads the whole of an answer.
fn walk(
    frame: &[u8],
    version: i16,
    mut each: impl FnMut(PartitionAnswer<'_>),
) -> Result<AnswerSummary, WireError> {
    let mut at = body(frame, version)?;
    let mut partitions = 0;
    for _ in 0..count(&mut at, topic_least(version))? {
        let topic = topic(&mut at, version)?;
        for _ in 0..count(&mut at, partition_least(version))? {
            each(Entry::read(&mut at, topic, version)?.answer);
            partitions += 1;
        }
        at.skip_tagged()?;
    }
    let throttle_ms = at.i32()?;
    let mut has_endpoints = false;
    at.tagged(|tag, range| {
        if tag == 0 && version >= ENDPOINTS {
            has_endpoints = true;
            endpoints(frame, range, &mut |_| None)?;
        }
        Ok(())
    })?;
    at.end()?;
    Ok(AnswerSummary {
        partitions,
        throttle_ms,
        has_endpoints,
    })
}

fn body(frame: &[u8], version: i16) -> Result<Reader<'_>, WireError> {
    response(frame, ApiKey::PRODUCE, version, &VERSIONS)
}

/// Least bytes of a partition's entry.
const fn partition_least(version: i16) -> usize {
    // Number, error, base offset, time; start offset; list of errors, message, tags.
    match version {
        ..LOG_START => 22,
        LOG_START..RECORD_ERRORS_FROM => 30,
        RECORD_ERRORS_FROM => 36,
        _ => 33,
    }
}

/// Least bytes of a record's error: index, message, tags.
const RECORD_ERROR_LEAST: usize = 6;
/// Least bytes of a node's address: id, host, port, rack, tags.
const ENDPOINT_LEAST: usize = 11;

/// A partition's entry and where its variable parts lie.
struct Entry<'a> {
    answer: PartitionAnswer<'a>,
    /// Errors by record, up to the message; empty below version 8.
    errors: Range<usize>,
    /// Message and tags.
    message: Range<usize>,
    tags: Range<usize>,
}

impl<'a> Entry<'a> {
    fn read(at: &mut Reader<'a>, topic: TopicRef<'a>, version: i16) -> Result<Self, WireError> {
        let answer = PartitionAnswer {
            topic,
            partition: at.i32()?,
            error_code: at.i16()?,
            base_offset: at.i64()?,
            log_append_time_ms: at.i64()?,
            log_start_offset: if version >= LOG_START { at.i64()? } else { -1 },
        };
        let errors_at = at.position();
        if version >= RECORD_ERRORS_FROM {
            for _ in 0..count(at, RECORD_ERROR_LEAST)? {
                at.i32()?;
                at.nullable_string()?;
                at.skip_tagged()?;
            }
        }
        let message_at = at.position();
        if version >= RECORD_ERRORS_FROM {
            at.nullable_string()?;
        }
        let tags_at = at.position();
        at.skip_tagged()?;
        Ok(Self {
            answer,
            errors: errors_at..message_at,
            message: message_at..tags_at,
            tags: tags_at..at.position(),
        })
    }

    fn write(&self, frame: &[u8], version: i16, edit: Edit, out: &mut Vec<u8>) {
        let answer = &self.answer;
        let mut at = Writer::new(out, is_flexible(version));
        at.i32(answer.partition);
        at.i16(edit.error_code.unwrap_or(answer.error_code));
        at.i64(edit.base_offset.unwrap_or(answer.base_offset));
        at.i64(edit.log_append_time_ms.unwrap_or(answer.log_append_time_ms));
        if version >= LOG_START {
            at.i64(edit.log_start_offset.unwrap_or(answer.log_start_offset));
        }
        at.raw(slice(frame, self.errors.clone()));
        match edit.message {
            Some(text) if version >= RECORD_ERRORS_FROM => at.string(cut(&text, MESSAGE_BYTES)),
            _ => at.raw(slice(frame, self.message.clone())),
        }
        at.raw(slice(frame, self.tags.clone()));
    }
}

/// A count: as it came where it still holds.
fn write_count(
    out: &mut Vec<u8>,
    frame: &[u8],
    original: Range<usize>,
    version: i16,
    was: usize,
    is: usize,
) {
    if was == is {
        out.extend_from_slice(slice(frame, original));
    } else {
        Writer::new(out, is_flexible(version)).length(is);
    }
}

/// The list of nodes' addresses anew. `None`: none is left.
fn endpoints(
    frame: &[u8],
    field: Range<usize>,
    endpoint: &mut impl FnMut(i32) -> Option<(String, i32)>,
) -> Result<Option<Vec<u8>>, WireError> {
    let mut at = Reader::new(slice(frame, 0..field.end), field.start, true);
    let mut kept = 0;
    let mut list = Vec::new();
    for _ in 0..count(&mut at, ENDPOINT_LEAST)? {
        let node = at.i32()?;
        at.string()?;
        at.i32()?;
        let rest = at.position();
        at.nullable_string()?;
        at.skip_tagged()?;
        if let Some((host, port)) = endpoint(node) {
            kept += 1;
            let mut out = Writer::new(&mut list, true);
            out.i32(node);
            out.string(&host);
            out.i32(port);
            out.raw(slice(frame, rest..at.position()));
        }
    }
    at.end()?;
    if kept == 0 {
        return Ok(None);
    }
    let mut whole = Vec::with_capacity(list.len() + 5);
    Writer::new(&mut whole, true).length(kept);
    whole.extend_from_slice(&list);
    Ok(Some(whole))
}

/// A tagged field. Its size fits wherever the frame's does, which `seal` looks at.
fn write_field(out: &mut Vec<u8>, tag: u32, value: &[u8]) {
    let mut at = Writer::new(out, true);
    at.unsigned_varint(tag);
    at.unsigned_varint(u32::try_from(value.len()).unwrap_or(u32::MAX));
    at.raw(value);
}

fn slice(frame: &[u8], range: Range<usize>) -> &[u8] {
    frame.get(range).unwrap_or_default()
}
