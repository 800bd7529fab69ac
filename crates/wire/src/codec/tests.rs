use super::*;

const LIMIT: usize = 1 << 20;

fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new().compress(codec, bytes, &mut out).unwrap();
    out
}

fn unpacked(codec: Codec, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    Decompressor::new()
        .decompress(codec, bytes, limit)
        .map(<[u8]>::to_vec)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_hexdigit)
        .map(|b| u8::try_from(char::from(b).to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

#[test]
fn exactly_the_limit_passes_and_one_more_does_not() {
    for size in [0usize, 1, 100, 65_536, 65_537, 300_000] {
        let bytes: Vec<u8> = (0..size)
            .map(|i| u8::try_from(i * i % 251).unwrap())
            .collect();
        for codec in Codec::ALL {
            let packed = packed(codec, &bytes);
            assert_eq!(unpacked(codec, &packed, size).unwrap(), bytes, "{codec:?}");
            if size > 0 {
                assert_eq!(
                    unpacked(codec, &packed, size - 1),
                    Err(CodecError::TooLarge {
                        codec,
                        limit: size - 1
                    })
                );
            }
        }
    }
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0u8; 64 * LIMIT];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = packed(codec, &zeros);
        assert!(bomb.len() < zeros.len() / 15, "{codec:?}: {}", bomb.len());
        let mut decompressor = Decompressor::new();
        assert_eq!(
            decompressor.decompress(codec, &bomb, LIMIT),
            Err(CodecError::TooLarge {
                codec,
                limit: LIMIT
            })
        );
        assert!(
            decompressor.buffer.capacity() <= 4 * LIMIT,
            "{codec:?} took {}",
            decompressor.buffer.capacity()
        );
        // And it serves the next batch.
        let small = packed(codec, b"small");
        assert_eq!(
            decompressor.decompress(codec, &small, LIMIT),
            Ok(&b"small"[..])
        );
    }
}

#[test]
fn claims_take_no_memory() {
    // Snappy: a block of four bytes that claims 1 MiB. Zstd: a frame that claims 2^60 bytes of
    // content and a window of 2^41, with one block of three bytes.
    let snappy = hex("808040 00");
    let zstd = hex("28b52ffd c0 f8 0000000000000010 190000 616263");
    for (codec, bytes) in [(Codec::Snappy, snappy), (Codec::Zstd, zstd)] {
        let mut decompressor = Decompressor::new();
        assert!(matches!(
            decompressor.decompress(codec, &bytes, LIMIT),
            Err(CodecError::Corrupt { .. })
        ));
        assert!(decompressor.buffer.capacity() < 1000, "{codec:?}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes: Vec<u8> = (0..70_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let packed = packed(codec, &bytes);
        for cut in (0..packed.len()).step_by(97).chain([packed.len() - 1]) {
            assert!(
                unpacked(codec, &packed[..cut], LIMIT).is_err(),
                "{codec:?} {cut}"
            );
        }
    }
    // Snappy's framing has no end mark: a cut between blocks gives fewer bytes, which the batch's
    // record count notices. Within a block it is refused here.
    let snappy = packed(Codec::Snappy, &bytes);
    let block = usize::try_from(u32::from_be_bytes(snappy[16..20].try_into().unwrap())).unwrap();
    for cut in (17..20 + block).step_by(13) {
        assert!(
            unpacked(Codec::Snappy, &snappy[..cut], LIMIT).is_err(),
            "{cut}"
        );
    }
}

#[test]
fn snappy_is_read_framed_and_bare() {
    let bytes = b"departures departures departures".repeat(2000);
    let bare = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    assert_eq!(unpacked(Codec::Snappy, &bare, LIMIT).unwrap(), bytes);
    let framed = packed(Codec::Snappy, &bytes);
    assert!(framed.starts_with(&hex("82534e4150505900 00000001 00000001")));
    assert_eq!(unpacked(Codec::Snappy, &framed, LIMIT).unwrap(), bytes);
    let twice = [framed.clone(), framed].concat();
    assert_eq!(
        unpacked(Codec::Snappy, &twice, LIMIT).unwrap(),
        bytes.repeat(2)
    );
}

#[test]
fn lz4_is_read_with_linked_blocks_and_checksums() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let bytes: Vec<u8> = (0..100_000u32)
        .flat_map(|i| (i / 5).to_le_bytes())
        .collect();
    for mode in [BlockMode::Linked, BlockMode::Independent] {
        let info = FrameInfo::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(mode)
            .block_checksums(true)
            .content_checksum(true)
            .content_size(Some(bytes.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&bytes).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpacked(Codec::Lz4, &packed, LIMIT).unwrap(), bytes);
        for at in [4, 6, 40, packed.len() - 1] {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x10;
            assert!(unpacked(Codec::Lz4, &damaged, LIMIT).is_err(), "{at}");
        }
    }
}

#[test]
fn frames_behind_one_another_are_read() {
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let two = [packed(codec, b"one"), packed(codec, b"two")].concat();
        assert_eq!(
            unpacked(codec, &two, LIMIT).unwrap(),
            b"onetwo",
            "{codec:?}"
        );
        let mut trailing = packed(codec, b"one");
        trailing.extend_from_slice(b"rubbish");
        assert!(unpacked(codec, &trailing, LIMIT).is_err(), "{codec:?}");
    }
}

#[test]
fn a_front_is_replaced_and_blocks_behind_it_are_taken_over() {
    let plain: Vec<u8> = (0..75_000u32)
        .flat_map(|n| (n % 977 * (n % 1_013)).to_be_bytes())
        .collect();
    for codec in Codec::ALL {
        let bytes = packed(codec, &plain);
        let mut decompressor = Decompressor::new();
        decompressor.decompress(codec, &bytes, LIMIT).unwrap();
        let original = Packed {
            bytes: &bytes,
            plain: decompressor.unpacked(),
            blocks: decompressor.blocks(),
        };
        for (from, front) in [
            (0, &b""[..]),
            (0, b"new"),
            (10, b""),
            (1_000, &[7; 70_000]),
            (65_536, b"new"),
            (65_537, b"new"),
            (299_999, b"new"),
            (300_000, b"new"),
        ] {
            let mut out = b"before".to_vec();
            Compressor::new()
                .replace_front(codec, &original, from, front, &mut out)
                .unwrap();
            let expected = [front, &plain[from..]].concat();
            let given = out.strip_prefix(b"before").unwrap();
            assert!(
                unpacked(codec, given, LIMIT).unwrap() == expected,
                "{codec:?} {from}"
            );
        }
    }
    let bytes = packed(Codec::Lz4, &plain);
    let mut decompressor = Decompressor::new();
    decompressor.decompress(Codec::Lz4, &bytes, LIMIT).unwrap();
    assert_eq!(decompressor.blocks().len(), 5);
    // What was unpacked with another codec leaves none behind.
    decompressor.decompress(Codec::None, &plain, LIMIT).unwrap();
    assert!(decompressor.blocks().is_empty());
}

#[test]
fn a_release_gives_back_what_is_beyond_the_room_that_is_kept() {
    let large = vec![0; 2 * Decompressor::KEPT_BYTES];
    let mut decompressor = Decompressor::new();
    decompressor
        .decompress(Codec::Zstd, &packed(Codec::Zstd, &large), large.len())
        .unwrap();
    assert!(decompressor.buffer.capacity() >= large.len());
    decompressor.release();
    assert!(decompressor.unpacked().is_empty());
    assert!(decompressor.buffer.capacity() <= Decompressor::KEPT_BYTES);
}
