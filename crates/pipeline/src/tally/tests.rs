use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn plain() -> Tallied<'static> {
    Tallied {
        bytes: 10,
        producer: Some(("ops", Trust::Configured)),
        schema_id: Some(SchemaId::new(7).unwrap()),
        event_time: Some(at(1_000)),
        arrived: at(1_500),
        parents: None,
    }
}

fn range(from: i64, until: i64) -> OffsetRange {
    OffsetRange { from, until }
}

#[test]
fn adds_up_and_starts_anew() {
    let mut tally = PartitionTally::new("t", 3);
    tally.set_topic_id(Some("id".to_owned()));
    assert_eq!(tally.take(), None);
    tally.record(&plain());
    tally.record(&Tallied {
        event_time: Some(at(900)),
        parents: Parents::parse(b"a@0:1,b@1:2-5,a@3:9"),
        ..plain()
    });
    tally.record(&Tallied {
        event_time: None,
        producer: None,
        schema_id: None,
        ..plain()
    });
    tally.cover(range(5, 8)).unwrap();
    tally.refused(Reason::Datum, 2);
    tally.refused(Reason::Datum, 1);
    let seen = tally.take().unwrap();
    assert_eq!((seen.topic.as_str(), seen.partition), ("t", 3));
    assert_eq!(seen.topic_id.as_deref(), Some("id"));
    assert_eq!(seen.offsets, [range(5, 8)]);
    assert_eq!((seen.records, seen.bytes), (3, 30));
    assert_eq!(seen.refused.len(), 1);
    assert_eq!(seen.refused[0].records, 3);
    assert_eq!(seen.producers.len(), 1);
    assert_eq!(seen.producers[0].records, 2);
    assert_eq!(
        seen.schemas,
        [SchemaCount {
            schema_id: 7,
            records: 2
        }]
    );
    assert_eq!(
        seen.event_times,
        Some(EventTimes {
            least: at(900),
            greatest: at(1_000),
            records: 2,
            ahead: 0
        })
    );
    let lag = seen.lag.unwrap();
    assert_eq!((lag.least, lag.greatest), (500, 600));
    let sketch = DDSketch::from_java_bytes(&lag.sketch).unwrap();
    assert_eq!(sketch.count(), 2);
    assert_eq!(seen.parents, ["a", "b"]);
    assert!(tally.is_empty());
    tally.refused(Reason::Key, 1);
    let next = tally.take().unwrap();
    assert_eq!(
        (next.records, next.partition, next.topic_id.as_deref()),
        (0, 3, Some("id"))
    );
    assert_eq!((next.lag, next.event_times), (None, None));
}

#[test]
fn event_times_far_ahead_are_set_aside() {
    let mut tally = PartitionTally::new("t", 0);
    for (event, arrived) in [(61_001, 1_000), (61_000, 1_000), (-5, 1_000)] {
        tally.record(&Tallied {
            event_time: Some(at(event)),
            arrived: at(arrived),
            ..plain()
        });
    }
    let seen = tally.take().unwrap();
    assert_eq!(
        seen.event_times,
        Some(EventTimes {
            least: at(-5),
            greatest: at(61_000),
            records: 2,
            ahead: 1
        })
    );
    // Below 0 counts as 0.
    let lag = seen.lag.unwrap();
    assert_eq!((lag.least, lag.greatest), (0, 1_005));

    tally.record(&Tallied {
        event_time: Some(at(100_000)),
        arrived: at(1_000),
        ..plain()
    });
    let seen = tally.take().unwrap();
    assert_eq!(
        seen.event_times,
        Some(EventTimes {
            least: at(0),
            greatest: at(0),
            records: 0,
            ahead: 1
        })
    );
    assert_eq!(seen.lag, None);
}

#[test]
fn lists_are_bounded_and_the_rest_is_counted() {
    let mut tally = PartitionTally::new("t", 0);
    for i in 0..70 {
        let name = format!("p{i}");
        let parent = format!("topic{i}@0:1");
        for _ in 0..2 {
            tally.record(&Tallied {
                producer: Some((&name, Trust::Claimed)),
                schema_id: Some(SchemaId::new(i + 1).unwrap()),
                parents: Parents::parse(parent.as_bytes()),
                ..plain()
            });
        }
    }
    let seen = tally.take().unwrap();
    assert_eq!((seen.producers.len(), seen.producers_more), (64, 12));
    assert_eq!((seen.schemas.len(), seen.schemas_more), (64, 12));
    assert_eq!((seen.parents.len(), seen.parents_more), (64, 12));
    assert!(seen.producers.iter().all(|p| p.records == 2));
    assert_eq!(seen.records, 140);
}

#[test]
fn the_same_name_on_another_trust_is_another_producer() {
    let mut tally = PartitionTally::new("t", 0);
    for trust in [Trust::Principal, Trust::Claimed, Trust::Principal] {
        tally.record(&Tallied {
            producer: Some(("ops", trust)),
            ..plain()
        });
    }
    let counts: Vec<_> = tally
        .take()
        .unwrap()
        .producers
        .iter()
        .map(|p| (p.trust, p.records))
        .collect();
    assert_eq!(counts, [(Trust::Principal, 2), (Trust::Claimed, 1)]);
}

#[test]
fn a_sixty_fifth_range_has_to_wait_for_the_next_observation() {
    let mut tally = PartitionTally::new("t", 0);
    for i in 0..64 {
        tally.cover(range(i * 10, i * 10 + 1)).unwrap();
    }
    assert_eq!(tally.cover(range(5_000, 5_001)), Err(Full));
    // One that only closes a gap still fits.
    tally.cover(range(1, 10)).unwrap();
    tally.cover(range(5_000, 5_001)).unwrap();
    assert_eq!(tally.take().unwrap().offsets.len(), 64);
}

#[test]
fn absorbing_equals_counting_in_one() {
    let records: Vec<_> = (0..50)
        .map(|i| Tallied {
            producer: Some((["a", "b", "c"][i % 3], Trust::ClientId)),
            event_time: (i % 4 != 0).then(|| at(i64::try_from(i * 37).unwrap())),
            schema_id: Some(SchemaId::new(i64::try_from(i % 2).unwrap() + 1).unwrap()),
            bytes: i,
            parents: Parents::parse(["x@0:1", "y@0:1"][i % 2].as_bytes()),
            ..plain()
        })
        .collect();
    let mut one = PartitionTally::new("t", 0);
    let mut other = PartitionTally::new("t", 0);
    let mut parts = PartitionTally::new("t", 0);
    for (i, record) in records.iter().enumerate() {
        one.record(record);
        if i < 20 { &mut parts } else { &mut other }.record(record);
    }
    one.refused(Reason::Key, 3);
    other.refused(Reason::Key, 3);
    parts.absorb(&other);
    for tally in [&mut one, &mut parts] {
        tally.cover(range(0, 50)).unwrap();
    }
    assert_eq!(one.take(), parts.take());
}

proptest! {
    #[test]
    fn ranges_are_the_set_of_offsets(
        given in proptest::collection::vec((0i64..80, 0i64..6), 0..60)
    ) {
        let mut tally = PartitionTally::new("t", 0);
        let mut set = std::collections::BTreeSet::new();
        for (from, length) in given {
            tally.cover(range(from, from + length)).unwrap();
            set.extend(from..from + length);
        }
        let ranges = tally.take().map(|seen| seen.offsets).unwrap_or_default();
        let listed: Vec<i64> = ranges.iter().flat_map(|r| r.from..r.until).collect();
        prop_assert_eq!(listed, set.into_iter().collect::<Vec<_>>());
        prop_assert!(ranges.windows(2).all(|w| w[0].until < w[1].from));
    }
}
