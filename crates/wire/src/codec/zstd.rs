//! Zstandard frames (RFC 8878). The blocks' headers are walked first, so that the most they can
//! give is known; then one call unpacks all of it into our buffer, which serves as the window, so
//! that a frame that asks for a window of gigabytes gets none.

use zstd::bulk::{Compressor, Decompressor};

use super::{Codec, CodecError};
use crate::cursor::Cursor;

const CODEC: Codec = Codec::Zstd;
/// Kafka's default is 3; what is packed again on its way should cost little.
const LEVEL: i32 = 1;
const MAGIC: u32 = 0xfd2f_b528;
/// Skippable frames have the 16 numbers from here on.
const SKIPPABLE: u32 = 0x184d_2a50;
/// Most bytes that a compressed block gives (`Block_Maximum_Size`).
const MAX_BLOCK: usize = 128 * 1024;

const fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { codec: CODEC, what }
}

pub(super) fn decompress(
    context: &mut Option<Decompressor<'static>>,
    compressed: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    let most = most_output(compressed)?;
    out.reserve(most.min(limit));
    if context.is_none() {
        *context = Some(Decompressor::new().map_err(|_| CodecError::SetUp { codec: CODEC })?);
    }
    let Some(decompressor) = context.as_mut() else {
        return Err(CodecError::SetUp { codec: CODEC });
    };
    match decompressor.decompress_to_buffer(compressed, out) {
        Ok(written) if written <= limit => Ok(()),
        // The room was cut at the limit and did not do.
        Err(_) if most > limit => Err(CodecError::TooLarge {
            codec: CODEC,
            limit,
        }),
        Ok(_) => Err(CodecError::TooLarge {
            codec: CODEC,
            limit,
        }),
        Err(_) => Err(corrupt("block or checksum")),
    }
}

/// Most bytes that the frames can give, by their blocks' headers.
fn most_output(compressed: &[u8]) -> Result<usize, CodecError> {
    let truncated = |what| CodecError::Truncated { codec: CODEC, what };
    let mut at = Cursor::new(compressed);
    let mut most = 0usize;
    loop {
        let cut = |_| truncated("frame header");
        let magic = u32::from_le_bytes(at.array().map_err(cut)?);
        if magic & 0xffff_fff0 == SKIPPABLE {
            let length = u32::from_le_bytes(at.array().map_err(cut)?);
            usize::try_from(length)
                .ok()
                .and_then(|n| at.take(n).ok())
                .ok_or(truncated("skippable frame"))?;
        } else {
            if magic != MAGIC {
                return Err(corrupt("magic number"));
            }
            let [descriptor] = at.array().map_err(cut)?;
            let single_segment = descriptor & 0x20 != 0;
            let window = usize::from(!single_segment);
            let dictionary = match descriptor & 0x03 {
                0 => 0,
                1 => 1,
                2 => 2,
                _ => 4,
            };
            let content_size = match descriptor >> 6 {
                0 => usize::from(single_segment),
                1 => 2,
                2 => 4,
                _ => 8,
            };
            at.take(window + dictionary + content_size).map_err(cut)?;
            most = most.saturating_add(blocks(&mut at)?);
            if descriptor & 0x04 != 0 {
                at.take(4).map_err(|_| truncated("checksum"))?;
            }
        }
        if at.rest().is_empty() {
            return Ok(most);
        }
    }
}

/// Walks the blocks of one frame.
fn blocks(at: &mut Cursor<'_>) -> Result<usize, CodecError> {
    let truncated = |what| CodecError::Truncated { codec: CODEC, what };
    let mut most = 0usize;
    loop {
        let [a, b, c] = at.array().map_err(|_| truncated("block header"))?;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = usize::try_from(header >> 3).map_err(|_| corrupt("block size"))?;
        let (stored, gives) = match (header >> 1) & 0x03 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, MAX_BLOCK),
            _ => return Err(corrupt("block type")),
        };
        if gives > MAX_BLOCK {
            return Err(corrupt("block size"));
        }
        at.take(stored).map_err(|_| truncated("block"))?;
        most = most.saturating_add(gives);
        if header & 1 != 0 {
            return Ok(most);
        }
    }
}

pub(super) fn compress(
    context: &mut Option<Compressor<'static>>,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let failed = |_| CodecError::SetUp { codec: CODEC };
    if context.is_none() {
        *context = Some(Compressor::new(LEVEL).map_err(failed)?);
    }
    let Some(compressor) = context.as_mut() else {
        return Err(CodecError::SetUp { codec: CODEC });
    };
    let packed = compressor.compress(bytes).map_err(failed)?;
    out.extend_from_slice(&packed);
    Ok(())
}
