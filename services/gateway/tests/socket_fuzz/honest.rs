//! Requests as clients send them: each is full of what it may hold, so that damage has something to
//! hit.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FindCoordinatorRequest, GroupId, JoinGroupRequest, MetadataRequest,
    OffsetCommitRequest, RequestHeader, SaslHandshakeRequest, SyncGroupRequest, TopicName,
    TransactionalId, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use meshwork_wire::Codec;
use tokio::io::AsyncWriteExt as _;

use crate::mesh::{Gateway, Product};
use crate::raw::{Raw, batch, fetch_request, idempotent, produce_request};

/// Of all requests.
const CORRELATION_ID: i32 = 7;

/// All of them, each as a frame. What was damaged would prove little if the gateway closed at what is
/// whole: each is answered.
pub(crate) async fn requests(product: &Product, gateway: &Gateway) -> Vec<Vec<u8>> {
    let mut all = produced(product);
    all.extend(read(product.topic()));
    all.extend(grouped(product.topic()));
    for frame in &all {
        let mut raw = Raw::connect(&gateway.address).await;
        raw.stream.write_all(frame).await.unwrap();
        let (api, version) = (frame[5], frame[7]);
        let answer = raw.frame().await;
        let answer = answer.unwrap_or_else(|| panic!("API {api}, version {version}: closed"));
        assert_eq!(answer[..4], CORRELATION_ID.to_be_bytes(), "API {api}");
    }
    // Four codecs and none, in four versions, with and without a producer id; and the others.
    assert_eq!(all.len(), 5 * 4 * 2 + 12 + 6);
    all
}

fn frame<R: Encodable + HeaderVersion>(api: ApiKey, version: i16, request: &R) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(api as i16)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(word("fuzz")));
    let mut frame = BytesMut::new();
    header
        .encode(&mut frame, R::header_version(version))
        .unwrap();
    request.encode(&mut frame, version).unwrap();
    let mut message = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
    message.extend_from_slice(&frame);
    message
}

fn word(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn produced(product: &Product) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for codec in Codec::ALL {
        let values = vec![product.flight("some flight"); 20];
        let plain = batch(codec, &values);
        let sequenced = idempotent(plain.clone(), 77, 0, 0);
        for version in [3, 8, 9, 12] {
            for batch in [&plain, &sequenced] {
                let request = produce_request(product.topic(), batch);
                all.push(frame(ApiKey::Produce, version, &request));
            }
        }
    }
    all
}

fn read(topic: &str) -> Vec<Vec<u8>> {
    let name = TopicName(word(topic));
    let mut all = Vec::new();
    for version in [0, 4, 9, 12, 13] {
        let asked = MetadataRequestTopic::default().with_name(Some(name.clone()));
        let request = MetadataRequest::default().with_topics(Some(vec![asked]));
        all.push(frame(ApiKey::Metadata, version, &request));
    }
    for version in [4, 7, 12, 15] {
        let mut request = fetch_request(topic, 0, 0, 1 << 20);
        if version == 7 || version == 12 {
            let forgotten = ForgottenTopic::default()
                .with_topic(name.clone())
                .with_partitions(vec![0]);
            request = request.with_forgotten_topics_data(vec![forgotten]);
        }
        all.push(frame(ApiKey::Fetch, version, &request));
    }
    for version in [0, 3, 4] {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request = request
                .with_client_software_name(word("fuzz"))
                .with_client_software_version(word("1"));
        }
        all.push(frame(ApiKey::ApiVersions, version, &request));
    }
    all
}

fn grouped(topic: &str) -> Vec<Vec<u8>> {
    let (name, group) = (TopicName(word(topic)), GroupId(word("fuzz")));
    let found = FindCoordinatorRequest::default().with_coordinator_keys(vec![word("fuzz")]);
    let committed = OffsetCommitRequestPartition::default().with_committed_offset(1);
    let committed = OffsetCommitRequestTopic::default()
        .with_name(name.clone())
        .with_partitions(vec![committed]);
    let committed = OffsetCommitRequest::default()
        .with_group_id(group.clone())
        .with_member_id(word("member"))
        .with_topics(vec![committed]);
    let in_transaction = TxnOffsetCommitRequestPartition::default().with_committed_offset(1);
    let in_transaction = TxnOffsetCommitRequestTopic::default()
        .with_name(name)
        .with_partitions(vec![in_transaction]);
    let in_transaction = TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(word("fuzz")))
        .with_group_id(group.clone())
        .with_producer_id(77.into())
        .with_topics(vec![in_transaction]);
    // A subscription of version 0: one topic, no user data.
    let mut subscription = vec![0, 0, 0, 0, 0, 1, 0];
    subscription.push(u8::try_from(topic.len()).unwrap());
    subscription.extend_from_slice(topic.as_bytes());
    subscription.extend([0xff; 4]);
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(word("range"))
        .with_metadata(Bytes::from(subscription.clone()));
    let joined = JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(word("consumer"))
        .with_protocols(vec![protocol]);
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(word("member"))
        .with_assignment(Bytes::from(subscription));
    let synced = SyncGroupRequest::default()
        .with_group_id(group)
        .with_member_id(word("member"))
        .with_protocol_type(Some(word("consumer")))
        .with_protocol_name(Some(word("range")))
        .with_assignments(vec![assignment]);
    let login = SaslHandshakeRequest::default().with_mechanism(word("PLAIN"));
    vec![
        frame(ApiKey::FindCoordinator, 4, &found),
        frame(ApiKey::OffsetCommit, 8, &committed),
        frame(ApiKey::TxnOffsetCommit, 3, &in_transaction),
        frame(ApiKey::JoinGroup, 9, &joined),
        frame(ApiKey::SyncGroup, 5, &synced),
        frame(ApiKey::SaslHandshake, 1, &login),
    ]
}
