use std::sync::Arc;

use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::mesh::observation::Trust;
use meshwork_wire::{Attributes, BatchHeader, Header};
use proptest::prelude::*;

use super::assembly::PARTS_MAX;
use super::*;
use crate::policy::ProductPolicy;
use crate::testing::{Told, flight, policy};

mod limits;
mod schemas;

struct Given {
    key: Option<&'static [u8]>,
    value: Vec<u8>,
    headers: Vec<(&'static str, &'static str)>,
}

fn good(name: &str) -> Given {
    Given {
        key: Some(b"k"),
        value: flight(7, name, 1_000),
        headers: vec![],
    }
}

fn bad() -> Given {
    Given {
        value: b"junk".to_vec(),
        ..good("x")
    }
}

fn header() -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        partition_leader_epoch: -1,
        attributes: Attributes(0),
        last_offset_delta: 0,
        base_timestamp: 1_357_016_400_000,
        max_timestamp: 0,
        producer_id: 4711,
        producer_epoch: 2,
        base_sequence: 10,
        record_count: 0,
    }
}

fn batch(header: BatchHeader, codec: Codec, records: &[Given]) -> Vec<u8> {
    let mut builder = BatchBuilder::like(&header);
    for (i, given) in (0i64..).zip(records) {
        let parts = RecordParts {
            attributes: 0,
            timestamp_delta: i,
            key: given.key,
            value: Some(&given.value),
        };
        let headers = given.headers.iter().map(|(key, value)| Header {
            key: key.as_bytes(),
            value: Some(value.as_bytes()),
        });
        builder.push(parts, headers).unwrap();
    }
    let mut out = Vec::new();
    builder
        .finish(codec, &mut Compressor::new(), &mut out)
        .unwrap();
    out
}

fn pipeline(policy: ProductPolicy) -> BatchPipeline {
    BatchPipeline::new(Checker::new(Arc::new(policy)), Limits::default())
}

fn ops() -> ProducerTag {
    ProducerTag::new("ops", Trust::Principal)
}

fn context(producer: &ProducerTag) -> BatchContext<'_> {
    BatchContext {
        producer,
        partition: 3,
        arrived: Timestamp::from_millis(1_200),
        span_ms: None,
        max_batch_bytes: 1 << 20,
        removed_before: 0,
        recorded: None,
    }
}

fn run(policy: ProductPolicy, bytes: &[u8]) -> BatchReport {
    pipeline(policy)
        .run(bytes, context(&ops()), &Told::flights())
        .unwrap()
}

type Read = (Option<Vec<u8>>, Vec<u8>, Vec<String>);

fn read(bytes: &[u8]) -> (BatchHeader, Codec, Vec<Read>) {
    let limits = Limits::default();
    let view = BatchView::parse(bytes, &limits).unwrap();
    let mut decompressor = Decompressor::new();
    let records = view
        .records(&mut decompressor, &limits)
        .unwrap()
        .map(|r| {
            let r = r.unwrap();
            let headers = r
                .headers
                .iter()
                .map(|h| {
                    format!(
                        "{}={}",
                        String::from_utf8_lossy(h.key),
                        String::from_utf8_lossy(h.value.unwrap())
                    )
                })
                .collect();
            (
                r.key.map(<[u8]>::to_vec),
                r.value.unwrap().to_vec(),
                headers,
            )
        })
        .collect();
    (*view.header(), view.codec(), records)
}

fn rewritten(report: &BatchReport) -> &[u8] {
    match &report.outcome {
        BatchOutcome::Rewritten(bytes) => bytes,
        other => panic!("not rewritten: {other:?}"),
    }
}

#[test]
fn good_records_are_tagged_and_the_rest_of_the_batch_stays() {
    for codec in Codec::ALL {
        let given = batch(header(), codec, &[good("AA1"), good("AA2")]);
        let mut report = run(policy(EnforcementMode::Reject), &given);
        let (new, new_codec, records) = read(rewritten(&report));
        let (old, ..) = read(&given);
        assert_eq!(
            (new, new_codec),
            (old, codec),
            "only the records' headers differ"
        );
        assert!(records.iter().all(|r| r.2 == ["mesh-producer=ops"]));
        assert_eq!(records[1].1, flight(7, "AA2", 1_000));
        let seen = report.tally.take().unwrap();
        assert_eq!((seen.records, seen.partition), (2, 3));
        let bytes: usize = records.iter().map(|r| r.1.len() + 1 + 16).sum();
        assert_eq!(seen.bytes, i64::try_from(bytes).unwrap());
        assert_eq!(seen.lag.unwrap().greatest, 200);
        assert_eq!(seen.offsets, []);
    }
}

#[test]
fn what_needs_no_change_goes_on_byte_for_byte() {
    let tagged = Given {
        headers: vec![("mesh-producer", "ops")],
        ..good("A")
    };
    let given = batch(header(), Codec::Zstd, &[tagged]);
    let report = run(policy(EnforcementMode::Reject), &given);
    assert_eq!(report.outcome, BatchOutcome::Forward);
    let off = ProductPolicy {
        tag: TagMode::Off,
        ..policy(EnforcementMode::Reject)
    };
    let given = batch(header(), Codec::None, &[good("A")]);
    assert_eq!(run(off, &given).outcome, BatchOutcome::Forward);
}

#[test]
fn only_the_first_record_of_a_batch_is_tagged_if_the_product_says_so() {
    let first = ProductPolicy {
        tag: TagMode::Batch,
        ..policy(EnforcementMode::Quarantine)
    };
    let claimed = Given {
        headers: vec![("mesh-producer", "someone")],
        ..good("C")
    };
    let given = batch(header(), Codec::None, &[bad(), good("B"), claimed]);
    let report = run(first, &given);
    let (_, _, records) = read(rewritten(&report));
    assert_eq!(records[0].2, ["mesh-producer=ops"]);
    assert_eq!(records[1].2, [] as [&str; 0]);
}

#[test]
fn what_stays_is_copied_as_it_is_around_what_changes() {
    let first = ProductPolicy {
        tag: TagMode::Batch,
        ..policy(EnforcementMode::Reject)
    };
    let with = |name, headers: &[(&'static str, &'static str)]| Given {
        headers: headers.to_vec(),
        ..good(name)
    };
    let own = ("own", "1");
    let claim = ("mesh-producer", "someone");
    let tag = ("mesh-producer", "ops");
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        let given = [
            with("A", &[own]),
            with("B", &[own]),
            with("C", &[claim, own]),
            with("D", &[]),
            with("E", &[own]),
        ];
        let expected = [
            with("A", &[own, tag]),
            with("B", &[own]),
            with("C", &[own]),
            with("D", &[]),
            with("E", &[own]),
        ];
        let report = run(first.clone(), &batch(header(), codec, &given));
        assert_eq!(
            rewritten(&report),
            batch(header(), codec, &expected),
            "{codec:?}"
        );
    }
}

#[test]
fn a_large_batch_keeps_its_records_when_its_first_is_tagged() {
    let first = ProductPolicy {
        tag: TagMode::Batch,
        ..policy(EnforcementMode::Reject)
    };
    // Of one block of LZ4, and of several.
    for count in [3, 40_000] {
        let records: Vec<_> = (0..count).map(|n| good(&format!("F{n}"))).collect();
        for codec in Codec::ALL {
            let given = batch(header(), codec, &records);
            let report = run(first.clone(), &given);
            let (old, _, before) = read(&given);
            let (new, new_codec, after) = read(rewritten(&report));
            assert_eq!((new, new_codec), (old, codec));
            let (tagged, rest) = after.split_first().unwrap();
            assert_eq!(tagged.2, ["mesh-producer=ops"]);
            assert_eq!(tagged.1, before[0].1);
            assert!(rest == &before[1..], "{codec:?}");
        }
    }
}

#[test]
fn reject_names_every_bad_record_and_forwards_nothing() {
    let given = batch(header(), Codec::None, &[good("A"), bad(), good("B"), bad()]);
    let mut report = run(policy(EnforcementMode::Reject), &given);
    assert_eq!(report.outcome, BatchOutcome::Rejected);
    let indices: Vec<_> = report.refused.iter().map(|r| r.index).collect();
    assert_eq!(indices, [1, 3]);
    assert_eq!(report.reasons(), [(Reason::Framing, 2)]);
    let seen = report.tally.take().unwrap();
    assert_eq!((seen.records, seen.refused[0].records), (0, 2));
    assert_eq!(report.removed, 0);
}

#[test]
fn quarantine_takes_out_and_renumbers() {
    let given = batch(
        header(),
        Codec::Snappy,
        &[bad(), good("A"), bad(), good("B")],
    );
    let mut report = run(policy(EnforcementMode::Quarantine), &given);
    let (new, codec, records) = read(rewritten(&report));
    assert_eq!(codec, Codec::Snappy);
    assert_eq!((new.record_count, new.last_offset_delta), (2, 1));
    assert_eq!((new.base_sequence, new.producer_id), (10, 4711));
    assert_eq!(records[0].1, flight(7, "A", 1_000));
    assert_eq!(report.removed, 2);
    let (q, _, kept) = read(report.quarantine.as_deref().unwrap());
    assert_eq!(
        (q.producer_id, q.base_sequence, q.record_count),
        (-1, -1, 2)
    );
    assert_eq!(kept[0].0.as_deref(), Some(&b"k"[..]));
    assert_eq!(kept[0].1, b"junk");
    assert_eq!(kept[0].2[0], "mesh-reason=framing");
    assert!(
        kept[0]
            .2
            .contains(&"mesh-source=ops.flights.v1@3".to_owned())
    );
    let seen = report.tally.take().unwrap();
    assert_eq!(seen.records, 2);
    assert!(seen.refused.is_empty(), "counted where it is written");
}

#[test]
fn if_all_is_taken_out_nothing_goes_on() {
    let given = batch(header(), Codec::None, &[bad()]);
    let report = run(policy(EnforcementMode::Quarantine), &given);
    assert_eq!((report.outcome, report.removed), (BatchOutcome::Nothing, 1));
}

#[test]
fn later_batches_shift_by_what_was_taken_out_before() {
    for (sequence, removed, expected) in [
        (10, 0, 10),
        (10, 3, 7),
        (1, 3, i32::MAX - 1),
        (-1, 3, -1),
        (0, 1, i32::MAX),
    ] {
        assert_eq!(shift_sequence(sequence, removed), expected);
    }
    let given = batch(header(), Codec::None, &[good("A")]);
    let producer = ops();
    let context = BatchContext {
        removed_before: 4,
        ..context(&producer)
    };
    let off = ProductPolicy {
        tag: TagMode::Off,
        ..policy(EnforcementMode::Quarantine)
    };
    let report = pipeline(off)
        .run(&given, context, &Told::flights())
        .unwrap();
    assert_eq!(read(rewritten(&report)).0.base_sequence, 6);
}

#[test]
fn a_refused_record_fails_the_whole_of_a_transaction() {
    let transactional = BatchHeader {
        attributes: Attributes(0).transactional(),
        ..header()
    };
    let given = batch(transactional, Codec::None, &[good("A"), bad()]);
    let report = run(policy(EnforcementMode::Quarantine), &given);
    assert_eq!(report.outcome, BatchOutcome::Rejected);
    assert_eq!(report.quarantine, None);
    let given = batch(transactional, Codec::None, &[good("A")]);
    let report = run(policy(EnforcementMode::Quarantine), &given);
    assert!(read(rewritten(&report)).0.attributes.is_transactional());
}

#[test]
fn mark_lets_through_with_the_reason() {
    let given = batch(header(), Codec::None, &[good("A"), bad()]);
    let mut report = run(policy(EnforcementMode::Mark), &given);
    let (_, _, records) = read(rewritten(&report));
    assert_eq!(records[0].2, ["mesh-producer=ops"]);
    assert_eq!(records[1].2, ["mesh-producer=ops", "mesh-mark=framing"]);
    let seen = report.tally.take().unwrap();
    assert_eq!((seen.records, seen.refused[0].records), (2, 1));
}

#[test]
fn schemas_are_asked_for_once_each() {
    let other = |id| Given {
        value: flight(id, "A", 1),
        ..good("A")
    };
    let given = batch(
        header(),
        Codec::None,
        &[other(20), bad(), other(21), other(20)],
    );
    let report = run(policy(EnforcementMode::Quarantine), &given);
    let BatchOutcome::Load(needed) = report.outcome else {
        panic!("{:?}", report.outcome);
    };
    assert_eq!(needed.len(), 2);
    assert!(report.refused.is_empty());

    let given = batch(header(), Codec::None, &[other(503), good("A")]);
    let report = run(policy(EnforcementMode::Quarantine), &given);
    assert!(matches!(report.outcome, BatchOutcome::Unavailable(_)));
}

#[test]
fn a_batch_that_tagging_would_make_too_large_goes_on_untagged() {
    let given = batch(header(), Codec::None, &[good("A"), good("B")]);
    let producer = ops();
    let narrow = BatchContext {
        max_batch_bytes: given.len() + 20,
        ..context(&producer)
    };
    let mut report = pipeline(policy(EnforcementMode::Quarantine))
        .run(&given, narrow, &Told::flights())
        .unwrap();
    assert_eq!(
        (&report.outcome, report.untagged),
        (&BatchOutcome::Forward, true)
    );
    let seen = report.tally.take().unwrap();
    assert_eq!((seen.records, seen.bytes), (2, 2 * (1 + 9)));
}

#[test]
fn malformed_parents_are_dropped_and_counted_good_ones_observed() {
    let with = |parents| Given {
        headers: vec![("mesh-parents", parents)],
        ..good("A")
    };
    let given = batch(header(), Codec::None, &[with("a.b.v1@0:7"), with("x")]);
    let mut report = run(policy(EnforcementMode::Reject), &given);
    let (_, _, records) = read(rewritten(&report));
    assert_eq!(
        records[0].2,
        ["mesh-parents=a.b.v1@0:7", "mesh-producer=ops"]
    );
    assert_eq!(records[1].2, ["mesh-producer=ops"]);
    assert_eq!(report.parents_dropped, 1);
    assert_eq!(report.tally.take().unwrap().parents, ["a.b.v1"]);
}

#[test]
fn a_damaged_batch_is_an_error() {
    let mut given = batch(header(), Codec::None, &[good("A")]);
    let last = given.len() - 1;
    given[last] ^= 1;
    let result =
        pipeline(policy(EnforcementMode::Reject)).run(&given, context(&ops()), &Told::flights());
    assert!(matches!(
        result,
        Err(WalkError::Batch(BatchError::Checksum { .. }))
    ));
}

proptest! {
    /// Invariant 2 of the design: what the contract forbids is refused with a reason or is in
    /// quarantine, and nothing else is touched.
    #[test]
    fn every_record_is_in_exactly_one_place(
        bads in proptest::collection::vec(any::<bool>(), 1..30),
        codec in 0u8..5,
    ) {
        let codec = Codec::from_number(codec).unwrap();
        let records: Vec<_> = bads
            .iter()
            .enumerate()
            .map(|(i, is_bad)| if *is_bad { bad() } else { good(&format!("F{i}")) })
            .collect();
        let given = batch(header(), codec, &records);
        let mut report = run(policy(EnforcementMode::Quarantine), &given);
        let kept = match &report.outcome {
            BatchOutcome::Rewritten(bytes) => read(bytes).2,
            BatchOutcome::Nothing => vec![],
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let expected: Vec<_> = records
            .iter()
            .zip(&bads)
            .filter(|(_, is_bad)| !**is_bad)
            .map(|(r, _)| r.value.clone())
            .collect();
        prop_assert_eq!(kept.iter().map(|r| r.1.clone()).collect::<Vec<_>>(), expected);
        let quarantined = report.quarantine.as_deref().map_or(0, |b| read(b).2.len());
        prop_assert_eq!(kept.len() + quarantined, records.len());
        prop_assert_eq!(report.removed as usize, quarantined);
        let seen = report.tally.take().map_or(0, |seen| seen.records);
        prop_assert_eq!(usize::try_from(seen).unwrap(), kept.len());
    }
}

#[test]
fn a_repeat_follows_the_recorded_verdict() {
    // Sent again when its schema has appeared meanwhile: the same range goes on, nothing is put
    // into quarantine twice.
    let given = batch(
        header(),
        Codec::None,
        &[good("AA1"), good("AA2"), good("AA3")],
    );
    let producer = ops();
    let digest = digests(&given);
    let removed = [(1, digest[1])];
    let again = BatchContext {
        recorded: Some(Recorded {
            removed: &removed,
            repeat: false,
        }),
        ..context(&producer)
    };
    let report = pipeline(policy(EnforcementMode::Quarantine))
        .run(&given, again, &Told::flights())
        .unwrap();
    assert_eq!((report.removed, report.quarantine.is_none()), (1, true));
    let (new, _, records) = read(rewritten(&report));
    assert_eq!((new.record_count, new.base_sequence), (2, 10));
    assert_eq!(records.len(), 2);
}

#[test]
fn in_record_time_counts_are_cut_where_timestamps_pass_to_the_next_stretch() {
    let sender = ops();
    let context = BatchContext {
        span_ms: Some(2),
        ..context(&sender)
    };
    let records = [good("a"), good("b"), bad(), good("c"), good("d")];
    let bytes = batch(header(), Codec::Lz4, &records);
    let mut policy = policy(EnforcementMode::Mark);
    policy.tag = TagMode::Off;
    let report = pipeline(policy)
        .run(&bytes, context, &Told::flights())
        .unwrap();
    // Timestamps 0 and 1, 2 and 3, and 4 after the base, which is even.
    let base = header().base_timestamp;
    let parts: Vec<_> = report
        .parts
        .iter()
        .map(|p| (p.span - base / 2, p.newest.as_millis() - base, p.records))
        .collect();
    assert_eq!(parts, [(0, 1, 2), (1, 3, 2), (2, 4, 1)]);
    assert!(report.tally.is_empty());
    let mut seen: Vec<_> = report
        .parts
        .into_iter()
        .map(|mut part| part.tally.take().unwrap())
        .collect();
    assert_eq!(seen[0].refused[0].records, 1, "with the first part");
    assert!(seen[1].refused.is_empty());
    let lag = seen.remove(1).lag.unwrap();
    let event = 1_000;
    assert_eq!(lag.least, base + 3 - event, "arrived at its timestamp");
    // A batch of many stretches costs a bounded number of tallies.
    let many: Vec<Given> = (0..400).map(|_| good("x")).collect();
    let bytes = batch(header(), Codec::None, &many);
    let report = run_in(&bytes, context);
    assert_eq!(report.parts.len(), PARTS_MAX);
    assert_eq!(report.parts.iter().map(|p| p.records).sum::<u32>(), 400);
}

fn run_in(bytes: &[u8], context: BatchContext<'_>) -> BatchReport {
    pipeline(policy(EnforcementMode::Reject))
        .run(bytes, context, &Told::flights())
        .unwrap()
}

#[test]
fn records_of_transactions_are_counted_apart() {
    let transactional = BatchHeader {
        attributes: Attributes(0x10),
        ..header()
    };
    let mut all = PartitionTally::new("a.b.v1", 3);
    for header in [header(), transactional] {
        let bytes = batch(header, Codec::None, &[good("a"), good("b")]);
        let report = run(policy(EnforcementMode::Reject), &bytes);
        all.absorb(&report.tally);
    }
    let seen = all.take().unwrap();
    assert_eq!((seen.records, seen.transactional), (4, 2));
}

fn digests(bytes: &[u8]) -> Vec<u32> {
    let batch = BatchView::parse(bytes, &Limits::default()).unwrap();
    let mut decompressor = Decompressor::new();
    let records = batch
        .records(&mut decompressor, &Limits::default())
        .unwrap();
    records.map(|record| record.unwrap().digest()).collect()
}

fn recorded(
    mode: EnforcementMode,
    given: &[u8],
    removed: &[(u32, u32)],
    repeat: bool,
) -> BatchReport {
    let producer = ops();
    let again = BatchContext {
        removed_before: 4,
        recorded: Some(Recorded { removed, repeat }),
        ..context(&producer)
    };
    pipeline(policy(mode))
        .run(given, again, &Told::flights())
        .unwrap()
}

#[test]
fn a_verdict_on_other_records_is_not_followed() {
    let given = batch(header(), Codec::None, &[good("AA1"), good("AA2")]);
    let digest = digests(&given);
    assert_ne!(digest[0], digest[1]);
    for removed in [[(0, digest[1])], [(2, digest[0])]] {
        let report = recorded(EnforcementMode::Quarantine, &given, &removed, false);
        assert_eq!(report.outcome, BatchOutcome::OtherRecords);
    }
}

#[test]
fn what_was_passed_before_and_is_bad_now_goes_on_only_as_a_repeat() {
    let given = batch(header(), Codec::None, &[good("AA1"), bad(), good("AA3")]);
    let removed = [(0, digests(&given)[0])];
    for mode in [EnforcementMode::Quarantine, EnforcementMode::Reject] {
        let report = recorded(mode, &given, &removed, false);
        assert_eq!(report.outcome, BatchOutcome::Rejected);
        assert_eq!(report.refused.len(), 1);
        assert_eq!(report.refused[0].index, 1);
        let report = recorded(mode, &given, &removed, true);
        let (new, _, records) = read(rewritten(&report));
        assert_eq!((new.base_sequence, records.len()), (6, 2));
    }
    // A mode that lets everything pass still follows what was recorded.
    let report = recorded(EnforcementMode::Off, &given, &removed, false);
    assert_eq!(read(rewritten(&report)).2.len(), 2);
}

#[test]
fn a_batch_that_tagging_would_make_too_large_is_shifted_all_the_same() {
    let given = batch(header(), Codec::None, &[good("A")]);
    let producer = ops();
    let context = BatchContext {
        removed_before: 4,
        max_batch_bytes: given.len(),
        ..context(&producer)
    };
    let report = pipeline(policy(EnforcementMode::Quarantine))
        .run(&given, context, &Told::flights())
        .unwrap();
    assert!(report.untagged);
    let out = rewritten(&report);
    assert_eq!(read(out).0.base_sequence, 6);
    assert!(out.len() <= given.len());
}
