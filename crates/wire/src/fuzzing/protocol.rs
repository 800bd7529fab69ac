//! Any bytes as a message that the gateway reads or rewrites.

use crate::protocol::fetch::{FetchAnswerStart, FetchRequest, answer_partitions};
use crate::protocol::groups::{JoinGroupRequest, Subscription, SyncGroupRequest};
use crate::protocol::heartbeats::{ConsumerGroupHeartbeatRequest, StreamsGroupHeartbeatRequest};
use crate::protocol::offsets::{
    AddOffsetsToTxnRequest, CommitAnswer, OffsetCommitRequest, TxnOffsetCommitRequest,
    add_offsets_error,
};
use crate::protocol::sasl::{AuthenticateAnswer, HandshakeAnswer};
use crate::protocol::transactions::{InitProducerIdAnswer, InitProducerIdRequest};
use crate::protocol::waits::{max_wait_ms, throttle_ms};
use crate::protocol::{
    ApiKey, LENGTH_BYTES, RequestHeader, WireError, Writer, api_versions, describe_cluster,
    describe_producers, find_coordinator, metadata, sasl, sasl_name,
};

/// An answer is its API's key and this.
const ANSWER: u8 = 0x80;
/// No API's: what a consumer subscribes to.
const SUBSCRIPTION: u8 = 0xfe;
/// No API's: the tokens in which SASL mechanisms name who logs in.
const TOKEN: u8 = 0xff;
/// Above all versions of all messages.
const VERSIONS: u8 = 20;

/// Reads `data` as a message. The first byte chooses which: an API's key for the body of a request,
/// 128 more for an answer with its header, 254 for a subscription, 255 for a SASL token; the second
/// its version.
///
/// # Panics
/// If a message that is rewritten without change is not the same bytes, or with change does not read
/// as changed; or if more is read than there could be.
pub fn protocol(data: &[u8]) {
    let [message, version, data @ ..] = data else {
        return;
    };
    let version = i16::from(version % VERSIONS);
    match *message {
        TOKEN => token(data),
        SUBSCRIPTION => {
            if let Ok(read) = Subscription::read(data) {
                fits(read.topics().count(), data);
            }
        }
        key if key >= ANSWER => answer(ApiKey(i16::from(key - ANSWER)), version, data),
        key => request(ApiKey(i16::from(key)), version, data),
    }
}

/// No element is smaller than a byte.
fn fits(count: usize, data: &[u8]) {
    assert!(count <= data.len(), "{count} elements of {}", data.len());
}

fn token(data: &[u8]) {
    if let Some(name) = sasl_name::plain(data) {
        assert!(!name.is_empty() && !name.contains('\0'), "{name:?}");
    }
    if let Some(first) = sasl_name::scram_client_first(data) {
        fits(first.name.len(), data);
    }
    if let Some(token) = sasl_name::oauth_bearer(data) {
        let payload = token.jwt_payload().unwrap_or_default();
        assert!(token.reveal().contains(payload), "a part of the token");
    }
    let _ = sasl_name::scram_is_final(data);
}

fn request(api: ApiKey, version: i16, body: &[u8]) {
    let mut frame = Vec::new();
    let mut out = Writer::new(&mut frame, false);
    out.i16(api.0);
    out.i16(version);
    out.i32(1);
    out.nullable_string(None);
    Writer::new(&mut frame, api.is_flexible(version)).no_tags();
    frame.extend_from_slice(body);
    let Ok(header) = RequestHeader::read(&frame) else {
        return;
    };
    assert!(max_wait_ms(&header, &frame).is_none_or(|ms| ms >= 0));
    let _ = read_request(&header, &frame);
}

fn read_request(header: &RequestHeader<'_>, frame: &[u8]) -> Result<(), WireError> {
    match header.start.api {
        ApiKey::FETCH => {
            let read = FetchRequest::read(header, frame)?;
            fits(read.partitions().count() + read.forgotten().count(), frame);
        }
        ApiKey::OFFSET_COMMIT => {
            let read = OffsetCommitRequest::read(header, frame)?;
            fits(read.offsets().count(), frame);
        }
        ApiKey::TXN_OFFSET_COMMIT => {
            let read = TxnOffsetCommitRequest::read(header, frame)?;
            fits(read.offsets().count(), frame);
        }
        ApiKey::JOIN_GROUP => {
            let read = JoinGroupRequest::read(header, frame)?;
            fits(read.protocols().count(), frame);
        }
        ApiKey::CONSUMER_GROUP_HEARTBEAT => {
            let read = ConsumerGroupHeartbeatRequest::read(header, frame)?;
            fits(read.topics().map_or(0, Iterator::count), frame);
        }
        ApiKey::STREAMS_GROUP_HEARTBEAT => {
            let read = StreamsGroupHeartbeatRequest::read(header, frame)?;
            let topics = read.source_topics().map_or(0, Iterator::count);
            let regexes = read.source_regexes().map_or(0, Iterator::count);
            fits(topics + regexes, frame);
        }
        ApiKey::SYNC_GROUP => SyncGroupRequest::read(header, frame).map(drop)?,
        ApiKey::ADD_OFFSETS_TO_TXN => AddOffsetsToTxnRequest::read(header, frame).map(drop)?,
        ApiKey::INIT_PRODUCER_ID => InitProducerIdRequest::read(header, frame).map(drop)?,
        ApiKey::SASL_HANDSHAKE => sasl::mechanism(header, frame).map(drop)?,
        ApiKey::SASL_AUTHENTICATE => sasl::auth_bytes(header, frame).map(drop)?,
        _ => {}
    }
    Ok(())
}

fn answer(api: ApiKey, version: i16, frame: &[u8]) {
    assert!(throttle_ms(api, version, frame) >= 0);
    match api {
        ApiKey::METADATA => topics(version, frame),
        ApiKey::FIND_COORDINATOR => rewrites(frame, |frame, to| {
            find_coordinator::rewrite(frame, version, |_, host, port| to.address(host, port)).ok()
        }),
        ApiKey::DESCRIBE_CLUSTER => rewrites(frame, |frame, to| {
            describe_cluster::rewrite(frame, version, |_, host, port| to.address(host, port)).ok()
        }),
        ApiKey::API_VERSIONS => versions(version, frame),
        ApiKey::SASL_HANDSHAKE => mechanisms(version, frame),
        ApiKey::SASL_AUTHENTICATE => {
            let _ = AuthenticateAnswer::read(frame, version);
        }
        ApiKey::INIT_PRODUCER_ID => {
            let _ = InitProducerIdAnswer::read(frame, version);
        }
        ApiKey::OFFSET_COMMIT | ApiKey::TXN_OFFSET_COMMIT => {
            if let Ok(read) = CommitAnswer::read(frame, api, version) {
                fits(read.partitions().count(), frame);
            }
        }
        ApiKey::ADD_OFFSETS_TO_TXN => {
            let _ = add_offsets_error(frame, version);
        }
        ApiKey::DESCRIBE_PRODUCERS => producers(frame),
        ApiKey::FETCH => {
            let start = FetchAnswerStart::read(frame, version);
            if let Ok(mut partitions) = answer_partitions(frame, version) {
                assert!(start.is_ok(), "partitions come behind the start");
                let records: usize = partitions
                    .by_ref()
                    .filter_map(|p| p.ok()?.records.map(<[u8]>::len))
                    .sum();
                assert!(records <= frame.len(), "records lie behind one another");
                assert!(partitions.next().is_none(), "nothing after the end");
            }
        }
        _ => {}
    }
}

/// What becomes of the addresses.
#[derive(Clone, Copy)]
enum To {
    Same,
    Gateway,
    /// Must be the gateway's already.
    Check,
    Nowhere,
}

impl To {
    fn address(self, host: &str, port: i32) -> Option<(String, i32)> {
        match self {
            Self::Same => Some((host.to_owned(), port)),
            Self::Gateway => Some(("gateway".to_owned(), 9192)),
            Self::Check => {
                assert_eq!((host, port), ("gateway", 9192));
                None
            }
            Self::Nowhere => None,
        }
    }
}

fn rewrites(frame: &[u8], rewrite: impl Fn(&[u8], To) -> Option<Vec<u8>>) {
    let Some(same) = rewrite(frame, To::Same) else {
        assert_eq!(rewrite(frame, To::Nowhere), None);
        return;
    };
    assert_eq!(body(&same), frame);
    let gateway = rewrite(frame, To::Gateway).unwrap_or_default();
    let none = rewrite(body(&gateway), To::Check);
    // Once nobody is there, nobody can be taken away.
    let none = none.unwrap_or_default();
    assert_eq!(rewrite(body(&none), To::Nowhere), Some(none));
}

/// A frame without its length, which is right.
fn body(frame: &[u8]) -> &[u8] {
    let (length, body) = frame.split_at_checked(LENGTH_BYTES).unwrap_or_default();
    let stated = length.try_into().map_or(-1, i32::from_be_bytes);
    assert_eq!(usize::try_from(stated), Ok(body.len()));
    body
}

fn topics(version: i16, frame: &[u8]) {
    let mut read = Vec::new();
    let whole = metadata::read(frame, version, |topic| {
        assert_eq!(topic.leaders().count(), topic.partitions);
        read.push((topic.name, topic.id));
    });
    assert!(whole.is_ok() || read.is_empty(), "nothing of a bad answer");
    let mut learnt = Vec::new();
    let learn = |topic: metadata::MetadataTopic<'_>| {
        learnt.push((topic.name.map(str::to_owned), topic.id));
    };
    let same = |_, host: &str, port| To::Same.address(host, port);
    let rewritten = metadata::rewrite(frame, version, same, learn);
    assert_eq!(rewritten.is_ok(), whole.is_ok());
    let learnt = learnt.iter().map(|(name, id)| (name.as_deref(), *id));
    assert!(learnt.eq(read), "read and rewritten alike");
    rewrites(frame, |frame, to| {
        let endpoint = |_, host: &str, port| to.address(host, port);
        metadata::rewrite(frame, version, endpoint, |_| ()).ok()
    });
}

fn producers(frame: &[u8]) {
    let (mut partitions, mut active) = (0, 0);
    let whole = describe_producers::read(frame, |partition| {
        partitions += 1;
        active += partition.producers().count();
    });
    fits(partitions + active, frame);
    assert!(whole.is_ok() || partitions == 0, "nothing of a bad answer");
}

fn versions(version: i16, frame: &[u8]) {
    let mut count = 0;
    let error = api_versions::ranges(frame, version, |_, _, _| count += 1);
    fits(count, frame);
    let same = api_versions::rewrite(frame, version, |_, least, most| Some((least, most)));
    assert_eq!(same.is_ok(), error.is_ok());
    let Ok(same) = same else {
        return;
    };
    assert_eq!(body(&same), frame);
    // Every second one is kept, with other versions.
    let mut turn = 0;
    let half = api_versions::rewrite(frame, version, |_, _, _| {
        turn += 1;
        (turn % 2 == 0).then_some((1, 2))
    });
    let half = half.unwrap_or_default();
    let mut left = 0;
    let again = api_versions::ranges(body(&half), version, |_, least, most| {
        left += 1;
        assert_eq!((least, most), (1, 2));
    });
    assert_eq!((again, left), (error, count / 2));
}

fn mechanisms(version: i16, frame: &[u8]) {
    let read = HandshakeAnswer::read(frame, version);
    let same = sasl::rewrite_handshake(frame, version, |_| true);
    assert_eq!(same.is_ok(), read.is_ok());
    let (Ok(read), Ok(same)) = (read, same) else {
        return;
    };
    assert_eq!(body(&same), frame);
    let kept = |name: &str| name != "GSSAPI";
    let cut = sasl::rewrite_handshake(frame, version, kept).unwrap_or_default();
    let again = HandshakeAnswer::read(body(&cut), version);
    let alike = again.is_ok_and(|again| {
        again
            .mechanisms()
            .eq(read.mechanisms().filter(|name| kept(name)))
    });
    assert!(alike, "the others stay");
}
