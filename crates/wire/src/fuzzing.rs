//! Bodies of fuzz targets, here so that plain tests can replay what the fuzzer found.

mod produce;
mod protocol;

pub use produce::produce;
pub use protocol::protocol;

use crate::batch::BatchView;
use crate::build::BatchBuilder;
use crate::codec::{Codec, Compressor, Decompressor};
use crate::limits::Limits;
use crate::record::RecordView;

/// Small, so that the fuzzer meets them.
const LIMITS: Limits = Limits {
    max_batch_bytes: 1 << 20,
    max_decompressed_bytes: 1 << 20,
    max_records: 1 << 12,
};

/// Reads `data` as records of a batch. The first byte chooses: as a batch with its checksum, as a
/// batch whose checksum is mended first (so that the fuzzer comes past it), or as compressed bytes.
///
/// # Panics
/// If a batch that reads well does not read alike after it was written again, or a decompressor
/// gives more than its limit.
pub fn batch(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    match choice % 6 {
        0 => read(data),
        1 => {
            let mut mended = data.to_vec();
            let checksum = crc32c::crc32c(data.get(21..).unwrap_or_default());
            if let Some(at) = mended.get_mut(17..21) {
                at.copy_from_slice(&checksum.to_be_bytes());
            }
            if let (Ok(length), Some(at)) = (
                i32::try_from(data.len().saturating_sub(12)),
                mended.get_mut(8..12),
            ) {
                at.copy_from_slice(&length.to_be_bytes());
            }
            if let Some(magic) = mended.get_mut(16) {
                *magic = 2;
            }
            read(&mended);
        }
        n => {
            let codec = Codec::from_number(n - 1).unwrap_or(Codec::None);
            let limit = 1 << 16;
            if let Ok(out) = Decompressor::new().decompress(codec, data, limit) {
                assert!(out.len() <= limit, "{} bytes above the limit", out.len());
            }
        }
    }
}

fn read(bytes: &[u8]) {
    let Ok((batch, _)) = BatchView::split_first(bytes, &LIMITS) else {
        return;
    };
    let mut decompressor = Decompressor::new();
    let Ok(records) = batch.records(&mut decompressor, &LIMITS) else {
        return;
    };
    let Ok(records) = records.collect::<Result<Vec<_>, _>>() else {
        return;
    };
    let mut builder = BatchBuilder::like(batch.header());
    for record in &records {
        assert!(
            builder.push_view(record).is_ok(),
            "a record that was read can be written"
        );
    }
    let mut again = Vec::new();
    let codec = batch.codec();
    if builder
        .finish(codec, &mut Compressor::new(), &mut again)
        .is_err()
    {
        assert!(records.is_empty(), "only an empty batch can't be written");
        return;
    }
    // The limits could refuse what compresses worse than it came.
    let limits = Limits::default();
    let mut decompressor = Decompressor::new();
    let back: Option<Vec<RecordView<'_>>> = BatchView::parse(&again, &limits)
        .ok()
        .and_then(|b| b.records(&mut decompressor, &limits).ok())
        .and_then(|records| records.collect::<Result<_, _>>().ok());
    let expected: Vec<_> = (0i32..)
        .zip(&records)
        .map(|(i, r)| RecordView {
            offset_delta: i,
            ..*r
        })
        .collect();
    let alike = back.is_some_and(|back| {
        back.len() == expected.len()
            && back.iter().zip(&expected).all(|(a, b)| {
                a.key == b.key
                    && a.value == b.value
                    && a.offset_delta == b.offset_delta
                    && a.timestamp_delta == b.timestamp_delta
                    && a.attributes == b.attributes
                    && a.headers.iter().eq(b.headers.iter())
            })
    });
    assert!(alike, "a batch reads alike after it was written again");
}
