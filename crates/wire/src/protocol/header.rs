//! Frames and headers: the length before each message, and what stands in front of its body.

use super::api::ApiKey;
use super::reader::{Reader, WireError};

/// Bytes of a frame's length.
pub const LENGTH_BYTES: usize = 4;
/// Bytes of the fixed part of a request's header: key, version, correlation id.
const FIXED_BYTES: usize = 8;

/// A frame's length, which counts what follows it.
///
/// # Errors
/// One below `least`, or above `limit`: the broker closes the connection on it.
pub fn frame_length(
    prefix: [u8; LENGTH_BYTES],
    least: usize,
    limit: usize,
) -> Result<usize, FrameError> {
    let stated = i32::from_be_bytes(prefix);
    match usize::try_from(stated) {
        Ok(bytes) if bytes > limit => Err(FrameError::TooLarge { bytes, limit }),
        Ok(bytes) if bytes >= least => Ok(bytes),
        _ => Err(FrameError::Length(stated)),
    }
}

/// Least bytes of a request's frame: the fixed header.
pub const REQUEST_LEAST: usize = FIXED_BYTES;
/// Least bytes of a response's frame: the correlation id.
pub const RESPONSE_LEAST: usize = 4;

/// The four bytes in front of a frame of so many bytes.
///
/// # Errors
/// [`WireError::TooLarge`].
pub(super) fn length_prefix(bytes: usize) -> Result<[u8; LENGTH_BYTES], WireError> {
    i32::try_from(bytes)
        .map(i32::to_be_bytes)
        .map_err(|_| WireError::TooLarge { bytes })
}

/// Puts the length of what follows into the four bytes that were kept free for it.
///
/// # Errors
/// [`WireError::TooLarge`].
pub(super) fn seal(mut frame: Vec<u8>) -> Result<Vec<u8>, WireError> {
    let length = length_prefix(frame.len().saturating_sub(LENGTH_BYTES))?;
    if let Some(prefix) = frame.first_chunk_mut() {
        *prefix = length;
    }
    Ok(frame)
}

/// Why a frame can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length that no frame has.
    #[error("frame length {0} is not possible")]
    Length(i32),
    /// Larger than allowed.
    #[error("frame of {bytes} bytes is above the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// The part of a request's header that every version has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestStart {
    /// Which API.
    pub api: ApiKey,
    /// Which version of it.
    pub version: i16,
    /// Repeated in the response.
    pub correlation_id: i32,
}

impl RequestStart {
    /// From the first bytes of a frame, its length left out.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn read(frame: &[u8]) -> Result<Self, WireError> {
        let mut at = Reader::new(frame, 0, false);
        Ok(Self {
            api: ApiKey(at.i16()?),
            version: at.i16()?,
            correlation_id: at.i32()?,
        })
    }

    /// A reader of strings and arrays in this version's encoding, from byte `at` on.
    #[must_use]
    pub const fn reader(self, frame: &[u8], at: usize) -> Reader<'_> {
        Reader::new(frame, at, self.api.is_flexible(self.version))
    }
}

/// A request's header (version 1, or 2 where the API's version is flexible).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Key, version, correlation id.
    pub start: RequestStart,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
    /// Where the body begins, from the start of the frame.
    pub body: usize,
}

impl<'a> RequestHeader<'a> {
    /// From a frame, its length left out. Only for APIs that [`ApiKey::ALL`] has: of others the
    /// header's version is not known.
    ///
    /// # Errors
    /// Cut or malformed.
    pub fn read(frame: &'a [u8]) -> Result<Self, WireError> {
        let start = RequestStart::read(frame)?;
        // The client's name has a two-byte length in flexible versions too.
        let mut at = Reader::new(frame, FIXED_BYTES, false);
        let client_id = at.nullable_string()?;
        let mut tags = start.reader(frame, at.position());
        tags.skip_tagged()?;
        Ok(Self {
            start,
            client_id,
            body: tags.position(),
        })
    }

    /// A reader of the body.
    #[must_use]
    pub const fn body(&self, frame: &'a [u8]) -> Reader<'a> {
        self.start.reader(frame, self.body)
    }
}

/// A reader of a response's body, behind its header.
///
/// # Errors
/// Cut or malformed.
pub fn response_body(frame: &[u8], api: ApiKey, version: i16) -> Result<Reader<'_>, WireError> {
    let mut at = Reader::new(frame, RESPONSE_LEAST, api.response_has_tags(version));
    at.skip_tagged()?;
    Ok(Reader::new(frame, at.position(), api.is_flexible(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_limits() {
        assert_eq!(frame_length([0, 0, 1, 0], REQUEST_LEAST, 256), Ok(256));
        assert_eq!(
            frame_length([0, 0, 1, 1], REQUEST_LEAST, 256),
            Err(FrameError::TooLarge {
                bytes: 257,
                limit: 256
            })
        );
        for bad in [[0xff, 0xff, 0xff, 0xff], [0, 0, 0, 7], [0x80, 0, 0, 0]] {
            assert!(matches!(
                frame_length(bad, REQUEST_LEAST, 256),
                Err(FrameError::Length(_))
            ));
        }
    }

    #[test]
    fn a_header_of_each_kind() {
        // Metadata 8, not flexible.
        let old = [0, 3, 0, 8, 0, 0, 0, 7, 0, 1, b'c', 9];
        let header = RequestHeader::read(&old).unwrap();
        assert_eq!(
            (header.start.correlation_id, header.client_id, header.body),
            (7, Some("c"), 11)
        );
        // Metadata 9, flexible, no client id, one tagged field.
        let new = [0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 1, 5, 2, 0, 0, 9];
        let header = RequestHeader::read(&new).unwrap();
        assert_eq!((header.client_id, header.body), (None, 15));
        assert!(RequestHeader::read(&new[..12]).is_err());
    }
}
