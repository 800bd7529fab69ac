//! Requests that the gateway itself sends to a broker.

use super::api::ApiKey;
use super::header::{LENGTH_BYTES, seal};
use super::writer::Writer;

/// A whole frame, its length in front: the header in the version's form, and the body that `body`
/// writes in the version's encoding. For small requests: one above 2 GiB, which can't be said, is empty.
#[must_use]
pub fn own_request(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: &str,
    body: impl FnOnce(&mut Writer<'_>),
) -> Vec<u8> {
    let mut frame = vec![0; LENGTH_BYTES];
    let flexible = api.is_flexible(version);
    let mut at = Writer::new(&mut frame, false);
    at.i16(api.0);
    at.i16(version);
    at.i32(correlation_id);
    // The name has a two-byte length in flexible versions too.
    at.string(client_id);
    let mut at = Writer::new(&mut frame, flexible);
    at.no_tags();
    body(&mut at);
    seal(frame).unwrap_or_default()
}
