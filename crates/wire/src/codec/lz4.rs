//! LZ4 frames. The frame is walked here and only its blocks are left to the library, straight into
//! our buffer: one copy less, and a cut frame is an error instead of an early end.

use std::hash::Hasher;
use std::io::Write;

use lz4_flex::block::{
    compress_into, decompress_into, decompress_into_with_dict, get_maximum_output_size,
};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{BLOCKS_MAX, BlockEnd, Codec, CodecError, Packed, room};
use crate::cursor::Cursor;

const CODEC: Codec = Codec::Lz4;
const MAGIC: u32 = 0x184d_2204;
/// Set in a block's length where it is stored uncompressed.
const STORED: u32 = 0x8000_0000;
/// How far back a block may point into those before it, if the frame links them.
const WINDOW: usize = 64 * 1024;
/// No sequence gives more than this many bytes for one of its own.
const MOST_PER_BYTE: usize = 255;

const fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { codec: CODEC, what }
}

const fn truncated(what: &'static str) -> CodecError {
    CodecError::Truncated { codec: CODEC, what }
}

struct Frame {
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    max_block: usize,
}

impl Frame {
    /// Whether nothing in it depends on anything but the block it is in.
    const fn is_plain(&self) -> bool {
        !self.linked
            && !self.block_checksums
            && !self.content_checksum
            && self.content_size.is_none()
    }
}

pub(super) fn decompress(
    compressed: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
    blocks: &mut Vec<BlockEnd>,
) -> Result<(), CodecError> {
    let mut at = Cursor::new(compressed);
    let mut first = true;
    loop {
        let frame = header(&mut at)?;
        let from = out.len();
        let plain = first && frame.is_plain();
        first = false;
        while let Some((stored, data)) = next_block(&mut at, &frame)? {
            if stored {
                if data.len() > limit.saturating_sub(out.len()) {
                    return Err(CodecError::TooLarge {
                        codec: CODEC,
                        limit,
                    });
                }
                out.extend_from_slice(data);
            } else {
                unpack(data, &frame, from, out, limit)?;
            }
            if plain && blocks.len() < BLOCKS_MAX {
                blocks.push(BlockEnd {
                    packed: compressed.len() - at.rest().len(),
                    plain: out.len(),
                });
            }
        }
        let content = out.get(from..).unwrap_or_default();
        if frame
            .content_size
            .is_some_and(|size| u64::try_from(content.len()) != Ok(size))
        {
            return Err(corrupt("content size"));
        }
        if frame.content_checksum {
            let stated = u32::from_le_bytes(at.array().map_err(|_| truncated("checksum"))?);
            if stated != hash(content) {
                return Err(corrupt("content checksum"));
            }
        }
        if at.rest().is_empty() {
            return Ok(());
        }
    }
}

fn header(at: &mut Cursor<'_>) -> Result<Frame, CodecError> {
    let cut = |_| truncated("header");
    if u32::from_le_bytes(at.array().map_err(cut)?) != MAGIC {
        return Err(corrupt("magic number"));
    }
    let descriptor = at.rest();
    let [flags, block] = at.array().map_err(cut)?;
    if flags >> 6 != 1 {
        return Err(corrupt("version"));
    }
    let content_size = if flags & 0x08 != 0 {
        Some(u64::from_le_bytes(at.array().map_err(cut)?))
    } else {
        None
    };
    if flags & 0x01 != 0 {
        return Err(corrupt("needs a dictionary"));
    }
    let described = descriptor.len() - at.rest().len();
    let [checksum] = at.array().map_err(cut)?;
    let [_, expected, ..] = hash(descriptor.get(..described).unwrap_or_default()).to_le_bytes();
    if checksum != expected {
        return Err(corrupt("header checksum"));
    }
    Ok(Frame {
        linked: flags & 0x20 == 0,
        block_checksums: flags & 0x10 != 0,
        content_checksum: flags & 0x04 != 0,
        content_size,
        max_block: match (block >> 4) & 0x07 {
            4 => 64 * 1024,
            5 => 256 * 1024,
            6 => 1024 * 1024,
            7 => 4 * 1024 * 1024,
            _ => return Err(corrupt("block size")),
        },
    })
}

/// The next block and whether it is stored as it is; none at the end mark.
fn next_block<'a>(
    at: &mut Cursor<'a>,
    frame: &Frame,
) -> Result<Option<(bool, &'a [u8])>, CodecError> {
    let length = u32::from_le_bytes(at.array().map_err(|_| truncated("block length"))?);
    if length == 0 {
        return Ok(None);
    }
    let size = usize::try_from(length & !STORED)
        .ok()
        .filter(|n| *n <= frame.max_block)
        .ok_or(corrupt("block length"))?;
    let data = at.take(size).map_err(|_| truncated("block"))?;
    if frame.block_checksums {
        let stated = u32::from_le_bytes(at.array().map_err(|_| truncated("checksum"))?);
        if stated != hash(data) {
            return Err(corrupt("block checksum"));
        }
    }
    Ok(Some((length & STORED != 0, data)))
}

fn unpack(
    data: &[u8],
    frame: &Frame,
    frame_from: usize,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    let left = limit.saturating_sub(out.len());
    let most = frame
        .max_block
        .min(data.len().saturating_mul(MOST_PER_BYTE));
    let block_from = out.len();
    let given = room(out, most.min(left));
    let done = if frame.linked {
        let (before, given) = out.split_at_mut(block_from);
        let window = frame_from.max(before.len().saturating_sub(WINDOW));
        let dictionary = before.get(window..).unwrap_or_default();
        decompress_into_with_dict(data, given, dictionary)
    } else {
        decompress_into(data, given)
    };
    match done {
        Ok(written) => {
            out.truncate(block_from + written);
            Ok(())
        }
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if left < most => {
            Err(CodecError::TooLarge {
                codec: CODEC,
                limit,
            })
        }
        Err(_) => Err(corrupt("block")),
    }
}

/// Bytes of the header of a frame without a content size.
const PLAIN_HEADER: usize = 7;
/// Most bytes of a block that any frame may have.
const BLOCK: usize = 64 * 1024;

/// The frame with another front: up to the end of the block in which the old front ends it is packed
/// anew, the blocks behind are taken over. `false`: it can't be done so, and nothing was appended.
pub(super) fn replace_front(
    original: &Packed<'_>,
    from: usize,
    front: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, CodecError> {
    if from == 0 && front.is_empty() {
        out.extend_from_slice(original.bytes);
        return Ok(true);
    }
    let Some(end) = original.blocks.iter().find(|end| end.plain >= from) else {
        return Ok(false);
    };
    let (Some(header), Some(kept), Some(behind)) = (
        original.bytes.get(..PLAIN_HEADER),
        original.plain.get(from..end.plain),
        original.bytes.get(end.packed..),
    ) else {
        return Ok(false);
    };
    out.extend_from_slice(header);
    for part in front.chunks(BLOCK).chain(kept.chunks(BLOCK)) {
        block(part, out)?;
    }
    out.extend_from_slice(behind);
    Ok(true)
}

/// Appends a block: stored as it is where packing would not make it smaller.
fn block(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let failed = CodecError::SetUp { codec: CODEC };
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let given = room(out, get_maximum_output_size(bytes.len()));
    let packed = compress_into(bytes, given).map_err(|_| failed)?;
    let (length, flag) = if packed < bytes.len() {
        out.truncate(length_at + 4 + packed);
        (packed, 0)
    } else {
        out.truncate(length_at + 4);
        out.extend_from_slice(bytes);
        (bytes.len(), STORED)
    };
    let length = u32::try_from(length).map_err(|_| failed)? | flag;
    if let Some(at) = out.get_mut(length_at..length_at + 4) {
        at.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> u32 {
    let mut hasher = XxHash32::with_seed(0);
    hasher.write(bytes);
    // A 32-bit hash in a 64-bit return.
    u32::try_from(hasher.finish()).unwrap_or_default()
}

/// As Java's `KafkaLZ4BlockOutputStream`: independent blocks of 64 KiB, no checksums of content.
pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let failed = CodecError::SetUp { codec: CODEC };
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(bytes).map_err(|_| failed)?;
    encoder.finish().map_err(|_| failed)?;
    Ok(())
}
