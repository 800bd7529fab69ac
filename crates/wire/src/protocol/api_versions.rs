//! ApiVersions (KIP-511): which APIs and versions each side speaks. The gateway learns the broker's,
//! and shows clients only those that it understands itself.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::{LENGTH_BYTES, RESPONSE_LEAST, seal};
use super::reader::{Reader, WireError};
use super::splice::Splice;
use super::walk::known;
use super::writer::Writer;

/// Known versions.
pub const VERSIONS: RangeInclusive<i16> = 0..=4;

/// An answer that begins with it has a body of version 0, whatever was asked.
const UNSUPPORTED_VERSION: i16 = 35;

/// Bytes of an API's entry: key, least and greatest version.
const ENTRY_LEAST: usize = 6;

/// The body of an answer: its error and a reader behind it, in the encoding that it has.
fn body(frame: &[u8], version: i16) -> Result<(i16, i16, Reader<'_>), WireError> {
    known(ApiKey::API_VERSIONS, version, &VERSIONS)?;
    // Its header never has tags, and the error has two bytes in every version.
    let mut at = Reader::new(frame, RESPONSE_LEAST, false);
    let error_code = at.i16()?;
    let version = if error_code == UNSUPPORTED_VERSION {
        0
    } else {
        version
    };
    let flexible = ApiKey::API_VERSIONS.is_flexible(version);
    let at = Reader::new(frame, at.position(), flexible);
    Ok((error_code, version, at))
}

fn entry(at: &mut Reader<'_>) -> Result<(ApiKey, i16, i16), WireError> {
    let entry = (ApiKey(at.i16()?), at.i16()?, at.i16()?);
    at.skip_tagged()?;
    Ok(entry)
}

/// What follows the entries.
fn rest(at: &mut Reader<'_>, version: i16) -> Result<(), WireError> {
    if version >= 1 {
        at.i32()?; // throttle time
    }
    at.skip_tagged()
}

/// Gives the broker's ranges, key, least and greatest version, to `each`, and returns the answer's
/// error code, 0 for none. `version` is the one that was asked.
///
/// # Errors
/// Cut, malformed, or of an unknown version; `each` is not called then.
pub fn ranges(
    frame: &[u8],
    version: i16,
    mut each: impl FnMut(ApiKey, i16, i16),
) -> Result<i16, WireError> {
    let (error_code, version, mut at) = body(frame, version)?;
    let count = at.array(ENTRY_LEAST)?;
    let mut entries = at;
    for _ in 0..count {
        entry(&mut at)?;
    }
    rest(&mut at, version)?;
    for _ in 0..count {
        let (api, least, greatest) = entry(&mut entries)?;
        each(api, least, greatest);
    }
    Ok(error_code)
}

/// The throttle time in an answer, 0 for a body of version 0.
pub(super) fn throttle_ms(frame: &[u8], version: i16) -> Result<i32, WireError> {
    let (_, version, mut at) = body(frame, version)?;
    for _ in 0..at.array(ENTRY_LEAST)? {
        entry(&mut at)?;
    }
    if version >= 1 { at.i32() } else { Ok(0) }
}

/// Rewrites an answer: each API's least and greatest version become what `keep` gives for them, and
/// an API for which it gives `None` is left out. Features and all other tagged fields stay byte for
/// byte: without them clients would fall back to older transactions. `version` is the one that was
/// asked.
///
/// `frame` is without its length, the result has it.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn rewrite(
    frame: &[u8],
    version: i16,
    mut keep: impl FnMut(ApiKey, i16, i16) -> Option<(i16, i16)>,
) -> Result<Vec<u8>, WireError> {
    let (_, version, mut at) = body(frame, version)?;
    let mut splice = Splice::new(frame);
    splice.array(&mut at, ENTRY_LEAST, |splice, at| {
        let from = at.position();
        let (api, least, greatest) = entry(at)?;
        let Some((new_least, new_greatest)) = keep(api, least, greatest) else {
            return Ok(false);
        };
        splice.replace(from + 2..from + ENTRY_LEAST, |out| {
            let mut out = Writer::new(out, false);
            out.i16(new_least);
            out.i16(new_greatest);
        });
        Ok(true)
    })?;
    rest(&mut at, version)?;
    splice.finish()
}

/// The answer to an ApiVersions request above version 4: error 35 in a body of version 0, and what
/// versions of ApiVersions itself there are, so that the client can ask again. With its length.
#[must_use]
pub fn unsupported(correlation_id: i32) -> Vec<u8> {
    let mut frame = vec![0; LENGTH_BYTES];
    let mut out = Writer::new(&mut frame, false);
    out.i32(correlation_id);
    out.i16(UNSUPPORTED_VERSION);
    out.length(1);
    out.i16(ApiKey::API_VERSIONS.0);
    out.i16(*VERSIONS.start());
    out.i16(*VERSIONS.end());
    // Of a few bytes: its length is always one that can be said.
    seal(frame).unwrap_or_default()
}
