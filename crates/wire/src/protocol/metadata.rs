//! Metadata answers: brokers get the gateway's addresses, topics are learnt.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::endpoints;
use super::own_request::own_request;
use super::reader::{Reader, Uuid, WireError};
use super::splice::Splice;
use super::walk::{response, skip_fixed};

/// Known versions.
pub const VERSIONS: RangeInclusive<i16> = 0..=13;

/// The version in which the gateway itself asks.
pub const OWN_VERSION: i16 = 10;
/// Kafka's `AclOperation.WRITE`.
const WRITE: u32 = 4;

/// A request about one topic and what the asking principal may do with it; creates nothing. A whole
/// frame, in version [`OWN_VERSION`].
#[must_use]
pub fn request(correlation_id: i32, client_id: &str, topic: &str) -> Vec<u8> {
    own_request(
        ApiKey::METADATA,
        OWN_VERSION,
        correlation_id,
        client_id,
        |at| {
            at.length(1);
            at.uuid(&Uuid::default());
            at.string(topic);
            at.no_tags();
            at.i8(0); // topics are not created
            at.i8(0); // operations on the cluster
            at.i8(1); // operations on the topic
            at.no_tags();
        },
    )
}

/// Gives each topic of an answer, a frame without its length; nothing of one that is malformed.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn read<'a>(
    frame: &'a [u8],
    version: i16,
    mut each: impl FnMut(MetadataTopic<'a>),
) -> Result<(), WireError> {
    walk(frame, version)?.each_topic(&mut each)
}

/// An answer that was read to its end once.
struct Parts<'a> {
    version: i16,
    /// At the array of brokers.
    brokers: Reader<'a>,
    /// At the first topic.
    topics: Reader<'a>,
    /// How many there are.
    count: usize,
}

impl<'a> Parts<'a> {
    fn each_topic(&self, each: &mut impl FnMut(MetadataTopic<'a>)) -> Result<(), WireError> {
        let mut at = self.topics;
        for _ in 0..self.count {
            each(topic(&mut at, self.version)?);
        }
        Ok(())
    }
}

/// Passes over a whole answer.
fn walk(frame: &[u8], version: i16) -> Result<Parts<'_>, WireError> {
    let mut at = response(frame, ApiKey::METADATA, version, &VERSIONS)?;
    if version >= 3 {
        at.i32()?; // throttle time
    }
    let brokers = at;
    endpoints::skip(&mut at, |at| broker_rest(at, version))?;
    if version >= 2 {
        at.nullable_string()?; // cluster id
    }
    if version >= 1 {
        at.i32()?; // controller
    }
    // Error, empty name, empty array.
    let count = at.array(4)?;
    let topics = at;
    for _ in 0..count {
        topic(&mut at, version)?;
    }
    if (8..=10).contains(&version) {
        at.i32()?; // authorized operations on the cluster
    }
    if version >= 13 {
        at.i16()?; // error
    }
    at.skip_tagged()?;
    Ok(Parts {
        version,
        brokers,
        topics,
        count,
    })
}

/// A topic of a Metadata answer.
#[derive(Clone, Copy, Debug)]
pub struct MetadataTopic<'a> {
    /// 0, or why there is nothing about it.
    pub error_code: i16,
    /// Name. `None`: asked for by an id that the broker doesn't know (v12+).
    pub name: Option<&'a str>,
    /// Id. `None` below v10, or where the broker gave none.
    pub id: Option<Uuid>,
    /// Whether it is one of Kafka's own (v1+).
    pub internal: bool,
    /// How many partitions are told.
    pub partitions: usize,
    /// What the asking principal may do with it (v8+): bit n stands for Kafka's `AclOperation` n.
    /// `None` where that was not asked for.
    authorized: Option<i32>,
    first: Reader<'a>,
    version: i16,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLeader {
    /// 0, or why it can't be used.
    pub error_code: i16,
    /// Partition.
    pub partition: i32,
    /// Node id of the leader; −1: none.
    pub leader: i32,
}

impl MetadataTopic<'_> {
    /// Whether the asking principal may write to it; `None` where that was not asked for.
    #[must_use]
    pub fn may_write(&self) -> Option<bool> {
        self.authorized
            .map(|operations| operations & (1 << WRITE) != 0)
    }

    /// Its partitions' leaders.
    pub fn leaders(&self) -> impl Iterator<Item = PartitionLeader> {
        let (mut at, version) = (self.first, self.version);
        // Read once before.
        (0..self.partitions).map_while(move |_| partition(&mut at, version).ok())
    }
}

fn partition(at: &mut Reader<'_>, version: i16) -> Result<PartitionLeader, WireError> {
    let leader = PartitionLeader {
        error_code: at.i16()?,
        partition: at.i32()?,
        leader: at.i32()?,
    };
    if version >= 7 {
        at.i32()?; // leader epoch
    }
    skip_fixed(at, 4)?; // replicas
    skip_fixed(at, 4)?; // in sync
    if version >= 5 {
        skip_fixed(at, 4)?; // offline
    }
    at.skip_tagged()?;
    Ok(leader)
}

fn topic<'a>(at: &mut Reader<'a>, version: i16) -> Result<MetadataTopic<'a>, WireError> {
    let error_code = at.i16()?;
    let name = if version >= 12 {
        at.nullable_string()?
    } else {
        Some(at.string()?)
    };
    let id = if version >= 10 {
        Some(at.uuid()?).filter(|id| *id != Uuid::default())
    } else {
        None
    };
    let internal = version >= 1 && at.bool()?;
    // Error, number, leader and two arrays.
    let partitions = at.array(12)?;
    let first = *at;
    for _ in 0..partitions {
        partition(at, version)?;
    }
    let authorized = if version >= 8 {
        Some(at.i32()?).filter(|operations| *operations != i32::MIN)
    } else {
        None
    };
    at.skip_tagged()?;
    Ok(MetadataTopic {
        error_code,
        name,
        id,
        internal,
        partitions,
        authorized,
        first,
        version,
    })
}

fn broker_rest(at: &mut Reader<'_>, version: i16) -> Result<(), WireError> {
    if version >= 1 {
        at.nullable_string()?; // rack
    }
    at.skip_tagged()
}

/// Rewrites an answer: each broker's host and port become what `endpoint` gives for its node id,
/// host and port; a broker for which it gives `None` is left out. Each topic goes to `learn`. All
/// else stays byte for byte, and nothing is called for a message that is malformed.
///
/// `frame` is without its length, the result has it.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn rewrite(
    frame: &[u8],
    version: i16,
    endpoint: impl FnMut(i32, &str, i32) -> Option<(String, i32)>,
    mut learn: impl FnMut(MetadataTopic<'_>),
) -> Result<Vec<u8>, WireError> {
    let mut parts = walk(frame, version)?;
    parts.each_topic(&mut learn)?;
    let mut splice = Splice::new(frame);
    endpoints::rewrite(
        &mut splice,
        &mut parts.brokers,
        |at| broker_rest(at, version),
        endpoint,
    )?;
    splice.finish()
}
