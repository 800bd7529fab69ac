//! A broker that joins the cluster, and one that comes back elsewhere: followed without a restart of
//! the gateway.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    ApiKey, MetadataRequest, MetadataResponse, UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{kafka, wait_until};

use crate::child::Child;
use crate::leaders::{direct, in_sync, lead};
use crate::mesh::Product;
use crate::oracle::Writing;
use crate::raw::Raw;
use crate::{blocking, turn};

/// The brokers that clients are told of: node, and its port.
async fn told(gateway: &Child) -> BTreeMap<i32, i32> {
    let mut raw = Raw::connect(&format!("127.0.0.1:{}", gateway.port())).await;
    let asks = MetadataRequest::default();
    let answer: Option<MetadataResponse> = raw.ask(ApiKey::Metadata, 9, &asks).await;
    let brokers = answer.map(|answer| answer.brokers).unwrap_or_default();
    brokers.iter().map(|b| (b.node_id.0, b.port)).collect()
}

async fn until_told(gateway: &Child, nodes: &[i32]) {
    let first = i32::from(gateway.port());
    let wanted: BTreeMap<i32, i32> = nodes.iter().map(|n| (*n, first + n)).collect();
    wait_until(
        "clients to be told of the brokers that are there",
        || async { told(gateway).await == wanted },
    )
    .await;
}

/// Takes a node that has died out of the cluster: what comes back then is new to it.
async fn forget(node: i32) {
    wait_until("the broker to be out of the cluster", || async {
        let request = UnregisterBrokerRequest::default().with_broker_id(node.into());
        let answer: Option<UnregisterBrokerResponse> = direct()
            .await
            .ask(ApiKey::UnregisterBroker, 0, &request)
            .await;
        // 102: there is none of this id (any more).
        answer.is_some_and(|answer| [0, 102].contains(&answer.error_code))
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_joins_and_one_that_comes_back_elsewhere_are_followed() {
    let _turn = turn().await;
    // Before it is gone: the registry's own topics need three brokers to be made.
    let product = Product::new(EnforcementMode::Reject).await;
    let topic = product.topic();
    blocking(|| kafka().dev().kill(3).unwrap()).await;
    wait_until("the broker to be missed", || async {
        let cluster = kafka().admin().cluster().await;
        cluster.is_ok_and(|cluster| cluster.brokers.len() == 2)
    })
    .await;
    lead(topic, &[1, 2]).await;
    forget(3).await;
    let gateway = Child::start().await;
    until_told(&gateway, &[1, 2]).await;
    let writing = Writing::start(&product, gateway.producer());
    writing.goes_on(500).await;

    blocking(|| kafka().dev().start_node(3).unwrap()).await;
    until_told(&gateway, &[1, 2, 3]).await;
    lead(topic, &[3, 1]).await;
    writing.goes_on(500).await;

    let before = kafka().dev().port(3);
    let now = blocking(|| kafka().dev().move_node(3).unwrap()).await;
    assert_ne!(Some(now), before);
    in_sync(2, topic).await;
    lead(topic, &[3, 1]).await;
    writing.goes_on(500).await;
    until_told(&gateway, &[1, 2, 3]).await;
    writing.compare().await;
}
