//! The four compressions of record batches, each bounded by the bytes that it may give.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks, in the framing of Java's xerial library or bare.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// A Zstandard frame (KIP-110).
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in a batch's attributes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// By its number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// As in Kafka's `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Why bytes can't be decompressed, or compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// They would give more than is allowed.
    #[error("{codec} data unpacks to more than the limit of {limit} bytes", codec = codec.name())]
    TooLarge {
        /// Compressed how.
        codec: Codec,
        /// Most bytes allowed.
        limit: usize,
    },
    /// They end too early.
    #[error("{codec} data ends within its {what}", codec = codec.name())]
    Truncated {
        /// Compressed how.
        codec: Codec,
        /// Where.
        what: &'static str,
    },
    /// They are not what they should be.
    #[error("{codec} data is corrupt: {what}", codec = codec.name())]
    Corrupt {
        /// Compressed how.
        codec: Codec,
        /// Where.
        what: &'static str,
    },
    /// The library could not get memory.
    #[error("{codec} can't be set up", codec = codec.name())]
    SetUp {
        /// Compressed how.
        codec: Codec,
    },
}

/// Where a block of compressed bytes ends that can be unpacked without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockEnd {
    /// In the compressed bytes.
    pub packed: usize,
    /// In what they stand for.
    pub plain: usize,
}

/// Most ends of blocks that are noted: what is replaced is at the front.
const BLOCKS_MAX: usize = 64;

/// Compressed bytes of which the front is to be replaced.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// They.
    pub bytes: &'a [u8],
    /// What they stand for.
    pub plain: &'a [u8],
    /// Ends of the first blocks, as [`Decompressor::blocks`] gives them.
    pub blocks: &'a [BlockEnd],
}

/// Unpacks batches, one after the other, into one buffer that it keeps.
///
/// Keeps at most [`KEPT_BYTES`](Self::KEPT_BYTES) behind a [`release`](Self::release), with which
/// each batch begins; while a batch is open, at most twice the limit given with it.
#[derive(Default)]
pub struct Decompressor {
    buffer: Vec<u8>,
    blocks: Vec<BlockEnd>,
    snappy: Option<snap::raw::Decoder>,
    zstd: Option<::zstd::bulk::Decompressor<'static>>,
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor")
            .field("buffered", &self.buffer.capacity())
            .finish_non_exhaustive()
    }
}

impl Decompressor {
    /// Most bytes kept for the next batch: one large batch must not pin its size for ever.
    pub const KEPT_BYTES: usize = 4 * 1024 * 1024;

    /// Without a buffer yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes that `compressed` stands for, at most `limit`.
    ///
    /// # Errors
    /// See [`CodecError`]. The buffer is empty then.
    pub fn decompress(
        &mut self,
        codec: Codec,
        compressed: &[u8],
        limit: usize,
    ) -> Result<&[u8], CodecError> {
        self.release();
        let out = &mut self.buffer;
        let done = match codec {
            Codec::None if compressed.len() > limit => Err(CodecError::TooLarge { codec, limit }),
            Codec::None => {
                out.extend_from_slice(compressed);
                Ok(())
            }
            Codec::Gzip => gzip::decompress(compressed, out, limit),
            Codec::Snappy => {
                let decoder = self.snappy.get_or_insert_with(snap::raw::Decoder::new);
                snappy::decompress(decoder, compressed, out, limit)
            }
            Codec::Lz4 => lz4::decompress(compressed, out, limit, &mut self.blocks),
            Codec::Zstd => zstd::decompress(&mut self.zstd, compressed, out, limit),
        };
        if let Err(error) = done {
            self.buffer.clear();
            self.blocks.clear();
            return Err(error);
        }
        Ok(&self.buffer)
    }

    /// Forgets what was unpacked last, and gives memory back down to
    /// [`KEPT_BYTES`](Self::KEPT_BYTES).
    pub fn release(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(Self::KEPT_BYTES);
        self.blocks.clear();
    }

    /// What was unpacked last.
    #[must_use]
    pub fn unpacked(&self) -> &[u8] {
        &self.buffer
    }

    /// Ends of the first blocks of what was unpacked last, ascending. None where the codec has no
    /// blocks that stand by themselves.
    #[must_use]
    pub fn blocks(&self) -> &[BlockEnd] {
        &self.blocks
    }
}

/// Packs batches, at low levels: the level is not on the wire (KIP-390), and what is packed again
/// on its way should cost little.
#[derive(Default)]
pub struct Compressor {
    snappy: Option<snap::raw::Encoder>,
    zstd: Option<::zstd::bulk::Compressor<'static>>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// Without contexts yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the compressed form of `bytes` to `out`.
    ///
    /// # Errors
    /// [`CodecError::SetUp`], or more bytes than the codec's format can say.
    pub fn compress(
        &mut self,
        codec: Codec,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        match codec {
            Codec::None => out.extend_from_slice(bytes),
            Codec::Gzip => gzip::compress(bytes, out)?,
            Codec::Snappy => {
                let encoder = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
                snappy::compress(encoder, bytes, out)?;
            }
            Codec::Lz4 => lz4::compress(bytes, out)?,
            Codec::Zstd => zstd::compress(&mut self.zstd, bytes, out)?,
        }
        Ok(())
    }

    /// Appends the compressed form of `front` and of what comes behind byte `from` of `original`.
    /// Blocks of the original that lie behind are taken over, where the codec has such.
    ///
    /// # Errors
    /// As [`compress`](Self::compress).
    pub fn replace_front(
        &mut self,
        codec: Codec,
        original: &Packed<'_>,
        from: usize,
        front: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        if codec == Codec::Lz4 && lz4::replace_front(original, from, front, out)? {
            return Ok(());
        }
        let kept = original.plain.get(from..).unwrap_or_default();
        if codec == Codec::None {
            out.reserve(front.len() + kept.len());
            out.extend_from_slice(front);
            out.extend_from_slice(kept);
            return Ok(());
        }
        self.compress(codec, &[front, kept].concat(), out)
    }
}

/// Makes room for `more` bytes behind what `out` holds, and gives that room, zeroed.
///
/// Grows geometrically like a `Vec`, and never by more than `more` above twice what was there.
fn room(out: &mut Vec<u8>, more: usize) -> &mut [u8] {
    let from = out.len();
    out.resize(from.saturating_add(more), 0);
    out.get_mut(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
