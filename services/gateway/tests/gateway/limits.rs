//! Limits, back-pressure, and how connections end.

use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, ProduceResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::{ByteSize, HumanDuration};
use meshwork_testkit::{kafka, wait_until};
use meshwork_wire::Codec;
use tokio::io::AsyncWriteExt as _;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch, produce_request};

#[tokio::test]
async fn a_frame_above_its_apis_limit_closes() {
    let gateway = Gateway::start(Config {
        max_request_bytes: ByteSize::from_bytes(1_000),
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    raw.send_body(3, 1, 1, &[0; 2_000]).await;
    assert_eq!(raw.frame().await, None);
    assert_eq!(
        gateway.metric("meshwork_gateway_connections_ended_total{reason=\"frame\"}"),
        1
    );
    gateway.stop().await;
}

#[tokio::test]
async fn there_are_no_more_connections_than_allowed() {
    let gateway = Gateway::start(Config {
        max_connections: 3,
        ..Config::default()
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::connect(&gateway.address).await;
        let answer: Option<MetadataResponse> = raw
            .ask(ApiKey::Metadata, 9, &MetadataRequest::default())
            .await;
        assert!(answer.is_some());
        open.push(raw);
    }
    let mut more = Raw::connect(&gateway.address).await;
    assert_eq!(more.frame().await, None);
    drop(open.pop());
    wait_until("a place to be free", || async {
        let mut raw = Raw::connect(&gateway.address).await;
        raw.send(ApiKey::Metadata, 9, &MetadataRequest::default())
            .await;
        raw.frame().await.is_some()
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up() {
    let gateway = Gateway::start(Config {
        stalled_after: HumanDuration::from_millis(300),
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    raw.stream
        .write_all(&[0, 0, 1, 0, 0, 3, 0, 1, 0, 0, 0, 1])
        .await
        .unwrap();
    assert_eq!(raw.frame().await, None);
    gateway.stop().await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests_however_many_are_in_flight() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config {
        max_requests_in_flight: 7,
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    let bad = batch(Codec::None, &[b"junk".to_vec()]);
    let mut sent = Vec::new();
    for n in 0..200 {
        let (given, code) = if n % 3 == 1 { (&bad, 87) } else { (&good, 0) };
        let id = raw
            .send(ApiKey::Produce, 9, &produce_request(product.topic(), given))
            .await;
        sent.push((id, code));
    }
    for (id, code) in sent {
        let (got, answer): (i32, ProduceResponse) = raw.answer(9).await.unwrap();
        assert_eq!(
            (got, answer.responses[0].partition_responses[0].error_code),
            (id, code)
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_the_client_closed_is_there_acks_0_included() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    for _ in 0..50 {
        let request = produce_request(product.topic(), &good).with_acks(0);
        raw.send(ApiKey::Produce, 9, &request).await;
    }
    // Answers that nobody reads stand in the way of a careless close.
    raw.send(ApiKey::Metadata, 9, &MetadataRequest::default())
        .await;
    drop(raw);
    wait_until("all of it to be in the log", || async {
        product.log().await.len() == 50
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_in_flight_is_finished_when_the_gateway_stops() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    let mut sent = Vec::new();
    for _ in 0..20 {
        sent.push(
            raw.send(ApiKey::Produce, 9, &produce_request(product.topic(), &good))
                .await,
        );
    }
    // Some of them are in flight, however slow the machine is.
    wait_until("some of them to be read", || async {
        gateway.metric("meshwork_gateway_requests_total{api=\"Produce\"}") > 3
    })
    .await;
    gateway.stop().await;
    let mut answered = 0;
    while let Some((id, answer)) = raw.answer::<ProduceResponse>(9).await {
        assert_eq!(id, sent[answered]);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        answered += 1;
    }
    assert!(answered >= 3, "{answered}");
    // What was not read any more was not passed on either: told is what is there.
    assert_eq!(product.log().await.len(), 1 + answered);
}

#[tokio::test]
async fn what_only_tagging_would_make_too_large_goes_on_untagged_and_what_is_too_large_is_refused()
{
    let product = Product::new(EnforcementMode::Reject).await;
    let topic = product.topic();
    let fits = batch(Codec::None, &vec![product.flight("a"); 20]);
    let larger = batch(Codec::None, &vec![product.flight("ab"); 20]);
    let most = [("max.message.bytes".to_owned(), fits.len().to_string())];
    let admin = kafka().admin();
    admin.alter_topic_configs(topic, &most, &[]).await.unwrap();
    // A broker goes by a limit a moment after it has taken it.
    wait_until("the limit to hold", || async {
        let mut raw = Raw::connect(&kafka().bootstrap_servers()).await;
        raw.produce(9, topic, &larger).await.0 == 10
    })
    .await;
    let before = product.log().await.len();
    // It has read the catalog, and so it has asked for the limit.
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    assert_eq!(raw.produce(9, topic, &fits).await.0, 0);
    let line = format!("meshwork_gateway_batches_untagged_total{{topic=\"{topic}\"}}");
    assert_eq!(gateway.metric(&line), 1);
    assert_eq!(raw.produce(9, topic, &larger).await.0, 10, "the broker's");
    let one = batch(Codec::None, &[product.flight("b")]);
    assert_eq!(raw.produce(9, topic, &one).await.0, 0);
    let log = product.log().await;
    let tagged = log[before..].iter().map(|r| r.headers.len());
    assert_eq!(tagged.collect::<Vec<_>>(), [vec![0; 20], vec![1]].concat());
    gateway.stop().await;
}
