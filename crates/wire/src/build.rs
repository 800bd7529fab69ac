//! Writing batches: new ones, and those that are re-encoded because records were tagged or taken
//! out. What is re-encoded keeps producer id, epoch, sequence, flags and timestamps; offsets are
//! numbered 0 … n − 1 anew, because the broker does not check them in an uncompressed batch and
//! wrong ones would put two records at one offset.

use crate::batch::{Attributes, BatchHeader, CHECKED_FROM, HEADER_BYTES, MAGIC, TimestampType};
use crate::codec::{Codec, CodecError, Compressor, Packed};
use crate::record::{Header, RecordView};
use crate::varint;

/// Why a batch can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A length above 2^31 − 1 bytes.
    #[error("{0} is longer than 2147483647 bytes")]
    TooLong(&'static str),
    /// More than 2^31 − 1 records.
    #[error("more than 2147483647 records in a batch")]
    TooMany,
    /// No record: Kafka knows no empty batch.
    #[error("a batch needs a record")]
    Empty,
    /// The records can't be compressed.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// What a record is made of; headers are given apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordParts<'a> {
    /// Flags; Kafka uses none.
    pub attributes: i8,
    /// Milliseconds after the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
}

impl<'a> From<&RecordView<'a>> for RecordParts<'a> {
    fn from(record: &RecordView<'a>) -> Self {
        Self {
            attributes: record.attributes,
            timestamp_delta: record.timestamp_delta,
            key: record.key,
            value: record.value,
        }
    }
}

/// Records of another batch that stay as they are, behind those that were pushed.
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a> {
    /// All of that batch's records.
    pub original: Packed<'a>,
    /// Byte of them, unpacked, at which those begin that stay: all from there on do.
    pub from: usize,
    /// How many stay.
    pub count: i32,
    /// The greatest of their timestamps' deltas.
    pub greatest_delta: i64,
}

/// Collects records into one batch. Can be used again for the next: its buffer stays.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    body: Vec<u8>,
    count: i32,
    greatest_delta: Option<i64>,
}

impl BatchBuilder {
    /// A batch of a producer without idempotence, its timestamps counted from `base_timestamp`
    /// (milliseconds since 1970).
    #[must_use]
    pub const fn new(base_timestamp: i64) -> Self {
        Self::like(&BatchHeader {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: Attributes(0),
            last_offset_delta: 0,
            base_timestamp,
            max_timestamp: base_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        })
    }

    /// A batch that takes the place of the one with this header: the same but for its records,
    /// their number and what follows from them.
    #[must_use]
    pub const fn like(header: &BatchHeader) -> Self {
        Self {
            header: *header,
            body: Vec::new(),
            count: 0,
            greatest_delta: None,
        }
    }

    /// Forgets the records and starts the next batch.
    pub fn restart(&mut self, header: &BatchHeader) {
        self.header = *header;
        self.body.clear();
        self.count = 0;
        self.greatest_delta = None;
    }

    /// Forgets the records, and gives memory back that they needed, down to room for `bytes` of them.
    pub fn release(&mut self, bytes: usize) {
        let header = self.header;
        self.restart(&header);
        self.body.shrink_to(bytes);
    }

    /// Records so far.
    #[must_use]
    pub const fn len(&self) -> i32 {
        self.count
    }

    /// Whether there is none yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size in bytes if it were finished now, uncompressed.
    #[must_use]
    pub const fn uncompressed_bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Appends a record. `headers` is walked twice: once for the length.
    ///
    /// # Errors
    /// [`BuildError::TooLong`], [`BuildError::TooMany`]; the record is left out then.
    pub fn push<'h, H>(&mut self, record: RecordParts<'_>, headers: H) -> Result<(), BuildError>
    where
        H: IntoIterator<Item = Header<'h>> + Clone,
    {
        let mut header_count = 0i64;
        let mut headers_size = 0usize;
        for header in headers.clone() {
            header_count += 1;
            headers_size = headers_size
                .saturating_add(nullable_size("header name", Some(header.key))?)
                .saturating_add(nullable_size("header value", header.value)?);
        }
        let offset_delta = i64::from(self.count);
        let size = (1 + varint::len_i64(record.timestamp_delta) + varint::len_i64(offset_delta))
            .saturating_add(nullable_size("key", record.key)?)
            .saturating_add(nullable_size("value", record.value)?)
            .saturating_add(varint::len_i64(header_count))
            .saturating_add(headers_size);
        let size = length("record", size)?;
        let next = self.count.checked_add(1).ok_or(BuildError::TooMany)?;

        let out = &mut self.body;
        varint::write_i64(out, size);
        out.push(record.attributes.cast_unsigned());
        varint::write_i64(out, record.timestamp_delta);
        varint::write_i64(out, offset_delta);
        write_nullable(out, record.key)?;
        write_nullable(out, record.value)?;
        varint::write_i64(out, header_count);
        for header in headers {
            write_nullable(out, Some(header.key))?;
            write_nullable(out, header.value)?;
        }
        self.count = next;
        self.greatest_delta = self.greatest_delta.max(Some(record.timestamp_delta));
        Ok(())
    }

    /// Appends a record as it was read, but for its offset.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_view(&mut self, record: &RecordView<'_>) -> Result<(), BuildError> {
        self.push(RecordParts::from(record), record.headers)
    }

    /// Appends records as they lie in another batch, their offsets included: `bytes` are `count` of
    /// them, numbered from [`len`](Self::len) on, and `greatest_delta` is the greatest of their
    /// timestamps' deltas.
    ///
    /// # Errors
    /// [`BuildError::TooMany`]; they are left out then.
    pub fn push_run(
        &mut self,
        bytes: &[u8],
        count: i32,
        greatest_delta: i64,
    ) -> Result<(), BuildError> {
        if count <= 0 {
            return Ok(());
        }
        self.count = self.count.checked_add(count).ok_or(BuildError::TooMany)?;
        self.body.extend_from_slice(bytes);
        self.greatest_delta = self.greatest_delta.max(Some(greatest_delta));
        Ok(())
    }

    /// Appends the finished batch to `out`.
    ///
    /// # Errors
    /// [`BuildError::Empty`], [`BuildError::TooLong`], [`BuildError::Codec`]; `out` is then as it
    /// was.
    pub fn finish(
        &self,
        codec: Codec,
        compressor: &mut Compressor,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let start = out.len();
        let body = |out: &mut Vec<u8>| compressor.compress(codec, &self.body, out);
        let done = self.write(codec, self.body.len(), body, out, start);
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    /// Appends to `out` the finished batch with `tail` behind what was pushed, numbered from
    /// [`len`](Self::len) on. Nothing else may be pushed then.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_before(
        &mut self,
        tail: &Tail<'_>,
        codec: Codec,
        compressor: &mut Compressor,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        self.push_run(&[], tail.count, tail.greatest_delta)?;
        let start = out.len();
        let size = self.body.len() + tail.original.plain.len().saturating_sub(tail.from);
        let body = |out: &mut Vec<u8>| {
            compressor.replace_front(codec, &tail.original, tail.from, &self.body, out)
        };
        let done = self.write(codec, size, body, out, start);
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    fn write(
        &self,
        codec: Codec,
        size: usize,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), BuildError> {
        let greatest_delta = self.greatest_delta.ok_or(BuildError::Empty)?;
        let h = &self.header;
        let attributes = h.attributes.with_codec(codec);
        let max_timestamp = match attributes.timestamp_type() {
            TimestampType::CreateTime => h.base_timestamp.saturating_add(greatest_delta),
            TimestampType::LogAppendTime => h.max_timestamp,
        };
        out.reserve(HEADER_BYTES + size / if codec == Codec::None { 1 } else { 2 });
        out.extend_from_slice(&h.base_offset.to_be_bytes());
        out.extend_from_slice(&[0; 4]); // length, below
        out.extend_from_slice(&h.partition_leader_epoch.to_be_bytes());
        out.push(MAGIC);
        out.extend_from_slice(&[0; 4]); // checksum, below
        out.extend_from_slice(&attributes.0.to_be_bytes());
        out.extend_from_slice(&(self.count - 1).to_be_bytes());
        out.extend_from_slice(&h.base_timestamp.to_be_bytes());
        out.extend_from_slice(&max_timestamp.to_be_bytes());
        out.extend_from_slice(&h.producer_id.to_be_bytes());
        out.extend_from_slice(&h.producer_epoch.to_be_bytes());
        out.extend_from_slice(&h.base_sequence.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        body(out)?;

        let batch = out.get_mut(start..).unwrap_or_default();
        let length = i32::try_from(batch.len() - 12).map_err(|_| BuildError::TooLong("batch"))?;
        let checksum = crc32c::crc32c(batch.get(CHECKED_FROM..).unwrap_or_default());
        if let Some(at) = batch.get_mut(8..12) {
            at.copy_from_slice(&length.to_be_bytes());
        }
        if let Some(at) = batch.get_mut(17..21) {
            at.copy_from_slice(&checksum.to_be_bytes());
        }
        Ok(())
    }
}

fn length(what: &'static str, bytes: usize) -> Result<i64, BuildError> {
    i32::try_from(bytes)
        .map(i64::from)
        .map_err(|_| BuildError::TooLong(what))
}

fn nullable_size(what: &'static str, bytes: Option<&[u8]>) -> Result<usize, BuildError> {
    match bytes {
        None => Ok(1),
        Some(bytes) => Ok(varint::len_i64(length(what, bytes.len())?) + bytes.len()),
    }
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> Result<(), BuildError> {
    match bytes {
        None => varint::write_i64(out, -1),
        Some(bytes) => {
            varint::write_i64(out, length("field", bytes.len())?);
            out.extend_from_slice(bytes);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
