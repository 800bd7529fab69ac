//! A topic that is deleted and made again under its name.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, MetadataRequest, MetadataResponse, ProduceResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_gateway::Config;
use meshwork_kafka::NewTopic;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{kafka, wait_for};
use meshwork_wire::Codec;

use crate::mesh::{Gateway, Product, followed};
use crate::raw::{Raw, batch, produce_request};
use crate::turn;

const UNKNOWN_TOPIC_ID: i16 = 100;
const INVALID_RECORD: i16 = 87;

/// The topic's id, and the address of who leads it, as clients are told.
async fn looked_up(gateway: &Gateway, topic: &str) -> (uuid::Uuid, String) {
    wait_for("the topic to have a leader", || async {
        let mut raw = Raw::connect(&gateway.address).await;
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let asked = MetadataRequestTopic::default().with_name(Some(name));
        let asks = MetadataRequest::default().with_topics(Some(vec![asked]));
        let answer: MetadataResponse = raw.ask(ApiKey::Metadata, 12, &asks).await?;
        let topic = answer.topics.first().filter(|t| t.error_code == 0)?;
        let leader = topic.partitions.first()?.leader_id;
        let broker = answer.brokers.iter().find(|b| b.node_id == leader)?;
        Some((topic.topic_id, format!("{}:{}", &*broker.host, broker.port)))
    })
    .await
}

async fn produce(address: &str, id: uuid::Uuid, value: Vec<u8>) -> i16 {
    let mut raw = Raw::connect(address).await;
    let mut asks = produce_request("", &batch(Codec::None, &[value]));
    asks.topic_data[0].topic_id = id;
    let answer: ProduceResponse = raw.ask(ApiKey::Produce, 13, &asks).await.unwrap();
    answer.responses[0].partition_responses[0].error_code
}

#[tokio::test]
async fn its_new_id_is_enforced_and_its_old_one_unknown() {
    let _turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    followed(&gateway, &product).await;
    let topic = product.topic();
    let (old, address) = looked_up(&gateway, topic).await;
    assert_eq!(produce(&address, old, product.flight("a")).await, 0);
    assert_eq!(
        produce(&address, old, b"bad".to_vec()).await,
        INVALID_RECORD
    );

    let admin = kafka().admin();
    admin.delete_topic(topic).await.unwrap();
    wait_for("the topic to be made again", || async {
        let again = NewTopic::new(topic, 1).with("retention.ms", "-1");
        admin.create_topic(&again).await.ok()
    })
    .await;
    let (new, address) = wait_for("another id", || async {
        let (id, address) = looked_up(&gateway, topic).await;
        (id != old).then_some((id, address))
    })
    .await;
    wait_for("the new one to take a record", || async {
        let code = produce(&address, new, product.flight("b")).await;
        (code == 0).then_some(())
    })
    .await;
    assert_eq!(
        produce(&address, new, b"bad".to_vec()).await,
        INVALID_RECORD
    );
    assert_eq!(
        produce(&address, old, product.flight("c")).await,
        UNKNOWN_TOPIC_ID
    );
    assert_eq!(product.log().await.len(), 1);
    gateway.stop().await;
}
