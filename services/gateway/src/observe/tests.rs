use super::*;

/// Of a topic that has two partitions.
fn observations() -> Observations {
    let topics = Topics::new(10);
    topics.has("a.b.v1", 2);
    Observations::new(Metrics::default(), Arc::new(topics))
}

fn sent(records: i64, parts: &[(i64, i64, u32)]) -> Sent {
    let mut tally = PartitionTally::new("a.b.v1", 0);
    for _ in 0..records {
        tally.record(&meshwork_pipeline::Tallied {
            bytes: 1,
            producer: None,
            schema_id: None,
            event_time: None,
            arrived: Timestamp::default(),
            parents: None,
        });
    }
    let parts = parts
        .iter()
        .map(|(span, newest, records)| meshwork_pipeline::Part {
            span: *span,
            newest: Timestamp::from_millis(*newest),
            records: *records,
            tally: PartitionTally::new("a.b.v1", 0),
        });
    Sent {
        topic: meshwork_wire::protocol::OwnedTopic::Name("a.b.v1".into()),
        name: "a.b.v1".into(),
        partition: 0,
        tally,
        parts: parts.collect(),
        records,
        renumbered: false,
        alone: false,
        session: None,
    }
}

fn taken(observations: &Observations, all: bool) -> Vec<(i64, i64, Option<i64>)> {
    observations
        .take(all)
        .into_iter()
        .map(|ready| {
            let (first, last) = (ready.seen.offsets.first(), ready.seen.offsets.last());
            (
                first.unwrap().from,
                last.unwrap().until,
                ready.observed_at.map(Timestamp::as_millis),
            )
        })
        .collect()
}

#[test]
fn a_repeat_with_its_old_offsets_is_counted_once() {
    let observations = observations();
    let added = [10, 10, 12].map(|at| observations.acknowledged(&sent(5, &[]), at));
    assert_eq!(added, [5, 0, 0]);
    observations.acknowledged(&sent(2, &[(1, 1, 1), (2, 2, 1)]), -1);
    let ready = observations.take(false);
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].seen.records, 5);
}

#[test]
fn the_offsets_of_a_topic_that_was_made_anew_are_no_repeats() {
    let observations = observations();
    assert_eq!(observations.acknowledged(&sent(5, &[]), 0), 5);
    observations.made_anew("other.topic.v1");
    assert_eq!(observations.acknowledged(&sent(5, &[]), 0), 0);
    observations.made_anew("a.b.v1");
    assert_eq!(observations.acknowledged(&sent(5, &[]), 0), 5);
}

#[test]
fn of_refused_records_only_partitions_that_brokers_have_told_of_are_kept() {
    let observations = observations();
    let mut tally = PartitionTally::new("a.b.v1", 0);
    tally.refused(meshwork_pipeline::Reason::Datum, 1);
    for partition in -1..10_000 {
        observations.refused(&"a.b.v1".into(), partition, &tally);
        observations.refused(&"made.up.v1".into(), partition, &tally);
    }
    assert_eq!(observations.slots.lock().len(), 2);
    assert_eq!(observations.take(true).len(), 2);
}

#[test]
fn what_may_be_another_gateways_repeat_is_observed_by_itself() {
    let observations = observations();
    observations.acknowledged(&sent(5, &[]), 10);
    let alone = Sent {
        alone: true,
        ..sent(2, &[])
    };
    observations.acknowledged(&alone, 15);
    observations.acknowledged(&alone, 15);
    observations.acknowledged(&sent(3, &[]), 17);
    let mut ranges: Vec<_> = observations
        .take(false)
        .into_iter()
        .map(|ready| (ready.seen.records, ready.seen.offsets))
        .collect();
    ranges.sort_by_key(|(records, _)| *records);
    let range = |from, until| OffsetRange { from, until };
    assert_eq!(
        ranges,
        [
            (2, vec![range(15, 17)]),
            (8, vec![range(10, 15), range(17, 20)])
        ]
    );
}

#[test]
fn in_record_time_an_observation_covers_one_stretch_and_is_stamped_with_its_end() {
    let observations = observations();
    observations.acknowledged(&sent(0, &[(1, 110, 3), (2, 205, 2)]), 10);
    assert_eq!(taken(&observations, false), [(10, 13, Some(110))]);
    observations.acknowledged(&sent(0, &[(2, 203, 4)]), 15);
    assert_eq!(taken(&observations, false), [], "it goes on");
    assert_eq!(
        taken(&observations, false),
        [(13, 19, Some(205))],
        "nothing more came"
    );
    observations.acknowledged(&sent(0, &[(3, 301, 1)]), 19);
    assert_eq!(taken(&observations, true), [(19, 20, Some(301))]);
}
