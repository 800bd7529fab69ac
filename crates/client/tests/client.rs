//! Producing to a product and reading it back, on real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "support/mesh.rs"]
mod mesh;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/wire.rs"]
mod wire;

use std::ops::ControlFlow;
use std::time::Duration;

use meshwork_client::{
    ConsumeOptions, Consumption, Feed, FeedKind, Input, JsonRows, MeshProducer, NewRecord,
    ProduceError, ProducerOptions, Sent, Shown, Span, StartAt,
};
use meshwork_kafka::KafkaConfig;
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus, TagMode};
use meshwork_model::mesh::observation::{SourceKind, Trust};
use meshwork_model::time::Timestamp;
use meshwork_pipeline::Reason;

use meshwork_testkit::{Cluster, Nodes};

use mesh::{Mesh, assert_covers, header, line, record};

const MINUTE: i64 = 60_000;
/// 2013-01-01T05:00Z.
const START: i64 = 1_357_016_400_000;

fn options() -> ProducerOptions {
    ProducerOptions::new("ops@test")
}

#[tokio::test(flavor = "multi_thread")]
async fn good_records_arrive_tagged_bad_ones_in_quarantine_and_both_are_observed() {
    let mesh = Mesh::with(EnforcementMode::Quarantine).await;
    let foreign = mesh.registry.add("other-value", r#""string""#);
    let mut producer = mesh.producer(options()).await;
    let mut keys = Vec::new();
    for n in 0..60 {
        let id = format!("AA{n}");
        let value = mesh.flight(&id, START + n);
        let headers = [("trace", &b"1"[..]), ("mesh-producer", b"an impostor")];
        let sent = producer
            .send(
                &NewRecord {
                    headers: &headers,
                    parents: Some(if n == 0 { "a.b.v1@0:7" } else { "nonsense" }),
                    timestamp: Some(Timestamp::from_millis(START + 1_000 * n)),
                    ..record(&id, &value)
                },
                &line(n as u64),
            )
            .await
            .unwrap();
        assert_eq!(sent, Sent::Accepted);
        keys.push(id);
    }
    let good = mesh.flight("X", START);
    let mut trailing = good.clone();
    trailing.push(9);
    let mut alien = good.clone();
    alien[1..5].copy_from_slice(&foreign.to_be_bytes());
    let mut unknown = good.clone();
    unknown[1..5].copy_from_slice(&9_999i32.to_be_bytes());
    let bad: [(&str, &[u8], Reason); 4] = [
        ("trailing", &trailing, Reason::Datum),
        ("alien", &alien, Reason::ForeignSchema),
        ("unknown", &unknown, Reason::UnknownSchema),
        ("json", b"{\"id\":\"X\"}", Reason::Framing),
    ];
    for (key, value, reason) in bad {
        let Sent::Quarantined(refusal) =
            producer.send(&record(key, value), &line(0)).await.unwrap()
        else {
            panic!("{key} was let through");
        };
        assert_eq!(refusal.reason, reason);
    }
    producer.flush().await.unwrap();

    let counts = producer.counts();
    assert_eq!(
        (counts.sent, counts.accepted, counts.quarantined),
        (64, 60, 4)
    );
    assert_eq!(counts.parents_dropped, 59);
    assert_eq!(counts.refused.values().sum::<u64>(), 4);

    let records = mesh.topic().await;
    assert_eq!(records.len(), 60);
    for record in &records {
        let key = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
        let n = keys.iter().position(|k| *k == key).unwrap() as i64;
        assert_eq!(
            record.value.as_deref(),
            Some(&mesh.flight(&key, START + n)[..])
        );
        assert_eq!(
            record.timestamp,
            Some(Timestamp::from_millis(START + 1_000 * n))
        );
        assert_eq!(header(record, "mesh-producer"), ["ops@test"]);
        assert_eq!(header(record, "trace"), ["1"]);
        let parents: &[&str] = if n == 0 { &["a.b.v1@0:7"] } else { &[] };
        assert_eq!(header(record, "mesh-parents"), parents);
    }

    let quarantined = mesh.quarantine().await;
    assert_eq!(quarantined.len(), 4);
    for (key, value, reason) in bad {
        let record = quarantined
            .iter()
            .find(|r| r.key.as_deref() == Some(key.as_bytes()))
            .unwrap();
        assert_eq!(
            record.value.as_deref(),
            Some(value),
            "the bytes are unchanged"
        );
        assert_eq!(header(record, "mesh-reason"), [reason.code()]);
        assert_eq!(header(record, "mesh-format"), ["avro"]);
        assert_eq!(
            header(record, "mesh-source"),
            [format!("{}@{}", mesh.product.topic, record.partition)]
        );
        let at: &[&str] = if key == "trailing" { &["9"] } else { &[] };
        assert_eq!(header(record, "mesh-at"), at);
    }

    let observations = mesh.observations().await;
    assert_covers(&observations, &records);
    let refused: i64 = observations
        .iter()
        .flat_map(|(_, seen)| &seen.refused)
        .map(|r| r.records)
        .sum();
    assert_eq!(refused, 4);
    for (n, (observation, seen)) in (0..).zip(&observations) {
        let source = &observation.source;
        assert_eq!((source.kind, source.sequence), (SourceKind::Produce, n));
        for producer in &seen.producers {
            assert_eq!(
                (producer.name.as_str(), producer.trust),
                ("ops@test", Trust::Configured)
            );
        }
        assert!(seen.topic_id.is_some());
    }
    let newest = observations
        .iter()
        .filter_map(|(_, seen)| seen.event_times)
        .map(|times| times.greatest.as_millis())
        .max();
    assert_eq!(newest, Some(START + 59));
    let parents: Vec<_> = observations
        .iter()
        .flat_map(|(_, seen)| &seen.parents)
        .collect();
    assert_eq!(parents, ["a.b.v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_gives_the_record_back_with_line_and_path_and_goes_on() {
    let mesh = Mesh::with(EnforcementMode::Reject).await;
    let mut producer = mesh.producer(options()).await;
    let good = mesh.flight("A", START);
    producer.send(&record("A", &good), &line(1)).await.unwrap();
    let mut cut = good.clone();
    cut.truncate(8);
    let error = producer
        .send(&record("B", &cut), &line(2))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        error.is_refusal() && text.contains("line 2") && text.contains("/at"),
        "{text}"
    );
    producer.send(&record("C", &good), &line(3)).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(mesh.topic().await.len(), 2);
    let quarantine = mesh.product.urn.quarantine_topic();
    assert!(
        mesh.kafka
            .admin()
            .topic(&quarantine)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(producer.counts().rejected, 1);
    let observations = mesh.observations().await;
    let refused: i64 = observations
        .iter()
        .flat_map(|o| &o.1.refused)
        .map(|r| r.records)
        .sum();
    assert_eq!(refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mark_and_off_let_through_and_a_retired_product_nothing() {
    let mut mesh = Mesh::with(EnforcementMode::Mark).await;
    let mut producer = mesh.producer(options()).await;
    let sent = producer
        .send(&record("A", b"junk"), &line(1))
        .await
        .unwrap();
    assert!(matches!(sent, Sent::Marked(_)), "{sent:?}");
    producer.flush().await.unwrap();
    let records = mesh.topic().await;
    assert_eq!(header(&records[0], "mesh-mark"), ["framing"]);
    assert_covers(&mesh.observations().await, &records);

    mesh.product.enforcement = EnforcementMode::Off;
    mesh.product.tag = TagMode::Off;
    let mut producer = mesh.producer(options()).await;
    let sent = producer
        .send(&record("A", b"junk"), &line(1))
        .await
        .unwrap();
    assert_eq!(sent, Sent::Accepted);
    producer.flush().await.unwrap();
    let records = mesh.topic().await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].headers, []);
    assert_covers(&mesh.observations().await, &records);

    mesh.product.status = ProductStatus::Retired;
    let mut producer = mesh.producer(options()).await;
    let good = mesh.flight("A", START);
    let error = producer
        .send(&record("A", &good), &line(1))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("retired"), "{error}");
    producer.flush().await.unwrap();
    assert_eq!(mesh.topic().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_observed_by_the_minute_of_its_records() {
    let mesh = Mesh::with(EnforcementMode::Quarantine).await;
    let options = ProducerOptions {
        span: Span::RecordTime(Duration::from_secs(60)),
        ..options()
    };
    let mut producer = mesh.producer(options).await;
    for n in 0..300i64 {
        let at = START + n * 2_000;
        let id = format!("AA{n}");
        let value = mesh.flight(&id, at - 500);
        let record = NewRecord {
            timestamp: Some(Timestamp::from_millis(at)),
            ..record(&id, &value)
        };
        producer.send(&record, &line(n as u64)).await.unwrap();
    }
    producer.flush().await.unwrap();
    let records = mesh.topic().await;
    let observations = mesh.observations().await;
    assert_covers(&observations, &records);
    // Ten minutes in up to three partitions, each observed once.
    let minute = |t: Timestamp| t.as_millis().div_euclid(MINUTE);
    let mut minutes: Vec<_> = observations
        .iter()
        .map(|(o, seen)| (minute(o.observed_at), seen.partition))
        .collect();
    let count = minutes.len();
    minutes.sort_unstable();
    minutes.dedup();
    assert_eq!(
        minutes.len(),
        count,
        "one observation for each minute and partition"
    );
    for (observation, seen) in &observations {
        let covered: Vec<_> = records
            .iter()
            .filter(|r| {
                r.partition == seen.partition
                    && seen
                        .offsets
                        .iter()
                        .any(|o| (o.from..o.until).contains(&r.offset))
            })
            .map(|r| r.timestamp.unwrap())
            .collect();
        assert_eq!(covered.iter().max(), Some(&observation.observed_at));
        assert!(
            covered
                .iter()
                .all(|t| minute(*t) == minute(observation.observed_at))
        );
        let lag = seen.lag.as_ref().unwrap();
        assert_eq!((lag.least, lag.greatest), (500, 500));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_in_and_come_out_as_json() {
    let mesh = Mesh::with(EnforcementMode::Quarantine).await;
    let rows = JsonRows::open(&mesh.client(), &mesh.product).await.unwrap();
    let mut producer = mesh.producer(options()).await;
    let text = "{\"id\":\"AA1\",\"at\":\"2013-01-01T05:00:00.000Z\",\"delay\":null}\n\
                \n\
                {\"id\":\"AA2\",\"at\":\"2013-01-01T05:01:00.000Z\",\"delay\":\"late\"}\n\
                {\"id\":\"AA3\",\"at\":1357016400001,\"delay\":5}\n";
    let mut input = Input::json_lines(std::io::Cursor::new(text));
    Feed::new(FeedKind::Json(Box::new(rows)), Some("flights.jsonl".into()))
        .run(&mut input, &mut producer, |_| ControlFlow::Break(()))
        .await
        .unwrap();

    let mut read = Consumption::open(
        &mesh.config(),
        mesh.client(),
        &mesh.product.topic,
        ConsumeOptions::default(),
    )
    .await
    .unwrap();
    let mut out = Vec::new();
    while let Some(consumed) = read.next().await.unwrap() {
        let Shown::Json { text, .. } = consumed.value else {
            panic!("{:?}", consumed.value);
        };
        out.push((consumed.key, text));
    }
    out.sort_by_key(|o| o.1.clone());
    let expected = [
        (
            "AA1",
            r#"{"id":"AA1","at":"2013-01-01T05:00:00.000Z","delay":null}"#,
        ),
        (
            "AA3",
            r#"{"id":"AA3","at":"2013-01-01T05:00:00.001Z","delay":5}"#,
        ),
    ];
    assert_eq!(
        out,
        expected.map(|(key, text)| (Shown::Text(key.to_owned()), text.to_owned()))
    );

    let kept = mesh.quarantine().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].key.as_deref(), Some(&b"AA2"[..]));
    assert_eq!(
        kept[0].value.as_deref(),
        text.lines().nth(2).map(str::as_bytes)
    );
    assert_eq!(header(&kept[0], "mesh-format"), ["json"]);
    assert_eq!(header(&kept[0], "mesh-path"), ["/delay"]);
    assert_eq!(header(&kept[0], "mesh-reason"), ["line"]);
    let shown = meshwork_client::Decoder::new(mesh.client())
        .value(&kept[0])
        .await
        .unwrap();
    assert!(matches!(shown, Shown::Text(line) if line.contains("late")));

    // In another mode the line is an error, which names where.
    let mut mesh = mesh;
    mesh.product.enforcement = EnforcementMode::Mark;
    let rows = JsonRows::open(&mesh.client(), &mesh.product).await.unwrap();
    let mut producer = mesh.producer(options()).await;
    let mut input = Input::json_lines(std::io::Cursor::new(text));
    let mut heard = Vec::new();
    Feed::new(FeedKind::Json(Box::new(rows)), Some("flights.jsonl".into()))
        .run(&mut input, &mut producer, |error| {
            heard.push(error.to_string());
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    assert_eq!(heard.len(), 1);
    assert!(
        heard[0].contains("line 3 of flights.jsonl") && heard[0].contains("/delay"),
        "{heard:?}"
    );
    assert_eq!(mesh.topic().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_begins_where_it_is_told_and_ends_at_the_limit() {
    let mesh = Mesh::with(EnforcementMode::Reject).await;
    let mut producer = mesh.producer(options()).await;
    for n in 0..30i64 {
        let value = mesh.flight("A", n);
        let record = NewRecord {
            timestamp: Some(Timestamp::from_millis(START + n)),
            partition: Some((n % 3) as i32),
            ..record("A", &value)
        };
        producer.send(&record, &line(n as u64)).await.unwrap();
    }
    producer.flush().await.unwrap();
    for (start, limit, expected) in [
        (StartAt::Start, None, 30),
        (StartAt::Start, Some(7), 7),
        (StartAt::Start, Some(0), 0),
        (StartAt::End, None, 0),
        (StartAt::Last(2), None, 6),
        (StartAt::Last(1_000), None, 30),
        (StartAt::Time(Timestamp::from_millis(START + 27)), None, 3),
        (
            StartAt::Time(Timestamp::from_millis(START + 1_000)),
            None,
            0,
        ),
        (StartAt::Offset(8), None, 6),
        (StartAt::Offset(1_000), None, 0),
    ] {
        let options = ConsumeOptions {
            start,
            limit,
            ..ConsumeOptions::default()
        };
        let mut read =
            Consumption::open(&mesh.config(), mesh.client(), &mesh.product.topic, options)
                .await
                .unwrap();
        let mut count = 0;
        while read.next().await.unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, expected, "{start:?} {limit:?}");
    }

    let mut following = Consumption::open(
        &mesh.config(),
        mesh.client(),
        &mesh.product.topic,
        ConsumeOptions {
            start: StartAt::End,
            follow: true,
            ..ConsumeOptions::default()
        },
    )
    .await
    .unwrap();
    let value = mesh.flight("later", 1);
    producer
        .send(&record("later", &value), &line(0))
        .await
        .unwrap();
    producer.flush().await.unwrap();
    let next = tokio::time::timeout(meshwork_testkit::DEADLINE, following.next());
    let consumed = next.await.unwrap().unwrap().unwrap();
    assert_eq!(consumed.key, Shown::Text("later".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_stops_only_what_is_not_known() {
    let mesh = Mesh::with(EnforcementMode::Quarantine).await;
    let options = ProducerOptions {
        // Longer than a registry that is there takes on a busy machine.
        schema_wait: Duration::from_secs(5),
        ..options()
    };
    let mut producer = mesh.producer(options).await;
    let known = mesh.flight("A", START);
    producer.send(&record("A", &known), &line(1)).await.unwrap();
    let newer = FLIGHT_V2;
    let id = mesh.registry.add(&mesh.product.value_schema.subject, newer);
    mesh.registry.set_down(true);
    producer.send(&record("B", &known), &line(2)).await.unwrap();
    let mut value = known.clone();
    value[1..5].copy_from_slice(&id.to_be_bytes());
    let error = producer
        .send(&record("C", &value), &line(3))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ProduceError::SchemaUnavailable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("line 3"), "{error}");
    mesh.registry.set_down(false);
    // The registry's client believes "down" for longer than one send waits.
    let began = std::time::Instant::now();
    let sent = loop {
        match producer.send(&record("C", &value), &line(3)).await {
            Err(ProduceError::SchemaUnavailable { .. })
                if began.elapsed() < meshwork_testkit::DEADLINE => {}
            sent => break sent.unwrap(),
        }
    };
    assert_eq!(sent, Sent::Accepted);
    producer.flush().await.unwrap();
    assert_eq!(mesh.topic().await.len(), 3);
    assert_eq!(
        mesh.registry.asked_for(mesh.product.value_schema.id),
        1,
        "asked once, then kept"
    );
}

const FLIGHT_V2: &str = r#"{"type":"record","name":"Flight","namespace":"test","fields":[
    {"name":"id","type":"string"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"late","type":["null","int"],"default":null}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_may_be_named_by_its_guid_in_a_header() {
    let mesh = Mesh::with(EnforcementMode::Reject).await;
    let mut producer = mesh.producer(options()).await;
    let framed = mesh.flight("A", START);
    let mut guid = vec![1u8; 1];
    guid.extend([0; 12]);
    guid.extend(mesh.product.value_schema.id.to_be_bytes());
    let headers = [("__value_schema_id", &guid[..])];
    let record = NewRecord {
        headers: &headers,
        ..record("A", &framed[5..])
    };
    producer.send(&record, &line(1)).await.unwrap();
    producer.flush().await.unwrap();
    let observations = mesh.observations().await;
    assert_eq!(
        observations[0].1.schemas[0].schema_id,
        mesh.product.value_schema.id
    );
    let mut unknown = guid.clone();
    unknown[1] = 9;
    let headers = [("__value_schema_id", &unknown[..])];
    let record = NewRecord {
        headers: &headers,
        ..record
    };
    assert!(
        producer
            .send(&record, &line(2))
            .await
            .unwrap_err()
            .is_refusal()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_makes_the_caller_wait_and_loses_nothing() {
    let mesh = Mesh::with(EnforcementMode::Reject).await;
    let mut options = options();
    options.kafka.max_records = 50;
    let mut producer = mesh.producer(options).await;
    for n in 0..5_000i64 {
        let value = mesh.flight("A", n);
        let record = NewRecord {
            partition: Some(0),
            ..record("A", &value)
        };
        producer.send(&record, &line(n as u64)).await.unwrap();
    }
    producer.flush().await.unwrap();
    let records = mesh.topic().await;
    for (n, record) in (0..).zip(&records) {
        assert_eq!(record.offset, n);
        assert_eq!(
            record.value.as_deref(),
            Some(&mesh.flight("A", n)[..]),
            "in order"
        );
    }
    assert_eq!(records.len(), 5_000);
    assert_covers(&mesh.observations().await, &records);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let mut mesh = Mesh::with(EnforcementMode::Reject).await;
    mesh.product.topic = "no.such.v1".to_owned();
    let config = mesh.config();
    let open = MeshProducer::open(&config, mesh.client(), &mesh.product, options());
    let error = open.await.unwrap_err().to_string();
    assert!(
        error.contains("no.such.v1") && error.contains("product apply"),
        "{error}"
    );
    let config = KafkaConfig::new("127.0.0.1:1");
    let open = Consumption::open(&config, mesh.client(), "t", ConsumeOptions::default());
    let error = open.await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_record_fails_the_flush_and_is_named() {
    let mesh = Mesh::with(EnforcementMode::Reject).await;
    let mut producer = mesh.producer(options()).await;
    let good = mesh.flight("A", START);
    producer.send(&record("A", &good), &line(1)).await.unwrap();
    let large = mesh.flight(&"x".repeat(2_000_000), START);
    let sent = producer.send(&record("B", &large), &line(2)).await;
    let error = match sent {
        Err(error) => error,
        Ok(_) => producer.flush().await.unwrap_err(),
    };
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(
        matches!(error, ProduceError::NotWritten { .. }),
        "{error:?}"
    );
}

/// The oracle: every record that was sent is in the log once and in order, and the observations cover
/// the log exactly, though the broker was killed in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_and_started_again_costs_no_record_and_no_observation() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(Nodes::One)));
    let mesh = Mesh::on(cluster, EnforcementMode::Quarantine).await;
    let mut options = options();
    options.kafka.delivery_timeout = Duration::from_secs(300);
    options.flush_timeout = Duration::from_secs(300);
    let mut producer = mesh.producer(options).await;
    let send = async |producer: &mut MeshProducer, numbers: std::ops::Range<i64>| {
        for n in numbers {
            let value = mesh.flight("A", n);
            let bad = n % 100 == 99;
            let record = NewRecord {
                partition: Some(0),
                ..record("A", if bad { &value[..7] } else { &value })
            };
            producer.send(&record, &line(n as u64)).await.unwrap();
        }
    };
    send(&mut producer, 0..2_000).await;
    meshwork_testkit::wait_until("acknowledgements", async || producer.counts().accepted > 0).await;
    send(&mut producer, 2_000..4_000).await;
    tokio::task::block_in_place(|| cluster.dev().kill(1).unwrap());
    send(&mut producer, 4_000..6_000).await;
    tokio::task::block_in_place(|| cluster.dev().start_node(1).unwrap());
    send(&mut producer, 6_000..8_000).await;
    producer.flush().await.unwrap();

    let records = mesh.topic().await;
    let values: Vec<_> = records
        .iter()
        .map(|r| r.value.as_deref().unwrap())
        .collect();
    let expected: Vec<_> = (0..8_000)
        .filter(|n| n % 100 != 99)
        .map(|n| mesh.flight("A", n))
        .collect();
    assert!(values.iter().eq(expected.iter()), "each once and in order");
    assert_eq!(mesh.quarantine().await.len(), 80);
    assert_covers(&mesh.observations().await, &records);
}
