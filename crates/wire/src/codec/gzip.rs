//! Gzip, several members included (Java's `GZIPInputStream` reads those too).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, CodecError};

const CODEC: Codec = Codec::Gzip;

pub(super) fn decompress(
    compressed: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    // One byte above the limit tells a batch that is too large from one that fits exactly.
    let allowed = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = MultiGzDecoder::new(compressed).take(allowed);
    reader
        .read_to_end(out)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => CodecError::Truncated {
                codec: CODEC,
                what: "stream",
            },
            _ => CodecError::Corrupt {
                codec: CODEC,
                what: "header, block or checksum",
            },
        })?;
    if out.len() > limit {
        return Err(CodecError::TooLarge {
            codec: CODEC,
            limit,
        });
    }
    Ok(())
}

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let failed = |_| CodecError::SetUp { codec: CODEC };
    let mut encoder = GzEncoder::new(out, Compression::fast());
    encoder.write_all(bytes).map_err(failed)?;
    encoder.finish().map_err(failed)?;
    Ok(())
}
