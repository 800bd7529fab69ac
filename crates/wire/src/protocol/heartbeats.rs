//! Groups whose members say in heartbeats what they read: consumers (KIP-848) and streams (KIP-1071).

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::RequestHeader;
use super::reader::{Reader, WireError};
use super::walk::{Strings, request, skip_fixed};

/// Known versions of ConsumerGroupHeartbeat.
pub const CONSUMER_VERSIONS: RangeInclusive<i16> = 0..=1;
/// Known versions of StreamsGroupHeartbeat.
pub const STREAMS_VERSIONS: RangeInclusive<i16> = 0..=0;

/// A consumer's heartbeat. What has not changed since the last one is left out.
#[derive(Clone, Debug)]
pub struct ConsumerGroupHeartbeatRequest<'a> {
    /// Group.
    pub group: &'a str,
    /// Member id.
    pub member: &'a str,
    /// The member's epoch; 0 joins, −1 leaves, −2 leaves for a while (static members).
    pub member_epoch: i32,
    /// How many milliseconds the member may take to give partitions back; −1: unchanged.
    pub rebalance_timeout_ms: i32,
    /// A regular expression (RE2/J) of topic names (v1+). `None`: unchanged; empty: none.
    pub regex: Option<&'a str>,
    topics: Option<Strings<'a>>,
}

impl<'a> ConsumerGroupHeartbeatRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = request(
            header,
            frame,
            ApiKey::CONSUMER_GROUP_HEARTBEAT,
            &CONSUMER_VERSIONS,
        )?;
        let group = at.string()?;
        let member = at.string()?;
        let member_epoch = at.i32()?;
        at.nullable_string()?; // name of a static member
        at.nullable_string()?; // rack
        let rebalance_timeout_ms = at.i32()?;
        let topics = Strings::read(&mut at)?;
        let regex = if version >= 1 {
            at.nullable_string()?
        } else {
            None
        };
        at.nullable_string()?; // assignor
        // Topic id, partitions.
        for _ in 0..at.array(17)? {
            at.uuid()?;
            skip_fixed(&mut at, 4)?;
            at.skip_tagged()?;
        }
        at.skip_tagged()?;
        Ok(Self {
            group,
            member,
            member_epoch,
            rebalance_timeout_ms,
            regex,
            topics,
        })
    }

    /// Names of the topics subscribed to. `None`: unchanged.
    #[must_use]
    pub fn topics(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.topics
    }
}

/// A Kafka Streams client's heartbeat; it tells its topology when it joins.
#[derive(Clone, Debug)]
pub struct StreamsGroupHeartbeatRequest<'a> {
    /// Group, which is the application's id.
    pub group: &'a str,
    /// Member id.
    pub member: &'a str,
    /// The member's epoch; 0 joins, −1 leaves, −2 leaves for a while (static members).
    pub member_epoch: i32,
    /// How many milliseconds the member may take to give tasks back; −1: unchanged.
    pub rebalance_timeout_ms: i32,
    topology: Option<Subtopologies<'a>>,
}

impl<'a> StreamsGroupHeartbeatRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let mut at = request(
            header,
            frame,
            ApiKey::STREAMS_GROUP_HEARTBEAT,
            &STREAMS_VERSIONS,
        )?;
        let group = at.string()?;
        let member = at.string()?;
        let member_epoch = at.i32()?;
        at.i32()?; // epoch of the endpoints
        at.nullable_string()?; // name of a static member
        at.nullable_string()?; // rack
        let rebalance_timeout_ms = at.i32()?;
        let topology = if present(&mut at)? {
            at.i32()?; // epoch
            let subtopologies = Subtopologies::read(&mut at)?;
            at.skip_tagged()?;
            Some(subtopologies)
        } else {
            None
        };
        // Active, standby and warm-up tasks.
        for _ in 0..3 {
            for _ in 0..at.array(3)? {
                at.string()?;
                skip_fixed(&mut at, 4)?;
                at.skip_tagged()?;
            }
        }
        at.nullable_string()?; // process
        if present(&mut at)? {
            at.string()?; // host and port of the application
            at.i16()?;
            at.skip_tagged()?;
        }
        pairs(&mut at)?; // client's tags
        // Offsets and end offsets of tasks.
        for _ in 0..2 {
            for _ in 0..at.array(14)? {
                at.string()?;
                at.i32()?;
                at.i64()?;
                at.skip_tagged()?;
            }
        }
        at.bool()?; // shuts the application down
        at.skip_tagged()?;
        Ok(Self {
            group,
            member,
            member_epoch,
            rebalance_timeout_ms,
            topology,
        })
    }

    /// Names of the topics that the application reads, those that it made for itself not among them; a
    /// name comes again for each subtopology that reads it. `None`: no topology is told here.
    #[must_use]
    pub fn source_topics(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.topology
            .clone()
            .map(|all| all.flat_map(|one| one.topics))
    }

    /// Regular expressions of topic names that it reads. `None`: no topology is told here.
    #[must_use]
    pub fn source_regexes(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.topology
            .clone()
            .map(|all| all.flat_map(|one| one.regexes))
    }
}

/// Whether a struct that may be null is there: −1 is null.
fn present(at: &mut Reader<'_>) -> Result<bool, WireError> {
    Ok(at.i8()? >= 0)
}

/// Passes over keys and values.
fn pairs(at: &mut Reader<'_>) -> Result<(), WireError> {
    for _ in 0..at.array(3)? {
        at.string()?;
        at.string()?;
        at.skip_tagged()?;
    }
    Ok(())
}

/// Passes over an application's own topics.
fn own_topics(at: &mut Reader<'_>) -> Result<(), WireError> {
    for _ in 0..at.array(9)? {
        at.string()?; // name
        at.i32()?; // partitions
        at.i16()?; // replication factor
        pairs(at)?; // settings
        at.skip_tagged()?;
    }
    Ok(())
}

/// A part of a topology.
#[derive(Clone, Copy, Debug)]
struct Subtopology<'a> {
    topics: Strings<'a>,
    regexes: Strings<'a>,
}

fn subtopology<'a>(at: &mut Reader<'a>) -> Result<Subtopology<'a>, WireError> {
    at.string()?; // id
    let read = Subtopology {
        topics: Strings::read(at)?.unwrap_or(Strings::none()),
        regexes: Strings::read(at)?.unwrap_or(Strings::none()),
    };
    own_topics(at)?; // changelogs
    Strings::read(at)?; // repartition topics written
    own_topics(at)?; // repartition topics read
    // Groups of topics with the same partitions: three arrays of numbers.
    for _ in 0..at.array(4)? {
        for _ in 0..3 {
            skip_fixed(at, 2)?;
        }
        at.skip_tagged()?;
    }
    at.skip_tagged()?;
    Ok(read)
}

/// Subtopologies that were read once before.
#[derive(Clone, Debug)]
struct Subtopologies<'a> {
    at: Reader<'a>,
    left: usize,
}

impl<'a> Subtopologies<'a> {
    fn read(at: &mut Reader<'a>) -> Result<Self, WireError> {
        // An id, six arrays, no tags.
        let left = at.array(8)?;
        let all = Self { at: *at, left };
        for _ in 0..left {
            subtopology(at)?;
        }
        Ok(all)
    }
}

impl<'a> Iterator for Subtopologies<'a> {
    type Item = Subtopology<'a>;

    fn next(&mut self) -> Option<Subtopology<'a>> {
        self.left = self.left.checked_sub(1)?;
        subtopology(&mut self.at).ok()
    }
}
