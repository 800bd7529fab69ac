//! A gateway that is killed.

use kafka_protocol::messages::ApiKey;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::wait_until;
use meshwork_wire::Codec;

use crate::child::Child;
use crate::leaders::leader;
use crate::mesh::Product;
use crate::oracle::Writing;
use crate::raw::{Raw, batch, produce_request};
use crate::turn;

#[tokio::test]
async fn a_gateway_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let _turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let mut gateway = Child::start().await;
    let writing = Writing::start(&product, gateway.producer());
    for _ in 0..3 {
        writing.goes_on(500).await;
        gateway.kill_and_start().await;
    }
    writing.goes_on(500).await;
    writing.compare().await;
}

#[tokio::test]
async fn what_wants_no_answer_goes_on_after_a_kill() {
    let _turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let mut gateway = Child::start().await;
    let leader = leader(product.topic()).await;
    let request = |id: &str| {
        let one = batch(Codec::None, &[product.flight(id)]);
        produce_request(product.topic(), &one).with_acks(0)
    };
    let address = format!("127.0.0.1:{}", gateway.port() + leader);
    let mut raw = Raw::connect(&address).await;
    for n in 0..100 {
        raw.send(ApiKey::Produce, 9, &request(&n.to_string())).await;
    }
    gateway.kill_and_start().await;
    assert_eq!(raw.frame().await, None, "no answer, and an end");
    let mut raw = Raw::connect(&address).await;
    raw.send(ApiKey::Produce, 9, &request("last")).await;
    let last = product.flight("last");
    wait_until("the last one to be there", || async {
        let log = product.log().await;
        log.iter().any(|r| r.value.as_deref() == Some(&last[..]))
    })
    .await;
    let mut seen = std::collections::HashSet::new();
    for record in product.log().await {
        assert!(
            seen.insert(record.value),
            "some may be lost, none may be twice"
        );
    }
}
