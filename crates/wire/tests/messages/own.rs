//! What the gateway itself asks of brokers: DescribeProducers, and Metadata for what may be done.

use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, MetadataRequest, MetadataResponse,
    RequestHeader as TheirRequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use meshwork_wire::protocol::describe_producers::{self, ActiveProducer};
use meshwork_wire::protocol::metadata;

use crate::judge::{
    id, refuses_every_cut, response, survives_every_flip, tagged, text, without_length,
};

fn asked<M: Decodable + HeaderVersion>(frame: &[u8], api: i16, version: i16) -> M {
    let mut left = without_length(frame);
    let header = TheirRequestHeader::decode(&mut left, M::header_version(version)).unwrap();
    assert_eq!(
        (
            header.request_api_key,
            header.request_api_version,
            header.correlation_id
        ),
        (api, version, 77)
    );
    assert_eq!(header.client_id.as_deref(), Some("meshwork"));
    let message = M::decode(&mut left, version).unwrap();
    assert!(left.is_empty(), "{} bytes too many", left.len());
    message
}

#[test]
fn producers_are_asked_for_by_partition() {
    let frame = describe_producers::request(77, "meshwork", "a.b.v1", 3);
    let theirs: DescribeProducersRequest = asked(&frame, 61, 0);
    assert_eq!(theirs.topics.len(), 1);
    assert_eq!(&**theirs.topics[0].name, "a.b.v1");
    assert_eq!(theirs.topics[0].partition_indexes, [3]);
}

#[test]
fn producers_are_read() {
    let producer = |id: i64, epoch: i32, last: i32| {
        tagged!(
            ProducerState::default()
                .with_producer_id(id.into())
                .with_producer_epoch(epoch)
                .with_last_sequence(last)
                .with_last_timestamp(5)
                .with_coordinator_epoch(6)
                .with_current_txn_start_offset(-1)
        )
    };
    let partition = |n: i32, error, producers| {
        tagged!(
            PartitionResponse::default()
                .with_partition_index(n)
                .with_error_code(error)
                .with_error_message((error != 0).then(|| text("not here")))
                .with_active_producers(producers)
        )
    };
    let theirs = tagged!(
        DescribeProducersResponse::default()
            .with_throttle_time_ms(9)
            .with_topics(vec![tagged!(
                TopicResponse::default()
                    .with_name(TopicName(text("a.b.v1")))
                    .with_partitions(vec![
                        partition(0, 0, vec![producer(7, 1, 41), producer(8, 0, -1)]),
                        partition(1, 6, Vec::new()),
                    ])
            )])
    );
    let frame = response(0, &theirs);
    let mut seen = Vec::new();
    describe_producers::read(&frame, |p| {
        seen.push((
            p.topic.to_owned(),
            p.partition,
            p.error_code,
            p.producers().collect::<Vec<_>>(),
        ));
    })
    .unwrap();
    let is = |producer_id, producer_epoch, last_sequence| ActiveProducer {
        producer_id,
        producer_epoch,
        last_sequence,
    };
    assert_eq!(
        seen,
        [
            ("a.b.v1".to_owned(), 0, 0, vec![is(7, 1, 41), is(8, 0, -1)]),
            ("a.b.v1".to_owned(), 1, 6, Vec::new()),
        ]
    );
    refuses_every_cut(&frame, |frame| describe_producers::read(frame, |_| ()));
    survives_every_flip(&frame, |frame| {
        let _ = describe_producers::read(frame, |p| assert!(p.producers().count() <= frame.len()));
    });
}

#[test]
fn a_topic_is_asked_for_with_what_may_be_done() {
    let frame = metadata::request(77, "meshwork", "a.b.v1");
    let theirs: MetadataRequest = asked(&frame, 3, metadata::OWN_VERSION);
    let topics = theirs.topics.unwrap();
    assert_eq!(topics.len(), 1);
    assert_eq!(
        topics[0].name.as_ref().map(|n| n.to_string()),
        Some("a.b.v1".to_owned())
    );
    assert!(topics[0].topic_id.is_nil());
    assert!(!theirs.allow_auto_topic_creation);
    assert!(theirs.include_topic_authorized_operations);
    assert!(!theirs.include_cluster_authorized_operations);
}

#[test]
fn what_may_be_done_is_read() {
    let topic = |name: &'static str, operations: i32| {
        tagged!(
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(text(name))))
                .with_topic_id(id(1).to_vec().try_into().unwrap())
                .with_partitions(vec![tagged!(
                    MetadataResponsePartition::default().with_leader_id(1.into())
                )])
                .with_topic_authorized_operations(operations)
        )
    };
    let theirs = tagged!(MetadataResponse::default().with_topics(vec![
        topic("all", 0x0df8),
        topic("read", 1 << 3),
        topic("not-asked", i32::MIN),
    ]));
    let frame = response(10, &theirs);
    let mut seen = Vec::new();
    metadata::read(&frame, 10, |topic| {
        seen.push((topic.name, topic.may_write(), topic.partitions));
    })
    .unwrap();
    assert_eq!(
        seen,
        [
            (Some("all"), Some(true), 1),
            (Some("read"), Some(false), 1),
            (Some("not-asked"), None, 1),
        ]
    );
    refuses_every_cut(&frame, |cut| {
        metadata::read(cut, 10, |topic| {
            assert_eq!(cut.len(), frame.len(), "read from a message that is cut");
            assert_eq!(topic.leaders().count(), topic.partitions);
        })
    });
    survives_every_flip(&frame, |flipped| {
        let _ = metadata::read(flipped, 10, |topic| {
            assert_eq!(topic.leaders().count(), topic.partitions);
        });
    });
}
