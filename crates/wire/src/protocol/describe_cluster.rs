//! DescribeCluster (KIP-700): brokers get the gateway's addresses. What is asked about controllers
//! (KIP-919) has no place here: their addresses are none that the gateway stands in for.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::endpoints;
use super::reader::{Reader, WireError};
use super::splice::Splice;
use super::walk::response;

/// Known versions.
pub const VERSIONS: RangeInclusive<i16> = 0..=2;

/// The endpoint type of brokers; controllers have 2.
const BROKERS: i8 = 1;

/// Why an answer can't be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeClusterError {
    /// Malformed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It tells the addresses of something that is no broker.
    #[error("answer has endpoints of type {0}, only brokers (1) are known here")]
    EndpointType(i8),
}

fn broker_rest(at: &mut Reader<'_>, version: i16) -> Result<(), WireError> {
    at.nullable_string()?; // rack
    if version >= 2 {
        at.bool()?; // fenced
    }
    at.skip_tagged()
}

/// Rewrites an answer as [`metadata::rewrite`](super::metadata::rewrite) does. `endpoint` is not
/// called for a message that is malformed.
///
/// `frame` is without its length, the result has it.
///
/// # Errors
/// Cut, malformed, of an unknown version, or about something else than brokers.
pub fn rewrite(
    frame: &[u8],
    version: i16,
    endpoint: impl FnMut(i32, &str, i32) -> Option<(String, i32)>,
) -> Result<Vec<u8>, DescribeClusterError> {
    let mut at = response(frame, ApiKey::DESCRIBE_CLUSTER, version, &VERSIONS)?;
    at.i32()?; // throttle time
    at.i16()?; // error
    at.nullable_string()?; // message
    if version >= 1 {
        let endpoint_type = at.i8()?;
        if endpoint_type != BROKERS {
            return Err(DescribeClusterError::EndpointType(endpoint_type));
        }
    }
    at.string()?; // cluster id
    at.i32()?; // controller
    let mut brokers = at;
    endpoints::skip(&mut at, |at| broker_rest(at, version))?;
    at.i32()?; // authorized operations
    at.skip_tagged()?;

    let mut splice = Splice::new(frame);
    endpoints::rewrite(
        &mut splice,
        &mut brokers,
        |at| broker_rest(at, version),
        endpoint,
    )?;
    Ok(splice.finish()?)
}
