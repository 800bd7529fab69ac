//! What is refused is counted once and said once, and other batches of a request hear why.

use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse};
use meshwork_gateway::{Config, OtherTopics};
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus};
use meshwork_testkit::{kafka, unique};
use meshwork_wire::Codec;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch, idempotent, produce_request, transactional};
use super::subscriber::Log;
use super::transaction::{add, producer_id, transactional_id};

async fn retired() -> Product {
    Product::with(|product| product.status = ProductStatus::Retired).await
}

/// One request with a batch for each topic.
fn request(batches: &[(&str, Vec<u8>)]) -> ProduceRequest {
    let mut all = produce_request(batches[0].0, &batches[0].1);
    for (topic, batch) in &batches[1..] {
        all.topic_data
            .extend(produce_request(topic, batch).topic_data);
    }
    all
}

fn of(answer: &ProduceResponse, topic: &str) -> PartitionProduceResponse {
    let found = answer.responses.iter().find(|r| **r.name == *topic);
    found.unwrap().partition_responses[0].clone()
}

fn metric(gateway: &Gateway, name: &str, topic: &str, reason: &str) -> u64 {
    gateway.metric(&format!(
        "meshwork_gateway_{name}_refused_total{{topic=\"{topic}\",reason=\"{reason}\"}}"
    ))
}

/// All refused batches.
fn batches_refused(gateway: &Gateway) -> u64 {
    let text = gateway.metrics.encode().unwrap();
    text.lines()
        .filter(|line| line.starts_with("meshwork_gateway_batches_refused_total"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn every_refused_batch_is_counted_once() {
    let (product, good) = (
        Product::new(EnforcementMode::Reject).await,
        Product::new(EnforcementMode::Mark).await,
    );
    let retired = retired().await;
    let plain = kafka().topic("plain", 1).await;
    let quarantine = format!("{}.quarantine", product.topic());
    let gateway = Gateway::start(Config {
        other_topics: OtherTopics::ReadOnly,
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    let junk = || b"junk".to_vec();
    let mut torn = batch(Codec::None, &[good.flight("a")]);
    *torn.last_mut().unwrap() ^= 1;
    let all = request(&[
        (
            product.topic(),
            batch(Codec::None, &[product.flight("a"), junk(), junk()]),
        ),
        (retired.topic(), batch(Codec::None, &[retired.flight("a")])),
        (&plain, batch(Codec::None, &[junk()])),
        (&quarantine, batch(Codec::None, &[junk()])),
        (good.topic(), batch(Codec::None, &[junk()])),
    ]);
    for times in 1..=2 {
        let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &all).await.unwrap();
        let code = |topic: &str| of(&answer, topic).error_code;
        assert_eq!(code(product.topic()), 87);
        assert_eq!(code(retired.topic()), 44);
        assert_eq!((code(&plain), code(&quarantine)), (29, 29));
        assert_eq!(code(good.topic()), 0);
        assert_eq!(raw.produce(9, good.topic(), &torn).await.0, 2);

        let counted = |name, topic, reason| metric(&gateway, name, topic, reason);
        assert_eq!(counted("batches", product.topic(), "contract"), times);
        assert_eq!(counted("records", product.topic(), "framing"), 2 * times);
        assert_eq!(counted("batches", retired.topic(), "retired"), times);
        assert_eq!(counted("records", retired.topic(), "retired"), times);
        assert_eq!(counted("batches", good.topic(), "unreadable"), times);
        // Marked: it breaks the contract, and its batch is not refused.
        assert_eq!(counted("records", good.topic(), "framing"), times);
        assert_eq!(counted("batches", "", "not-allowed"), 2 * times);
        assert_eq!(batches_refused(&gateway), 5 * times);
    }
    gateway.stop().await;
    let seen = product.observations().await;
    let refused = seen.iter().flat_map(|o| &o.refused);
    assert_eq!(refused.map(|r| r.records).sum::<i64>(), 4);
}

#[tokio::test]
async fn names_that_clients_choose_fill_neither_the_log_nor_the_metrics() {
    let (log, _guard) = Log::begin();
    let gateway = Gateway::start(Config {
        other_topics: OtherTopics::ReadOnly,
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    let given = batch(Codec::None, &[b"anything".to_vec()]);
    let long = "x".repeat(10_000);
    for n in 0..30 {
        for name in [format!("made-up-{n}"), format!("{long}-{n}")] {
            assert_eq!(raw.produce(9, &name, &given).await.0, 29);
        }
    }
    assert_eq!(metric(&gateway, "batches", "", "not-allowed"), 60);
    let metrics = gateway.metrics.encode().unwrap();
    assert!(!metrics.contains("made-up") && !metrics.contains(&long));
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("refused"));
    assert_eq!(lines.count(), 1, "{text}");
    gateway.stop().await;
}

#[tokio::test]
async fn in_a_transaction_a_retired_product_fails_alone_and_a_broken_contract_fails_all() {
    let (good, other) = (
        Product::new(EnforcementMode::Reject).await,
        Product::new(EnforcementMode::Reject).await,
    );
    let retired = retired().await;
    let gateway = Gateway::start(Config::default()).await;
    let name = unique("tx");
    let broker = kafka().bootstrap_servers();
    let (id, epoch) = producer_id(&broker, &name).await;
    let mut direct = Raw::connect(&broker).await;
    add(&mut direct, &name, (id, epoch), good.topic()).await;
    let given = |value: &[u8], sequence| {
        let batch = batch(Codec::None, &[value.to_vec()]);
        transactional(idempotent(batch, id, epoch, sequence))
    };
    let in_it =
        |request: ProduceRequest| request.with_transactional_id(Some(transactional_id(&name)));
    let mut raw = Raw::connect(&gateway.address).await;
    // As a broker: each partition for itself, and the client aborts for the one that failed.
    let first = in_it(request(&[
        (good.topic(), given(&good.flight("a"), 0)),
        (retired.topic(), given(&retired.flight("a"), 0)),
    ]));
    let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &first).await.unwrap();
    assert_eq!(of(&answer, good.topic()).error_code, 0);
    let gone = of(&answer, retired.topic());
    assert_eq!(gone.error_code, 44);
    assert!(gone.error_message.unwrap().contains("is retired"));

    let second = in_it(request(&[
        (good.topic(), given(&good.flight("b"), 1)),
        (other.topic(), given(b"junk", 0)),
        (retired.topic(), given(&retired.flight("a"), 0)),
    ]));
    let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &second).await.unwrap();
    let broken = of(&answer, other.topic());
    assert_eq!((broken.error_code, broken.record_errors.len()), (87, 1));
    let whole = of(&answer, good.topic());
    assert_eq!((whole.error_code, whole.record_errors.len()), (87, 0));
    assert!(whole.error_message.unwrap().contains("another batch"));
    assert_eq!(of(&answer, retired.topic()).error_code, 44);
    let counted = |topic, reason| metric(&gateway, "batches", topic, reason);
    assert_eq!(counted(good.topic(), "with-another"), 1);
    assert_eq!(counted(other.topic(), "contract"), 1);
    assert_eq!(counted(retired.topic(), "retired"), 2);
    gateway.stop().await;
}
