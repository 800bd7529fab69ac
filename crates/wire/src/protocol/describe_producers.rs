//! DescribeProducers (key 61, KIP-664): what a partition's leader knows of its idempotent producers.
//! The gateway asks before it refuses a batch, to tell a repeat from a new one.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::own_request::own_request;
use super::reader::{Reader, WireError};
use super::walk::response;

/// Known versions.
pub const VERSIONS: RangeInclusive<i16> = 0..=0;
/// The version asked with.
const VERSION: i16 = 0;

/// A producer that the leader has state of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// Sequence of the last record appended; −1: none since it began or since a transaction ended.
    pub last_sequence: i32,
}

/// A partition of an answer.
#[derive(Clone, Copy, Debug)]
pub struct PartitionProducers<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// 0, or why there is nothing.
    pub error_code: i16,
    count: usize,
    first: Reader<'a>,
}

impl PartitionProducers<'_> {
    /// The producers.
    pub fn producers(&self) -> impl Iterator<Item = ActiveProducer> {
        let mut at = self.first;
        // Read once before.
        (0..self.count).map_while(move |_| producer(&mut at).ok())
    }
}

/// A request about one partition: a whole frame.
#[must_use]
pub fn request(correlation_id: i32, client_id: &str, topic: &str, partition: i32) -> Vec<u8> {
    let api = ApiKey::DESCRIBE_PRODUCERS;
    own_request(api, VERSION, correlation_id, client_id, |at| {
        at.length(1);
        at.string(topic);
        at.length(1);
        at.i32(partition);
        at.no_tags();
        at.no_tags();
    })
}

/// Gives each partition of an answer, a frame without its length; nothing of one that is malformed.
///
/// # Errors
/// Cut or malformed.
pub fn read<'a>(
    frame: &'a [u8],
    mut each: impl FnMut(PartitionProducers<'a>),
) -> Result<(), WireError> {
    walk(frame, |_| ())?;
    walk(frame, &mut each)
}

fn walk<'a>(
    frame: &'a [u8],
    mut each: impl FnMut(PartitionProducers<'a>),
) -> Result<(), WireError> {
    let mut at = response(frame, ApiKey::DESCRIBE_PRODUCERS, VERSION, &VERSIONS)?;
    at.i32()?; // throttle time
    for _ in 0..at.array(3)? {
        let topic = at.string()?;
        // Number, error, message, list, tags.
        for _ in 0..at.array(9)? {
            let partition = at.i32()?;
            let error_code = at.i16()?;
            at.nullable_string()?;
            let count = at.array(33)?;
            let first = at;
            for _ in 0..count {
                producer(&mut at)?;
            }
            at.skip_tagged()?;
            each(PartitionProducers {
                topic,
                partition,
                error_code,
                count,
                first,
            });
        }
        at.skip_tagged()?;
    }
    at.skip_tagged()
}

fn producer(at: &mut Reader<'_>) -> Result<ActiveProducer, WireError> {
    let producer = ActiveProducer {
        producer_id: at.i64()?,
        producer_epoch: at.i32()?,
        last_sequence: at.i32()?,
    };
    at.i64()?; // last timestamp
    at.i32()?; // coordinator epoch
    at.i64()?; // where its open transaction begins
    at.skip_tagged()?;
    Ok(producer)
}
