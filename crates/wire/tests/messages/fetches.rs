//! Fetch.

use kafka_protocol::messages::fetch_request::{
    FetchPartition, FetchTopic, ForgottenTopic, ReplicaState,
};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use kafka_protocol::messages::{FetchRequest as Theirs, FetchResponse, TopicName};
use meshwork_wire::protocol::fetch::{
    FetchAnswerStart, FetchRequest, FetchedPartition, VERSIONS, answer_partitions,
};
use meshwork_wire::protocol::{ApiKey, RequestHeader, TopicRef, WireError};

use crate::judge::{
    header, id, refuses_every_cut, refuses_every_cut_request, request, response,
    survives_every_flip, tagged, text,
};

const NAMES: [&str; 3] = ["operations.departures.v1", "t", "weather.forecasts.v2"];

/// How topic `n` is named in a version.
fn topic(version: i16, n: u8) -> TopicRef<'static> {
    if version >= 13 {
        TopicRef::Id(id(n))
    } else {
        TopicRef::Name(NAMES[usize::from(n)])
    }
}

/// A topic's name or id for kafka-protocol.
macro_rules! named {
    ($topic:expr, $version:expr, $n:expr) => {
        if $version >= 13 {
            $topic.with_topic_id(id($n).to_vec().try_into().unwrap())
        } else {
            $topic.with_topic(TopicName(text(NAMES[usize::from($n)])))
        }
    };
}

/// From a follower if `replica` is not −1.
fn request_of(version: i16, replica: i32) -> Theirs {
    let partition = |n: i32, offset| {
        tagged!(
            FetchPartition::default()
                .with_partition(n)
                .with_current_leader_epoch(if version >= 9 { 5 } else { -1 })
                .with_fetch_offset(offset)
                .with_last_fetched_epoch(if version >= 12 { 4 } else { -1 })
                .with_log_start_offset(if version >= 5 { 1 } else { -1 })
                .with_partition_max_bytes(1 << 20)
        )
    };
    let topic = |n: u8, partitions| {
        tagged!(named!(FetchTopic::default(), version, n).with_partitions(partitions))
    };
    let forgotten = |n: u8, partitions| {
        tagged!(named!(ForgottenTopic::default(), version, n).with_partitions(partitions))
    };
    let mut message = Theirs::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_isolation_level(1)
        .with_topics(vec![
            topic(0, vec![partition(0, 100), partition(3, i64::MAX)]),
            topic(1, vec![]),
            topic(2, vec![partition(7, 0)]),
        ]);
    if version >= 15 {
        message = message.with_replica_state(tagged!(
            ReplicaState::default()
                .with_replica_id(replica.into())
                .with_replica_epoch(9)
        ));
    } else {
        message = message.with_replica_id(replica.into());
    }
    if version >= 7 {
        message = message
            .with_session_id(77)
            .with_session_epoch(3)
            .with_forgotten_topics_data(vec![forgotten(1, vec![0, 1]), forgotten(0, vec![9])]);
    }
    if version >= 11 {
        message = message.with_rack_id(text("rack-a"));
    }
    if version >= 12 && replica != -1 {
        message = message.with_cluster_id(Some(text("MkU3OEVBNTcwNTJENDM2Qg")));
    }
    tagged!(message)
}

#[test]
fn what_is_read_and_from_where() {
    for version in VERSIONS {
        for replica in [-1, 2] {
            let frame = request(ApiKey::FETCH, version, &request_of(version, replica));
            let read = FetchRequest::read(&header(&frame), &frame).unwrap();
            assert_eq!(read.replica_id, replica);
            let cluster = (version >= 12 && replica != -1).then_some("MkU3OEVBNTcwNTJENDM2Qg");
            assert_eq!(read.cluster_id, cluster);
            assert_eq!((read.max_wait_ms, read.max_bytes), (500, 50 << 20));
            let session = if version >= 7 { (77, 3) } else { (0, -1) };
            assert_eq!((read.session_id, read.session_epoch), session);
            let partitions: Vec<_> = read.partitions().collect();
            assert_eq!(
                partitions,
                [
                    (topic(version, 0), 0, 100),
                    (topic(version, 0), 3, i64::MAX),
                    (topic(version, 2), 7, 0),
                ]
            );
            let forgotten: Vec<_> = read.forgotten().collect();
            let expected = [
                (topic(version, 1), 0),
                (topic(version, 1), 1),
                (topic(version, 0), 9),
            ];
            assert_eq!(forgotten, expected[..if version >= 7 { 3 } else { 0 }]);
            refuses_every_cut_request(&frame, FetchRequest::read);
            survives_every_flip(&frame, |flipped| {
                let Ok(header) = RequestHeader::read(flipped) else {
                    return;
                };
                if let Ok(read) = FetchRequest::read(&header, flipped) {
                    assert!(read.partitions().count() + read.forgotten().count() < flipped.len());
                }
            });
        }
        let empty = request(ApiKey::FETCH, version, &Theirs::default());
        let read = FetchRequest::read(&header(&empty), &empty).unwrap();
        assert_eq!(read.partitions().count() + read.forgotten().count(), 0);
        assert_eq!(read.replica_id, -1);
    }
    for version in [3i16, 16] {
        let mut frame = request(ApiKey::FETCH, 15, &Theirs::default());
        frame[2..4].copy_from_slice(&version.to_be_bytes());
        assert!(matches!(
            FetchRequest::read(&header(&frame), &frame),
            Err(WireError::Version { api: "Fetch", .. })
        ));
    }
}

fn answer_of(version: i16) -> FetchResponse {
    let partition = |n: i32, error_code, records: Option<&'static [u8]>| {
        let partition = PartitionData::default()
            .with_partition_index(n)
            .with_error_code(error_code)
            .with_high_watermark(1000 + i64::from(n))
            .with_last_stable_offset(900)
            .with_log_start_offset(if version >= 5 { 10 } else { -1 })
            .with_preferred_read_replica(if version >= 11 { 3 } else { -1 }.into())
            .with_aborted_transactions((n == 1).then(|| {
                vec![tagged!(
                    AbortedTransaction::default()
                        .with_producer_id(7.into())
                        .with_first_offset(950)
                )]
            }))
            .with_records(records.map(|bytes| bytes.to_vec().into()));
        if version < 12 || n != 1 {
            return partition;
        }
        tagged!(
            partition
                .with_diverging_epoch(EpochEndOffset::default().with_epoch(1).with_end_offset(2))
                .with_current_leader(LeaderIdAndEpoch::default().with_leader_id(1.into()))
        )
    };
    let topic = |n: u8, partitions| {
        let topic = FetchableTopicResponse::default().with_partitions(partitions);
        tagged!(named!(topic, version, n))
    };
    let message = FetchResponse::default()
        .with_throttle_time_ms(25)
        .with_responses(vec![
            topic(
                0,
                vec![
                    partition(0, 0, Some(b"a batch and another")),
                    partition(1, 0, Some(b"")),
                ],
            ),
            topic(1, vec![]),
            topic(2, vec![partition(4, 1, None)]),
        ]);
    if version >= 7 {
        return tagged!(message.with_error_code(70).with_session_id(-5));
    }
    message
}

/// All of an answer's partitions.
fn walked(frame: &[u8], version: i16) -> Result<Vec<FetchedPartition<'_>>, WireError> {
    answer_partitions(frame, version)?.collect()
}

#[test]
fn an_answers_start_and_its_partitions() {
    for version in VERSIONS {
        let theirs = answer_of(version);
        let frame = response(version, &theirs);
        let expected = FetchAnswerStart {
            throttle_ms: 25,
            error_code: theirs.error_code,
            session_id: theirs.session_id,
        };
        assert_eq!(FetchAnswerStart::read(&frame, version), Ok(expected));
        let plain = {
            // As a broker writes it: no tags in the header.
            let mut body = frame[4..].to_vec();
            if version >= 12 {
                let tags = 1 + 2 + 1 + b"not known".len();
                body.splice(..tags, [0]);
            }
            [&frame[..4], &body].concat()
        };
        let start = &plain[..FetchAnswerStart::BYTES];
        assert_eq!(FetchAnswerStart::read(start, version), Ok(expected));

        let expected: Vec<_> = (0u8..)
            .zip(&theirs.responses)
            .flat_map(|(n, t)| {
                t.partitions.iter().map(move |p| FetchedPartition {
                    topic: topic(version, n),
                    partition: p.partition_index,
                    error_code: p.error_code,
                    high_watermark: p.high_watermark,
                    last_stable_offset: p.last_stable_offset,
                    records: p.records.as_deref(),
                })
            })
            .collect();
        assert_eq!(walked(&frame, version).unwrap(), expected);
        refuses_every_cut(&frame, |cut| walked(cut, version));
        survives_every_flip(&frame, |flipped| {
            if let Ok(mut partitions) = answer_partitions(flipped, version) {
                let count = partitions.by_ref().count();
                assert!(count < flipped.len());
                assert!(partitions.next().is_none());
            }
        });
    }
    assert!(answer_partitions(&[0; 64], 16).is_err());
}
