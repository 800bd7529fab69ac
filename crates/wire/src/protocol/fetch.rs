//! Fetch up to v15: what a consumer reads and from where. From v16 on addresses stand behind all
//! records, and the gateway hides those versions.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::RequestHeader;
use super::produce::TopicRef;
use super::reader::{Reader, WireError};
use super::walk::{Shape, TopicPartitions, request, response};

/// Known versions.
pub const VERSIONS: RangeInclusive<i16> = 4..=15;

/// A request.
#[derive(Clone, Debug)]
pub struct FetchRequest<'a> {
    /// Cluster that the reader believes to speak to (v12+); only followers tell it.
    pub cluster_id: Option<&'a str>,
    /// Node id of a follower; −1: a consumer.
    pub replica_id: i32,
    /// How long the broker may wait for records, in milliseconds.
    pub max_wait_ms: i32,
    /// Most bytes of the answer, save that its first batch may be larger.
    pub max_bytes: i32,
    /// Incremental session (KIP-227); 0: none, or a new one. 0 below v7.
    pub session_id: i32,
    /// 0 opens a session, −1 closes it or has none; −1 below v7.
    pub session_epoch: i32,
    partitions: TopicPartitions<'a, (i32, i64)>,
    forgotten: TopicPartitions<'a, i32>,
}

impl<'a> FetchRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = request(header, frame, ApiKey::FETCH, &VERSIONS)?;
        let replica_id = if version <= 14 { at.i32()? } else { -1 };
        let max_wait_ms = at.i32()?;
        at.i32()?; // fewest bytes worth an answer
        let max_bytes = at.i32()?;
        at.i8()?; // isolation level
        let (session_id, session_epoch) = if version >= 7 {
            (at.i32()?, at.i32()?)
        } else {
            (0, -1)
        };
        let by_id = version >= 13;
        let shape = Shape {
            by_id,
            least: 16,
            version,
            read: partition,
        };
        let partitions = TopicPartitions::read(&mut at, shape)?;
        let shape = Shape {
            by_id,
            least: 4,
            version,
            read: |at, _| at.i32(),
        };
        let forgotten = if version >= 7 {
            TopicPartitions::read(&mut at, shape)?
        } else {
            TopicPartitions::none(shape)
        };
        if version >= 11 {
            at.string()?; // rack
        }
        let mut read = Self {
            cluster_id: None,
            replica_id,
            max_wait_ms,
            max_bytes,
            session_id,
            session_epoch,
            partitions,
            forgotten,
        };
        at.tagged(|tag, range| {
            // A tagged field may not reach beyond its own end.
            let mut field = Reader::new(
                frame.get(..range.end).unwrap_or_default(),
                range.start,
                true,
            );
            match tag {
                0 => read.cluster_id = field.nullable_string()?,
                1 if version >= 15 => {
                    read.replica_id = field.i32()?;
                    field.i64()?; // epoch
                    field.skip_tagged()?;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(read)
    }

    /// What is added to the session or, without one, read: topic, partition, and the offset from
    /// which on.
    pub fn partitions(&self) -> impl Iterator<Item = (TopicRef<'a>, i32, i64)> + use<'a> {
        self.partitions
            .clone()
            .map(|(topic, (partition, offset))| (topic, partition, offset))
    }

    /// What the session no longer reads (v7+).
    pub fn forgotten(&self) -> impl Iterator<Item = (TopicRef<'a>, i32)> + use<'a> {
        self.forgotten.clone()
    }
}

fn partition(at: &mut Reader<'_>, version: i16) -> Result<(i32, i64), WireError> {
    let partition = at.i32()?;
    if version >= 9 {
        at.i32()?; // leader epoch
    }
    let offset = at.i64()?;
    if version >= 12 {
        at.i32()?; // epoch of the last record
    }
    if version >= 5 {
        at.i64()?; // log start
    }
    at.i32()?; // most bytes
    at.skip_tagged()?;
    Ok((partition, offset))
}

/// What an answer's first bytes say, so that it can be passed on before the rest is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchAnswerStart {
    /// How long the client should hold back, in milliseconds.
    pub throttle_ms: i32,
    /// Error of the whole (v7+), 0 for none.
    pub error_code: i16,
    /// The session that the broker keeps; 0: none, or below v7.
    pub session_id: i32,
}

impl FetchAnswerStart {
    /// Most bytes that it takes, given that the header has no tags, as brokers write it.
    pub const BYTES: usize = 15;

    /// From the first bytes of a frame, without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(frame: &[u8], version: i16) -> Result<Self, WireError> {
        Self::from(
            &mut response(frame, ApiKey::FETCH, version, &VERSIONS)?,
            version,
        )
    }

    fn from(at: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let throttle_ms = at.i32()?;
        let (error_code, session_id) = if version >= 7 {
            (at.i16()?, at.i32()?)
        } else {
            (0, 0)
        };
        Ok(Self {
            throttle_ms,
            error_code,
            session_id,
        })
    }
}

/// A partition of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedPartition<'a> {
    /// Its topic.
    pub topic: TopicRef<'a>,
    /// Its number.
    pub partition: i32,
    /// 0, or why there is nothing.
    pub error_code: i16,
    /// First offset that is not yet safe.
    pub high_watermark: i64,
    /// First offset of the oldest open transaction; −1: not told.
    pub last_stable_offset: i64,
    /// Record batches, the last of which may be cut.
    pub records: Option<&'a [u8]>,
}

/// Partitions of an answer as they come. Nothing comes after an error.
#[derive(Clone, Debug)]
pub struct FetchedPartitions<'a>(Option<TopicPartitions<'a, Fetched<'a>>>);

/// As in the message: a partition without its topic.
#[derive(Clone, Copy, Debug)]
struct Fetched<'a> {
    partition: i32,
    error_code: i16,
    high_watermark: i64,
    last_stable_offset: i64,
    records: Option<&'a [u8]>,
}

/// The partitions of an answer, without a copy of their records.
///
/// # Errors
/// Cut, malformed, or of an unknown version: at once as far as the answer's first fields go, by the
/// iterator for the rest.
pub fn answer_partitions(frame: &[u8], version: i16) -> Result<FetchedPartitions<'_>, WireError> {
    let mut at = response(frame, ApiKey::FETCH, version, &VERSIONS)?;
    FetchAnswerStart::from(&mut at, version)?;
    let shape = Shape {
        by_id: version >= 13,
        // Number, error, two offsets, two lengths.
        least: 24,
        version,
        read: fetched,
    };
    Ok(FetchedPartitions(Some(TopicPartitions::begin(at, shape)?)))
}

fn fetched<'a>(at: &mut Reader<'a>, version: i16) -> Result<Fetched<'a>, WireError> {
    let mut read = Fetched {
        partition: at.i32()?,
        error_code: at.i16()?,
        high_watermark: at.i64()?,
        last_stable_offset: at.i64()?,
        records: None,
    };
    if version >= 5 {
        at.i64()?; // log start
    }
    // Aborted transactions: producer id, first offset.
    for _ in 0..at.array(16)? {
        at.take(16)?;
        at.skip_tagged()?;
    }
    if version >= 11 {
        at.i32()?; // preferred replica
    }
    read.records = at.nullable_bytes()?;
    at.skip_tagged()?;
    Ok(read)
}

impl<'a> FetchedPartitions<'a> {
    fn step(&mut self) -> Result<Option<FetchedPartition<'a>>, WireError> {
        let Some(partitions) = &mut self.0 else {
            return Ok(None);
        };
        if let Some((topic, read)) = partitions.step()? {
            return Ok(Some(FetchedPartition {
                topic,
                partition: read.partition,
                error_code: read.error_code,
                high_watermark: read.high_watermark,
                last_stable_offset: read.last_stable_offset,
                records: read.records,
            }));
        }
        partitions.reader().skip_tagged()?;
        self.0 = None;
        Ok(None)
    }
}

impl<'a> Iterator for FetchedPartitions<'a> {
    type Item = Result<FetchedPartition<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.0 = None;
        }
        step.transpose()
    }
}
