//! How far a group has read: OffsetCommit, and TxnOffsetCommit and AddOffsetsToTxn, by which a job
//! commits what it read together with what it wrote (KIP-98). These two prove that reader and writer
//! are one job.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::RequestHeader;
use super::produce::TopicRef;
use super::reader::{Reader, WireError};
use super::walk::{Shape, TopicPartitions, request, response};

/// Known versions of OffsetCommit: from v10 on topics stand by id.
pub const COMMIT_VERSIONS: RangeInclusive<i16> = 2..=10;
/// Known versions of TxnOffsetCommit.
pub const TXN_COMMIT_VERSIONS: RangeInclusive<i16> = 0..=5;
/// Known versions of AddOffsetsToTxn.
pub const ADD_OFFSETS_VERSIONS: RangeInclusive<i16> = 0..=4;

/// Fewest bytes of a partition: number, offset, null.
const PARTITION_LEAST: usize = 13;

/// A partition and its offset; from version `epoch_from` on the leader's epoch is with them.
fn partition(at: &mut Reader<'_>, version: i16, epoch_from: i16) -> Result<(i32, i64), WireError> {
    let read = (at.i32()?, at.i64()?);
    if version >= epoch_from {
        at.i32()?; // leader epoch
    }
    at.nullable_string()?; // the client's own note
    at.skip_tagged()?;
    Ok(read)
}

/// A commit outside a transaction.
#[derive(Clone, Debug)]
pub struct OffsetCommitRequest<'a> {
    /// Group.
    pub group: &'a str,
    /// The group's generation or (KIP-848) the member's epoch; −1: not a member, as of tools and of
    /// consumers that assign their partitions themselves.
    pub generation: i32,
    /// Member id; empty: none.
    pub member: &'a str,
    /// Name of a static member (v7+).
    pub instance: Option<&'a str>,
    offsets: TopicPartitions<'a, (i32, i64)>,
}

impl<'a> OffsetCommitRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = request(header, frame, ApiKey::OFFSET_COMMIT, &COMMIT_VERSIONS)?;
        let group = at.string()?;
        let generation = at.i32()?;
        let member = at.string()?;
        let instance = if version >= 7 {
            at.nullable_string()?
        } else {
            None
        };
        if version <= 4 {
            at.i64()?; // retention
        }
        let shape = Shape {
            by_id: version >= 10,
            least: PARTITION_LEAST,
            version,
            read: |at, version| partition(at, version, 6),
        };
        let offsets = TopicPartitions::read(&mut at, shape)?;
        at.skip_tagged()?;
        Ok(Self {
            group,
            generation,
            member,
            instance,
            offsets,
        })
    }

    /// Topic, partition, and the offset that is to be read next.
    pub fn offsets(&self) -> impl Iterator<Item = (TopicRef<'a>, i32, i64)> + use<'a> {
        self.offsets
            .clone()
            .map(|(topic, (partition, offset))| (topic, partition, offset))
    }
}

/// A commit within a transaction.
#[derive(Clone, Debug)]
pub struct TxnOffsetCommitRequest<'a> {
    /// Transactional id of the producer.
    pub transactional_id: &'a str,
    /// Group of the consumer.
    pub group: &'a str,
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The group's generation (v3+), −1 for none.
    pub generation: i32,
    /// Member id (v3+), empty for none.
    pub member: &'a str,
    offsets: TopicPartitions<'a, (i32, i64)>,
}

impl<'a> TxnOffsetCommitRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = request(
            header,
            frame,
            ApiKey::TXN_OFFSET_COMMIT,
            &TXN_COMMIT_VERSIONS,
        )?;
        let transactional_id = at.string()?;
        let group = at.string()?;
        let producer_id = at.i64()?;
        let producer_epoch = at.i16()?;
        let (mut generation, mut member) = (-1, "");
        if version >= 3 {
            generation = at.i32()?;
            member = at.string()?;
            at.nullable_string()?; // name of a static member
        }
        let shape = Shape {
            by_id: false,
            least: PARTITION_LEAST,
            version,
            read: |at, version| partition(at, version, 2),
        };
        let offsets = TopicPartitions::read(&mut at, shape)?;
        at.skip_tagged()?;
        Ok(Self {
            transactional_id,
            group,
            producer_id,
            producer_epoch,
            generation,
            member,
            offsets,
        })
    }

    /// Topic, partition, and the offset that is to be read next.
    pub fn offsets(&self) -> impl Iterator<Item = (&'a str, i32, i64)> + use<'a> {
        self.offsets
            .clone()
            .filter_map(|(topic, (partition, offset))| match topic {
                TopicRef::Name(name) => Some((name, partition, offset)),
                // No version has ids.
                TopicRef::Id(_) => None,
            })
    }
}

/// What goes before TxnOffsetCommit, except under transaction v2 (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddOffsetsToTxnRequest<'a> {
    /// Transactional id of the producer.
    pub transactional_id: &'a str,
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Group of the consumer.
    pub group: &'a str,
}

impl<'a> AddOffsetsToTxnRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let mut at = request(
            header,
            frame,
            ApiKey::ADD_OFFSETS_TO_TXN,
            &ADD_OFFSETS_VERSIONS,
        )?;
        let read = Self {
            transactional_id: at.string()?,
            producer_id: at.i64()?,
            producer_epoch: at.i16()?,
            group: at.string()?,
        };
        at.skip_tagged()?;
        Ok(read)
    }
}

/// What became of a commit, for each partition of an answer to OffsetCommit or TxnOffsetCommit.
#[derive(Clone, Debug)]
pub struct CommitAnswer<'a> {
    partitions: TopicPartitions<'a, (i32, i16)>,
}

impl<'a> CommitAnswer<'a> {
    /// From a frame without its length; `api` is one of the two.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(frame: &'a [u8], api: ApiKey, version: i16) -> Result<Self, WireError> {
        let in_transaction = api == ApiKey::TXN_OFFSET_COMMIT;
        let versions = if in_transaction {
            &TXN_COMMIT_VERSIONS
        } else {
            &COMMIT_VERSIONS
        };
        let mut at = response(frame, api, version, versions)?;
        if in_transaction || version >= 3 {
            at.i32()?; // throttle time
        }
        let shape = Shape {
            by_id: !in_transaction && version >= 10,
            least: 6,
            version,
            read: |at, _| {
                let read = (at.i32()?, at.i16()?);
                at.skip_tagged()?;
                Ok(read)
            },
        };
        let partitions = TopicPartitions::read(&mut at, shape)?;
        at.skip_tagged()?;
        Ok(Self { partitions })
    }

    /// Topic, partition, and 0 or why it was not committed.
    pub fn partitions(&self) -> impl Iterator<Item = (TopicRef<'a>, i32, i16)> + use<'a> {
        self.partitions
            .clone()
            .map(|(topic, (partition, error_code))| (topic, partition, error_code))
    }
}

/// The error code of an answer to AddOffsetsToTxn, from a frame without its length.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn add_offsets_error(frame: &[u8], version: i16) -> Result<i16, WireError> {
    let mut at = response(
        frame,
        ApiKey::ADD_OFFSETS_TO_TXN,
        version,
        &ADD_OFFSETS_VERSIONS,
    )?;
    at.i32()?; // throttle time
    let error_code = at.i16()?;
    at.skip_tagged()?;
    Ok(error_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Correlation id, throttle time, topic `a`: partition 1 committed, partition 2 not (25).
    const NAMED: &[u8] = &[
        0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2,
        0, 25,
    ];

    #[test]
    fn what_became_of_a_commit_is_read_by_name_and_by_id() {
        for (api, version) in [
            (ApiKey::OFFSET_COMMIT, 3),
            (ApiKey::OFFSET_COMMIT, 7),
            (ApiKey::TXN_OFFSET_COMMIT, 0),
        ] {
            let answer = CommitAnswer::read(NAMED, api, version).unwrap();
            let told: Vec<_> = answer.partitions().collect();
            let topic = TopicRef::Name("a");
            assert_eq!(told, [(topic, 1, 0), (topic, 2, 25)]);
        }
        // v2 has no throttle time.
        let older: Vec<u8> = NAMED[..4].iter().chain(&NAMED[8..]).copied().collect();
        let answer = CommitAnswer::read(&older, ApiKey::OFFSET_COMMIT, 2).unwrap();
        assert_eq!(answer.partitions().count(), 2);
        // v10: compact, by id. Header's tags, throttle, topics, id, partitions, tags.
        let mut by_id = vec![0, 0, 0, 7, 0, 0, 0, 0, 0, 2];
        by_id.extend([9; 16]);
        by_id.extend([2, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
        let answer = CommitAnswer::read(&by_id, ApiKey::OFFSET_COMMIT, 10).unwrap();
        let told: Vec<_> = answer.partitions().collect();
        assert_eq!(told, [(TopicRef::Id([9; 16]), 1, 0)]);
        for cut in 0..by_id.len() {
            let read = CommitAnswer::read(&by_id[..cut], ApiKey::OFFSET_COMMIT, 10);
            assert!(read.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_refused_tie_is_told() {
        let told = add_offsets_error(&[0, 0, 0, 7, 0, 0, 0, 0, 0, 53], 0);
        assert_eq!(told, Ok(53));
    }
}
