//! Confluent's wire format, version 0: a zero byte, the schema id as a big-endian i32, the datum.

use meshwork_model::name::SchemaId;

/// Bytes before the datum.
pub const FRAME_BYTES: usize = 5;

/// Bytes that are not a framed datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// Fewer than five bytes.
    #[error(
        "{0} bytes are too few for a framed datum, which starts with a zero byte and a schema id"
    )]
    TooShort(usize),
    /// The first byte is not zero.
    #[error("first byte is {0:#04x}, not the zero byte of Confluent's framing")]
    Magic(u8),
    /// The id is not within 1 to 2^31 − 1.
    #[error("schema id {0} of the framing is not within 1 to 2147483647")]
    Id(i64),
}

/// The frame of `id`, to be followed by the datum.
#[must_use]
pub fn frame(id: SchemaId) -> [u8; FRAME_BYTES] {
    let [a, b, c, d] = id.get().to_be_bytes();
    [0, a, b, c, d]
}

/// Splits framed bytes into schema id and datum.
///
/// # Errors
/// Bytes that have no such frame ([`FramingError`]).
pub fn unframe(bytes: &[u8]) -> Result<(SchemaId, &[u8]), FramingError> {
    let Some(([magic, id @ ..], datum)) = bytes.split_first_chunk::<FRAME_BYTES>() else {
        return Err(match bytes.first() {
            Some(&magic) if magic != 0 => FramingError::Magic(magic),
            _ => FramingError::TooShort(bytes.len()),
        });
    };
    if *magic != 0 {
        return Err(FramingError::Magic(*magic));
    }
    let id = i64::from(i32::from_be_bytes(*id));
    let id = SchemaId::new(id).map_err(|_| FramingError::Id(id))?;
    Ok((id, datum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_unframes() {
        let id = SchemaId::new(0x0102_0304).unwrap();
        let mut bytes = frame(id).to_vec();
        assert_eq!(bytes, [0, 1, 2, 3, 4]);
        assert_eq!(unframe(&bytes), Ok((id, &[][..])));
        bytes.push(9);
        assert_eq!(unframe(&bytes), Ok((id, &[9][..])));
    }

    #[test]
    fn says_what_is_wrong_with_other_bytes() {
        for (bytes, error) in [
            (&[][..], FramingError::TooShort(0)),
            (&[0, 0, 0, 1], FramingError::TooShort(4)),
            (b"{", FramingError::Magic(b'{')),
            (&[1, 0, 0, 0, 1, 0], FramingError::Magic(1)),
            (&[0, 0, 0, 0, 0], FramingError::Id(0)),
            (&[0, 0xff, 0xff, 0xff, 0xff], FramingError::Id(-1)),
        ] {
            assert_eq!(unframe(bytes), Err(error), "{bytes:?}");
        }
    }
}
