use proptest::prelude::*;

use super::*;
use crate::batch::{BatchError, BatchView};
use crate::codec::Decompressor;
use crate::limits::Limits;
use crate::record::RecordError;

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Debug)]
struct Owned {
    timestamp_delta: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

impl Owned {
    fn headers(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        self.headers.iter().map(|(key, value)| Header {
            key,
            value: value.as_deref(),
        })
    }

    fn parts(&self) -> RecordParts<'_> {
        RecordParts {
            attributes: 0,
            timestamp_delta: self.timestamp_delta,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
        }
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0usize..3000).prop_map(|(b, n)| vec![b; n]),
    ]
}

fn record() -> impl Strategy<Value = Owned> {
    (
        prop_oneof![-1000i64..1000, -(1i64 << 50)..(1i64 << 50)],
        proptest::option::of(bytes()),
        proptest::option::of(bytes()),
        proptest::collection::vec((bytes(), proptest::option::of(bytes())), 0..4),
    )
        .prop_map(|(timestamp_delta, key, value, headers)| Owned {
            timestamp_delta,
            key,
            value,
            headers,
        })
}

fn header() -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        partition_leader_epoch: -1,
        attributes: Attributes(0).transactional(),
        last_offset_delta: 0,
        base_timestamp: 1_357_016_400_000,
        max_timestamp: 0,
        producer_id: 4711,
        producer_epoch: 3,
        base_sequence: 99,
        record_count: 0,
    }
}

fn build(records: &[Owned], codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::like(&header());
    for record in records {
        builder.push(record.parts(), record.headers()).unwrap();
    }
    let mut out = Vec::new();
    builder
        .finish(codec, &mut Compressor::new(), &mut out)
        .unwrap();
    out
}

fn reads_alike(batch: &[u8], records: &[Owned], codec: Codec) {
    let limits = Limits::default();
    let view = BatchView::parse(batch, &limits).unwrap();
    assert_eq!(view.codec(), codec);
    let expected = BatchHeader {
        attributes: header().attributes.with_codec(codec),
        last_offset_delta: i32::try_from(records.len()).unwrap() - 1,
        max_timestamp: header().base_timestamp
            + records.iter().map(|r| r.timestamp_delta).max().unwrap(),
        record_count: i32::try_from(records.len()).unwrap(),
        ..header()
    };
    assert_eq!(view.header(), &expected);
    let mut decompressor = Decompressor::new();
    let read: Vec<_> = view
        .records(&mut decompressor, &limits)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read.len(), records.len());
    for (i, (read, owned)) in (0..).zip(read.iter().zip(records)) {
        assert_eq!(read.offset_delta, i);
        assert_eq!(read.timestamp_delta, owned.timestamp_delta);
        assert_eq!(read.key, owned.key.as_deref());
        assert_eq!(read.value, owned.value.as_deref());
        assert!(read.headers.iter().eq(owned.headers()));
    }
}

fn whole(batch: &[u8]) -> Result<usize, String> {
    let limits = Limits::default();
    let view = BatchView::parse(batch, &limits).map_err(|e| e.to_string())?;
    let mut decompressor = Decompressor::new();
    let records = view
        .records(&mut decompressor, &limits)
        .map_err(|e| e.to_string())?;
    records
        .collect::<Result<Vec<_>, _>>()
        .map(|r| r.len())
        .map_err(|e| e.to_string())
}

/// Puts length and checksum right, so that a test reaches what lies behind them.
fn mend(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_built_reads_back(records in proptest::collection::vec(record(), 1..20)) {
        for codec in Codec::ALL {
            reads_alike(&build(&records, codec), &records, codec);
        }
    }

    #[test]
    fn every_truncation_is_refused(records in proptest::collection::vec(record(), 1..4)) {
        for codec in Codec::ALL {
            let batch = build(&records, codec);
            // As it would arrive, and with length and checksum put right: then the records or the
            // codec must notice.
            let step = (batch.len() / 200).max(1);
            for cut in (0..batch.len()).step_by(step).chain([batch.len() - 1]) {
                prop_assert!(whole(&batch[..cut]).is_err(), "{codec:?} cut at {cut}");
                if cut >= HEADER_BYTES {
                    let mut cut_batch = batch[..cut].to_vec();
                    mend(&mut cut_batch);
                    prop_assert!(whole(&cut_batch).is_err(), "{codec:?} mended, cut at {cut}");
                }
            }
            let mut longer = batch.clone();
            longer.push(0);
            prop_assert_eq!(
                BatchView::parse(&longer, &Limits::default()).unwrap_err(),
                BatchError::Trailing(1)
            );
            if codec == Codec::None {
                mend(&mut longer);
                prop_assert!(whole(&longer).is_err());
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed(
        records in proptest::collection::vec(record(), 1..4),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut batch = build(&records, Codec::None);
        // Base offset and leader epoch are not covered by the checksum: brokers set them.
        let at = 16 + at.index(batch.len() - 16);
        batch[at] ^= 1 << bit;
        prop_assert!(BatchView::parse(&batch, &Limits::default()).is_err());
    }

    #[test]
    fn no_bytes_panic(choice: u8, data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut input = vec![choice];
        input.extend(data);
        crate::fuzzing::batch(&input);
    }

    #[test]
    fn no_damage_panics(
        records in proptest::collection::vec(record(), 1..4),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for codec in Codec::ALL {
            let mut batch = vec![1];
            batch.extend(build(&records, codec));
            for (at, byte) in &damage {
                let at = HEADER_BYTES + at.index(batch.len() - HEADER_BYTES);
                batch[at] = *byte;
            }
            crate::fuzzing::batch(&batch);
        }
    }
}

#[test]
fn taking_out_records_renumbers_the_rest_and_keeps_the_producer() {
    let records: Vec<_> = (0..5u8)
        .map(|i| Owned {
            timestamp_delta: i64::from(i) * 10,
            key: Some(vec![i]),
            value: None,
            headers: vec![],
        })
        .collect();
    let batch = build(&records, Codec::Lz4);
    let limits = Limits::default();
    let view = BatchView::parse(&batch, &limits).unwrap();
    let mut decompressor = Decompressor::new();
    let mut builder = BatchBuilder::like(view.header());
    for record in view.records(&mut decompressor, &limits).unwrap() {
        let record = record.unwrap();
        if record.offset_delta % 2 == 0 {
            builder.push_view(&record).unwrap();
        }
    }
    let mut out = Vec::new();
    builder
        .finish(Codec::Lz4, &mut Compressor::new(), &mut out)
        .unwrap();
    let kept: Vec<_> = records.iter().step_by(2).cloned().collect();
    reads_alike(&out, &kept, Codec::Lz4);
}

#[test]
fn the_brokers_append_time_holds_for_all_records() {
    let mut builder = BatchBuilder::like(&BatchHeader {
        attributes: Attributes(0x08),
        max_timestamp: 5000,
        base_timestamp: 1000,
        ..header()
    });
    builder
        .push(
            RecordParts {
                timestamp_delta: 7,
                ..RecordParts::default()
            },
            [],
        )
        .unwrap();
    let mut out = Vec::new();
    builder
        .finish(Codec::None, &mut Compressor::new(), &mut out)
        .unwrap();
    let limits = Limits::default();
    let view = BatchView::parse(&out, &limits).unwrap();
    assert_eq!(view.timestamp(7), 5000);
}

#[test]
fn an_empty_batch_is_not_written() {
    let mut out = vec![9];
    assert_eq!(
        BatchBuilder::new(0).finish(Codec::None, &mut Compressor::new(), &mut out),
        Err(BuildError::Empty)
    );
    assert_eq!(out, [9]);
}

#[test]
fn bad_headers_are_named() {
    let one = Owned {
        timestamp_delta: 0,
        key: None,
        value: Some(b"v".to_vec()),
        headers: vec![],
    };
    let good = build(&[one], Codec::None);
    let limits = Limits::default();
    let parse = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut batch = good.clone();
        change(&mut batch);
        BatchView::parse(&batch, &limits).map(|_| ()).unwrap_err()
    };
    assert_eq!(parse(&|b| b[16] = 1), BatchError::Magic(1));
    assert_eq!(
        parse(&|b| b[8..12].copy_from_slice(&(-1i32).to_be_bytes())),
        BatchError::Length(-1)
    );
    assert_eq!(
        parse(&|b| b[8..12].copy_from_slice(&48i32.to_be_bytes())),
        BatchError::Length(48)
    );
    assert_eq!(
        parse(&|b| b[8..12].copy_from_slice(&i32::MAX.to_be_bytes())),
        BatchError::TooLarge {
            bytes: 2_147_483_659,
            limit: limits.max_batch_bytes
        }
    );
    assert_eq!(
        parse(&|b| {
            b[22] = 5;
            mend(b);
        }),
        BatchError::Compression(5)
    );
    assert!(matches!(
        parse(&|b| b[30] ^= 1),
        BatchError::Checksum { .. }
    ));
}

#[test]
fn a_count_that_cannot_be_true_costs_nothing() {
    let one = Owned {
        timestamp_delta: 0,
        key: None,
        value: Some(b"v".to_vec()),
        headers: vec![],
    };
    let mut batch = build(&[one], Codec::None);
    for count in [-1, 3, i32::MAX] {
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        mend(&mut batch);
        let limits = Limits {
            max_records: usize::MAX,
            ..Limits::default()
        };
        let view = BatchView::parse(&batch, &limits).unwrap();
        let mut decompressor = Decompressor::new();
        assert!(matches!(
            view.records(&mut decompressor, &limits),
            Err(BatchError::Count { .. })
        ));
    }
    // Zero is possible in a log (compaction), but then no bytes may follow.
    batch[57..61].copy_from_slice(&0i32.to_be_bytes());
    mend(&mut batch);
    let limits = Limits::default();
    let view = BatchView::parse(&batch, &limits).unwrap();
    let mut decompressor = Decompressor::new();
    let mut records = view.records(&mut decompressor, &limits).unwrap();
    assert!(matches!(
        records.next(),
        Some(Err(RecordError::Trailing { records: 0, .. }))
    ));
    assert!(records.next().is_none());
}

#[test]
fn a_header_is_found_by_name_and_the_last_wins() {
    let one = Owned {
        timestamp_delta: 0,
        key: None,
        value: None,
        headers: vec![
            (b"a".to_vec(), Some(b"1".to_vec())),
            (b"b".to_vec(), None),
            (b"a".to_vec(), Some(b"2".to_vec())),
        ],
    };
    let batch = build(&[one], Codec::None);
    let limits = Limits::default();
    let view = BatchView::parse(&batch, &limits).unwrap();
    let mut decompressor = Decompressor::new();
    let record = view
        .records(&mut decompressor, &limits)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(record.headers.len(), 3);
    assert_eq!(record.headers.last(b"a").unwrap().value, Some(&b"2"[..]));
    assert_eq!(record.headers.last(b"b").unwrap().value, None);
    assert_eq!(record.headers.last(b"c"), None);
    assert_eq!(record.payload_bytes(), 5);
}

#[test]
fn a_release_gives_back_what_is_beyond_the_room_that_is_kept() {
    let value = vec![0; 1 << 20];
    let mut builder = BatchBuilder::new(0);
    let parts = RecordParts {
        value: Some(&value),
        ..RecordParts::default()
    };
    for _ in 0..4 {
        builder.push(parts, std::iter::empty()).unwrap();
    }
    assert!(builder.body.capacity() >= 4 << 20);
    builder.release(1 << 20);
    assert!(builder.is_empty());
    assert!(builder.body.capacity() <= 1 << 20);
}
