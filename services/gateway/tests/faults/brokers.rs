//! Brokers that die, come back, and stop without a word.

use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::HumanDuration;
use meshwork_testkit::{kafka, wait_until};

use crate::leaders::address_of;
use crate::mesh::{Gateway, Product, followed};
use crate::oracle::Writing;
use crate::raw::Raw;
use crate::turn;

#[tokio::test]
async fn a_broker_that_was_killed_is_found_again() {
    let _turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    followed(&gateway, &product).await;
    let writing = Writing::start(&product, gateway.producer());
    for _ in 0..2 {
        writing.goes_on(500).await;
        // The gateway runs on this thread.
        let again = || {
            kafka().dev().kill(1).unwrap();
            kafka().dev().start_node(1).unwrap();
        };
        tokio::task::spawn_blocking(again).await.unwrap();
    }
    writing.goes_on(500).await;
    writing.compare().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_broker_that_stops_without_a_word_is_waited_for_only_so_long() {
    let _turn = turn().await;
    let gateway = Gateway::start(Config {
        answer_within: HumanDuration::from_secs(5),
        ..Config::default()
    })
    .await;
    let address = address_of(&gateway, 1).await;
    let mut before = Raw::connect(&address).await;
    let asks = MetadataRequest::default();
    let answer: Option<MetadataResponse> = before.ask(ApiKey::Metadata, 9, &asks).await;
    assert!(answer.is_some());
    let given_up = "meshwork_gateway_connections_ended_total{reason=\"too-long\"}";
    let counted = gateway.metric(given_up);
    kafka().dev().pause(1).unwrap();
    // One that was connected, and one whose connection the broker's machine still takes.
    let mut after = Raw::connect(&address).await;
    for raw in [&mut before, &mut after] {
        // It may answer once more before it has stopped.
        let mut answers = 0;
        loop {
            raw.send(ApiKey::Metadata, 9, &asks).await;
            if raw.frame().await.is_none() {
                break;
            }
            answers += 1;
            assert!(answers < 1_000, "the broker goes on");
        }
    }
    kafka().dev().resume(1).unwrap();
    wait_until("both to be counted", || async {
        gateway.metric(given_up) == counted + 2
    })
    .await;
    wait_until("the broker to answer again", || async {
        let mut raw = Raw::connect(&address).await;
        raw.send(ApiKey::Metadata, 9, &asks).await;
        raw.frame().await.is_some()
    })
    .await;
    gateway.stop().await;
}
