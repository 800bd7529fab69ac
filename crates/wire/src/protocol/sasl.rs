//! SASL as Kafka carries it (KIP-43, KIP-152, KIP-368): the handshake that chooses a mechanism and the
//! exchange of tokens. Who logs in is read from the tokens by [`sasl_name`](super::sasl_name).

use std::fmt;
use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::RequestHeader;
use super::reader::WireError;
use super::splice::Splice;
use super::walk::{Strings, request, response};

/// Known versions of SaslHandshake. After v0 tokens follow as bare frames, without headers.
pub const HANDSHAKE_VERSIONS: RangeInclusive<i16> = 0..=1;
/// Known versions of SaslAuthenticate.
pub const AUTHENTICATE_VERSIONS: RangeInclusive<i16> = 0..=2;

/// A token of a SASL exchange: passwords, proofs, bearer tokens. Never shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(&'a [u8]);

impl<'a> Secret<'a> {
    /// Wraps bytes that came as a bare frame.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes. Not for logs.
    #[must_use]
    pub const fn reveal(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} secret bytes)", self.0.len())
    }
}

/// The mechanism that a SaslHandshake request asks for, such as `SCRAM-SHA-512`.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn mechanism<'a>(header: &RequestHeader<'_>, frame: &'a [u8]) -> Result<&'a str, WireError> {
    request(header, frame, ApiKey::SASL_HANDSHAKE, &HANDSHAKE_VERSIONS)?.string()
}

/// The answer to SaslHandshake.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeAnswer<'a> {
    /// 0, or UNSUPPORTED_SASL_MECHANISM (33).
    pub error_code: i16,
    mechanisms: Strings<'a>,
}

impl<'a> HandshakeAnswer<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(frame: &'a [u8], version: i16) -> Result<Self, WireError> {
        let mut at = response(frame, ApiKey::SASL_HANDSHAKE, version, &HANDSHAKE_VERSIONS)?;
        Ok(Self {
            error_code: at.i16()?,
            mechanisms: Strings::read(&mut at)?.unwrap_or(Strings::none()),
        })
    }

    /// What the broker has switched on.
    pub fn mechanisms(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.mechanisms
    }
}

/// Rewrites an answer to SaslHandshake: mechanisms for which `keep` is false are left out, such as
/// GSSAPI, whose tickets are for the broker's name and not the gateway's.
///
/// `frame` is without its length, the result has it.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn rewrite_handshake(
    frame: &[u8],
    version: i16,
    mut keep: impl FnMut(&str) -> bool,
) -> Result<Vec<u8>, WireError> {
    let mut at = response(frame, ApiKey::SASL_HANDSHAKE, version, &HANDSHAKE_VERSIONS)?;
    at.i16()?; // error
    let mut splice = Splice::new(frame);
    splice.array(&mut at, 1, |_, at| Ok(keep(at.string()?)))?;
    splice.finish()
}

/// The token of a SaslAuthenticate request.
///
/// # Errors
/// Cut, malformed, or of an unknown version.
pub fn auth_bytes<'a>(
    header: &RequestHeader<'_>,
    frame: &'a [u8],
) -> Result<Secret<'a>, WireError> {
    let mut at = request(
        header,
        frame,
        ApiKey::SASL_AUTHENTICATE,
        &AUTHENTICATE_VERSIONS,
    )?;
    let token = at.bytes()?;
    at.skip_tagged()?;
    Ok(Secret(token))
}

/// The answer to SaslAuthenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticateAnswer<'a> {
    /// 0, or SASL_AUTHENTICATION_FAILED (58) among others. With OAUTHBEARER a refused token has 0 at
    /// first, and the reason in `auth_bytes`.
    pub error_code: i16,
    /// What went wrong.
    pub error_message: Option<&'a str>,
    /// The server's token.
    pub auth_bytes: Secret<'a>,
}

impl<'a> AuthenticateAnswer<'a> {
    /// From a frame without its length.
    ///
    /// # Errors
    /// Cut, malformed, or of an unknown version.
    pub fn read(frame: &'a [u8], version: i16) -> Result<Self, WireError> {
        let mut at = response(
            frame,
            ApiKey::SASL_AUTHENTICATE,
            version,
            &AUTHENTICATE_VERSIONS,
        )?;
        let read = Self {
            error_code: at.i16()?,
            error_message: at.nullable_string()?,
            auth_bytes: Secret(at.bytes()?),
        };
        if version >= 1 {
            at.i64()?; // after how many milliseconds the client has to log in again (KIP-368)
        }
        at.skip_tagged()?;
        Ok(read)
    }
}
