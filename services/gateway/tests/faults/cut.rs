//! A gateway that can't reach its brokers, or hears nothing of them, or only slowly.

use std::time::Duration;

use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, ProduceResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::HumanDuration;
use meshwork_testkit::{Link, wait_until};
use meshwork_wire::Codec;

use crate::leaders::{address_of, leader};
use crate::links::{behind_links, behind_links_with, connected, impatient};
use crate::mesh::{Product, followed};
use crate::oracle::Writing;
use crate::raw::{Raw, batch, produce_request};
use crate::turn;

const GIVEN_UP: &str = "meshwork_gateway_connections_ended_total{reason=\"too-long\"}";

#[tokio::test]
async fn a_gateway_cut_off_from_one_broker_or_all_loses_nothing() {
    let turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let topic = product.topic();
    let config = Config {
        answer_within: HumanDuration::from_secs(2),
        ..Config::default()
    };
    let gateway = behind_links_with(&turn, config).await;
    followed(&gateway, &product).await;
    let writing = Writing::start(&product, impatient(&gateway, 3_000));
    let links = turn.linked.links();
    for all in [false, true] {
        writing.goes_on(500).await;
        // Writing itself needs no broker but its leader.
        let others = connected(&gateway).await;
        let of_leader = turn.linked.link(leader(topic).await.into());
        let one = std::slice::from_ref(of_leader);
        let cut = if all { links } else { one };
        assert!(cut.iter().all(|link| link.connections() > 0));
        cut.iter().for_each(Link::cut);
        wait_until("the connections to end", || async {
            cut.iter().all(|link| link.connections() == 0)
        })
        .await;
        cut.iter().for_each(Link::mend);
        drop(others);

        // Half-open: nothing comes any more, no end either.
        writing.goes_on(500).await;
        let before = gateway.metric(GIVEN_UP);
        cut.iter().for_each(Link::hold);
        wait_until("what does not answer to be given up", || async {
            gateway.metric(GIVEN_UP) > before
        })
        .await;
        cut.iter().for_each(Link::mend);
    }
    writing.goes_on(500).await;
    writing.compare().await;
    wait_until("no connection to be left", || async {
        gateway.metric("meshwork_gateway_connections") == 0
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn answers_keep_their_order_on_a_slow_way_that_loses_packets() {
    let turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let counted = Product::new(EnforcementMode::Reject).await;
    let gateway = behind_links(&turn).await;
    followed(&gateway, &product).await;
    followed(&gateway, &counted).await;
    let topic = product.topic();
    let mut raw = Raw::connect(&address_of(&gateway, leader(topic).await.into()).await).await;
    for link in turn.linked.links() {
        link.slow(Duration::from_millis(100));
    }
    let mut sent = Vec::new();
    for n in 0..150 {
        let id = match n % 3 {
            0 => {
                let asks = MetadataRequest::default();
                raw.send(ApiKey::Metadata, 9, &asks).await
            }
            kind => {
                let value = [product.flight(&format!("{n:03}")), b"junk".to_vec()];
                let given = batch(Codec::None, &value[kind - 1..kind]);
                let request = produce_request(topic, &given);
                raw.send(ApiKey::Produce, 9, &request).await
            }
        };
        sent.push((id, n));
    }
    let mut acknowledged = Vec::new();
    for (id, n) in sent {
        if n % 3 == 0 {
            let (got, _): (i32, MetadataResponse) = raw.answer(9).await.unwrap();
            assert_eq!(got, id);
            continue;
        }
        let (got, answer): (i32, ProduceResponse) = raw.answer(9).await.unwrap();
        let code = answer.responses[0].partition_responses[0].error_code;
        assert_eq!((got, code), (id, if n % 3 == 1 { 0 } else { 87 }));
        if code == 0 {
            acknowledged.push(product.flight(&format!("{n:03}")));
        }
    }
    let log = product.log().await;
    let there: Vec<Vec<u8>> = log
        .iter()
        .map(|r| r.value.clone().unwrap().into())
        .collect();
    assert_eq!(there, acknowledged);

    let writing = Writing::start(&counted, impatient(&gateway, 3_000));
    writing.goes_on(2_000).await;
    writing.compare().await;
    gateway.stop().await;
}
