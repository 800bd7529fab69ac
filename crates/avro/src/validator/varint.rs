//! Avro's variable-length zigzag integers, over a slice and a position.
//!
//! Two forms of each: a fast one that answers `None` on any fault, for the
//! compiled walk, and an exact one that names the fault, for the explaining
//! walk. Longer-than-needed forms are taken within 5 bytes (int) and 10 bytes
//! (long), as Avro's Java decoder takes them; bits that do not fit are refused.

use super::Reason;

/// The top bit of each of eight bytes: set where a varint goes on.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// Most bytes of an `int`.
const INT_BYTES: usize = 5;
/// Most bytes of a `long`.
const LONG_BYTES: usize = 10;
/// What the last of [`INT_BYTES`] may hold at most.
const INT_LAST: u8 = 0x0f;
/// What the last of [`LONG_BYTES`] may hold at most.
const LONG_LAST: u8 = 0x01;

/// Undoes the zigzag: 0, -1, 1, -2 …
#[inline(always)]
#[expect(
    clippy::cast_possible_wrap,
    reason = "zigzag decoding is defined on the bits"
)]
pub(super) const fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Eight bytes from `pos`, little-endian, where there are as many.
#[inline(always)]
pub(super) fn word(bytes: &[u8], pos: usize) -> Option<u64> {
    let chunk = bytes.get(pos..pos.checked_add(8)?)?;
    chunk
        .first_chunk::<8>()
        .map(|eight| u64::from_le_bytes(*eight))
}

/// Where the `long` at `pos` ends, or `None` if it is cut short or too big.
#[inline(always)]
pub(super) fn skip_long(bytes: &[u8], pos: usize) -> Option<usize> {
    if *bytes.get(pos)? < 0x80 {
        return Some(pos + 1);
    }
    if let Some(word) = word(bytes, pos) {
        let stops = !word & CONTINUES;
        if stops != 0 {
            return Some(pos + (stops.trailing_zeros() / 8) as usize + 1);
        }
    }
    skip_slowly(bytes, pos, LONG_BYTES, LONG_LAST)
}

/// Where the `int` at `pos` ends, or `None` if it is cut short or too big.
#[inline(always)]
pub(super) fn skip_int(bytes: &[u8], pos: usize) -> Option<usize> {
    if *bytes.get(pos)? < 0x80 {
        return Some(pos + 1);
    }
    skip_slowly(bytes, pos, INT_BYTES, INT_LAST)
}

#[inline]
fn skip_slowly(bytes: &[u8], pos: usize, most: usize, last: u8) -> Option<usize> {
    let rest = bytes.get(pos..)?;
    let length = rest.iter().take(most).position(|byte| *byte < 0x80)? + 1;
    let fits = length < most || *rest.get(length - 1)? <= last;
    fits.then_some(pos + length)
}

/// The `long` at `pos` and where it ends, or `None` if it is cut short or too big.
#[inline(always)]
pub(super) fn long(bytes: &[u8], pos: usize) -> Option<(i64, usize)> {
    let first = *bytes.get(pos)?;
    if first < 0x80 {
        return Some((unzigzag(u64::from(first)), pos + 1));
    }
    long_of_many(bytes, pos)
}

#[inline]
fn long_of_many(bytes: &[u8], pos: usize) -> Option<(i64, usize)> {
    let end = skip_long(bytes, pos)?;
    Some((unzigzag(gather(bytes.get(pos..end)?)), end))
}

/// The `int` at `pos` and where it ends, or `None` if it is cut short or too big.
#[inline(always)]
pub(super) fn int(bytes: &[u8], pos: usize) -> Option<(i64, usize)> {
    let first = *bytes.get(pos)?;
    if first < 0x80 {
        return Some((unzigzag(u64::from(first)), pos + 1));
    }
    int_of_many(bytes, pos)
}

#[inline]
fn int_of_many(bytes: &[u8], pos: usize) -> Option<(i64, usize)> {
    let end = skip_int(bytes, pos)?;
    Some((unzigzag(gather(bytes.get(pos..end)?)), end))
}

/// The payload bits of a varint whose length has been checked.
#[inline]
fn gather(varint: &[u8]) -> u64 {
    varint
        .iter()
        .rev()
        .fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f))
}

/// [`long`], with the reason where there is none.
pub(super) fn explain_long(bytes: &[u8], pos: usize) -> Result<(i64, usize), Reason> {
    long(bytes, pos).ok_or_else(|| explain(bytes, pos, LONG_BYTES))
}

/// [`int`], with the reason where there is none.
pub(super) fn explain_int(bytes: &[u8], pos: usize) -> Result<(i64, usize), Reason> {
    int(bytes, pos).ok_or_else(|| explain(bytes, pos, INT_BYTES))
}

fn explain(bytes: &[u8], pos: usize, most: usize) -> Reason {
    let rest = bytes.get(pos..).unwrap_or_default();
    let continuing = rest
        .iter()
        .take(most)
        .take_while(|byte| **byte >= 0x80)
        .count();
    if continuing == most {
        Reason::VarintTooLong { most }
    } else if continuing == rest.len() {
        Reason::Truncated
    } else {
        Reason::VarintOutOfRange { most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_fits_and_names_what_does_not() {
        type Case<'a> = (&'a [u8], Option<(i64, usize)>, Option<(i64, usize)>);
        let cases: &[Case<'_>] = &[
            (&[0x00], Some((0, 1)), Some((0, 1))),
            (&[0x01], Some((-1, 1)), Some((-1, 1))),
            (&[0x80, 0x01, 9], Some((64, 2)), Some((64, 2))),
            // longer than needed, within the limit
            (&[0x80, 0x80, 0x80, 0x80, 0x00], Some((0, 5)), Some((0, 5))),
            (
                &[0xff, 0xff, 0xff, 0xff, 0x0f],
                Some((-2_147_483_648, 5)),
                Some((-2_147_483_648, 5)),
            ),
            // the fifth byte of an int holds four bits
            (
                &[0xff, 0xff, 0xff, 0xff, 0x1f],
                None,
                Some((-4_294_967_296, 5)),
            ),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], None, Some((0, 6))),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                None,
                Some((i64::MIN, 10)),
            ),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
                None,
                None,
            ),
            (
                &[
                    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
                ],
                None,
                None,
            ),
            (&[], None, None),
            (&[0x80], None, None),
        ];
        for (bytes, as_int, as_long) in cases {
            assert_eq!(int(bytes, 0), *as_int, "int {bytes:x?}");
            assert_eq!(long(bytes, 0), *as_long, "long {bytes:x?}");
            assert_eq!(
                skip_int(bytes, 0),
                as_int.map(|(_, end)| end),
                "int {bytes:x?}"
            );
            assert_eq!(
                skip_long(bytes, 0),
                as_long.map(|(_, end)| end),
                "long {bytes:x?}"
            );
        }
        assert_eq!(explain_int(&[0x80], 0), Err(Reason::Truncated));
        assert_eq!(
            explain_int(&[0xff; 6], 0),
            Err(Reason::VarintTooLong { most: 5 })
        );
        assert_eq!(
            explain_int(&[0xff, 0xff, 0xff, 0xff, 0x10], 0),
            Err(Reason::VarintOutOfRange { most: 5 })
        );
        assert_eq!(
            explain_long(&[0xff; 10], 0),
            Err(Reason::VarintTooLong { most: 10 })
        );
    }
}
