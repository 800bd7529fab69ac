//! Gateways whose way to the brokers leads through links.

use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse};
use meshwork_gateway::Config;
use meshwork_kafka::{Producer, ProducerOptions};
use meshwork_testkit::{registry, wait_for};

use crate::Turn;
use crate::leaders::address_of;
use crate::mesh::Gateway;
use crate::raw::Raw;

pub(crate) async fn behind_links(turn: &Turn) -> Gateway {
    behind_links_with(turn, Config::default()).await
}

pub(crate) async fn behind_links_with(turn: &Turn, config: Config) -> Gateway {
    Gateway::start_at(config, registry(), turn.linked.config()).await
}

/// A connection to each broker, by its link: it has answered something.
pub(crate) async fn connected(gateway: &Gateway) -> Vec<Raw> {
    let mut all = Vec::new();
    for node in 1..=3 {
        let raw = wait_for("a broker to answer", || async {
            let mut raw = Raw::connect(&address_of(gateway, node).await).await;
            let asks = MetadataRequest::default();
            let answer: Option<MetadataResponse> = raw.ask(ApiKey::Metadata, 9, &asks).await;
            answer.map(|_| raw)
        });
        all.push(raw.await);
    }
    all
}

/// A producer whose requests may take so long, in milliseconds.
pub(crate) fn impatient(gateway: &Gateway, millis: u32) -> Producer {
    let mut config = gateway.kafka();
    let timeout = ("request.timeout.ms".to_owned(), millis.to_string());
    config.properties.extend([timeout]);
    Producer::new(&config, &ProducerOptions::default()).unwrap()
}
