//! How long a broker is waited for: each request as long as its own words allow, from when its turn
//! has come. A broker looks at one request of a connection at a time.

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, MetadataRequest, MetadataResponse, ProduceResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::HumanDuration;
use meshwork_testkit::{kafka, wait_until};
use meshwork_wire::Codec;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch, produce_request};

/// Asks for more than there is, so that the broker answers only after `millis`.
async fn keep_busy(raw: &mut Raw, topic: &str, millis: i32) -> i32 {
    let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
    let asks = FetchRequest::default()
        .with_max_wait_ms(millis)
        .with_min_bytes(1 << 20)
        .with_max_bytes(1 << 20)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(TopicName(StrBytes::from_string(topic.to_owned())))
                .with_partitions(vec![partition]),
        ]);
    raw.send(ApiKey::Fetch, 11, &asks).await
}

#[tokio::test]
async fn a_request_behind_another_has_all_of_its_own_time() {
    let topic = kafka().topic("quiet", 1).await;
    let gateway = Gateway::start(Config {
        answer_within: HumanDuration::from_secs(1),
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    // The second waits three times as long as it may take itself.
    let first = keep_busy(&mut raw, &topic, 3_000).await;
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
        answer_within: HumanDuration::from_secs(1),
        ..Config::default()
    })
    .await;
    let bad = batch(Codec::None, &[b"junk".to_vec()]);
    let asks = produce_request(product.topic(), &bad).with_timeout_ms(1_000);
    wait_until("the gateway to know the product's quarantine", || async {
        let mut raw = Raw::connect(&gateway.address).await;
        raw.produce(9, product.topic(), &bad).await.0 == 0
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    // Whether the client may write is asked of the broker behind the first request, which takes
    // longer than a batch may wait here.
    let first = keep_busy(&mut raw, &topic, 6_000).await;
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
