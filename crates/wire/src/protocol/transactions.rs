//! Transactional producers: InitProducerId, from whose answer it is learnt which producer id belongs to
//! which transactional id, and EndTxn.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::RequestHeader;
use super::reader::WireError;
use super::walk::{request, response};

/// Known versions of InitProducerId; brokers show v6 only with unstable versions switched on.
pub const INIT_VERSIONS: RangeInclusive<i16> = 0..=6;
/// Known versions of EndTxn.
pub const END_VERSIONS: RangeInclusive<i16> = 0..=5;

/// A request for a producer id, or for the next epoch of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerIdRequest<'a> {
    /// `None`: idempotent without transactions.
    pub transactional_id: Option<&'a str>,
    /// After how many milliseconds the broker aborts a transaction that was left open.
    pub transaction_timeout_ms: i32,
    /// Id and epoch that the producer has already (v3+). `None`: it has none.
    pub producer: Option<(i64, i16)>,
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
            transaction_timeout_ms: at.i32()?,
            producer: if version >= 3 {
                Some((at.i64()?, at.i16()?)).filter(|(id, _)| *id != -1)
            } else {
                None
            },
        };
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

/// A request to end a transaction. To be passed on once and untouched: a repeated one can hit the next
/// transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnRequest<'a> {
    /// Transactional id.
    pub transactional_id: &'a str,
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Committed, or aborted.
    pub committed: bool,
}

impl<'a> EndTxnRequest<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<Self, WireError> {
        let mut at = request(header, frame, ApiKey::END_TXN, &END_VERSIONS)?;
        let read = Self {
            transactional_id: at.string()?,
            producer_id: at.i64()?,
            producer_epoch: at.i16()?,
            committed: at.bool()?,
        };
        at.skip_tagged()?;
        Ok(read)
    }
}
