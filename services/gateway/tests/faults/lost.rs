//! One of three brokers lost, or its partitions led by another; and two lost.

use kafka_protocol::messages::{ApiKey, ProduceResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::kafka;
use meshwork_wire::Codec;

use crate::child::Child;
use crate::leaders::{another_than, from, in_sync, lead, leader};
use crate::mesh::{Gateway, Product, followed};
use crate::oracle::Writing;
use crate::raw::{Raw, batch, produce_request};
use crate::{blocking, turn};

#[tokio::test]
async fn a_leader_that_is_killed_or_stopped_and_one_that_is_replaced_lose_nothing() {
    let _turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let topic = product.topic();
    let gateway = Gateway::start(Config::default()).await;
    followed(&gateway, &product).await;
    let writing = Writing::start(&product, gateway.producer());
    writing.goes_on(500).await;
    // Nobody dies, and another leads.
    for first in from(leader(topic).await).into_iter().skip(1) {
        lead(topic, &from(first)).await;
        writing.goes_on(500).await;
    }
    for kill in [true, false] {
        let before = leader(topic).await;
        blocking(move || {
            let dev = kafka().dev();
            if kill {
                dev.kill(before.into()).unwrap();
            } else {
                dev.stop_node(before.into()).unwrap();
            }
        })
        .await;
        another_than(before, topic).await;
        writing.goes_on(500).await;
        blocking(move || kafka().dev().start_node(before.into()).unwrap()).await;
        in_sync(3, topic).await;
        writing.goes_on(500).await;
    }
    writing.compare().await;
    gateway.stop().await;
}

/// What a client tries again after (`Errors.java`): not the leader, timed out, too few in sync
/// before and after it was appended, the leader unknown.
const RETRIABLE: [i16; 5] = [6, 7, 19, 20, 5];

/// Connections that send as much as is taken from them, requests of nearly 1 MiB.
const FLOODING: u64 = 8;
/// What the gateway may have more than before, KiB: of each connection a request that waits for the
/// broker, what became of it, the next one, and as much for the allocator.
const MORE_KIB: u64 = FLOODING * (4 << 10);

#[tokio::test]
async fn with_two_of_three_lost_clients_are_told_to_try_again_and_memory_is_bounded() {
    let _turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    // Another one, whose records are not counted.
    let flooded = Product::new(EnforcementMode::Reject).await;
    let gateway = Child::start().await;
    let stays = leader(product.topic()).await;
    lead(flooded.topic(), &from(stays)).await;
    let address = format!("127.0.0.1:{}", gateway.port() + stays);
    let good = batch(Codec::None, &[flooded.flight("a")]);
    let mut raw = Raw::connect(&address).await;
    assert_eq!(raw.produce(9, flooded.topic(), &good).await.0, 0);
    let writing = Writing::start(&product, gateway.producer());
    writing.goes_on(500).await;
    for node in from(stays).into_iter().skip(1) {
        blocking(move || kafka().dev().kill(node.into()).unwrap()).await;
    }
    let request = produce_request(flooded.topic(), &good).with_timeout_ms(1_000);
    for _ in 0..3 {
        let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &request).await.unwrap();
        let code = answer.responses[0].partition_responses[0].error_code;
        assert!(RETRIABLE.contains(&code), "{code}");
    }
    let before = gateway.most_kib();
    let large = vec![flooded.flight(&"a".repeat(900 << 10))];
    let large = produce_request(flooded.topic(), &batch(Codec::None, &large));
    let mut flooding = Vec::new();
    for _ in 0..FLOODING {
        let mut raw = Raw::connect(&address).await;
        raw.flood(ApiKey::Produce, 9, &large, 1_000).await;
        flooding.push(raw);
    }
    let more = gateway.most_kib() - before;
    assert!(more < MORE_KIB, "{more} KiB more");
    drop(flooding);
    for node in from(stays).into_iter().skip(1) {
        blocking(move || kafka().dev().start_node(node.into()).unwrap()).await;
    }
    writing.goes_on(500).await;
    writing.compare().await;
}
