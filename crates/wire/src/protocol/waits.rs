//! How long an answer may take by the request's own words, and how long a client should hold back by
//! the answer's.

use super::api::ApiKey;
use super::header::{RequestHeader, response_body};
use super::produce;
use super::reader::{Reader, WireError};
use super::walk::{Strings, skip_fixed};

/// How many milliseconds the broker may take before it answers, as the request itself says; one below
/// 0 is 0. `None`: the request says nothing, or can't be read so far. SyncGroup says nothing either,
/// and may take as long as the JoinGroup before it.
///
/// What is in front of the field is walked over, what is behind it is not looked at.
#[must_use]
pub fn max_wait_ms(header: &RequestHeader<'_>, frame: &[u8]) -> Option<i32> {
    let mut at = header.body(frame);
    let wait = wait(&mut at, header.start.api, header.start.version);
    wait.ok().flatten().map(|ms| ms.max(0))
}

fn wait(at: &mut Reader<'_>, api: ApiKey, version: i16) -> Result<Option<i32>, WireError> {
    match api {
        ApiKey::PRODUCE => {
            at.nullable_string()?; // transactional id
            at.i16()?; // acks
        }
        ApiKey::FETCH => {
            if version <= 14 {
                at.i32()?; // replica
            }
        }
        // Of brokers' remote storage.
        ApiKey::LIST_OFFSETS if version >= 10 => {
            at.i32()?; // replica
            at.i8()?; // isolation level
            // Number, leader epoch, timestamp.
            topics(at, |at| at.take(16).map(drop))?;
        }
        ApiKey::JOIN_GROUP => {
            at.string()?; // group
            if version >= 1 {
                at.i32()?; // session timeout
            }
        }
        ApiKey::CREATE_TOPICS => {
            for _ in 0..at.array(9)? {
                create_topic(at)?;
            }
        }
        ApiKey::DELETE_TOPICS if version >= 6 => {
            // Null name, id.
            for _ in 0..at.array(17)? {
                at.nullable_string()?;
                at.uuid()?;
                at.skip_tagged()?;
            }
        }
        ApiKey::DELETE_TOPICS => {
            Strings::read(at)?;
        }
        // Number, offset.
        ApiKey::DELETE_RECORDS => topics(at, |at| at.take(12).map(drop))?,
        ApiKey::CREATE_PARTITIONS => {
            for _ in 0..at.array(6)? {
                at.string()?; // name
                at.i32()?; // partitions
                for _ in 0..at.array(1)? {
                    skip_fixed(at, 4)?; // brokers
                    at.skip_tagged()?;
                }
                at.skip_tagged()?;
            }
        }
        ApiKey::ELECT_LEADERS => {
            if version >= 1 {
                at.i8()?; // type
            }
            for _ in 0..at.array(2)? {
                at.string()?;
                skip_fixed(at, 4)?; // partitions
                at.skip_tagged()?;
            }
        }
        ApiKey::ALTER_PARTITION_REASSIGNMENTS
        | ApiKey::LIST_PARTITION_REASSIGNMENTS
        | ApiKey::UPDATE_FEATURES => {}
        _ => return Ok(None),
    }
    at.i32().map(Some)
}

fn topics(
    at: &mut Reader<'_>,
    partition: impl Fn(&mut Reader<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    for _ in 0..at.array(2)? {
        at.string()?; // name
        for _ in 0..at.array(12)? {
            partition(at)?;
            at.skip_tagged()?;
        }
        at.skip_tagged()?;
    }
    Ok(())
}

fn create_topic(at: &mut Reader<'_>) -> Result<(), WireError> {
    at.string()?; // name
    at.i32()?; // partitions
    at.i16()?; // replication factor
    for _ in 0..at.array(5)? {
        at.i32()?; // partition
        skip_fixed(at, 4)?; // brokers
        at.skip_tagged()?;
    }
    for _ in 0..at.array(2)? {
        at.string()?; // a setting
        at.nullable_string()?;
        at.skip_tagged()?;
    }
    at.skip_tagged()
}

/// How many milliseconds the client should hold back (KIP-219), as an answer says; one below 0 is 0.
/// 0 too where the API's answer has no such field, or can't be read so far. `frame` is without its
/// length.
///
/// In most answers it is the first field, so that the first bytes of a frame are enough. As in the
/// message definitions of Kafka 4.2.2 (`*Response.json`).
#[must_use]
pub fn throttle_ms(api: ApiKey, version: i16, frame: &[u8]) -> i32 {
    throttle(api, version, frame).map_or(0, |ms| ms.max(0))
}

fn throttle(api: ApiKey, version: i16, frame: &[u8]) -> Result<i32, WireError> {
    // From which version on it is the first field.
    let first = match api {
        ApiKey::PRODUCE => return produce::throttle_ms(frame, version),
        ApiKey::API_VERSIONS => return super::api_versions::throttle_ms(frame, version),
        ApiKey::CREATE_DELEGATION_TOKEN
        | ApiKey::RENEW_DELEGATION_TOKEN
        | ApiKey::EXPIRE_DELEGATION_TOKEN
        | ApiKey::DESCRIBE_DELEGATION_TOKEN
        | ApiKey::OFFSET_DELETE => return behind(api, version, frame),

        ApiKey::SASL_HANDSHAKE
        | ApiKey::SASL_AUTHENTICATE
        | ApiKey::WRITE_TXN_MARKERS
        | ApiKey::VOTE
        | ApiKey::BEGIN_QUORUM_EPOCH
        | ApiKey::END_QUORUM_EPOCH
        | ApiKey::DESCRIBE_QUORUM
        | ApiKey::ENVELOPE
        | ApiKey::INITIALIZE_SHARE_GROUP_STATE
        | ApiKey::READ_SHARE_GROUP_STATE
        | ApiKey::WRITE_SHARE_GROUP_STATE
        | ApiKey::DELETE_SHARE_GROUP_STATE
        | ApiKey::READ_SHARE_GROUP_STATE_SUMMARY => return Ok(0),

        ApiKey::METADATA | ApiKey::OFFSET_COMMIT | ApiKey::OFFSET_FETCH => 3,
        ApiKey::LIST_OFFSETS
        | ApiKey::JOIN_GROUP
        | ApiKey::CREATE_TOPICS
        | ApiKey::OFFSET_FOR_LEADER_EPOCH => 2,
        ApiKey::FETCH
        | ApiKey::FIND_COORDINATOR
        | ApiKey::HEARTBEAT
        | ApiKey::LEAVE_GROUP
        | ApiKey::SYNC_GROUP
        | ApiKey::DESCRIBE_GROUPS
        | ApiKey::LIST_GROUPS
        | ApiKey::DELETE_TOPICS => 1,
        api if !api.is_known() => return Ok(0),
        _ => 0,
    };
    if version < first {
        return Ok(0);
    }
    response_body(frame, api, version)?.i32()
}

/// Answers that have it behind other fields.
fn behind(api: ApiKey, version: i16, frame: &[u8]) -> Result<i32, WireError> {
    let mut at = response_body(frame, api, version)?;
    at.i16()?; // error
    match api {
        ApiKey::CREATE_DELEGATION_TOKEN => token(&mut at, version)?,
        ApiKey::DESCRIBE_DELEGATION_TOKEN => {
            // Two names, three times, id, secret, renewers.
            for _ in 0..at.array(29)? {
                token(&mut at, version)?;
                for _ in 0..at.array(2)? {
                    at.string()?; // type and name of a renewer
                    at.string()?;
                    at.skip_tagged()?;
                }
                at.skip_tagged()?;
            }
        }
        ApiKey::OFFSET_DELETE => {}
        // Renewed, expired: until when it holds.
        _ => {
            at.i64()?;
        }
    }
    at.i32()
}

/// Passes over a delegation token.
fn token(at: &mut Reader<'_>, version: i16) -> Result<(), WireError> {
    let names = if version >= 3 { 4 } else { 2 };
    for _ in 0..names {
        at.string()?; // type and name of the owner, and of who asked for it
    }
    at.take(24)?; // when it was made, ends, and ends for good
    at.string()?; // id
    at.bytes()?; // secret
    Ok(())
}
