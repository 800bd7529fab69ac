//! FindCoordinator answers: coordinators get the gateway's addresses.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::endpoints::Address;
use super::reader::{Reader, WireError};
use super::splice::Splice;
use super::walk::response;
use super::writer::Writer;

/// Known versions.
pub const VERSIONS: RangeInclusive<i16> = 0..=6;

/// What a client tries again on.
const COORDINATOR_NOT_AVAILABLE: i16 = 15;

/// Rewrites an answer: a coordinator's host and port become what `endpoint` gives for its node id,
/// host and port. Where it gives `None` the answer for that coordinator becomes
/// COORDINATOR_NOT_AVAILABLE, on which clients ask again: unlike a broker of Metadata, it can't be
/// left out. What has an error or no node (id −1) stays, as all else does, byte for byte.
///
/// `frame` is without its length, the result has it.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn rewrite(
    frame: &[u8],
    version: i16,
    mut endpoint: impl FnMut(i32, &str, i32) -> Option<(String, i32)>,
) -> Result<Vec<u8>, WireError> {
    // Walked once before anything is asked of `endpoint`, which may bind a port.
    walk(frame, version, |_, _| ())?;
    let mut splice = Splice::new(frame);
    walk(frame, version, |address, error_code| {
        if address.node == -1 || error_code.value != 0 {
            return;
        }
        match endpoint(address.node, address.host, address.port) {
            Some((host, port)) => address.replace(&mut splice, &host, port),
            // Below v4 the error stands in front of the address, from v4 on behind it.
            None if version < 4 => {
                error_code.replace(&mut splice);
                nobody(&mut splice, &address);
            }
            None => {
                nobody(&mut splice, &address);
                error_code.replace(&mut splice);
            }
        }
    })?;
    splice.finish()
}

fn nobody(splice: &mut Splice<'_>, address: &Address<'_>) {
    splice.replace(address.node_bytes(), |out| Writer::new(out, false).i32(-1));
    address.replace(splice, "", -1);
}

/// An error code and where it stands.
struct ErrorAt {
    value: i16,
    at: usize,
}

impl ErrorAt {
    fn read(at: &mut Reader<'_>) -> Result<Self, WireError> {
        let position = at.position();
        Ok(Self {
            value: at.i16()?,
            at: position,
        })
    }

    fn replace(&self, splice: &mut Splice<'_>) {
        splice.replace(self.at..self.at + 2, |out| {
            Writer::new(out, false).i16(COORDINATOR_NOT_AVAILABLE);
        });
    }
}

fn walk<'a>(
    frame: &'a [u8],
    version: i16,
    mut coordinator: impl FnMut(Address<'a>, ErrorAt),
) -> Result<(), WireError> {
    let mut at = response(frame, ApiKey::FIND_COORDINATOR, version, &VERSIONS)?;
    if version >= 1 {
        at.i32()?; // throttle time
    }
    if version < 4 {
        let error_code = ErrorAt::read(&mut at)?;
        if version >= 1 {
            at.nullable_string()?; // message
        }
        let address = Address::read(&mut at)?;
        at.skip_tagged()?;
        coordinator(address, error_code);
        return Ok(());
    }
    // Two empty strings and a null one, node, port, error, no tags.
    for _ in 0..at.array(14)? {
        at.string()?; // key
        let address = Address::read(&mut at)?;
        let error_code = ErrorAt::read(&mut at)?;
        at.nullable_string()?; // message
        at.skip_tagged()?;
        coordinator(address, error_code);
    }
    at.skip_tagged()
}
