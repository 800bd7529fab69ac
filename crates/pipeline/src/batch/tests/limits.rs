//! What one batch may cost.

use super::*;

/// `n` of the least records there are, as cheap to send as can be.
fn junk(n: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::like(&header());
    for _ in 0..n {
        builder
            .push(RecordParts::default(), std::iter::empty())
            .unwrap();
    }
    let mut out = Vec::new();
    builder
        .finish(Codec::Zstd, &mut Compressor::new(), &mut out)
        .unwrap();
    out
}

#[test]
fn only_as_many_refusals_are_kept_in_words_as_are_told() {
    let report = run(policy(EnforcementMode::Reject), &junk(1_500));
    assert_eq!(report.outcome, BatchOutcome::Rejected);
    assert_eq!(report.reasons(), [(Reason::NoValue, 1_500)]);
    let in_words = report
        .refused
        .iter()
        .filter(|r| !r.refusal.detail.is_empty());
    assert_eq!(in_words.count(), 1_000);
    assert_eq!(report.refused.last().unwrap().index, 1_499);
    // What goes to quarantine says why, each of it.
    let report = run(policy(EnforcementMode::Quarantine), &junk(1_500));
    assert_eq!(report.removed, 1_500);
    assert!(report.refused.iter().all(|r| !r.refusal.detail.is_empty()));
}

#[test]
fn refusals_in_words_are_bounded_whatever_names_a_schema_has() {
    let name = "n".repeat(10_000);
    let mut told = Told::flights();
    let text = format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"{name}","type":{{"type":"long","logicalType":"timestamp-millis"}}}}]}}"#
    );
    told.know("ops.flights.v1-value", 30, &text);
    // A frame, and nothing in it.
    let empty = [0, 0, 0, 0, 30];
    let mut builder = BatchBuilder::like(&header());
    for _ in 0..20_000 {
        let parts = RecordParts {
            key: Some(b"k"),
            value: Some(&empty),
            ..RecordParts::default()
        };
        builder.push(parts, std::iter::empty()).unwrap();
    }
    let mut given = Vec::new();
    builder
        .finish(Codec::Zstd, &mut Compressor::new(), &mut given)
        .unwrap();
    let report = pipeline(policy(EnforcementMode::Quarantine))
        .run(&given, context(&ops()), &told)
        .unwrap();
    assert_eq!(report.reasons(), [(Reason::Datum, 20_000)]);
    assert_eq!(report.removed, 20_000);
    let words = report.refused.iter().map(|r| r.refusal.words());
    assert_eq!(
        words.clone().next().unwrap(),
        1_024 + "the datum ends within this value".len()
    );
    let all: usize = words.sum();
    assert!((15 << 20..=judge::WORDS_MAX).contains(&all), "{all}");
}

#[test]
fn a_batch_of_which_too_much_would_be_taken_out_is_rejected() {
    let report = run(policy(EnforcementMode::Quarantine), &junk(100_001));
    assert_eq!(report.outcome, BatchOutcome::Rejected);
    assert_eq!(report.quarantine, None);
    let report = run(policy(EnforcementMode::Quarantine), &junk(100_000));
    assert_eq!(report.outcome, BatchOutcome::Nothing);
}

#[test]
fn a_large_batch_leaves_no_large_buffers() {
    let mut pipeline = pipeline(policy(EnforcementMode::Mark));
    let report = pipeline
        .run(&junk(200_000), context(&ops()), &Told::flights())
        .unwrap();
    assert_eq!(report.reasons(), [(Reason::NoValue, 200_000)]);
    assert!(matches!(report.outcome, BatchOutcome::Rewritten(_)));
    assert!(pipeline.facts.capacity() <= FACTS_KEPT);
    // What is forgotten is given back, which meshwork-wire tests.
    assert!(pipeline.builder.is_empty());
    assert!(pipeline.decompressor.unpacked().is_empty());
}

#[test]
fn a_batch_of_too_many_records_is_not_read() {
    let limits = Limits {
        max_records: 10,
        ..Limits::default()
    };
    let checker = Checker::new(Arc::new(policy(EnforcementMode::Reject)));
    let mut pipeline = BatchPipeline::new(checker, limits);
    let mut run = |n| pipeline.run(&junk(n), context(&ops()), &Told::flights());
    assert!(run(10).is_ok());
    let too_many = BatchError::TooMany {
        count: 11,
        limit: 10,
    };
    assert_eq!(run(11).unwrap_err(), WalkError::Batch(too_many));
}
