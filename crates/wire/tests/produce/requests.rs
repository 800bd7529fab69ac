use kafka_protocol::messages::{ProduceRequest as Theirs, RequestHeader as TheirHeader};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use meshwork_wire::protocol::produce::{ProduceRequest, Replacement, Segment};
use meshwork_wire::protocol::{ProduceError, RequestHeader, TopicRef};
use proptest::prelude::*;

use crate::generate::{CORRELATION_ID, VERSIONS, named, request, request_frame};

fn read(frame: &[u8]) -> ProduceRequest<'_> {
    ProduceRequest::read(&RequestHeader::read(frame).unwrap(), frame).unwrap()
}

/// The segments as one frame; its length is checked and left out.
pub(crate) fn joined(segments: &[Segment], frame: &[u8]) -> Vec<u8> {
    let mut whole: Vec<u8> = Vec::new();
    for segment in segments {
        assert!(!segment.bytes(frame).is_empty());
        whole.extend_from_slice(segment.bytes(frame));
    }
    for pair in segments.windows(2) {
        if let [Segment::Original(a), Segment::Original(b)] = pair {
            assert!(a.end < b.start, "{a:?} and {b:?} could be one");
        }
    }
    let (length, whole) = whole.split_at(4);
    assert_eq!(
        i32::from_be_bytes(length.try_into().unwrap()),
        i32::try_from(whole.len()).unwrap()
    );
    whole.to_vec()
}

/// As kafka-protocol reads it.
fn judged(version: i16, frame: &[u8]) -> Theirs {
    let mut left = frame;
    let header = TheirHeader::decode(&mut left, Theirs::header_version(version)).unwrap();
    assert_eq!(header.correlation_id, CORRELATION_ID);
    assert_eq!(header.client_id.as_deref(), Some("a client"));
    let request = Theirs::decode(&mut left, version).unwrap();
    assert!(left.is_empty());
    request
}

#[derive(Clone, Debug)]
struct Choice(Replacement);

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let one = prop_oneof![
        Just(Replacement::Keep),
        Just(Replacement::Drop),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Replacement::With),
    ];
    proptest::collection::vec(one.prop_map(Choice), 16)
}

proptest! {
    #[test]
    fn reads_what_kafka_protocol_writes((version, theirs) in request()) {
        let frame = request_frame(version, &theirs);
        let ours = read(&frame);
        prop_assert_eq!(ours.version(), version);
        prop_assert_eq!(
            ours.transactional_id,
            theirs.transactional_id.as_ref().map(|id| id.as_str())
        );
        prop_assert_eq!((ours.acks, ours.timeout_ms), (theirs.acks, theirs.timeout_ms));
        let expected: Vec<_> = theirs
            .topic_data
            .iter()
            .flat_map(|t| {
                let topic = named(version, &t.name, t.topic_id.as_bytes());
                t.partition_data.iter().map(move |p| (topic, p.index, p.records.as_deref()))
            })
            .collect();
        let got: Vec<_> = ours.partitions().map(|p| (p.topic, p.partition, p.records)).collect();
        prop_assert_eq!(&got, &expected);
        prop_assert_eq!((ours.len(), ours.partitions().len()), (got.len(), got.len()));
        prop_assert_eq!(ours.is_empty(), got.is_empty());
    }

    #[test]
    fn kept_whole_it_is_the_same_bytes((version, theirs) in request()) {
        let frame = request_frame(version, &theirs);
        let ours = read(&frame);
        let segments = ours.rewrite(vec![Replacement::Keep; ours.len()]).unwrap();
        prop_assert_eq!(joined(&segments, &frame), &frame[..]);
        prop_assert_eq!(&segments[1..], &[Segment::Original(0..frame.len())]);
    }

    #[test]
    fn partitions_are_dropped_and_replaced((version, mut theirs) in request(), choices in choices()) {
        let frame = request_frame(version, &theirs);
        let ours = read(&frame);
        let replacements: Vec<_> = choices.into_iter().map(|c| c.0).take(ours.len()).collect();
        let segments = ours.rewrite(replacements.clone()).unwrap();
        let mut replacements = replacements.into_iter();
        theirs.topic_data.retain_mut(|topic| {
            let had = topic.partition_data.len();
            topic.partition_data.retain_mut(|partition| match replacements.next().unwrap() {
                Replacement::Keep => true,
                Replacement::Drop => false,
                Replacement::With(records) => {
                    partition.records = Some(records.into());
                    true
                }
            });
            had == 0 || !topic.partition_data.is_empty()
        });
        prop_assert_eq!(judged(version, &joined(&segments, &frame)), theirs);
    }
}

#[test]
fn replacements_must_be_as_many_as_partitions() {
    let frame = request_frame(9, &Theirs::default());
    assert_eq!(
        read(&frame).rewrite(vec![Replacement::Drop]),
        Err(ProduceError::Replacements {
            given: 1,
            partitions: 0
        })
    );
}

#[test]
fn records_are_moved_not_copied() {
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    let partition = |n| {
        PartitionProduceData::default()
            .with_index(n)
            .with_records(Some(vec![7; 100].into()))
    };
    let theirs = Theirs::default().with_topic_data(vec![
        TopicProduceData::default().with_partition_data((0..3).map(partition).collect()),
    ]);
    for version in 3..=12 {
        let frame = request_frame(version, &theirs);
        let records = vec![1; 500];
        let place = records.as_ptr();
        let segments = read(&frame)
            .rewrite(vec![
                Replacement::Keep,
                Replacement::With(records),
                Replacement::Keep,
            ])
            .unwrap();
        // Frame's length, all before, length of the records, the records, all behind.
        assert_eq!(segments.len(), 5);
        assert!(matches!(&segments[3], Segment::New(bytes) if bytes.as_ptr() == place));
    }
}

#[test]
fn versions_and_apis_that_are_not_read_here_are_refused() {
    let frame = request_frame(9, &Theirs::default());
    let mut header = RequestHeader::read(&frame).unwrap();
    for version in [-1, 0, 2, 14, i16::MAX] {
        assert!(!VERSIONS.contains(&version));
        header.start.version = version;
        assert!(ProduceRequest::read(&header, &frame).is_err());
    }
    header.start.version = 9;
    assert!(ProduceRequest::read(&header, &frame).is_ok());
    header.start.api = meshwork_wire::protocol::ApiKey::FETCH;
    assert!(ProduceRequest::read(&header, &frame).is_err());
}

#[test]
fn nulls_and_long_names_are_refused_as_the_broker_does() {
    let head = [0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0];
    let whole = |body: &[u8]| [&head[..], body].concat();
    let is_read =
        |frame: &[u8]| ProduceRequest::read(&RequestHeader::read(frame).unwrap(), frame).is_ok();
    // No transactional id, acks −1, 1 s.
    let fixed = [0, 0xff, 0xff, 0, 0, 3, 0xe8];
    assert!(is_read(&whole(&[&fixed[..], &[1, 0]].concat())));
    // Topics null; a topic's name null; its partitions null.
    assert!(!is_read(&whole(&[&fixed[..], &[0, 0]].concat())));
    assert!(!is_read(&whole(&[&fixed[..], &[2, 0, 1, 0, 0]].concat())));
    assert!(is_read(&whole(&[&fixed[..], &[2, 1, 1, 0, 0]].concat())));
    assert!(!is_read(&whole(&[&fixed[..], &[2, 1, 0, 0, 0]].concat())));
    // A name of 32,767 bytes, and of one more: its length and one are 0x8000 and 0x8001.
    let named = |bytes: usize, low: u8| {
        let name = vec![b'n'; bytes];
        whole(&[&fixed[..], &[2, low, 0x80, 2], &name, &[1, 0, 0]].concat())
    };
    assert!(is_read(&named(32_767, 0x80)));
    assert!(!is_read(&named(32_768, 0x81)));
}

#[test]
fn a_topic_that_had_no_partition_stays() {
    let frame = [
        0, 0, 0, 13, 0, 0, 0, 1, 0xff, 0xff, 0, // header
        0, 0, 1, 0, 0, 3, 0xe8, 2, // one topic
        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 0, // its id, no partition
        0,
    ];
    let ours = read(&frame);
    assert_eq!((ours.len(), ours.partitions().next()), (0, None));
    let segments = ours.rewrite(Vec::new()).unwrap();
    assert_eq!(joined(&segments, &frame), frame);
    assert_eq!(
        TopicRef::Id([7; 16]).owned().borrowed(),
        TopicRef::Id([7; 16])
    );
}
