//! UTF-8 checking, quick where text is short and plain.

/// The top bit of each of eight bytes: set where a byte is not ASCII.
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

/// Up to here ASCII is looked for eight bytes at a time in line; longer texts
/// are worth the call.
const SHORT: usize = 64;

/// Whether `bytes` is UTF-8, as RFC 3629 has it: no overlong forms, no surrogates.
#[inline(always)]
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    if bytes.len() <= SHORT {
        short_ascii(bytes) || std::str::from_utf8(bytes).is_ok()
    } else {
        std::str::from_utf8(bytes).is_ok()
    }
}

#[inline(always)]
fn short_ascii(bytes: &[u8]) -> bool {
    // The last eight bytes overlap what came before: no tail loop.
    if let Some(last) = bytes.last_chunk::<8>() {
        let mut seen = u64::from_le_bytes(*last);
        let (chunks, _) = bytes.as_chunks::<8>();
        for chunk in chunks {
            seen |= u64::from_le_bytes(*chunk);
        }
        return seen & NOT_ASCII == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let seen = u32::from_le_bytes(*first) | u32::from_le_bytes(*last);
        return u64::from(seen) & NOT_ASCII == 0;
    }
    bytes.iter().fold(0, |seen, byte| seen | byte) < 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_std_at_every_length_and_place() {
        let faults: &[&[u8]] = &[
            b"a",
            b"\x80",
            b"\xc3\xa9",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xff",
        ];
        for length in 0..100 {
            for at in 0..=length {
                for fault in faults {
                    let mut bytes = vec![b'x'; length];
                    bytes.splice(at..at, fault.iter().copied());
                    assert_eq!(
                        is_utf8(&bytes),
                        std::str::from_utf8(&bytes).is_ok(),
                        "{bytes:x?}"
                    );
                }
            }
        }
    }
}
