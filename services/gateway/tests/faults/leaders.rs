//! Who leads a partition, where clients find it, and having another do so.

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ApiKey,
    ElectLeadersRequest, ElectLeadersResponse, ListOffsetsRequest, ListOffsetsResponse,
    MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_kafka::PartitionState;
use meshwork_testkit::{kafka, wait_for, wait_until};
use tokio::net::TcpStream;

use crate::mesh::Gateway;
use crate::raw::Raw;

/// What a broker knows of a topic's only partition.
async fn state(topic: &str) -> Option<PartitionState> {
    let states = kafka().admin().partition_states(topic).await.ok()?;
    states.into_iter().next()
}

/// Whether a node itself says that it leads a topic's only partition; others may say so before it
/// takes anything. Only who leads tells how far the log reaches.
async fn leads(node: u16, topic: &str) -> bool {
    let Some(port) = kafka().dev().port(node.into()) else {
        return false;
    };
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let partition = ListOffsetsPartition::default()
        .with_partition_index(0)
        .with_current_leader_epoch(-1)
        .with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![partition]);
    let asks = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic]);
    let answer: Option<ListOffsetsResponse> =
        Raw::over(stream).ask(ApiKey::ListOffsets, 6, &asks).await;
    answer.is_some_and(|answer| answer.topics[0].partitions[0].error_code == 0)
}

/// Node that leads a topic's only partition.
pub(crate) async fn leader(topic: &str) -> u16 {
    wait_for("the partition to have a leader", || async {
        let node = u16::try_from(state(topic).await?.leader?).ok()?;
        leads(node, topic).await.then_some(node)
    })
    .await
}

/// All nodes, from this one on.
pub(crate) fn from(first: u16) -> [u16; 3] {
    [0, 1, 2].map(|n| (first - 1 + n) % 3 + 1)
}

/// Waits until another node leads.
pub(crate) async fn another_than(before: u16, topic: &str) -> u16 {
    wait_for("another node to lead", || async {
        let now = u16::try_from(state(topic).await?.leader?).ok()?;
        (now != before).then_some(now)
    })
    .await
}

/// Waits until so many replicas are in sync.
pub(crate) async fn in_sync(replicas: usize, topic: &str) {
    wait_until("the replicas to be in sync", || async {
        state(topic)
            .await
            .is_some_and(|s| s.in_sync.len() == replicas)
    })
    .await;
}

/// A connection to a broker that serves, without anything between.
pub(crate) async fn direct() -> Raw {
    wait_for("a broker that serves", || async {
        for address in kafka().bootstrap_servers().split(',') {
            if let Ok(stream) = TcpStream::connect(address).await {
                return Some(Raw::over(stream));
            }
        }
        None
    })
    .await
}

/// Has these nodes hold a topic's only partition, the first of them leading, and waits for it.
pub(crate) async fn lead(topic: &str, nodes: &[u16]) {
    let replicas: Vec<i32> = nodes.iter().map(|node| i32::from(*node)).collect();
    let name = TopicName(StrBytes::from_string(topic.to_owned()));
    let partition = ReassignablePartition::default()
        .with_partition_index(0)
        .with_replicas(Some(replicas.iter().map(|node| (*node).into()).collect()));
    let moved = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(vec![
            ReassignableTopic::default()
                .with_name(name.clone())
                .with_partitions(vec![partition]),
        ]);
    let elected = ElectLeadersRequest::default()
        .with_timeout_ms(10_000)
        .with_topic_partitions(Some(vec![
            TopicPartitions::default()
                .with_topic(name)
                .with_partitions(vec![0]),
        ]));
    // A controller that has just been elected may not know of it yet: asked until it is so.
    wait_until("the partition to be moved", || async {
        let Some(state) = state(topic).await else {
            return false;
        };
        if state.replicas != replicas || state.in_sync.len() < replicas.len() {
            let _: Option<AlterPartitionReassignmentsResponse> = direct()
                .await
                .ask(ApiKey::AlterPartitionReassignments, 0, &moved)
                .await;
            return false;
        }
        if state.leader != replicas.first().copied() {
            let _: Option<ElectLeadersResponse> =
                direct().await.ask(ApiKey::ElectLeaders, 2, &elected).await;
            return false;
        }
        match nodes.first() {
            Some(first) => leads(*first, topic).await,
            None => false,
        }
    })
    .await;
}

/// The address that clients are told of a broker.
pub(crate) async fn address_of(gateway: &Gateway, node: i32) -> String {
    wait_for("the gateway to know the broker", || async {
        let mut raw = Raw::connect(&gateway.address).await;
        let asks = MetadataRequest::default();
        let answer: MetadataResponse = raw.ask(ApiKey::Metadata, 9, &asks).await?;
        let broker = answer.brokers.iter().find(|b| b.node_id.0 == node)?;
        Some(format!("{}:{}", &*broker.host, broker.port))
    })
    .await
}
