use meshwork_wire::{BatchBuilder, Codec, Compressor, RecordParts};

use super::*;

const KEY: SessionKey = SessionKey {
    producer_id: 7,
    epoch: 0,
    partition: 1,
};

fn batch(records: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1_000);
    for _ in 0..records {
        let parts = RecordParts {
            value: Some(b"junk"),
            ..RecordParts::default()
        };
        builder.push(parts, std::iter::empty()).unwrap();
    }
    let mut out = Vec::new();
    builder
        .finish(Codec::None, &mut Compressor::new(), &mut out)
        .unwrap();
    out
}

fn payload<'p>(batch: &'p [u8], records: usize, sequences: &'p [i32]) -> Payload<'p> {
    Payload {
        batch,
        records,
        session: Some((KEY, sequences)),
        partition: 1,
    }
}

#[test]
fn all_that_was_taken_out_is_written_or_nothing() {
    let two = batch(2);
    let read = records(&payload(&two, 2, &[4, 9])).unwrap();
    let sequences: Vec<_> = read
        .iter()
        .map(|r| r.headers.last().cloned().unwrap())
        .collect();
    let expected = |n: &str| (SEQUENCE.to_owned(), n.as_bytes().to_vec());
    assert_eq!(sequences, [expected("4"), expected("9")]);

    let mut torn = two.clone();
    torn[70] ^= 1;
    for wrong in [
        payload(&two, 3, &[4, 9, 10]),
        payload(&two, 1, &[4]),
        payload(&two, 2, &[4]),
        payload(&torn, 2, &[4, 9]),
        payload(&[], 2, &[4, 9]),
        payload(&[], 0, &[]),
    ] {
        assert!(
            matches!(records(&wrong), Err(WriteError::Damaged)),
            "{wrong:?}"
        );
    }
}

#[tokio::test]
async fn a_producer_that_failed_for_good_is_replaced_once() {
    let writer = Writer::new(&KafkaConfig::new("127.0.0.1:1")).unwrap();
    let number = || writer.producer().1;
    let fatal = || SendError::Fatal("fenced".to_owned());
    writer.failed(0, SendError::TimedOut);
    assert_eq!(number(), 0);
    writer.failed(0, fatal());
    assert_eq!(number(), 1);
    // Another record that was with the first one is heard of late.
    writer.failed(0, fatal());
    assert_eq!(number(), 1, "the new one has not failed");
    writer.failed(1, fatal());
    assert_eq!(number(), 2);
}
