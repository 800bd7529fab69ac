//! Random messages, written by kafka-protocol.

use std::collections::BTreeMap;

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::{
    ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use meshwork_wire::protocol::TopicRef;
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) const VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;
pub(crate) const CORRELATION_ID: i32 = 0x0102_0304;

type Tags = Vec<(i32, Vec<u8>)>;

/// Up to two unknown tagged fields; tags of two bytes among them.
fn tags(version: i16, from: i32) -> impl Strategy<Value = Tags> + Clone {
    let most = if version >= 9 { 2 } else { 0 };
    vec((from..300, vec(any::<u8>(), 0..4)), 0..=most)
}

macro_rules! tagged {
    ($message:expr, $tags:expr) => {{
        let mut message = $message;
        message.unknown_tagged_fields = $tags
            .into_iter()
            .map(|(tag, bytes)| (tag, bytes.into()))
            .collect::<BTreeMap<_, _>>();
        message
    }};
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Topic number `n` by name and by id; sixteen bytes that differ.
pub(crate) fn topic_name(n: u8) -> String {
    format!("operations.t{n}.v1")
}

pub(crate) fn topic_id(n: u8) -> [u8; 16] {
    [n + 1; 16]
}

/// How kafka-protocol's topic is named here.
pub(crate) fn named<'a>(version: i16, name: &'a TopicName, id: &[u8; 16]) -> TopicRef<'a> {
    if version >= 13 {
        TopicRef::Id(*id)
    } else {
        TopicRef::Name(name.as_str())
    }
}

fn request_partition(version: i16) -> impl Strategy<Value = PartitionProduceData> {
    let records = proptest::option::weighted(0.8, vec(any::<u8>(), 0..200));
    (any::<i32>(), records, tags(version, 0)).prop_map(|(index, records, tags)| {
        tagged!(
            PartitionProduceData::default()
                .with_index(index)
                .with_records(records.map(Into::into)),
            tags
        )
    })
}

fn request_topic(version: i16) -> impl Strategy<Value = TopicProduceData> {
    let partitions = vec(request_partition(version), 0..4);
    (0u8..4, partitions, tags(version, 0)).prop_map(move |(n, partitions, tags)| {
        let topic = TopicProduceData::default().with_partition_data(partitions);
        let topic = if version >= 13 {
            topic.with_topic_id(topic_id(n).to_vec().try_into().unwrap())
        } else {
            topic.with_name(text(&topic_name(n)).into())
        };
        tagged!(topic, tags)
    })
}

pub(crate) fn request() -> impl Strategy<Value = (i16, ProduceRequest)> {
    VERSIONS.prop_flat_map(|version| {
        let fields = (
            proptest::option::of("[a-zé]{0,8}"),
            any::<i16>(),
            any::<i32>(),
            vec(request_topic(version), 0..4),
            tags(version, 0),
        );
        fields.prop_map(move |(id, acks, timeout_ms, topics, tags)| {
            let request = ProduceRequest::default()
                .with_transactional_id(id.map(|id| text(&id).into()))
                .with_acks(acks)
                .with_timeout_ms(timeout_ms)
                .with_topic_data(topics);
            (version, tagged!(request, tags))
        })
    })
}

/// A request's frame, its length left out.
pub(crate) fn request_frame(version: i16, request: &ProduceRequest) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut header = RequestHeader::default()
        .with_request_api_key(0)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(text("a client")));
    if version >= 9 {
        header = header.with_unknown_tagged_field(7, vec![1, 2].into());
    }
    let header_version = ProduceRequest::header_version(version);
    header.encode(&mut frame, header_version).unwrap();
    request.encode(&mut frame, version).unwrap();
    frame
}

fn record_error(version: i16) -> impl Strategy<Value = BatchIndexAndErrorMessage> {
    let message = proptest::option::of("[a-z]{0,5}");
    (any::<i32>(), message, tags(version, 0)).prop_map(|(index, message, tags)| {
        tagged!(
            BatchIndexAndErrorMessage::default()
                .with_batch_index(index)
                .with_batch_index_error_message(message.map(|m| text(&m))),
            tags
        )
    })
}

fn leader() -> impl Strategy<Value = LeaderIdAndEpoch> {
    (0i32..5, any::<i32>(), tags(13, 0)).prop_map(|(id, epoch, tags)| {
        tagged!(
            LeaderIdAndEpoch::default()
                .with_leader_id(id.into())
                .with_leader_epoch(epoch),
            tags
        )
    })
}

fn answer_partition(version: i16) -> impl Strategy<Value = PartitionProduceResponse> {
    (
        (any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>()),
        vec(record_error(version), 0..3),
        proptest::option::of("[a-z]{0,5}"),
        proptest::option::weighted(0.3, leader()),
        // Tag 0 is the leader's; kafka-protocol can't write it in version 9 either.
        tags(version, 1),
    )
        .prop_map(move |(fixed, errors, message, leader, tags)| {
            let (error_code, base_offset, time, start) = fixed;
            let mut partition = PartitionProduceResponse::default()
                .with_error_code(error_code)
                .with_base_offset(base_offset)
                .with_log_append_time_ms(time);
            if version >= 5 {
                partition = partition.with_log_start_offset(start);
            }
            if version >= 8 {
                partition = partition
                    .with_record_errors(errors)
                    .with_error_message(message.map(|m| text(&m)));
            }
            if let (10.., Some(leader)) = (version, leader) {
                partition = partition.with_current_leader(leader);
            }
            tagged!(partition, tags)
        })
}

/// An answer's topic; its partitions are numbered 0, 1 …
fn answer_topic(version: i16) -> impl Strategy<Value = TopicProduceResponse> {
    (vec(answer_partition(version), 0..4), tags(version, 0)).prop_map(|(partitions, tags)| {
        let partitions = (0..)
            .zip(partitions)
            .map(|(n, partition)| partition.with_index(n))
            .collect();
        tagged!(
            TopicProduceResponse::default().with_partition_responses(partitions),
            tags
        )
    })
}

fn node(n: i32) -> impl Strategy<Value = NodeEndpoint> {
    (
        0i32..40_000,
        proptest::option::of("[a-z]{0,5}"),
        tags(13, 0),
    )
        .prop_map(move |(port, rack, tags)| {
            tagged!(
                NodeEndpoint::default()
                    .with_node_id(n.into())
                    .with_host(text(&format!("broker-{n}")))
                    .with_port(port)
                    .with_rack(rack.map(|r| text(&r))),
                tags
            )
        })
}

/// An answer whose topics are numbered 0, 1 … and its version.
pub(crate) fn answer() -> impl Strategy<Value = (i16, ProduceResponse)> {
    VERSIONS.prop_flat_map(|version| {
        let nodes = proptest::sample::subsequence((0..4).collect::<Vec<_>>(), 0..=4);
        let nodes = nodes.prop_flat_map(|n| n.into_iter().map(node).collect::<Vec<_>>());
        let fields = (
            vec(answer_topic(version), 0..4),
            any::<i32>(),
            nodes,
            tags(version, 1),
        );
        fields.prop_map(move |(topics, throttle, nodes, tags)| {
            let topics = (0u8..)
                .zip(topics)
                .map(|(n, topic)| {
                    if version >= 13 {
                        topic.with_topic_id(topic_id(n).to_vec().try_into().unwrap())
                    } else {
                        topic.with_name(text(&topic_name(n)).into())
                    }
                })
                .collect();
            let mut answer = ProduceResponse::default()
                .with_responses(topics)
                .with_throttle_time_ms(throttle);
            if version >= 10 {
                answer = answer.with_node_endpoints(nodes);
            }
            (version, tagged!(answer, tags))
        })
    })
}

/// An answer's frame, its length left out.
pub(crate) fn answer_frame(version: i16, answer: &ProduceResponse) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut header = ResponseHeader::default().with_correlation_id(CORRELATION_ID);
    if version >= 9 {
        header = header.with_unknown_tagged_field(7, vec![1, 2].into());
    }
    let header_version = ProduceResponse::header_version(version);
    header.encode(&mut frame, header_version).unwrap();
    answer.encode(&mut frame, version).unwrap();
    frame
}
