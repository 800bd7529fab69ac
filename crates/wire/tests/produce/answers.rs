use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceResponse as Theirs, ResponseHeader};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use meshwork_wire::protocol::produce::{
    Edit, MESSAGE_BYTES, OwnAnswer, RECORD_ERRORS, RECORD_ERRORS_IN_ALL, RECORD_MESSAGE_BYTES,
    RecordError, TEXT_BYTES, has_endpoints, own_answer, read_answers, rewrite_answer, throttle_ms,
};
use meshwork_wire::protocol::{OwnedTopic, ProduceError, TopicRef};
use proptest::prelude::*;

use crate::generate::{
    CORRELATION_ID, VERSIONS, answer, answer_frame, named, text, topic_id, topic_name,
};

/// A frame's length is checked; the rest is as kafka-protocol reads it.
fn judged(version: i16, frame: &[u8], tagged_header: bool) -> Theirs {
    let (length, mut left) = frame.split_at(4);
    assert_eq!(
        i32::from_be_bytes(length.try_into().unwrap()),
        i32::try_from(left.len()).unwrap()
    );
    let header = ResponseHeader::decode(&mut left, Theirs::header_version(version)).unwrap();
    assert_eq!(header.correlation_id, CORRELATION_ID);
    assert_eq!(
        header.unknown_tagged_fields.len(),
        usize::from(tagged_header && version >= 9)
    );
    let answer = Theirs::decode(&mut left, version).unwrap();
    assert!(left.is_empty());
    answer
}

/// An own answer, its topic by number.
#[derive(Clone, Debug)]
struct Own {
    topic: u8,
    answer: OwnAnswer,
}

impl Own {
    fn for_version(&self, version: i16) -> OwnAnswer {
        let topic = if version >= 13 {
            OwnedTopic::Id(topic_id(self.topic))
        } else {
            OwnedTopic::Name(topic_name(self.topic).into())
        };
        OwnAnswer {
            topic,
            ..self.answer.clone()
        }
    }
}

prop_compose! {
    fn own()(
        topic in 0u8..6,
        partition in 0i32..8,
        (error_code, base_offset) in any::<(i16, i64)>(),
        (log_append_time_ms, log_start_offset) in any::<(i64, i64)>(),
        record_errors in proptest::collection::vec(
            (any::<i32>(), proptest::option::of("[a-zé]{0,200}")), 0..3),
        message in proptest::option::of("[a-zé]{0,9}"),
    ) -> Own {
        let record_errors = record_errors
            .into_iter()
            .map(|(batch_index, message)| RecordError { batch_index, message })
            .collect();
        Own {
            topic,
            answer: OwnAnswer {
                topic: OwnedTopic::Id([0; 16]),
                partition,
                error_code,
                base_offset,
                log_append_time_ms,
                log_start_offset,
                record_errors,
                message,
            },
        }
    }
}

/// What is to be written, as kafka-protocol has it.
fn expected_partition(version: i16, own: &OwnAnswer) -> PartitionProduceResponse {
    let mut partition = PartitionProduceResponse::default()
        .with_index(own.partition)
        .with_error_code(own.error_code)
        .with_base_offset(own.base_offset)
        .with_log_append_time_ms(own.log_append_time_ms);
    if version >= 5 {
        partition = partition.with_log_start_offset(own.log_start_offset);
    }
    if version >= 8 {
        let errors = own.record_errors.iter().map(|e| {
            let message = e.message.as_deref();
            BatchIndexAndErrorMessage::default()
                .with_batch_index(e.batch_index)
                .with_batch_index_error_message(
                    message.map(|m| text(&m[..m.floor_char_boundary(256)])),
                )
        });
        partition = partition
            .with_record_errors(errors.collect())
            .with_error_message(own.message.as_deref().map(text));
    }
    partition
}

/// Puts own answers where they belong, the plain way.
fn add(version: i16, theirs: &mut Theirs, own: &[OwnAnswer]) {
    let mut added: Vec<(OwnedTopic, i32)> = Vec::new();
    for own in own {
        let key = (own.topic.clone(), own.partition);
        if added.contains(&key) {
            continue;
        }
        added.push(key);
        let partition = expected_partition(version, own);
        let place = theirs
            .responses
            .iter_mut()
            .find(|t| named(version, &t.name, t.topic_id.as_bytes()) == own.topic.borrowed());
        match place {
            Some(topic) => topic.partition_responses.push(partition),
            None => {
                let topic = match &own.topic {
                    OwnedTopic::Name(name) => {
                        TopicProduceResponse::default().with_name(text(name).into())
                    }
                    OwnedTopic::Id(id) => TopicProduceResponse::default()
                        .with_topic_id(id.to_vec().try_into().unwrap()),
                };
                theirs
                    .responses
                    .push(topic.with_partition_responses(vec![partition]));
            }
        }
    }
}

proptest! {
    #[test]
    fn reads_what_kafka_protocol_writes((version, theirs) in answer()) {
        let frame = answer_frame(version, &theirs);
        let mut seen = 0;
        let mut expected = theirs.responses.iter().flat_map(|t| {
            let topic = named(version, &t.name, t.topic_id.as_bytes());
            t.partition_responses.iter().map(move |p| (topic, p))
        });
        let summary = read_answers(&frame, version, |ours| {
            let (topic, theirs) = expected.next().unwrap();
            assert_eq!(ours.topic, topic);
            assert_eq!(ours.partition, theirs.index);
            assert_eq!(ours.error_code, theirs.error_code);
            assert_eq!(ours.base_offset, theirs.base_offset);
            assert_eq!(ours.log_append_time_ms, theirs.log_append_time_ms);
            assert_eq!(ours.log_start_offset, theirs.log_start_offset);
            seen += 1;
        })
        .unwrap();
        prop_assert!(expected.next().is_none());
        prop_assert_eq!(summary.partitions, seen);
        prop_assert_eq!(summary.throttle_ms, theirs.throttle_time_ms);
        prop_assert_eq!(throttle_ms(&frame, version), Ok(theirs.throttle_time_ms));
        let endpoints = !theirs.node_endpoints.is_empty();
        prop_assert_eq!(summary.has_endpoints, endpoints);
        prop_assert_eq!(has_endpoints(&frame, version), Ok(endpoints));
    }

    #[test]
    fn nothing_to_change_is_the_same_bytes((version, theirs) in answer()) {
        let frame = answer_frame(version, &theirs);
        let nodes = theirs.node_endpoints.clone();
        let same = |id: i32| {
            let node = nodes.iter().find(|n| n.node_id == id).unwrap();
            Some((node.host.to_string(), node.port))
        };
        let out = rewrite_answer(&frame, version, &[], |_| None, same).unwrap();
        prop_assert_eq!(&out[4..], &frame[..]);
        prop_assert_eq!(judged(version, &out, true), theirs);
    }

    #[test]
    fn addresses_lead_back_and_all_else_stays((version, mut theirs) in answer()) {
        let frame = answer_frame(version, &theirs);
        let gateway = |id: i32| (id != 2).then(|| (format!("gateway-{id}"), 9192 + id));
        let out = rewrite_answer(&frame, version, &[], |_| None, gateway).unwrap();
        theirs.node_endpoints.retain_mut(|node| {
            let Some((host, port)) = gateway(*node.node_id) else {
                return false;
            };
            node.host = text(&host);
            node.port = port;
            true
        });
        prop_assert_eq!(judged(version, &out, true), theirs);
    }

    #[test]
    fn edits_are_done_and_all_else_stays(
        (version, mut theirs) in answer(),
        edits in proptest::collection::vec(any::<[bool; 5]>(), 12),
    ) {
        let frame = answer_frame(version, &theirs);
        let mut at = edits.iter().cycle();
        let out = rewrite_answer(
            &frame,
            version,
            &[],
            |_| {
                let [error, base, time, start, message] = *at.next().unwrap();
                (error || base || time || start || message).then(|| Edit {
                    error_code: error.then_some(2),
                    base_offset: base.then_some(-1),
                    log_append_time_ms: time.then_some(17),
                    log_start_offset: start.then_some(18),
                    message: message.then(|| "é".repeat(600)),
                })
            },
            |id| Some((format!("broker-{id}"), 1)),
        )
        .unwrap();
        let partitions = theirs.responses.iter_mut().flat_map(|t| &mut t.partition_responses);
        for (partition, edit) in partitions.zip(edits.iter().cycle()) {
            let [error, base, time, start, message] = *edit;
            if error {
                partition.error_code = 2;
            }
            if base {
                partition.base_offset = -1;
            }
            if time {
                partition.log_append_time_ms = 17;
            }
            if start && version >= 5 {
                partition.log_start_offset = 18;
            }
            if message && version >= 8 {
                partition.error_message = Some(text(&"é".repeat(MESSAGE_BYTES / 2)));
            }
        }
        for node in &mut theirs.node_endpoints {
            node.port = 1;
        }
        prop_assert_eq!(judged(version, &out, true), theirs);
    }

    #[test]
    fn own_answers_are_merged(
        (version, mut theirs) in answer(),
        own in proptest::collection::vec(own(), 0..8),
    ) {
        let frame = answer_frame(version, &theirs);
        let own: Vec<_> = own.iter().map(|o| o.for_version(version)).collect();
        let mut asked = 0;
        let out = rewrite_answer(
            &frame,
            version,
            &own,
            |_| {
                asked += 1;
                None
            },
            |_| None,
        )
        .unwrap();
        theirs.node_endpoints.clear();
        let is_own = |topic: TopicRef<'_>, partition: i32| {
            own.iter().any(|o| (o.topic.borrowed(), o.partition) == (topic, partition))
        };
        let mut kept = 0;
        for topic in &mut theirs.responses {
            let name = topic.name.clone();
            let topic_ref = named(version, &name, topic.topic_id.as_bytes());
            topic.partition_responses.retain(|p| !is_own(topic_ref, p.index));
            kept += topic.partition_responses.len();
        }
        add(version, &mut theirs, &own);
        prop_assert_eq!(asked, kept);
        prop_assert_eq!(judged(version, &out, true), theirs);
    }

    #[test]
    fn own_answers_alone(version in VERSIONS, own in proptest::collection::vec(own(), 0..8)) {
        let own: Vec<_> = own.iter().map(|o| o.for_version(version)).collect();
        let out = own_answer(CORRELATION_ID, version, &own).unwrap();
        let mut expected = Theirs::default();
        add(version, &mut expected, &own);
        prop_assert_eq!(judged(version, &out, false), expected);
    }
}

fn refused(partition: i32) -> OwnAnswer {
    OwnAnswer {
        topic: OwnedTopic::Name("t".into()),
        partition,
        error_code: 87,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: Vec::new(),
        message: None,
    }
}

#[test]
fn errors_by_record_and_messages_have_limits() {
    let own: Vec<_> = (0..12)
        .map(|partition| OwnAnswer {
            record_errors: (0..1_500)
                .map(|batch_index| RecordError {
                    batch_index,
                    message: Some("é".repeat(300)),
                })
                .collect(),
            message: Some(format!("m{}", "é".repeat(1_000))),
            ..refused(partition)
        })
        .collect();
    let out = own_answer(CORRELATION_ID, 9, &own).unwrap();
    let answer = judged(9, &out, false);
    let partitions = &answer.responses[0].partition_responses;
    let counts: Vec<_> = partitions.iter().map(|p| p.record_errors.len()).collect();
    let mut expected = vec![RECORD_ERRORS; 10];
    expected.extend([0, 0]);
    assert_eq!(counts, expected);
    assert_eq!(counts.iter().sum::<usize>(), RECORD_ERRORS_IN_ALL);
    let mut texts = 0;
    for partition in partitions {
        if let Some(message) = &partition.error_message {
            assert_eq!(message.len(), MESSAGE_BYTES - 1);
            texts += message.len();
        }
        for error in &partition.record_errors {
            if let Some(message) = &error.batch_index_error_message {
                assert_eq!(message.len(), RECORD_MESSAGE_BYTES);
                texts += message.len();
            }
        }
    }
    assert!((TEXT_BYTES - MESSAGE_BYTES..=TEXT_BYTES).contains(&texts));
    assert!(out.len() < 2 * TEXT_BYTES);
}

#[test]
fn a_topic_that_the_version_can_not_name_is_refused() {
    let by_id = OwnAnswer {
        topic: OwnedTopic::Id([1; 16]),
        ..refused(0)
    };
    let long = OwnAnswer {
        topic: OwnedTopic::Name("n".repeat(40_000).into()),
        ..refused(0)
    };
    for (version, own) in [(13, refused(0)), (12, by_id), (9, long)] {
        assert!(matches!(
            own_answer(1, version, &[own]),
            Err(ProduceError::Topic { .. })
        ));
    }
    for version in [2, 14] {
        assert!(matches!(
            own_answer(1, version, &[]),
            Err(ProduceError::Wire(_))
        ));
        assert!(read_answers(&[0; 40], version, |_| {}).is_err());
        assert!(has_endpoints(&[0; 40], version).is_err());
    }
}

#[test]
fn of_an_answer_that_is_malformed_at_its_end_nothing_is_seen() {
    let out = own_answer(1, 9, &[refused(0)]).unwrap();
    let whole = &out[4..];
    let mut seen = 0;
    read_answers(whole, 9, |_| seen += 1).unwrap();
    assert_eq!(seen, 1);
    read_answers(&whole[..whole.len() - 1], 9, |_| seen += 1).unwrap_err();
    read_answers(&[whole, &[0]].concat(), 9, |_| seen += 1).unwrap_err();
    assert_eq!(seen, 1);
}

/// What kafka-protocol never writes.
#[test]
fn tags_and_counts_as_only_others_write_them() {
    let rewrite = |body: &[u8], version| {
        let frame = [&[0, 0, 0, 1, 0], body].concat();
        let node = |id: i32| (id != 1).then(|| ("g".to_owned(), 9));
        rewrite_answer(&frame, version, &[], |_| None, node).map(|out| out[9..].to_vec())
    };
    // In version 9 tag 0 means nothing: it stays, whatever it is.
    let unknown = [1, 0, 0, 0, 0, 1, 0, 2, 1, 2];
    assert_eq!(rewrite(&unknown, 9).unwrap(), unknown);
    // In version 10 it is a list, and this is none.
    assert!(rewrite(&unknown, 10).is_err());
    // A count of no topics in two bytes.
    let long = [0x81, 0, 0, 0, 0, 5, 0];
    assert_eq!(rewrite(&long, 10).unwrap(), long);
    // The list twice, another field between them: each is rewritten, and left out once empty.
    let node = |id, host| [2, 0, 0, 0, id, 2, host, 0, 0, 0, 7, 0, 0];
    let twice = [
        &[1, 0, 0, 0, 0, 3, 0, 13][..],
        &node(1, b'a'),
        &[5, 1, 77, 0, 13],
        &node(2, b'b'),
    ]
    .concat();
    let expected = [
        &[1, 0, 0, 0, 0, 2, 5, 1, 77, 0, 13][..],
        &[2, 0, 0, 0, 2, 2, b'g', 0, 0, 0, 9, 0, 0],
    ]
    .concat();
    assert_eq!(rewrite(&twice, 10).unwrap(), expected);
}
