//! How long a broker may take, and how long a client should hold back.

use kafka_protocol::messages::alter_partition_reassignments_request::ReassignableTopic;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_delegation_token_response::{
    DescribedDelegationToken, DescribedDelegationTokenRenewer,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, HeaderVersion, Message};
use meshwork_wire::protocol::waits::{max_wait_ms, throttle_ms};
use meshwork_wire::protocol::{ApiKey, RequestHeader, RequestStart};

use crate::judge::{header, id, request, response, tagged, text};

/// What all versions of a request say.
fn waits<M: Encodable + HeaderVersion + Message>(
    api: ApiKey,
    most: i16,
    message: impl Fn(i16) -> M,
    expected: impl Fn(i16) -> Option<i32>,
) {
    for version in M::VERSIONS.min..=M::VERSIONS.max.min(most) {
        let frame = request(api, version, &message(version));
        let header = header(&frame);
        assert_eq!(
            max_wait_ms(&header, &frame),
            expected(version),
            "{} {version}",
            api.name()
        );
        // Cut anywhere it says the same or nothing.
        for end in header.body..frame.len() {
            let cut = max_wait_ms(&header, &frame[..end]);
            assert!(cut.is_none() || cut == expected(version));
        }
    }
}

fn name(name: &'static str) -> TopicName {
    TopicName(text(name))
}

#[test]
fn what_a_client_waits_for() {
    let always = |_| Some(1234);
    let produce = |_| {
        ProduceRequest::default()
            .with_transactional_id(Some(text("a job").into()))
            .with_timeout_ms(1234)
    };
    waits(ApiKey::PRODUCE, 13, produce, always);
    waits(
        ApiKey::FETCH,
        18,
        |_| FetchRequest::default().with_max_wait_ms(1234),
        always,
    );
    let join = |version| {
        JoinGroupRequest::default()
            .with_group_id(text("a group").into())
            .with_session_timeout_ms(99)
            .with_rebalance_timeout_ms(if version >= 1 { 1234 } else { -1 })
    };
    waits(ApiKey::JOIN_GROUP, 9, join, |version| {
        Some(if version >= 1 { 1234 } else { 99 })
    });
    waits(
        ApiKey::SYNC_GROUP,
        5,
        |_| SyncGroupRequest::default(),
        |_| None,
    );
    waits(
        ApiKey::METADATA,
        13,
        |_| MetadataRequest::default(),
        |_| None,
    );

    let list_offsets = |version| {
        let partition = tagged!(ListOffsetsPartition::default().with_timestamp(-1));
        let topic = tagged!(
            ListOffsetsTopic::default()
                .with_name(name("t"))
                .with_partitions(vec![partition.clone(), partition])
        );
        ListOffsetsRequest::default()
            .with_topics(vec![topic.clone(), topic])
            .with_timeout_ms(if version >= 10 { 1234 } else { 0 })
    };
    waits(ApiKey::LIST_OFFSETS, 10, list_offsets, |version| {
        (version >= 10).then_some(1234)
    });
    assert_eq!(
        ListOffsetsRequest::VERSIONS.max,
        10,
        "a newer kafka-protocol could judge more"
    );
}

#[test]
fn what_an_administrator_waits_for() {
    let always = |_| Some(1234);
    let create_topics = |_| {
        let by_hand = tagged!(
            CreatableReplicaAssignment::default()
                .with_partition_index(1)
                .with_broker_ids(vec![1.into(), 2.into()])
        );
        let setting = |value| {
            tagged!(
                CreatableTopicConfig::default()
                    .with_name(text("retention.ms"))
                    .with_value(value)
            )
        };
        let topic = tagged!(
            CreatableTopic::default()
                .with_name(name("t"))
                .with_assignments(vec![by_hand.clone(), by_hand])
                .with_configs(vec![setting(None), setting(Some(text("1")))])
        );
        tagged!(
            CreateTopicsRequest::default()
                .with_topics(vec![topic.clone(), topic])
                .with_timeout_ms(1234)
        )
    };
    waits(ApiKey::CREATE_TOPICS, 7, create_topics, always);
    let delete_topics = |version| {
        let by_id = DeleteTopicState::default()
            .with_name(None)
            .with_topic_id(id(1).to_vec().try_into().unwrap());
        let by_name = DeleteTopicState::default().with_name(Some(name("t")));
        let request = DeleteTopicsRequest::default().with_timeout_ms(1234);
        if version >= 6 {
            request.with_topics(vec![tagged!(by_id), tagged!(by_name)])
        } else {
            request.with_topic_names(vec![name("t"), name("u")])
        }
    };
    waits(ApiKey::DELETE_TOPICS, 6, delete_topics, always);
    let delete_records = |_| {
        let partition = tagged!(DeleteRecordsPartition::default().with_offset(3));
        let topic = DeleteRecordsTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition.clone(), partition]);
        DeleteRecordsRequest::default()
            .with_topics(vec![tagged!(topic)])
            .with_timeout_ms(1234)
    };
    waits(ApiKey::DELETE_RECORDS, 2, delete_records, always);
    let create_partitions = |_| {
        let by_hand =
            tagged!(CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()]));
        let topic = |assignments| {
            tagged!(
                CreatePartitionsTopic::default()
                    .with_name(name("t"))
                    .with_assignments(assignments)
            )
        };
        CreatePartitionsRequest::default()
            .with_topics(vec![topic(None), topic(Some(vec![by_hand]))])
            .with_timeout_ms(1234)
    };
    waits(ApiKey::CREATE_PARTITIONS, 3, create_partitions, always);
    for topics in [None, Some(vec![0, 1])] {
        let elect = |_| {
            let topic = |partitions| {
                tagged!(
                    TopicPartitions::default()
                        .with_topic(name("t"))
                        .with_partitions(partitions)
                )
            };
            ElectLeadersRequest::default()
                .with_topic_partitions(topics.clone().map(|all| vec![topic(all)]))
                .with_timeout_ms(1234)
        };
        waits(ApiKey::ELECT_LEADERS, 2, elect, always);
    }
    let reassign = |_| {
        AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(1234)
            .with_topics(vec![tagged!(
                ReassignableTopic::default().with_name(name("t"))
            )])
    };
    waits(ApiKey::ALTER_PARTITION_REASSIGNMENTS, 1, reassign, always);
    waits(
        ApiKey::LIST_PARTITION_REASSIGNMENTS,
        0,
        |_| ListPartitionReassignmentsRequest::default().with_timeout_ms(1234),
        always,
    );
    waits(
        ApiKey::UPDATE_FEATURES,
        2,
        |_| UpdateFeaturesRequest::default().with_timeout_ms(1234),
        always,
    );
}

#[test]
fn a_wait_below_zero_is_none_at_all() {
    let message = FetchRequest::default().with_max_wait_ms(-7);
    let frame = request(ApiKey::FETCH, 12, &message);
    assert_eq!(max_wait_ms(&header(&frame), &frame), Some(0));
    let made_up = RequestHeader {
        start: RequestStart {
            api: ApiKey(1234),
            version: 0,
            correlation_id: 1,
        },
        client_id: None,
        body: 0,
    };
    assert_eq!(max_wait_ms(&made_up, &[0; 64]), None);
}

/// That a throttle time is read where kafka-protocol writes it: from version `first` on.
fn throttled<M: Encodable + HeaderVersion + Message + Clone>(
    api: ApiKey,
    first: i16,
    message: &M,
    with: impl Fn(M, i32) -> M,
) -> ApiKey {
    for version in M::VERSIONS.min..=M::VERSIONS.max {
        for ms in [0, 12_345] {
            let frame = response(version, &with(message.clone(), ms));
            let expected = if version < first { 0 } else { ms };
            assert_eq!(
                throttle_ms(api, version, &frame),
                expected,
                "{} {version}",
                api.name()
            );
            for end in 0..frame.len() {
                let cut = throttle_ms(api, version, &frame[..end]);
                assert!(cut == 0 || cut == expected);
            }
        }
    }
    api
}

macro_rules! throttled {
    ($($api:ident $first:literal $message:expr;)*) => {
        vec![$(throttled(ApiKey::$api, $first, &$message, |m, ms| m.with_throttle_time_ms(ms))),*]
    };
}

/// Those without a throttle time (`*Response.json` of Kafka 4.2.2).
const NEVER: [ApiKey; 13] = [
    ApiKey::SASL_HANDSHAKE,
    ApiKey::SASL_AUTHENTICATE,
    ApiKey::WRITE_TXN_MARKERS,
    ApiKey::VOTE,
    ApiKey::BEGIN_QUORUM_EPOCH,
    ApiKey::END_QUORUM_EPOCH,
    ApiKey::DESCRIBE_QUORUM,
    ApiKey::ENVELOPE,
    ApiKey::INITIALIZE_SHARE_GROUP_STATE,
    ApiKey::READ_SHARE_GROUP_STATE,
    ApiKey::WRITE_SHARE_GROUP_STATE,
    ApiKey::DELETE_SHARE_GROUP_STATE,
    ApiKey::READ_SHARE_GROUP_STATE_SUMMARY,
];

#[test]
fn how_long_a_client_holds_back() {
    let token = DescribedDelegationToken::default()
        .with_principal_type(text("User"))
        .with_principal_name(text("alice"))
        .with_token_id(text("a token"))
        .with_hmac(b"a secret".to_vec().into())
        .with_renewers(vec![tagged!(
            DescribedDelegationTokenRenewer::default()
                .with_principal_type(text("User"))
                .with_principal_name(text("bob"))
        )]);
    let produced = TopicProduceResponse::default().with_partition_responses(vec![tagged!(
        PartitionProduceResponse::default().with_index(3)
    )]);
    // All that don't have it as their first field from version 0 on, and two that do.
    let mut seen = throttled! {
        PRODUCE 1 ProduceResponse::default().with_responses(vec![tagged!(produced)]);
        FETCH 1 FetchResponse::default();
        LIST_OFFSETS 2 ListOffsetsResponse::default();
        METADATA 3 MetadataResponse::default();
        OFFSET_COMMIT 3 OffsetCommitResponse::default();
        OFFSET_FETCH 3 OffsetFetchResponse::default();
        FIND_COORDINATOR 1 FindCoordinatorResponse::default();
        JOIN_GROUP 2 JoinGroupResponse::default();
        HEARTBEAT 1 HeartbeatResponse::default();
        LEAVE_GROUP 1 LeaveGroupResponse::default();
        SYNC_GROUP 1 SyncGroupResponse::default();
        DESCRIBE_GROUPS 1 DescribeGroupsResponse::default();
        LIST_GROUPS 1 ListGroupsResponse::default();
        API_VERSIONS 1 ApiVersionsResponse::default().with_api_keys(vec![
            tagged!(ApiVersion::default().with_max_version(3)),
            tagged!(ApiVersion::default().with_api_key(18)),
        ]);
        CREATE_TOPICS 2 CreateTopicsResponse::default();
        DELETE_TOPICS 1 DeleteTopicsResponse::default();
        OFFSET_FOR_LEADER_EPOCH 2 OffsetForLeaderEpochResponse::default();
        CREATE_DELEGATION_TOKEN 0 CreateDelegationTokenResponse::default()
            .with_principal_type(text("User"))
            .with_principal_name(text("alice"))
            .with_token_id(text("a token"))
            .with_hmac(b"a secret".to_vec().into());
        RENEW_DELEGATION_TOKEN 0 RenewDelegationTokenResponse::default();
        EXPIRE_DELEGATION_TOKEN 0 ExpireDelegationTokenResponse::default();
        DESCRIBE_DELEGATION_TOKEN 0 DescribeDelegationTokenResponse::default()
            .with_tokens(vec![tagged!(token.clone()), token]);
        OFFSET_DELETE 0 OffsetDeleteResponse::default();
        INIT_PRODUCER_ID 0 InitProducerIdResponse::default();
        DESCRIBE_CLUSTER 0 DescribeClusterResponse::default();
    };
    for api in NEVER {
        assert_eq!(throttle_ms(api, 0, &[1; 64]), 0);
        seen.push(api);
    }
    // The others, those among them that kafka-protocol doesn't know: first of all.
    for api in ApiKey::ALL.iter().filter(|api| !seen.contains(api)) {
        let tags = vec![0; usize::from(api.response_has_tags(0))];
        let frame = [vec![1, 2, 3, 4], tags, vec![0, 0, 1, 2, 9]].concat();
        assert_eq!(throttle_ms(*api, 0, &frame), 258, "{}", api.name());
    }
    assert_eq!(throttle_ms(ApiKey(1234), 0, &[1; 64]), 0);
    assert_eq!(
        throttle_ms(ApiKey::FETCH, 12, &[0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]),
        0
    );
}
