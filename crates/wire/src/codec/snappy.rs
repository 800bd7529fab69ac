//! Snappy as Kafka clients write it: blocks in the framing of xerial's snappy-java (Java, and most
//! others so that Java can read them), or one bare block (librdkafka).

use snap::raw::{Decoder, Encoder};

use super::{Codec, CodecError, room};
use crate::cursor::Cursor;

const CODEC: Codec = Codec::Snappy;

/// `\x82SNAPPY\0`, then two big-endian ints: version and least compatible version, both 1.
const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_REST: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Bytes a block, as snappy-java's default.
const BLOCK: usize = 32 * 1024;
/// Most bytes that one compressed byte can stand for: a copy of 64 takes three bytes, and no
/// element gives more. A claim above this is a lie, and refused before memory is taken for it.
const MOST_PER_BYTE: usize = 32;

pub(super) fn decompress(
    decoder: &mut Decoder,
    compressed: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    let Some(framed) = compressed.strip_prefix(&MAGIC) else {
        return block(decoder, compressed, out, limit);
    };
    let truncated = |what| CodecError::Truncated { codec: CODEC, what };
    let mut at = Cursor::new(framed);
    at.take(HEADER_REST.len())
        .map_err(|_| truncated("header"))?;
    while !at.rest().is_empty() {
        // Two streams behind one another, as snappy-java reads them.
        if let Some(rest) = at.rest().strip_prefix(&MAGIC) {
            at = Cursor::new(rest);
            at.take(HEADER_REST.len())
                .map_err(|_| truncated("header"))?;
            continue;
        }
        let length = u32::from_be_bytes(at.array().map_err(|_| truncated("block length"))?);
        let bytes = usize::try_from(length)
            .ok()
            .and_then(|n| at.take(n).ok())
            .ok_or(truncated("block"))?;
        block(decoder, bytes, out, limit)?;
    }
    Ok(())
}

fn block(
    decoder: &mut Decoder,
    bytes: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    let corrupt = |what| CodecError::Corrupt { codec: CODEC, what };
    let claimed = snap::raw::decompress_len(bytes).map_err(|_| corrupt("block length"))?;
    if claimed > limit.saturating_sub(out.len()) {
        return Err(CodecError::TooLarge {
            codec: CODEC,
            limit,
        });
    }
    if claimed > bytes.len().saturating_mul(MOST_PER_BYTE) {
        return Err(corrupt("block claims more than it can hold"));
    }
    if bytes.is_empty() {
        return Err(CodecError::Truncated {
            codec: CODEC,
            what: "block",
        });
    }
    let written = decoder
        .decompress(bytes, room(out, claimed))
        .map_err(|_| corrupt("block"))?;
    if written == claimed {
        Ok(())
    } else {
        Err(corrupt("block length"))
    }
}

pub(super) fn compress(
    encoder: &mut Encoder,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let failed = CodecError::SetUp { codec: CODEC };
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&HEADER_REST);
    for chunk in bytes.chunks(BLOCK) {
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        let written = encoder
            .compress(chunk, room(out, snap::raw::max_compress_len(chunk.len())))
            .map_err(|_| failed)?;
        out.truncate(length_at + 4 + written);
        let length = u32::try_from(written).map_err(|_| failed)?;
        if let Some(at) = out.get_mut(length_at..length_at + 4) {
            at.copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}
