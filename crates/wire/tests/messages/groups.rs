//! JoinGroup and SyncGroup, OffsetCommit.

use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolSubscription, JoinGroupRequest as TheirJoin,
    OffsetCommitRequest as TheirCommit, SyncGroupRequest as TheirSync, TopicName,
};
use kafka_protocol::protocol::Encodable;
use meshwork_wire::protocol::groups::{
    JOIN_VERSIONS, JoinGroupRequest, SYNC_VERSIONS, Subscription, SyncGroupRequest,
};
use meshwork_wire::protocol::offsets::{COMMIT_VERSIONS, OffsetCommitRequest};
use meshwork_wire::protocol::{ApiKey, RequestHeader, TopicRef, WireError, Writer};

use crate::judge::{
    CORRELATION_ID, header, id, refuses_every_cut, refuses_every_cut_request, request,
    survives_every_flip, tagged, text,
};

fn subscription(version: i16) -> Vec<u8> {
    let mut theirs = ConsumerProtocolSubscription::default()
        .with_topics(["operations.departures.v1", "t"].map(text).to_vec())
        .with_user_data(Some(b"the assignor's".to_vec().into()));
    if version >= 1 {
        theirs = theirs.with_owned_partitions(vec![
            TopicPartition::default()
                .with_topic(TopicName(text("owned")))
                .with_partitions(vec![1, 2]),
        ]);
    }
    let mut bytes = version.to_be_bytes().to_vec();
    theirs.encode(&mut bytes, version).unwrap();
    bytes
}

#[test]
fn a_subscription_names_its_topics() {
    for version in 0..=3 {
        let bytes = subscription(version);
        let read = Subscription::read(&bytes).unwrap();
        assert!(read.topics().eq(["operations.departures.v1", "t"]));
        // Later versions only add to the end.
        let mut later = bytes.clone();
        later[..2].copy_from_slice(&9i16.to_be_bytes());
        later.extend_from_slice(b"what is new");
        let read = Subscription::read(&later).unwrap();
        assert!(read.topics().eq(["operations.departures.v1", "t"]));
        survives_every_flip(&bytes, |flipped| {
            if let Ok(read) = Subscription::read(flipped) {
                assert!(read.topics().count() < flipped.len());
            }
        });
    }
    let topics_only = &subscription(0)[..2 + 4 + 2 + 24 + 2 + 1];
    refuses_every_cut(topics_only, Subscription::read);
    assert!(Subscription::read(&[0xff; 16]).is_err());
}

#[test]
fn who_joins_and_with_what() {
    for version in JOIN_VERSIONS {
        let protocol = |name: &'static str, metadata: Vec<u8>| {
            tagged!(
                JoinGroupRequestProtocol::default()
                    .with_name(text(name))
                    .with_metadata(metadata.into())
            )
        };
        let theirs = tagged!(
            TheirJoin::default()
                .with_group_id(text("a group").into())
                .with_session_timeout_ms(45_000)
                .with_rebalance_timeout_ms(if version >= 1 { 300_000 } else { -1 })
                .with_member_id(text("member-1"))
                .with_group_instance_id((version >= 5).then(|| text("static")))
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![
                    protocol("range", subscription(1)),
                    protocol("roundrobin", vec![]),
                ])
                .with_reason((version >= 8).then(|| text("why")))
        );
        let frame = request(ApiKey::JOIN_GROUP, version, &theirs);
        let read = JoinGroupRequest::read(&header(&frame), &frame).unwrap();
        assert_eq!((read.group, read.member), ("a group", "member-1"));
        assert_eq!(read.rebalance_timeout_ms, (version >= 1).then_some(300_000));
        assert_eq!(read.instance, (version >= 5).then_some("static"));
        assert_eq!(read.protocol_type, "consumer");
        let metadata = subscription(1);
        let protocols: Vec<_> = read.protocols().collect();
        assert_eq!(protocols, [("range", &metadata[..]), ("roundrobin", &[])]);
        refuses_every_cut_request(&frame, JoinGroupRequest::read);
        survives_every_flip(&frame, |flipped| {
            if let Ok(header) = RequestHeader::read(flipped)
                && let Ok(read) = JoinGroupRequest::read(&header, flipped)
            {
                assert!(read.protocols().count() < flipped.len());
            }
        });
    }
}

#[test]
fn who_syncs() {
    for version in SYNC_VERSIONS {
        let theirs = tagged!(
            TheirSync::default()
                .with_group_id(text("a group").into())
                .with_generation_id(12)
                .with_member_id(text("member-1"))
                .with_group_instance_id((version >= 3).then(|| text("static")))
                .with_protocol_type((version >= 5).then(|| text("consumer")))
                .with_protocol_name((version >= 5).then(|| text("range")))
                .with_assignments(vec![tagged!(
                    SyncGroupRequestAssignment::default()
                        .with_member_id(text("member-2"))
                        .with_assignment(b"its partitions".to_vec().into())
                )])
        );
        let frame = request(ApiKey::SYNC_GROUP, version, &theirs);
        assert_eq!(
            SyncGroupRequest::read(&header(&frame), &frame),
            Ok(SyncGroupRequest {
                group: "a group",
                generation: 12,
                member: "member-1",
                instance: (version >= 3).then_some("static"),
                protocol_type: (version >= 5).then_some("consumer"),
            })
        );
        refuses_every_cut_request(&frame, SyncGroupRequest::read);
    }
}

/// kafka-protocol knows OffsetCommit up to version 9; 10 only has ids in the names' place.
fn commit(version: i16) -> Vec<u8> {
    if version == 10 {
        return commit_10();
    }
    let partition = |n, offset, note| {
        tagged!(
            OffsetCommitRequestPartition::default()
                .with_partition_index(n)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(if version >= 6 { 3 } else { -1 })
                .with_committed_metadata(note)
        )
    };
    let topic = |name: &'static str, partitions| {
        tagged!(
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(partitions)
        )
    };
    let theirs = TheirCommit::default()
        .with_group_id(text("a group").into())
        .with_generation_id_or_member_epoch(7)
        .with_member_id(text("member-1"))
        .with_group_instance_id((version >= 7).then(|| text("static")))
        .with_topics(vec![
            topic(
                "operations.departures.v1",
                vec![partition(0, 10, Some(text("note"))), partition(1, 20, None)],
            ),
            topic("t", vec![partition(2, 0, Some(text("")))]),
        ]);
    request(ApiKey::OFFSET_COMMIT, version, &tagged!(theirs))
}

fn commit_10() -> Vec<u8> {
    let mut frame = Vec::new();
    let mut out = Writer::new(&mut frame, false);
    out.i16(ApiKey::OFFSET_COMMIT.0);
    out.i16(10);
    out.i32(CORRELATION_ID);
    out.string("a client");
    let tags = |out: &mut Writer<'_>| out.raw(&[1, 0xac, 2, 2, b'x', b'y']);
    let mut out = Writer::new(&mut frame, true);
    tags(&mut out);
    out.string("a group");
    out.i32(7);
    out.string("member-1");
    out.string("static");
    out.length(2);
    for (n, partitions) in [(1, &[(0, 10), (1, 20)][..]), (2, &[(2, 0)])] {
        out.uuid(&id(n));
        out.length(partitions.len());
        for (partition, offset) in partitions {
            out.i32(*partition);
            out.i64(*offset);
            out.i32(3);
            out.nullable_string((*partition == 0).then_some("note"));
            tags(&mut out);
        }
        tags(&mut out);
    }
    tags(&mut out);
    frame
}

#[test]
fn how_far_a_group_has_read() {
    for version in COMMIT_VERSIONS {
        let frame = commit(version);
        let read = OffsetCommitRequest::read(&header(&frame), &frame).unwrap();
        assert_eq!((read.group, read.member), ("a group", "member-1"));
        assert_eq!(read.generation, 7);
        assert_eq!(read.instance, (version >= 7).then_some("static"));
        let (first, second) = if version >= 10 {
            (TopicRef::Id(id(1)), TopicRef::Id(id(2)))
        } else {
            (
                TopicRef::Name("operations.departures.v1"),
                TopicRef::Name("t"),
            )
        };
        let offsets: Vec<_> = read.offsets().collect();
        assert_eq!(offsets, [(first, 0, 10), (first, 1, 20), (second, 2, 0)]);
        refuses_every_cut_request(&frame, OffsetCommitRequest::read);
        survives_every_flip(&frame, |flipped| {
            if let Ok(header) = RequestHeader::read(flipped)
                && let Ok(read) = OffsetCommitRequest::read(&header, flipped)
            {
                assert!(read.offsets().count() < flipped.len());
            }
        });
    }
    let mut frame = commit_10();
    frame[3] = 11;
    assert_eq!(
        OffsetCommitRequest::read(&header(&frame), &frame).err(),
        Some(WireError::Version {
            api: "OffsetCommit",
            version: 11
        })
    );
}
