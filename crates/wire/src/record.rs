//! Records within a batch, read one by one where they lie.

use crate::codec::BlockEnd;
use crate::cursor::{Cursor, Short};
use crate::varint::VarintError;

/// The least record: seven one-byte fields, everything in it null or 0.
pub(crate) const MIN_RECORD_BYTES: usize = 7;

/// Why bytes are no record. Offsets count from the first (decompressed) record's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A length or number that is cut or out of range.
    #[error("record {index}: {what}: {source}")]
    Varint {
        /// Which record of the batch, from 0.
        index: usize,
        /// Which number.
        what: &'static str,
        /// What is wrong with it.
        source: VarintError,
    },
    /// A length below 0, or above what is left.
    #[error("record {index}: {what} of {length} bytes does not fit the {left} that are left")]
    Length {
        /// Which record of the batch, from 0.
        index: usize,
        /// Of what.
        what: &'static str,
        /// As stated.
        length: i32,
        /// What is left.
        left: usize,
    },
    /// Bytes that belong to a record and to none of its fields.
    #[error("record {index}: {bytes} bytes follow its last header")]
    TrailingInRecord {
        /// Which record of the batch, from 0.
        index: usize,
        /// How many.
        bytes: usize,
    },
    /// Bytes behind the last record.
    #[error("{bytes} bytes follow the last of {records} records")]
    Trailing {
        /// How many.
        bytes: usize,
        /// Records in the batch.
        records: usize,
    },
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its flags; Kafka uses none.
    pub attributes: i8,
    /// Milliseconds after the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Offset after the batch's base offset.
    pub offset_delta: i32,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: Headers<'a>,
}

impl RecordView<'_> {
    /// A digest (CRC32C) of key, value and headers, to tell whether a record that comes again is the
    /// same. Timestamp and place in the batch are left out: they change when a batch is split.
    #[must_use]
    pub fn digest(&self) -> u32 {
        let part = |digest, part: Option<&[u8]>| {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            let digest = crc32c::crc32c_append(digest, &length.to_be_bytes());
            crc32c::crc32c_append(digest, part.unwrap_or_default())
        };
        let digest = part(part(0, self.key), self.value);
        self.headers
            .iter()
            .fold(digest, |digest, h| part(part(digest, Some(h.key)), h.value))
    }

    /// Bytes of key, value, and header names and values.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self
                .headers
                .iter()
                .map(|h| h.key.len() + h.value.map_or(0, <[u8]>::len))
                .sum::<usize>()
    }
}

/// A record's headers; their lengths were checked when the record was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

/// One header. Names are UTF-8 by Kafka's protocol, and not checked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name.
    pub key: &'a [u8],
    /// Value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// In their order.
    #[must_use]
    pub const fn iter(&self) -> HeaderIter<'a> {
        HeaderIter {
            left: self.count,
            at: Cursor::new(self.bytes),
        }
    }

    /// The last of this name, as Java's `lastHeader`.
    #[must_use]
    pub fn last(&self, name: &[u8]) -> Option<Header<'a>> {
        self.iter().filter(|h| h.key == name).last()
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// See [`Headers::iter`].
#[derive(Clone, Debug)]
pub struct HeaderIter<'a> {
    left: usize,
    at: Cursor<'a>,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        // They were walked once when the record was read, so none of these can fail.
        let key = usize::try_from(self.at.varint().ok()?).ok()?;
        let key = self.at.take(key).ok()?;
        let value = match usize::try_from(self.at.varint().ok()?) {
            Ok(length) => Some(self.at.take(length).ok()?),
            Err(_) => None,
        };
        Some(Header { key, value })
    }
}

/// The records of a batch. After an error it yields nothing more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    at: Cursor<'a>,
    blocks: &'a [BlockEnd],
    count: usize,
    index: usize,
}

impl<'a> Records<'a> {
    pub(crate) const fn new(bytes: &'a [u8], count: usize, blocks: &'a [BlockEnd]) -> Self {
        Self {
            at: Cursor::new(bytes),
            blocks,
            count,
            index: 0,
        }
    }

    /// How many the batch has.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Ends of the first blocks in which they were compressed; see
    /// [`Decompressor::blocks`](crate::Decompressor::blocks).
    #[must_use]
    pub const fn blocks(&self) -> &'a [BlockEnd] {
        self.blocks
    }

    /// All the records' bytes that are not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.at.rest()
    }

    fn read(&mut self) -> Result<RecordView<'a>, RecordError> {
        let index = self.index;
        let number = |what| {
            move |source| RecordError::Varint {
                index,
                what,
                source,
            }
        };
        let length = self.at.varint().map_err(number("length"))?;
        let body = take(&mut self.at, index, "record", length)?;
        let mut at = Cursor::new(body);
        let [attributes] = at.array().map_err(|Short| RecordError::Length {
            index,
            what: "attributes",
            length: 1,
            left: 0,
        })?;
        let timestamp_delta = at.varlong().map_err(number("timestamp"))?;
        let offset_delta = at.varint().map_err(number("offset"))?;
        let key_length = at.varint().map_err(number("key length"))?;
        let key = take_nullable(&mut at, index, "key", key_length)?;
        let value_length = at.varint().map_err(number("value length"))?;
        let value = take_nullable(&mut at, index, "value", value_length)?;
        let header_count = at.varint().map_err(number("header count"))?;
        let headers = Headers {
            // A header has at least two bytes.
            count: usize::try_from(header_count)
                .ok()
                .filter(|n| *n <= at.rest().len() / 2)
                .ok_or(RecordError::Length {
                    index,
                    what: "headers",
                    length: header_count,
                    left: at.rest().len(),
                })?,
            bytes: at.rest(),
        };
        for _ in 0..headers.count {
            let length = at.varint().map_err(number("header name length"))?;
            take(&mut at, index, "header name", length)?;
            let length = at.varint().map_err(number("header value length"))?;
            take_nullable(&mut at, index, "header value", length)?;
        }
        if !at.rest().is_empty() {
            return Err(RecordError::TrailingInRecord {
                index,
                bytes: at.rest().len(),
            });
        }
        Ok(RecordView {
            attributes: attributes.cast_signed(),
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers,
        })
    }
}

fn take<'a>(
    at: &mut Cursor<'a>,
    index: usize,
    what: &'static str,
    length: i32,
) -> Result<&'a [u8], RecordError> {
    usize::try_from(length)
        .ok()
        .and_then(|n| at.take(n).ok())
        .ok_or(RecordError::Length {
            index,
            what,
            length,
            left: at.rest().len(),
        })
}

/// −1 is null, as in the broker; Java takes every negative length so.
fn take_nullable<'a>(
    at: &mut Cursor<'a>,
    index: usize,
    what: &'static str,
    length: i32,
) -> Result<Option<&'a [u8]>, RecordError> {
    if length < 0 {
        return Ok(None);
    }
    take(at, index, what, length).map(Some)
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            let bytes = self.at.rest().len();
            if bytes == 0 {
                return None;
            }
            self.at = Cursor::new(&[]);
            return Some(Err(RecordError::Trailing {
                bytes,
                records: self.count,
            }));
        }
        let record = self.read();
        if record.is_ok() {
            self.index += 1;
        } else {
            self.at = Cursor::new(&[]);
            self.index = self.count;
        }
        Some(record)
    }
}
