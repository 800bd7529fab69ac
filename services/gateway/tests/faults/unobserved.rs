//! Observations that Kafka does not take.

use meshwork_gateway::Config;
use meshwork_kafka::KafkaError;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::topic::ControlTopic;
use meshwork_testkit::{kafka, wait_until};
use meshwork_wire::Codec;

use crate::mesh::{Gateway, Product, followed};
use crate::raw::{Raw, batch};
use crate::turn;

const LIMIT: &str = "max.message.bytes";

/// Has Kafka take observations of any size that it takes by default.
pub(crate) async fn undo() -> Result<(), KafkaError> {
    let topic = ControlTopic::Observations.name();
    let admin = kafka().admin();
    admin
        .alter_topic_configs(topic, &[], &[LIMIT.to_owned()])
        .await
}

#[tokio::test]
async fn who_asks_for_observations_hears_that_some_were_not_taken() {
    let _turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    followed(&gateway, &product).await;
    let produce = async || {
        let mut raw = Raw::connect(&gateway.address).await;
        let good = batch(Codec::None, &[product.flight("a")]);
        assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    };
    produce().await;
    assert!(gateway.handle.observe_now().await);

    let admin = kafka().admin();
    let topic = ControlTopic::Observations.name();
    let small = [(LIMIT.to_owned(), "64".to_owned())];
    admin.alter_topic_configs(topic, &small, &[]).await.unwrap();
    wait_until("an observation to be refused", || async {
        produce().await;
        !gateway.handle.observe_now().await
    })
    .await;
    undo().await.unwrap();
    // It was told once; what comes now is written again.
    wait_until("observations to be written again", || async {
        produce().await;
        gateway.handle.observe_now().await
    })
    .await;
    gateway.stop().await;
}
