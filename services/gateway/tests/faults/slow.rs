//! A client that asks for more than it takes.

use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiKey, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use meshwork_testkit::kafka;
use meshwork_wire::Codec;

use crate::child::Child;
use crate::leaders::leader;
use crate::raw::{Raw, batch};
use crate::turn;

/// What the gateway may have more than before, KiB: no more than a few answers' pieces.
const MORE_KIB: u64 = 16 << 10;
const MIB: i32 = 1 << 20;

#[tokio::test]
async fn a_slow_consumer_costs_no_memory() {
    let _turn = turn().await;
    let topic = kafka().topic("wide", 1).await;
    let gateway = Child::start().await;
    let address = format!("127.0.0.1:{}", gateway.port() + leader(&topic).await);
    let mut raw = Raw::connect(&address).await;
    let large = batch(Codec::None, &vec![vec![7; 100 << 10]; 9]);
    for _ in 0..60 {
        assert_eq!(raw.produce(9, &topic, &large).await.0, 0);
    }
    let before = gateway.most_kib();
    let partition = FetchPartition::default()
        .with_partition_max_bytes(50 * MIB)
        .with_fetch_offset(0);
    let asks = FetchRequest::default()
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(50 * MIB)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(TopicName(StrBytes::from_string(topic.clone())))
                .with_partitions(vec![partition]),
        ]);
    // 50 MiB for each of them, none of which is read, until the gateway takes no more requests.
    let mut asked = 0;
    while tokio::time::timeout(Duration::from_secs(3), raw.send(ApiKey::Fetch, 11, &asks))
        .await
        .is_ok()
    {
        asked += 1;
        assert!(asked < 1_000_000, "it takes requests for ever");
    }
    let more = gateway.most_kib() - before;
    assert!(more < MORE_KIB, "{more} KiB more after {asked} requests");
}
