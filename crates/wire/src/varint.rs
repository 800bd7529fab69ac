//! Zig-zag varints as in record batches (and Avro): seven bits a byte, least significant first.

/// Why bytes are no varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VarintError {
    /// The bytes end within it.
    #[error("bytes end within a varint")]
    Truncated,
    /// It does not fit: more than 5 bytes or 32 bits for an int, more than 10 or 64 for a long.
    #[error("varint is out of range")]
    Range,
}

/// Reads a 64-bit varint: the value and how many bytes it took.
///
/// # Errors
/// See [`VarintError`].
#[inline]
pub fn read_i64(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    match bytes {
        [a, ..] if *a < 0x80 => Ok((unzigzag(u64::from(*a)), 1)),
        [a, b, ..] if *b < 0x80 => Ok((unzigzag(u64::from(*a & 0x7f) | (u64::from(*b) << 7)), 2)),
        _ => read_long(bytes),
    }
}

fn read_long(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    let mut raw = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        if i == 9 && *byte > 1 {
            return Err(VarintError::Range);
        }
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            return Ok((unzigzag(raw), i + 1));
        }
    }
    Err(if bytes.len() < 10 {
        VarintError::Truncated
    } else {
        VarintError::Range
    })
}

/// Reads a 32-bit varint: the value and how many bytes it took.
///
/// # Errors
/// See [`VarintError`].
#[inline]
pub fn read_i32(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    let (value, used) = read_i64(bytes)?;
    if used > 5 {
        return Err(VarintError::Range);
    }
    i32::try_from(value)
        .map(|v| (v, used))
        .map_err(|_| VarintError::Range)
}

/// Appends a 64-bit varint.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out.push(low_byte(raw) | 0x80);
        raw >>= 7;
    }
    out.push(low_byte(raw));
}

/// Bytes that [`write_i64`] appends.
#[must_use]
#[inline]
pub const fn len_i64(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed())
}

const fn low_byte(raw: u64) -> u8 {
    raw.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_forms() {
        for (value, bytes) in [
            (0i64, &[0u8][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (64, &[0x80, 1]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (
                i64::MIN,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ] {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(read_i64(bytes), Ok((value, bytes.len())));
            assert_eq!(len_i64(value), bytes.len());
        }
    }

    #[test]
    fn refuses_what_is_cut_or_too_long() {
        assert_eq!(read_i64(&[]), Err(VarintError::Truncated));
        assert_eq!(read_i64(&[0x80]), Err(VarintError::Truncated));
        assert_eq!(read_i64(&[0x80; 9]), Err(VarintError::Truncated));
        assert_eq!(read_i64(&[0x80; 10]), Err(VarintError::Range));
        assert_eq!(read_i64(&[0xff; 12]), Err(VarintError::Range));
        assert_eq!(
            read_i64(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            Err(VarintError::Range)
        );
        // 2^31 fits a long and no int; six bytes are too many for an int even when they say 0.
        assert_eq!(
            read_i32(&[0x80, 0x80, 0x80, 0x80, 0x10]),
            Err(VarintError::Range)
        );
        assert_eq!(
            read_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]),
            Err(VarintError::Range)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value: i64) {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            prop_assert_eq!(out.len(), len_i64(value));
            prop_assert_eq!(read_i64(&out), Ok((value, out.len())));
            for cut in 0..out.len() {
                prop_assert_eq!(read_i64(&out[..cut]), Err(VarintError::Truncated));
            }
        }
    }
}
