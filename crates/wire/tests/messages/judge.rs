//! Frames by kafka-protocol, and what must hold for every reader.

use kafka_protocol::messages::{
    RequestHeader as TheirRequestHeader, ResponseHeader as TheirResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use meshwork_wire::protocol::{ApiKey, RequestHeader, Uuid};

pub(crate) const CORRELATION_ID: i32 = 0x0102_0304;

/// Gives a struct of kafka-protocol an unknown tagged field, which it writes where the version is
/// flexible, with a tag of two bytes.
macro_rules! tagged {
    ($message:expr) => {
        $message.with_unknown_tagged_field(300, b"not known".to_vec().into())
    };
}
pub(crate) use tagged;

pub(crate) fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// Topic id number `n`.
pub(crate) fn id(n: u8) -> Uuid {
    [n; 16]
}

/// A request with its header; without its length, as readers take it.
pub(crate) fn request<M: Encodable + HeaderVersion>(
    api: ApiKey,
    version: i16,
    message: &M,
) -> Vec<u8> {
    let mut frame = Vec::new();
    let header = TheirRequestHeader::default()
        .with_request_api_key(api.0)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(text("a client")));
    tagged!(header)
        .encode(&mut frame, M::header_version(version))
        .unwrap();
    message.encode(&mut frame, version).unwrap();
    frame
}

/// A response with its header, without its length.
pub(crate) fn response<M: Encodable + HeaderVersion>(version: i16, message: &M) -> Vec<u8> {
    let mut frame = Vec::new();
    let header = TheirResponseHeader::default().with_correlation_id(CORRELATION_ID);
    tagged!(header)
        .encode(&mut frame, M::header_version(version))
        .unwrap();
    message.encode(&mut frame, version).unwrap();
    frame
}

/// What a whole frame with its length holds, in kafka-protocol's words; its header is unchanged.
pub(crate) fn judged<M: Decodable + HeaderVersion>(version: i16, frame: &[u8]) -> M {
    let mut left = without_length(frame);
    let header_version = M::header_version(version);
    let header = TheirResponseHeader::decode(&mut left, header_version).unwrap();
    assert_eq!(header.correlation_id, CORRELATION_ID);
    assert_eq!(
        header.unknown_tagged_fields.len(),
        usize::from(header_version > 0)
    );
    let message = M::decode(&mut left, version).unwrap();
    assert!(left.is_empty(), "{} bytes too many", left.len());
    message
}

/// A message as it is after writing and reading: without what its version does not have.
pub(crate) fn reread<M: Encodable + Decodable>(version: i16, message: &M) -> M {
    let mut body = Vec::new();
    message.encode(&mut body, version).unwrap();
    M::decode(&mut &body[..], version).unwrap()
}

/// Checks a frame's length and takes it off.
pub(crate) fn without_length(frame: &[u8]) -> &[u8] {
    let (length, rest) = frame.split_at(4);
    assert_eq!(
        i32::from_be_bytes(length.try_into().unwrap()),
        i32::try_from(rest.len()).unwrap()
    );
    rest
}

/// The header of a request; it is not touched by cutting the frame behind it.
pub(crate) fn header(frame: &[u8]) -> RequestHeader<'_> {
    RequestHeader::read(frame).unwrap()
}

/// Every beginning of a message is an error, so the reader reads up to the last byte.
pub(crate) fn refuses_every_cut<'f, T, E>(
    frame: &'f [u8],
    mut read: impl FnMut(&'f [u8]) -> Result<T, E>,
) {
    assert!(read(frame).is_ok());
    for end in 0..frame.len() {
        assert!(read(&frame[..end]).is_err(), "cut at {end}");
    }
}

/// As [`refuses_every_cut`], for a reader of requests.
pub(crate) fn refuses_every_cut_request<'f, T, E>(
    frame: &'f [u8],
    mut read: impl FnMut(&RequestHeader<'f>, &'f [u8]) -> Result<T, E>,
) {
    let header = header(frame);
    assert!(read(&header, frame).is_ok());
    for end in 0..frame.len() {
        assert!(read(&header, &frame[..end]).is_err(), "cut at {end}");
    }
}

/// A byte changed anywhere gives an error or another message, never a panic. The reader is expected
/// to use what it has read.
pub(crate) fn survives_every_flip(frame: &[u8], mut read: impl FnMut(&[u8])) {
    let mut frame = frame.to_vec();
    for at in 0..frame.len() {
        for flip in [0x01, 0x80, 0xff, 0x7f] {
            frame[at] ^= flip;
            read(&frame);
            frame[at] ^= flip;
        }
    }
}
