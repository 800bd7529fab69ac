//! Avro's binary form: the few pieces that are not plain copies.

/// Appends a zigzag varint.
#[expect(
    clippy::cast_sign_loss,
    reason = "zigzag encoding is defined on the bits"
)]
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
pub(super) fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a length and the bytes.
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(bytes);
}

/// What is left of a datum to read.
#[derive(Copy, Clone, Debug)]
pub(super) struct Datum<'a>(pub &'a [u8]);

impl<'a> Datum<'a> {
    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next bytes, as many as an array holds.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    /// A zigzag varint.
    #[expect(
        clippy::cast_possible_wrap,
        reason = "zigzag decoding is defined on the bits"
    )]
    pub(super) fn long(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(((value >> 1) as i64) ^ -((value & 1) as i64));
            }
        }
        None
    }

    /// A length and as many bytes.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.long()?;
        self.take(usize::try_from(length).ok()?)
    }
}
