//! Enforce → tag → observe on the wire, by the product's mode.

use kafka_protocol::messages::{ApiKey, ProduceResponse};
use meshwork_gateway::{Config, OtherTopics};
use meshwork_kafka::{OutRecord, SendError};
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus, TagMode};
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::kafka;
use meshwork_wire::Codec;

use super::mesh::{Gateway, Product, followed, framed, header};
use super::raw::{Raw, batch, idempotent, produce_request};

async fn send(gateway: &Gateway, topic: &str, value: &[u8]) -> Result<i64, SendError> {
    let record = OutRecord {
        topic,
        key: Some(b"k"),
        value: Some(value),
        ..OutRecord::default()
    };
    gateway.producer().deliver(&record).await.map(|d| d.offset)
}

#[tokio::test]
async fn good_records_pass_tagged_and_are_observed() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    for n in 0..10 {
        let id = format!("AA{n}");
        let offset = send(&gateway, product.topic(), &product.flight(&id)).await;
        assert_eq!(offset.unwrap(), n);
    }
    let log = product.log().await;
    assert_eq!(log.len(), 10);
    for record in &log {
        assert_eq!(header(record, "mesh-producer"), ["test-app"]);
    }
    let seen = product.observed(10).await;
    assert_eq!(seen.iter().map(|o| o.records).sum::<i64>(), 10);
    let mut offsets: Vec<_> = seen.iter().flat_map(|o| o.offsets.clone()).collect();
    offsets.sort_by_key(|r| r.from);
    assert_eq!(offsets.first().unwrap().from, 0);
    assert!(offsets.is_sorted_by(|a, b| a.until == b.from));
    assert_eq!(offsets.last().unwrap().until, 10);
    let producer = &seen[0].producers[0];
    assert_eq!(
        (&*producer.name, producer.trust),
        ("test-app", Trust::ClientId)
    );
    let bytes: usize = log.iter().map(meshwork_kafka::InRecord::bytes).sum();
    assert_eq!(
        seen.iter().map(|o| o.bytes).sum::<i64>(),
        i64::try_from(bytes).unwrap(),
        "bytes can be recomputed from the log"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_bad_record_fails_its_batch_with_its_index_and_no_other_partition() {
    let product = Product::new(EnforcementMode::Reject).await;
    let other = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    for codec in Codec::ALL {
        let bad = batch(
            codec,
            &[
                product.flight("a"),
                b"junk".to_vec(),
                product.flight("b"),
                vec![0, 0, 0, 0, 99],
            ],
        );
        for version in [3, 7, 8, 9, 12] {
            if codec == Codec::Zstd && version < 7 {
                continue;
            }
            let mut raw = Raw::connect(&gateway.address).await;
            let mut request = produce_request(product.topic(), &bad);
            let good = batch(codec, &[other.flight("c")]);
            request
                .topic_data
                .extend(produce_request(other.topic(), &good).topic_data);
            let answer: ProduceResponse =
                raw.ask(ApiKey::Produce, version, &request).await.unwrap();
            let of = |topic: &str| {
                let found = answer.responses.iter().find(|r| **r.name == *topic);
                found.unwrap().partition_responses[0].clone()
            };
            let refused = of(product.topic());
            assert_eq!(refused.error_code, 87);
            if version >= 8 {
                let indexes: Vec<i32> = refused
                    .record_errors
                    .iter()
                    .map(|e| e.batch_index)
                    .collect();
                assert_eq!(indexes, [1, 3]);
                let why = refused.record_errors[0].batch_index_error_message.clone();
                assert!(why.unwrap().starts_with("framing"));
                assert!(refused.error_message.unwrap().contains(product.topic()));
            }
            assert_eq!(of(other.topic()).error_code, 0);
        }
    }
    assert_eq!(product.log().await.len(), 0);
    assert_eq!(other.log().await.len(), 24);
    let line = format!(
        "meshwork_gateway_records_refused_total{{topic=\"{}\",reason=\"framing\"}}",
        product.topic()
    );
    assert_eq!(gateway.metric(&line), 24);
    gateway.stop().await;
}

#[tokio::test]
async fn marked_and_unlooked_at_products() {
    let marked = Product::new(EnforcementMode::Mark).await;
    let off = Product::with(|p| {
        p.enforcement = EnforcementMode::Off;
        p.tag = TagMode::Off;
    })
    .await;
    let gateway = Gateway::start(Config::default()).await;
    assert_eq!(send(&gateway, marked.topic(), b"junk").await.unwrap(), 0);
    let log = marked.log().await;
    assert_eq!(header(&log[0], "mesh-mark"), ["framing"]);
    let mut raw = Raw::connect(&gateway.address).await;
    for codec in Codec::ALL {
        let given = batch(codec, &[b"junk".to_vec(), off.flight("a")]);
        let (code, ..) = raw.produce(9, off.topic(), &given).await;
        assert_eq!(code, 0);
    }
    for record in off.log().await {
        assert!(record.headers.is_empty());
    }
    gateway.stop().await;
}

#[tokio::test]
async fn changes_of_a_product_are_followed_live() {
    let mut product = Product::new(EnforcementMode::Off).await;
    let gateway = Gateway::start(Config::default()).await;
    assert!(send(&gateway, product.topic(), b"junk").await.is_ok());
    product.announcement.enforcement = EnforcementMode::Reject;
    product.announce().await;
    meshwork_testkit::wait_until("the mode to be followed", || async {
        send(&gateway, product.topic(), b"junk").await.is_err()
    })
    .await;
    product.announcement.status = ProductStatus::Retired;
    product.announce().await;
    meshwork_testkit::wait_until("the retirement to be followed", || async {
        send(&gateway, product.topic(), &product.flight("x"))
            .await
            .is_err()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("x")]);
    let (code, ..) = raw.produce(9, product.topic(), &good).await;
    assert_eq!(code, 44, "a policy, which no client tries again");
    // One that is announced while the gateway runs.
    let late = Product::new(EnforcementMode::Reject).await;
    followed(&gateway, &late).await;
    assert!(send(&gateway, late.topic(), b"junk").await.is_err());
    gateway.stop().await;
}

#[tokio::test]
async fn a_schema_of_another_subject_is_refused() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    let foreign = meshwork_testkit::registry()
        .register("elsewhere-value", r#"{"type":"record","name":"Else","fields":[{"name":"id","type":"string"},{"name":"at","type":"long"}]}"#, &[], false)
        .await
        .unwrap();
    let mut raw = Raw::connect(&gateway.address).await;
    let value = framed(foreign.id.as_i32(), "a");
    let (code, ..) = raw
        .produce(9, product.topic(), &batch(Codec::None, &[value]))
        .await;
    assert_eq!(code, 87);
    let line = format!(
        "meshwork_gateway_records_refused_total{{topic=\"{}\",reason=\"foreign-schema\"}}",
        product.topic()
    );
    assert_eq!(gateway.metric(&line), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn no_batch_overtakes_one_that_was_refused() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let id = 7_000_000;
    let bad = idempotent(batch(Codec::None, &[b"junk".to_vec()]), id, 0, 0);
    let good = |sequence, epoch| {
        idempotent(
            batch(Codec::None, &[product.flight("a")]),
            id,
            epoch,
            sequence,
        )
    };
    // The first batch of a producer is bad, the second is on its way behind it. A broker that knows
    // nothing of the producer would take it.
    let first = raw
        .send(ApiKey::Produce, 9, &produce_request(product.topic(), &bad))
        .await;
    let second = raw
        .send(
            ApiKey::Produce,
            9,
            &produce_request(product.topic(), &good(1, 0)),
        )
        .await;
    let code = |answer: Option<(i32, ProduceResponse)>| {
        let (id, answer) = answer.unwrap();
        (id, answer.responses[0].partition_responses[0].error_code)
    };
    assert_eq!(code(raw.answer(9).await), (first, 87));
    assert_eq!(code(raw.answer(9).await), (second, 45));
    assert_eq!(product.log().await.len(), 0);
    // franz-go uses the refused sequence again.
    assert_eq!(raw.produce(9, product.topic(), &good(0, 0)).await.0, 0);
    assert_eq!(raw.produce(9, product.topic(), &good(1, 0)).await.0, 0);
    // Java and librdkafka raise the epoch.
    let bad = idempotent(batch(Codec::None, &[b"junk".to_vec()]), id, 0, 2);
    assert_eq!(raw.produce(9, product.topic(), &bad).await.0, 87);
    assert_eq!(raw.produce(9, product.topic(), &good(3, 0)).await.0, 45);
    assert_eq!(raw.produce(9, product.topic(), &good(0, 1)).await.0, 0);
    let offsets: Vec<i64> = product.log().await.iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [0, 1, 2]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_repeat_is_answered_with_its_old_offsets_and_counted_once() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let given = idempotent(
        batch(Codec::Lz4, &[product.flight("a"), product.flight("b")]),
        7_000_001,
        0,
        0,
    );
    for _ in 0..3 {
        let (code, offset, _) = raw.produce(9, product.topic(), &given).await;
        assert_eq!((code, offset), (0, 0));
    }
    let next = idempotent(batch(Codec::Lz4, &[product.flight("c")]), 7_000_001, 0, 2);
    assert_eq!(raw.produce(9, product.topic(), &next).await.1, 2);
    let seen = product.observed(3).await;
    assert_eq!(seen.iter().map(|o| o.records).sum::<i64>(), 3);
    let line = format!(
        "meshwork_gateway_records_total{{topic=\"{}\"}}",
        product.topic()
    );
    assert_eq!(gateway.metric(&line), 3);
    gateway.stop().await;
}

#[tokio::test]
async fn topics_that_are_no_product_by_configuration() {
    let plain = kafka().topic("plain", 1).await;
    let product = Product::new(EnforcementMode::Reject).await;
    for other_topics in [
        OtherTopics::Allow,
        OtherTopics::ReadOnly,
        OtherTopics::Refuse,
    ] {
        let gateway = Gateway::start(Config {
            other_topics,
            ..Config::default()
        })
        .await;
        let mut raw = Raw::connect(&gateway.address).await;
        let (code, ..) = raw
            .produce(9, &plain, &batch(Codec::None, &[b"anything".to_vec()]))
            .await;
        let expected = if other_topics == OtherTopics::Allow {
            0
        } else {
            29
        };
        assert_eq!(code, expected, "{other_topics:?}");
        let (code, ..) = raw
            .produce(
                9,
                product.topic(),
                &batch(Codec::None, &[product.flight("a")]),
            )
            .await;
        assert_eq!(code, 0, "{other_topics:?}");
        let quarantine = format!("{}.quarantine", product.topic());
        let (code, ..) = raw
            .produce(9, &quarantine, &batch(Codec::None, &[b"forged".to_vec()]))
            .await;
        assert_eq!(code, 29, "quarantine is the gateway's to write");
        gateway.stop().await;
    }
    assert_eq!(kafka().read_all(&plain).await.len(), 1);
}
