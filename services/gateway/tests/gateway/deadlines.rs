//! How long a broker is waited for: each request as long as its own words allow, from when its turn
//! has come. A broker looks at one request of a connection at a time. Nobody is waited for who has gone.

use kafka_protocol::messages::{
    ApiKey, FetchResponse, MetadataRequest, MetadataResponse, ProduceResponse,
};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::HumanDuration;
use meshwork_testkit::{kafka, wait_until};
use meshwork_wire::Codec;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch, fetch_request, produce_request};

/// Asks for more than there is, so that the broker answers only after `millis`.
async fn keep_busy(raw: &mut Raw, topic: &str, millis: i32) -> i32 {
    let asks = fetch_request(topic, millis, 1 << 20, 1 << 20);
    raw.send(ApiKey::Fetch, 11, &asks).await
}

#[tokio::test]
async fn a_request_behind_another_has_all_of_its_own_time() {
    let topic = kafka().topic("quiet", 1).await;
    let gateway = Gateway::start(Config {
        answer_within: HumanDuration::from_secs(10),
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    // The second waits longer than it may take itself.
    let first = keep_busy(&mut raw, &topic, 12_000).await;
    let second = raw
        .send(ApiKey::Metadata, 9, &MetadataRequest::default())
        .await;
    let (id, _): (i32, FetchResponse) = raw.answer(11).await.expect("the first one's answer");
    assert_eq!(id, first);
    let (id, _): (i32, MetadataResponse) = raw.answer(9).await.expect("the second one's answer");
    assert_eq!(id, second);
    gateway.stop().await;
}

#[tokio::test]
async fn a_question_of_the_gateways_own_is_no_reason_to_end_a_busy_connection() {
    let product = Product::new(EnforcementMode::Quarantine).await;
    let topic = kafka().topic("quiet", 1).await;
    let gateway = Gateway::start(Config {
        answer_within: HumanDuration::from_secs(10),
        ..Config::default()
    })
    .await;
    let bad = batch(Codec::None, &[b"junk".to_vec()]);
    let asks = produce_request(product.topic(), &bad).with_timeout_ms(20_000);
    wait_until("the gateway to know the product's quarantine", || async {
        let mut raw = Raw::connect(&gateway.address).await;
        let answer: Option<ProduceResponse> = raw.ask(ApiKey::Produce, 9, &asks).await;
        answer.is_some_and(|a| a.responses[0].partition_responses[0].error_code == 0)
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    // Whether the client may write is asked of the broker behind the first request, which takes
    // longer than a batch may wait here: three quarters of its own time, all of which is the end.
    let first = keep_busy(&mut raw, &topic, 18_000).await;
    let second = raw.send(ApiKey::Produce, 9, &asks).await;
    let (id, _): (i32, FetchResponse) = raw.answer(11).await.expect("the first one's answer");
    assert_eq!(id, first);
    let (id, answer): (i32, ProduceResponse) = raw.answer(9).await.expect("put off");
    assert_eq!(id, second);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 19);
    // The connection goes on.
    assert_eq!(raw.produce(9, product.topic(), &bad).await.0, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_has_gone_leaves_no_connection_for_as_long_as_its_request_would_wait() {
    let topic = kafka().topic("quiet", 1).await;
    let gateway = Gateway::start(Config {
        answer_within: HumanDuration::from_secs(2),
        ..Config::default()
    })
    .await;
    let open = || gateway.metric("meshwork_gateway_connections");
    let mut raw = Raw::connect(&gateway.address).await;
    let asks = MetadataRequest::default();
    let known: Option<MetadataResponse> = raw.ask(ApiKey::Metadata, 9, &asks).await;
    assert!(known.is_some());
    assert_eq!(open(), 1);
    keep_busy(&mut raw, &topic, i32::MAX).await;
    drop(raw);
    wait_until("the connection to be gone", || async { open() == 0 }).await;
    gateway.stop().await;
}
