//! Transactional producers: InitProducerId, from whose answer it is learnt which producer id belongs to
//! which transactional id.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::RequestHeader;
use super::reader::WireError;
use super::walk::{request, response};

/// Known versions of InitProducerId; brokers show v6 only with unstable versions switched on.
pub const INIT_VERSIONS: RangeInclusive<i16> = 0..=6;

/// A request for a producer id, or for the next epoch of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerIdRequest<'a> {
    /// `None`: idempotent without transactions.
    pub transactional_id: Option<&'a str>,
}

impl<'a> InitProducerIdRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = request(header, frame, ApiKey::INIT_PRODUCER_ID, &INIT_VERSIONS)?;
        let read = Self {
            transactional_id: at.nullable_string()?,
        };
        at.i32()?; // after how many milliseconds an open transaction is aborted
        if version >= 3 {
            at.i64()?; // producer id that it has already
            at.i16()?; // its epoch
        }
        if version >= 6 {
            at.bool()?; // two-phase commit
            at.bool()?; // keeps a prepared transaction
        }
        at.skip_tagged()?;
        Ok(read)
    }
}

/// The answer to InitProducerId.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerIdAnswer {
    /// 0, or why there is none.
    pub error_code: i16,
    /// Producer id; −1 on an error.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

impl InitProducerIdAnswer {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(frame: &[u8], version: i16) -> Result<Self, WireError> {
        let mut at = response(frame, ApiKey::INIT_PRODUCER_ID, version, &INIT_VERSIONS)?;
        at.i32()?; // throttle time
        let read = Self {
            error_code: at.i16()?,
            producer_id: at.i64()?,
            producer_epoch: at.i16()?,
        };
        if version >= 6 {
            at.i64()?; // producer id of the open transaction
            at.i16()?; // its epoch
        }
        at.skip_tagged()?;
        Ok(read)
    }
}
