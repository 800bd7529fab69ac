//! What is read passes byte for byte: batches of any kind, those of transactions that were aborted,
//! their markers, empty ones, and what nobody here could read.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, MetadataRequest, MetadataResponse, ResponseHeader,
    TopicName,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use meshwork_testkit::{Fate, Heading, kafka, wait_for};
use meshwork_wire::Codec;

use crate::leaders::{address_of, lead, leader};
use crate::links::behind_links;
use crate::raw::{Raw, batch, fetch_request};
use crate::transactions::Transactions;
use crate::turn;

/// Versions of Fetch that the gateway passes and brokers take.
const VERSIONS: std::ops::RangeInclusive<i16> = 4..=15;
const FETCH: i16 = ApiKey::Fetch as i16;

/// A session of its own is not asked for: then a request says all that there is to say.
fn fetch(topic: &str, id: uuid::Uuid, isolation: i8) -> FetchRequest {
    let mut request = fetch_request(topic, 100, 1, 16 << 20)
        .with_isolation_level(isolation)
        .with_session_epoch(-1);
    request.topics[0].topic_id = id;
    request
}

/// Writes one transaction.
async fn transaction(client: &mut Transactions, committed: bool) {
    client.begin().await;
    for _ in 0..3 {
        client.send_one(vec![7; 100]).await;
        assert_eq!(client.written().await, 0);
    }
    client.send_end(committed).await;
    assert_eq!(client.ended().await, Some(0));
}

/// Id of a topic.
async fn id_of(raw: &mut Raw, topic: &str) -> uuid::Uuid {
    let asks = MetadataRequest::default().with_topics(None);
    let answer: MetadataResponse = raw.ask(ApiKey::Metadata, 12, &asks).await.unwrap();
    let of = |t: &&kafka_protocol::messages::metadata_response::MetadataResponseTopic| {
        t.name.as_ref().is_some_and(|name| ***name == *topic)
    };
    answer.topics.iter().find(of).unwrap().topic_id
}

#[tokio::test]
async fn everything_that_a_broker_keeps_is_read_as_it_is() {
    let turn = turn().await;
    let topic = kafka().topic("kept", 1).await;
    let mut client = Transactions::open(None, &topic).await;
    let direct = client.address.clone();
    let mut raw = Raw::connect(&direct).await;
    for codec in Codec::ALL {
        for size in [1, 1_000, 100_000] {
            let given = batch(codec, &[vec![7; size], vec![1; 10]]);
            assert_eq!(raw.produce(9, &topic, &given).await.0, 0);
        }
        transaction(&mut client, codec == Codec::None).await;
    }
    let id = id_of(&mut raw, &topic).await;
    let gateway = behind_links(&turn).await;
    let through = address_of(&gateway, client.node).await;
    for version in VERSIONS {
        for isolation in [0, 1] {
            let asks = fetch(&topic, id, isolation);
            wait_for("the broker to answer twice the same", || {
                let (direct, through, asks) = (direct.clone(), through.clone(), asks.clone());
                async move {
                    let mut answers = Vec::new();
                    for address in [&direct, &through, &direct] {
                        let mut raw = Raw::connect(address).await;
                        raw.send(ApiKey::Fetch, version, &asks).await;
                        answers.push(raw.frame().await.unwrap());
                    }
                    // Markers are written a moment behind the answer to their end.
                    (answers[0] == answers[2]).then(|| {
                        assert_eq!(answers[1], answers[0], "version {version}");
                    })
                }
            })
            .await;
        }
    }
    gateway.stop().await;
}

/// A batch's header fields, written over: base offset, attributes, offset of the last record, and how
/// many records there are.
fn with_header(mut batch: Vec<u8>, base: i64, attributes: u8, last: i32, count: i32) -> Vec<u8> {
    batch[..8].copy_from_slice(&base.to_be_bytes());
    batch[22] |= attributes;
    batch[23..27].copy_from_slice(&last.to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

/// What a broker may answer with, and a test can't have one write at will: a batch that compaction has
/// left empty, a marker, an old and a new format, and a last batch that is cut.
fn odd_records() -> Vec<u8> {
    const TRANSACTIONAL: u8 = 0x10;
    const CONTROL: u8 = 0x20;
    let some = |n: usize| batch(Codec::None, &vec![vec![7; 50]; n]);
    let mut empty = some(1)[..61].to_vec();
    empty[8..12].copy_from_slice(&49_i32.to_be_bytes());
    let empty = with_header(empty, 0, 0, 9, 0);
    let aborted = with_header(some(3), 10, TRANSACTIONAL, 2, 3);
    let marker = with_header(some(1), 13, TRANSACTIONAL | CONTROL, 0, 1);
    let mut old = some(2);
    old[16] = 1;
    let mut new = some(2);
    new[16] = 9;
    let torn = {
        let mut torn = some(2);
        *torn.last_mut().unwrap() ^= 1;
        torn
    };
    let large = batch(Codec::None, &vec![vec![1; 100 << 10]; 9]);
    let cut = some(2)[..70].to_vec();
    [empty, aborted, marker, old, new, torn, large, cut].concat()
}

fn message(id: i32, version: i16, answer: &FetchResponse) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(id);
    let header_version = FetchResponse::header_version(version);
    header.encode(&mut frame, header_version).unwrap();
    answer.encode(&mut frame, version).unwrap();
    let mut message = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
    message.extend_from_slice(&frame);
    message
}

#[tokio::test]
async fn what_no_test_can_have_a_broker_write_passes_as_well() {
    let turn = turn().await;
    let topic = kafka().topic("odd", 1).await;
    let node = leader(&topic).await;
    lead(&topic, &[node]).await;
    let gateway = behind_links(&turn).await;
    let through = address_of(&gateway, node.into()).await;
    let records = odd_records();
    let aborted = AbortedTransaction::default()
        .with_producer_id(7.into())
        .with_first_offset(10);
    for version in VERSIONS {
        for given in [Some(records.clone()), Some(Vec::new()), None] {
            let mut raw = Raw::connect(&through).await;
            let partition = PartitionData::default()
                .with_partition_index(0)
                .with_high_watermark(100)
                .with_last_stable_offset(50)
                .with_log_start_offset(0)
                .with_aborted_transactions(Some(vec![aborted.clone(); 3]))
                .with_records(given.map(Bytes::from));
            let name = TopicName(StrBytes::from_string(topic.clone()));
            let mut of = FetchableTopicResponse::default().with_partitions(vec![partition]);
            if version < 13 {
                of = of.with_topic(name);
            }
            let answer = FetchResponse::default().with_responses(vec![of]);
            // The first request of its connection.
            let said = message(1, version, &answer);
            let instead = said.clone();
            // Those of our own requests' connections: the gateway's own clients fetch as well.
            let marked: Arc<parking_lot::Mutex<Vec<u64>>> = Arc::default();
            turn.linked
                .link(node.into())
                .tap(Some(Arc::new(move |passing| {
                    let client_id = passing.frame.get(14..17);
                    let asked = passing.api == FETCH && passing.heading == Heading::ToBroker;
                    if asked && client_id == Some(b"raw") {
                        marked.lock().push(passing.connection);
                    }
                    let answered = passing.api == FETCH && passing.heading == Heading::ToClient;
                    if answered && marked.lock().contains(&passing.connection) {
                        return Fate::Instead(instead.clone());
                    }
                    Fate::Pass
                })));
            let asks = fetch(&topic, uuid::Uuid::nil(), 1);
            raw.send(ApiKey::Fetch, version, &asks).await;
            assert_eq!(raw.frame().await.unwrap(), said[4..], "version {version}");
        }
    }
    turn.linked.link(node.into()).tap(None);
    gateway.stop().await;
}
