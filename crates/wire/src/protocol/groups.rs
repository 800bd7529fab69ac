//! Classic consumer groups: JoinGroup and SyncGroup, and the subscription within.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::RequestHeader;
use super::reader::{Reader, WireError};
use super::walk::{Strings, request};

/// Known versions of JoinGroup.
pub const JOIN_VERSIONS: RangeInclusive<i16> = 0..=9;
/// Known versions of SyncGroup.
pub const SYNC_VERSIONS: RangeInclusive<i16> = 0..=5;

/// The protocol type of consumers; Kafka Connect, for one, has another.
pub const CONSUMER: &str = "consumer";

/// A request to join a group.
#[derive(Clone, Debug)]
pub struct JoinGroupRequest<'a> {
    /// Group.
    pub group: &'a str,
    /// How many milliseconds the broker waits for the other members. `None` below v1, where the session
    /// timeout stands for it.
    pub rebalance_timeout_ms: Option<i32>,
    /// Member id; empty: a new member.
    pub member: &'a str,
    /// Name of a static member (v5+).
    pub instance: Option<&'a str>,
    /// What kind of group, such as [`CONSUMER`].
    pub protocol_type: &'a str,
    protocols: GroupProtocols<'a>,
}

impl<'a> JoinGroupRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = request(header, frame, ApiKey::JOIN_GROUP, &JOIN_VERSIONS)?;
        let group = at.string()?;
        at.i32()?; // session timeout
        let read = Self {
            group,
            rebalance_timeout_ms: if version >= 1 { Some(at.i32()?) } else { None },
            member: at.string()?,
            instance: if version >= 5 {
                at.nullable_string()?
            } else {
                None
            },
            protocol_type: at.string()?,
            protocols: GroupProtocols::read(&mut at)?,
        };
        if version >= 8 {
            at.nullable_string()?; // reason
        }
        at.skip_tagged()?;
        Ok(read)
    }

    /// What the member offers, best first: a protocol's name (of consumers, an assignor's) and the
    /// member's bytes for it, of consumers a [`Subscription`].
    pub fn protocols(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.protocols.clone()
    }
}

/// Protocols that were read once before.
#[derive(Clone, Debug)]
struct GroupProtocols<'a> {
    at: Reader<'a>,
    left: usize,
}

impl<'a> GroupProtocols<'a> {
    fn read(at: &mut Reader<'a>) -> Result<Self, WireError> {
        let left = at.array(2)?;
        let protocols = Self { at: *at, left };
        for _ in 0..left {
            protocol(at)?;
        }
        Ok(protocols)
    }
}

fn protocol<'a>(at: &mut Reader<'a>) -> Result<(&'a str, &'a [u8]), WireError> {
    let protocol = (at.string()?, at.bytes()?);
    at.skip_tagged()?;
    Ok(protocol)
}

impl<'a> Iterator for GroupProtocols<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        protocol(&mut self.at).ok()
    }
}

/// What a consumer subscribes to: `ConsumerProtocolSubscription`, v0 to v3 and, as Kafka reads it, any
/// later one, whose new fields come last.
#[derive(Clone, Copy, Debug)]
pub struct Subscription<'a> {
    topics: Strings<'a>,
}

impl<'a> Subscription<'a> {
    /// From a member's bytes for a protocol. What is behind the topics is not looked at.
    ///
    /// # Errors
    /// Cut, malformed, or of a negative version.
    pub fn read(metadata: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Reader::new(metadata, 0, false);
        let version = at.i16()?;
        if version < 0 {
            return Err(WireError::Version {
                api: "ConsumerProtocolSubscription",
                version,
            });
        }
        Ok(Self {
            topics: Strings::read(&mut at)?.unwrap_or(Strings::none()),
        })
    }

    /// Names of the topics.
    pub fn topics(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.topics
    }
}

/// A request for a member's assignment; the leader's brings everyone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncGroupRequest<'a> {
    /// Group.
    pub group: &'a str,
    /// The group's generation.
    pub generation: i32,
    /// Member id.
    pub member: &'a str,
    /// Name of a static member (v3+).
    pub instance: Option<&'a str>,
    /// What kind of group (v5+).
    pub protocol_type: Option<&'a str>,
}

impl<'a> SyncGroupRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = request(header, frame, ApiKey::SYNC_GROUP, &SYNC_VERSIONS)?;
        let mut read = Self {
            group: at.string()?,
            generation: at.i32()?,
            member: at.string()?,
            instance: if version >= 3 {
                at.nullable_string()?
            } else {
                None
            },
            protocol_type: None,
        };
        if version >= 5 {
            read.protocol_type = at.nullable_string()?;
            at.nullable_string()?; // the protocol that was chosen
        }
        // Member and assignment.
        for _ in 0..at.array(2)? {
            protocol(&mut at)?;
        }
        at.skip_tagged()?;
        Ok(read)
    }
}
