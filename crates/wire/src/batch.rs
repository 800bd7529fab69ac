//! The 61-byte header of a batch, its checksum, and the way to its records.

use crate::codec::{Codec, CodecError, Decompressor};
use crate::cursor::{Cursor, Short};
use crate::limits::Limits;
use crate::record::{MIN_RECORD_BYTES, Records};

/// Bytes before the records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that `batchLength` does not count: the base offset and itself.
const BEFORE_LENGTH: usize = 12;
/// Where the bytes that the checksum covers begin: behind it, at the attributes.
pub(crate) const CHECKED_FROM: usize = 21;
/// The only format read and written here.
pub(crate) const MAGIC: u8 = 2;

/// Why bytes are no record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Fewer bytes than the header or the batch's own length asks for.
    #[error("batch needs {needed} bytes and has {available}")]
    Truncated {
        /// Bytes that it would need.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// Bytes behind the batch where there must be none.
    #[error("{0} bytes follow the batch")]
    Trailing(usize),
    /// A length that no batch can have.
    #[error("batch length {0} is not possible")]
    Length(i32),
    /// Larger than [`Limits::max_batch_bytes`].
    #[error("batch of {bytes} bytes is above the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An older format (0, 1: before Kafka 0.11) or one not known.
    #[error("record format {0} is not supported, only 2")]
    Magic(u8),
    /// The checksum is not that of the bytes.
    #[error("checksum says {stated:#010x}, the bytes give {computed:#010x}")]
    Checksum {
        /// In the header.
        stated: u32,
        /// CRC32C of attributes and what follows.
        computed: u32,
    },
    /// A compression that does not exist.
    #[error("compression {0} is not known")]
    Compression(u8),
    /// A record count below 0, or above what the bytes could hold.
    #[error("{count} records can't be in {bytes} bytes")]
    Count {
        /// As stated.
        count: i32,
        /// Bytes of the records.
        bytes: usize,
    },
    /// More records than [`Limits::max_records`].
    #[error("{count} records are above the limit of {limit}")]
    TooMany {
        /// As stated.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The records can't be decompressed.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// What `timestamp` of a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// Set by the producer.
    CreateTime,
    /// Set by the broker: the batch's greatest timestamp holds for all its records.
    LogAppendTime,
}

/// The batch's flags. Unknown bits are kept as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const TIMESTAMP_TYPE: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    /// How the records are compressed.
    ///
    /// # Errors
    /// A number that stands for no codec.
    pub fn codec(self) -> Result<Codec, BatchError> {
        let number = u8::try_from(self.0 & Self::CODEC).unwrap_or(u8::MAX);
        Codec::from_number(number).ok_or(BatchError::Compression(number))
    }

    /// The same flags with another codec.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        Self((self.0 & !Self::CODEC) | i16::from(codec.number()))
    }

    /// The same flags, transactional.
    #[must_use]
    pub const fn transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    /// Whose timestamps they are.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::TIMESTAMP_TYPE == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether it is part of a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether it holds markers of the broker's own, not data.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }
}

/// The header's fields, in their order. `batchLength` and the checksum follow from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; 0 in what a producer sends.
    pub base_offset: i64,
    /// Of the broker that wrote it; −1 in what a producer sends.
    pub partition_leader_epoch: i32,
    /// Flags.
    pub attributes: Attributes,
    /// Offset of the last record less `base_offset`; stays when compaction removes records.
    pub last_offset_delta: i32,
    /// Milliseconds since 1970 that the records' timestamps count from.
    pub base_timestamp: i64,
    /// Greatest timestamp.
    pub max_timestamp: i64,
    /// Idempotent or transactional producer, or −1.
    pub producer_id: i64,
    /// Its epoch, or −1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or −1.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// The header that `bytes` begin with, nothing of it checked but the format: to tell whose batch
    /// it is before it is read. `None`: fewer bytes than a header, or another format than 2.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        let mut at = Cursor::new(bytes);
        let base_offset = i64::from_be_bytes(at.array().ok()?);
        let _length: [u8; 4] = at.array().ok()?;
        let partition_leader_epoch = i32::from_be_bytes(at.array().ok()?);
        let [magic] = at.array().ok()?;
        if magic != MAGIC {
            return None;
        }
        let _checksum: [u8; 4] = at.array().ok()?;
        Self::fields(base_offset, partition_leader_epoch, &mut at).ok()
    }

    /// The fields behind the checksum.
    fn fields(
        base_offset: i64,
        partition_leader_epoch: i32,
        at: &mut Cursor<'_>,
    ) -> Result<Self, Short> {
        Ok(Self {
            base_offset,
            partition_leader_epoch,
            attributes: Attributes(i16::from_be_bytes(at.array()?)),
            last_offset_delta: i32::from_be_bytes(at.array()?),
            base_timestamp: i64::from_be_bytes(at.array()?),
            max_timestamp: i64::from_be_bytes(at.array()?),
            producer_id: i64::from_be_bytes(at.array()?),
            producer_epoch: i16::from_be_bytes(at.array()?),
            base_sequence: i32::from_be_bytes(at.array()?),
            record_count: i32::from_be_bytes(at.array()?),
        })
    }
}

/// A batch whose lengths and checksum hold, read in place. Its records are not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    codec: Codec,
    bytes: &'a [u8],
    body: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Reads one batch that fills `bytes`.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, BatchError> {
        let (batch, rest) = Self::split_first(bytes, limits)?;
        if rest.is_empty() {
            Ok(batch)
        } else {
            Err(BatchError::Trailing(rest.len()))
        }
    }

    /// Reads the first of several batches, and gives the bytes behind it.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn split_first(bytes: &'a [u8], limits: &Limits) -> Result<(Self, &'a [u8]), BatchError> {
        let available = bytes.len();
        let short = |_: Short| BatchError::Truncated {
            needed: HEADER_BYTES,
            available,
        };
        let mut at = Cursor::new(bytes);
        let base_offset = i64::from_be_bytes(at.array().map_err(short)?);
        let stated_length = i32::from_be_bytes(at.array().map_err(short)?);
        let size = usize::try_from(stated_length)
            .ok()
            .and_then(|length| length.checked_add(BEFORE_LENGTH))
            .filter(|size| *size >= HEADER_BYTES)
            .ok_or(BatchError::Length(stated_length))?;
        if size > limits.max_batch_bytes {
            return Err(BatchError::TooLarge {
                bytes: size,
                limit: limits.max_batch_bytes,
            });
        }
        let (bytes, rest) = bytes.split_at_checked(size).ok_or(BatchError::Truncated {
            needed: size,
            available,
        })?;
        let mut at = Cursor::new(bytes.get(BEFORE_LENGTH..).unwrap_or_default());
        let partition_leader_epoch = i32::from_be_bytes(at.array().map_err(short)?);
        let [magic] = at.array().map_err(short)?;
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        let stated = u32::from_be_bytes(at.array().map_err(short)?);
        let computed = crc32c::crc32c(at.rest());
        if stated != computed {
            return Err(BatchError::Checksum { stated, computed });
        }
        let header =
            BatchHeader::fields(base_offset, partition_leader_epoch, &mut at).map_err(short)?;
        let batch = Self {
            header,
            codec: header.attributes.codec()?,
            bytes,
            body: at.rest(),
        };
        Ok((batch, rest))
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// How its records are compressed.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The whole batch as it came.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its records as they lie in it, compressed or not.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The records' timestamp: `delta` after the base, or the broker's for all.
    #[must_use]
    pub const fn timestamp(&self, delta: i64) -> i64 {
        match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.saturating_add(delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        }
    }

    /// Its records, decompressed into `decompressor`'s buffer if they must be, else in place.
    ///
    /// # Errors
    /// [`BatchError::TooMany`], [`BatchError::Codec`], or [`BatchError::Count`] where the stated
    /// count can't be true.
    pub fn records<'b>(
        &self,
        decompressor: &'b mut Decompressor,
        limits: &Limits,
    ) -> Result<Records<'b>, BatchError>
    where
        'a: 'b,
    {
        let stated = usize::try_from(self.header.record_count).unwrap_or(0);
        if stated > limits.max_records {
            return Err(BatchError::TooMany {
                count: stated,
                limit: limits.max_records,
            });
        }
        let (bytes, blocks) = match self.codec {
            Codec::None => (self.body, Default::default()),
            codec => {
                decompressor.decompress(codec, self.body, limits.max_decompressed_bytes)?;
                let done: &Decompressor = decompressor;
                (done.unpacked(), done.blocks())
            }
        };
        let count = usize::try_from(self.header.record_count)
            .ok()
            .filter(|count| *count <= bytes.len() / MIN_RECORD_BYTES)
            .ok_or(BatchError::Count {
                count: self.header.record_count,
                bytes: bytes.len(),
            })?;
        Ok(Records::new(bytes, count, blocks))
    }
}
