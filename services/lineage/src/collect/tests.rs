use meshwork_model::mesh::announcement::{
    EnforcementMode, ProductStatus, RegisteredSchema, TagMode,
};
use meshwork_model::mesh::observation::{
    OffsetRange, PartitionObservation, ProducerCount, ReaderPosition, SourceKind, Tick,
    TransactionalJob, Trust,
};
use proptest::prelude::*;

use super::*;

fn source(sequence: i64) -> ObservationSource {
    ObservationSource {
        kind: SourceKind::Produce,
        instance: "host".into(),
        epoch: 1,
        sequence,
    }
}

fn observation(topic: &str, from: i64, until: i64, producers: &[(&str, i64)]) -> StreamObservation {
    StreamObservation {
        source: source(from),
        observed_at: Timestamp::from_millis(1000 + from),
        fact: ObservationFact::PartitionObservation(PartitionObservation {
            topic: topic.to_owned(),
            offsets: vec![OffsetRange { from, until }],
            records: until - from,
            producers: producers
                .iter()
                .map(|(name, records)| ProducerCount {
                    name: (*name).to_owned(),
                    trust: Trust::Configured,
                    records: *records,
                })
                .collect(),
            ..PartitionObservation::default()
        }),
    }
}

fn summary(sightings: &[Sighting]) -> Vec<(String, String, Basis, i64)> {
    sightings
        .iter()
        .map(|s| (node::label(&s.from), node::label(&s.to), s.basis, s.records))
        .collect()
}

#[test]
fn an_observation_shows_its_producers_and_counts_the_unnamed() {
    let mut covered = Covered::default();
    let mut first = observation("ops.flights.v1", 0, 10, &[("a", 6), ("b", 1)]);
    if let ObservationFact::PartitionObservation(seen) = &mut first.fact {
        seen.parents = vec!["raw".into(), "ops.flights.v1".into(), "mesh.catalog".into()];
    }
    let to = "ops.flights:v1".to_owned();
    let edge = |from: &str, basis, records| (from.to_owned(), to.clone(), basis, records);
    assert_eq!(
        summary(&observed(&first, &mut covered)),
        [
            edge("producer:a", Basis::Observed, 6),
            edge("producer:b", Basis::Observed, 1),
            edge("producer:unknown", Basis::Observed, 3),
            edge("topic:raw", Basis::Reported, 0),
        ]
    );
    // The same again is a sign, and no count.
    assert!(
        observed(&first, &mut covered)
            .iter()
            .all(|sighting| sighting.records == 0)
    );
}

fn reader(name: &str, group: Option<&str>, inferred: bool) -> ReaderPosition {
    ReaderPosition {
        name: name.to_owned(),
        trust: Trust::Principal,
        group: group.map(str::to_owned),
        inferred,
        next_offset: Some(5),
        committed: None,
    }
}

fn job(group: &str, transactional_id: &str, side: JobSide) -> TransactionalJob {
    TransactionalJob {
        group: group.to_owned(),
        transactional_id: transactional_id.to_owned(),
        producer_id: Some(1),
        side,
    }
}

#[test]
fn no_more_of_a_list_is_read_than_may_be_written() {
    let names: Vec<String> = (0..LIST_MAX + 36).map(|n| format!("n{n}")).collect();
    let producers: Vec<(&str, i64)> = names.iter().map(|name| (&**name, 1)).collect();
    let mut long = observation("ops.flights.v1", 0, 100, &producers);
    if let ObservationFact::PartitionObservation(seen) = &mut long.fact {
        seen.parents = names;
    }
    let seen = observed(&long, &mut Covered::default());
    let of = |basis| seen.iter().filter(move |s| s.basis == basis);
    // Those that are not named, 36 records, are one more.
    assert_eq!(of(Basis::Observed).count(), LIST_MAX + 1);
    assert_eq!(of(Basis::Observed).map(|s| s.records).sum::<i64>(), 100);
    assert_eq!(of(Basis::Reported).count(), LIST_MAX);
}

#[test]
fn an_observation_shows_readers_by_their_groups_and_jobs_by_both_sides() {
    let mut covered = Covered::default();
    let mut seen = observation("ops.flights.v1", 5, 5, &[]);
    if let ObservationFact::PartitionObservation(seen) = &mut seen.fact {
        seen.readers = vec![
            reader("ann", Some("board"), false),
            reader("ann", Some("guess"), true),
            reader("bob", None, false),
        ];
        seen.jobs = vec![
            job("delays", "delays-0", JobSide::Reads),
            job("weather", "weather-0", JobSide::Writes),
        ];
    }
    let topic = "ops.flights:v1";
    let edge = |from: &str, to: &str, basis| (from.to_owned(), to.to_owned(), basis, 0);
    let expected = [
        edge(topic, "group:board", Basis::Observed),
        edge(topic, "group:guess", Basis::Inferred),
        edge(topic, "reader:bob", Basis::Observed),
        edge(topic, "job:delays", Basis::Observed),
        edge("job:weather", topic, Basis::Observed),
    ];
    assert_eq!(summary(&observed(&seen, &mut covered)), expected);
    // Reading covers no offsets: what is written there later counts.
    let written = observation("ops.flights.v1", 0, 10, &[("a", 10)]);
    assert_eq!(observed(&written, &mut covered)[0].records, 10);

    // What Kafka Streams keeps for itself is its own inside.
    let mut inside = observation("delays-store-changelog", 5, 5, &[]);
    if let ObservationFact::PartitionObservation(seen) = &mut inside.fact {
        seen.readers = vec![reader("ann", Some("delays"), false)];
        seen.jobs = vec![job("delays", "delays-0", JobSide::Writes)];
    }
    assert_eq!(observed(&inside, &mut covered), []);
}

/// What is said of the one job whose transactional ids were seen, given what is known of it.
fn said(
    ids: &[&str],
    at: i64,
    known: Option<&BTreeMap<String, String>>,
) -> Option<BTreeMap<String, String>> {
    let seen = PartitionObservation {
        jobs: ids
            .iter()
            .map(|id| job("delays", id, JobSide::Reads))
            .collect(),
        ..PartitionObservation::default()
    };
    let (job, ids) = job_ids(&seen).pop_first()?;
    match job_detail(job, ids, Timestamp::from_millis(at), known)?.fact {
        Fact::NodeFact(fact) => Some(fact.detail),
        Fact::EdgeFact(_) => panic!("no edge"),
    }
}

#[test]
fn a_jobs_transactional_ids_are_gathered_and_said_once() {
    let first = said(&["delays-1", "delays-0"], 7, None).unwrap();
    assert_eq!(first[TRANSACTIONAL_IDS], "delays-0, delays-1");
    assert_eq!(said(&["delays-1"], 8, Some(&first)), None);
    let more = said(&["delays-2"], 8, Some(&first)).unwrap();
    assert_eq!(more[TRANSACTIONAL_IDS], "delays-0, delays-1, delays-2");
    assert_eq!(more[AS_OF], "8");
    // Seen earlier, told later: it is the later word all the same.
    assert_eq!(said(&["delays-2"], 5, Some(&first)).unwrap()[AS_OF], "8");
    let many: Vec<String> = (0..40).map(|n| format!("t{n:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let listed = said(&many, 7, None).unwrap();
    assert_eq!(
        listed[TRANSACTIONAL_IDS].split(SEPARATOR).count(),
        TRANSACTIONAL_IDS_MAX
    );
    assert_eq!(said(&["other"], 8, Some(&listed)), None);
}

#[test]
fn odd_transactional_ids_are_said_once_too() {
    for id in ["a, b", ", ", ",", "a,", " a "] {
        let first = said(&[id], 7, None).unwrap();
        assert_eq!(said(&[id], 8, Some(&first)), None, "{id:?}");
    }
    assert_eq!(said(&[""], 7, None), None);
}

#[test]
fn silence_ticks_and_the_meshs_own_topics_show_nothing() {
    let mut covered = Covered::default();
    for quiet in [
        observation("ops.flights.v1", 5, 5, &[]),
        observation("mesh.slo.status", 0, 5, &[("a", 5)]),
        observation("ops.flights.v1.quarantine", 0, 5, &[("a", 5)]),
        StreamObservation {
            fact: ObservationFact::Tick(Tick { shard: 0 }),
            ..observation("ops.flights.v1", 0, 5, &[])
        },
    ] {
        assert_eq!(observed(&quiet, &mut covered), []);
    }
}

#[test]
fn counts_are_cumulative_per_source_and_bounded() {
    let sighting = Sighting {
        from: node::of_producer("a", Trust::Configured),
        to: node::of_input("ops.flights.v1"),
        basis: Basis::Observed,
        at: Timestamp::from_millis(5),
        records: 10,
    };
    let mut day = sighting.fact().unwrap();
    for instance in 0..SOURCES_MAX + 10 {
        for _ in 0..2 {
            let source = ObservationSource {
                instance: format!("i{instance:04}"),
                ..source(0)
            };
            count(&mut day, &source, &sighting);
        }
    }
    assert_eq!(day.counts.len(), SOURCES_MAX);
    assert_eq!(
        fold::records(&day),
        i64::try_from(SOURCES_MAX + 10).unwrap() * 20
    );
    let others = day.counts.iter().find(|c| c.instance == OTHER_SOURCES);
    assert_eq!(others.unwrap().records, 11 * 20);
    let once = day.clone();
    count(
        &mut day,
        &source(0),
        &Sighting {
            records: 0,
            ..sighting
        },
    );
    assert_eq!(day, once);
}

proptest! {
    /// However often and in whatever overlap a log's ranges are told, the day's total is the
    /// number of distinct offsets: here each observation has one producer.
    #[test]
    fn repeats_do_not_count_twice(
        told in proptest::collection::vec((0..50i64, 1..10i64, 0..3u8), 1..60),
    ) {
        let mut covered = Covered::default();
        let mut days: BTreeMap<NodeRef, EdgeFact> = BTreeMap::new();
        let mut offsets = BTreeSet::new();
        for (from, length, producer) in told {
            let name = format!("p{producer}");
            let observation =
                observation("ops.flights.v1", from, from + length, &[(&name, length)]);
            for sighting in observed(&observation, &mut covered) {
                let day = days
                    .entry(sighting.from.clone())
                    .or_insert_with(|| sighting.fact().unwrap());
                count(day, &observation.source, &sighting);
            }
            offsets.extend(from..from + length);
        }
        let total: i64 = days.values().map(fold::records).sum();
        prop_assert_eq!(total, i64::try_from(offsets.len()).unwrap());
    }
}

fn announcement(inputs: &[&str], status: ProductStatus, at: i64) -> ProductAnnouncement {
    let urn: meshwork_model::name::Urn = "urn:meshwork:analytics:delays:v1".parse().unwrap();
    ProductAnnouncement {
        domain: "analytics".into(),
        product: "delays".into(),
        version: "1.0.0".into(),
        status,
        topic: urn.topic(),
        announced_at: Timestamp::from_millis(at),
        changed_at: Timestamp::from_millis(at),
        owner: "team".into(),
        description: None,
        tags: Vec::new(),
        contract: String::new(),
        contract_digest: String::new(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: 1,
            guid: String::new(),
            schema: "\"string\"".into(),
        },
        key_schema: None,
        key_columns: Vec::new(),
        compatibility: "BACKWARD".into(),
        partitions: 1,
        retention_ms: None,
        compacted: false,
        enforcement: EnforcementMode::Reject,
        tag: TagMode::Record,
        event_time: None,
        inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
        slos: Vec::new(),
        urn,
    }
}

/// Announces one after the other, each fact folded, and gives what stands declared.
fn announce(announcements: &[ProductAnnouncement]) -> Vec<(String, bool)> {
    let mut known: BTreeMap<NodeRef, DeclaredEdge> = BTreeMap::new();
    for announcement in announcements {
        let edges: Vec<DeclaredEdge> = known.values().cloned().collect();
        for fact in declared(announcement, &edges) {
            let Fact::EdgeFact(edge) = fact.fact else {
                continue;
            };
            let before = known.get(&edge.from);
            if before.is_none_or(|before| before.last_seen <= edge.last_seen) {
                known.insert(
                    edge.from.clone(),
                    DeclaredEdge {
                        from: edge.from,
                        last_seen: edge.last_seen,
                        ended: edge.ended,
                    },
                );
            }
        }
    }
    known
        .values()
        .map(|edge| (node::label(&edge.from), edge.ended))
        .collect()
}

#[test]
fn declared_edges_follow_the_last_announcement() {
    use ProductStatus::{Active, Retired};
    let (a, b) = ("ops.a:v1", "urn:meshwork:ops:b:v1");
    let stands = |list: &[(&str, bool)]| -> Vec<(String, bool)> {
        list.iter().map(|(n, e)| ((*n).to_owned(), *e)).collect()
    };
    for (story, expected) in [
        (
            vec![announcement(&[a, b], Active, 5)],
            stands(&[("ops.a:v1", false), ("ops.b:v1", false)]),
        ),
        (
            vec![
                announcement(&[a, b], Active, 5),
                announcement(&[a], Active, 6),
            ],
            stands(&[("ops.a:v1", false), ("ops.b:v1", true)]),
        ),
        (
            // The clock stands still: dropped and named again at one moment.
            vec![
                announcement(&[a], Active, 5),
                announcement(&[], Active, 5),
                announcement(&[a], Active, 5),
            ],
            stands(&[("ops.a:v1", false)]),
        ),
        (
            // The clock went back.
            vec![announcement(&[a], Active, 9), announcement(&[], Active, 5)],
            stands(&[("ops.a:v1", true)]),
        ),
        (
            vec![
                announcement(&[a], Active, 5),
                announcement(&[a], Retired, 6),
            ],
            stands(&[("ops.a:v1", true)]),
        ),
        (
            // A product is not made from itself.
            vec![announcement(&["analytics.delays.v1"], Active, 5)],
            Vec::new(),
        ),
    ] {
        assert_eq!(announce(&story), expected);
    }
}

#[test]
fn a_poll_shows_assigned_topics_and_moved_offsets() {
    let topic = "ops.flights.v1".to_owned();
    let at = Timestamp::from_millis(7);
    let mut group = GroupSnapshot {
        id: "board".into(),
        state: "Empty".into(),
        kind: "classic".into(),
        offsets: BTreeMap::from([((topic.clone(), 0), 5), (("mesh.catalog".into(), 0), 9)]),
        ..GroupSnapshot::default()
    };
    let edges = |sightings: &[Sighting]| sightings.len();
    // First seen: a sign if the edge is new, else its offsets may be old.
    assert_eq!(edges(&polled(&group, None, at, |_, _| false)), 1);
    assert_eq!(edges(&polled(&group, None, at, |_, _| true)), 0);
    // Unmoved, then moved.
    let previous = group.offsets.clone();
    assert_eq!(edges(&polled(&group, Some(&previous), at, |_, _| true)), 0);
    group.offsets.insert((topic.clone(), 0), 6);
    assert_eq!(edges(&polled(&group, Some(&previous), at, |_, _| true)), 1);
    // Members at work on it.
    group.assigned.insert(topic);
    group.assigned.insert("mesh.observations".into());
    group.assigned.insert("board-store-changelog".into());
    let sightings = polled(&group, Some(&group.offsets), at, |_, _| true);
    assert_eq!(
        summary(&sightings),
        [(
            "ops.flights:v1".to_owned(),
            "group:board".to_owned(),
            Basis::Observed,
            0
        )]
    );
}

#[test]
fn client_ids_are_evidence_folded_and_bounded() {
    let group = GroupSnapshot {
        id: "board".into(),
        client_ids: (0..40).map(|n| format!("app{n:02}-1")).collect(),
        ..GroupSnapshot::default()
    };
    let Fact::NodeFact(fact) = group_detail(&group, Timestamp::from_millis(1)).fact else {
        panic!("a node's fact");
    };
    let ids = fact.detail.get("client_ids").unwrap();
    assert!(ids.starts_with("app00-*, app01-*"), "{ids}");
    assert!(ids.ends_with(", +24"), "{ids}");
}
