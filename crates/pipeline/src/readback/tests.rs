use super::*;
use crate::testing::{Told, flight, policy};

fn read(
    span_ms: Option<i64>,
    records: &[(i64, i64, &[u8], &[Header<'static>])],
    from: i64,
    until: i64,
) -> Vec<SpanObservation> {
    let told = Told::flights();
    let mut readback = RangeReadback::new(&policy(EnforcementMode::Reject), 2, from, span_ms);
    for (offset, timestamp, value, headers) in records {
        let record = ReadRecord {
            offset: *offset,
            timestamp: Some(Timestamp::from_millis(*timestamp)),
            key: Some(b"key"),
            value: Some(value),
            headers: headers.iter().copied(),
        };
        readback.record(&record, &told).unwrap();
    }
    readback.finish(until)
}

#[test]
fn one_observation_covers_markers_and_what_is_gone() {
    let headers = [
        Header {
            key: b"mesh-producer",
            value: Some(b"ops"),
        },
        Header {
            key: b"mesh-parents",
            value: Some(b"a.b.v1@0:5"),
        },
    ];
    let value = flight(7, "AA1", 1_000);
    let out = read(
        None,
        &[(10, 2_000, &value, &headers), (13, 1_800, b"junk", &[])],
        9,
        16,
    );
    assert_eq!(out.len(), 1);
    let seen = &out[0].seen;
    assert_eq!(out[0].newest, Some(Timestamp::from_millis(2_000)));
    assert_eq!(seen.offsets, [OffsetRange { from: 9, until: 16 }]);
    assert_eq!((seen.records, seen.partition), (2, 2));
    assert_eq!(
        seen.bytes,
        i64::try_from(value.len() + 3 + 13 + 3 + 12 + 10 + 4 + 3).unwrap()
    );
    assert_eq!(seen.producers.len(), 1);
    assert_eq!(seen.producers[0].trust, Trust::Claimed);
    assert_eq!(seen.parents, ["a.b.v1"]);
    assert_eq!(seen.event_times.unwrap().records, 1);
    assert_eq!(seen.lag.as_ref().unwrap().greatest, 1_000);
}

#[test]
fn spans_of_record_time_are_told_apart() {
    let value = |at| flight(7, "A", at);
    let (a, b, c) = (value(1), value(2), value(3));
    let out = read(
        Some(60_000),
        &[
            (0, 1_000, &a, &[]),
            (1, 59_999, &b, &[]),
            (4, 60_000, &c, &[]),
        ],
        0,
        5,
    );
    let ranges: Vec<_> = out
        .iter()
        .map(|o| {
            (
                o.seen.offsets[0].from,
                o.seen.offsets[0].until,
                o.newest.unwrap().as_millis(),
            )
        })
        .collect();
    assert_eq!(ranges, [(0, 4, 59_999), (4, 5, 60_000)]);
    assert_eq!(out[0].seen.records, 2);
}

#[test]
fn a_range_without_records_is_covered_all_the_same() {
    let out = read(Some(60_000), &[], 7, 9);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].newest, None);
    assert_eq!(out[0].seen.offsets, [OffsetRange { from: 7, until: 9 }]);
    assert_eq!(out[0].seen.records, 0);
    assert!(read(None, &[], 7, 7).is_empty());
}

#[test]
fn a_schema_that_is_not_loaded_is_asked_for_and_the_record_given_again() {
    let value = flight(12, "A", 1);
    let record = ReadRecord {
        offset: 0,
        timestamp: Some(Timestamp::from_millis(5)),
        key: None,
        value: Some(&value),
        headers: std::iter::empty(),
    };
    let mut readback = RangeReadback::new(&policy(EnforcementMode::Reject), 0, 0, None);
    let mut told = Told::flights();
    let needed = readback.record(&record, &told).unwrap_err();
    assert_eq!(needed.subject, "ops.flights.v1-value");
    told.know("ops.flights.v1-value", 12, crate::testing::FLIGHT);
    readback.record(&record, &told).unwrap();
    let out = readback.finish(1);
    assert_eq!(out[0].seen.records, 1);
    assert_eq!(
        out[0].seen.event_times.unwrap().greatest,
        Timestamp::from_millis(1)
    );
}
