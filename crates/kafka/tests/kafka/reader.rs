use std::time::Duration;

use bytes::Bytes;
use meshwork_kafka::{
    Assigned, From, KafkaConfig, KafkaError, LogReader, NewTopic, OwnedOutRecord, ReadBatch,
    ReaderOptions, TransactionalOptions, TransactionalProducer,
};
use meshwork_testkit::{DEADLINE, kafka, unique, wait_until};

const WAIT: Duration = Duration::from_secs(1);

/// Reads until `enough`, and gives everything as one batch.
async fn read(
    reader: &mut LogReader,
    what: &str,
    enough: impl Fn(&ReadBatch) -> bool,
) -> ReadBatch {
    let started = std::time::Instant::now();
    let mut all = ReadBatch::default();
    loop {
        let batch = reader.next(WAIT).await.unwrap();
        all.records.extend(batch.records);
        for (partition, next) in batch.positions {
            all.positions.retain(|(p, _)| *p != partition);
            all.positions.push((partition, next));
        }
        all.caught_up = batch.caught_up;
        all.trouble = batch.trouble;
        if enough(&all) {
            return all;
        }
        assert!(started.elapsed() < DEADLINE, "waited for {what}: {all:?}");
    }
}

fn at(topic: &str, from: From) -> Vec<Assigned> {
    vec![Assigned {
        topic: topic.to_owned(),
        partition: 0,
        from,
    }]
}

fn start(partitions: Vec<Assigned>) -> LogReader {
    LogReader::start(&kafka().config(), partitions, ReaderOptions::default()).unwrap()
}

#[tokio::test]
async fn catches_up_and_follows() {
    let kafka = kafka();
    let topic = kafka.topic("follow", 1).await;
    // Empty: caught up at once.
    let mut reader = start(at(&topic, From::Beginning));
    let batch = read(&mut reader, "the end of nothing", |b| b.caught_up).await;
    assert!(batch.records.is_empty());

    kafka.produce(&topic, &[("a", "1"), ("b", "2")]).await;
    reader.chase();
    let batch = read(&mut reader, "the end", |b| b.caught_up).await;
    let values: Vec<&[u8]> = batch
        .records
        .iter()
        .map(|r| r.value.as_deref().unwrap())
        .collect();
    assert_eq!(values, [b"1", b"2"]);
    assert_eq!(batch.positions, [((topic.as_str().into(), 0), 2)]);

    // From an offset, and from the end.
    let mut reader = start(at(&topic, From::Offset(1)));
    let batch = read(&mut reader, "the end", |b| b.caught_up).await;
    assert_eq!(batch.records.len(), 1);
    assert_eq!(batch.records[0].offset, 1);

    let mut reader = start(at(&topic, From::End));
    let batch = read(&mut reader, "the end", |b| b.caught_up).await;
    assert!(batch.records.is_empty());
    assert_eq!(batch.positions, [((topic.as_str().into(), 0), 2)]);
    kafka.produce(&topic, &[("c", "3")]).await;
    let batch = read(&mut reader, "the third", |b| !b.records.is_empty()).await;
    assert_eq!(batch.records[0].offset, 2);
}

#[tokio::test]
async fn two_topics_are_told_apart_though_their_partitions_have_equal_numbers() {
    let kafka = kafka();
    let (one, two) = (kafka.topic("one", 2).await, kafka.topic("two", 2).await);
    kafka
        .produce(&one, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")])
        .await;
    kafka.produce(&two, &[("a", "2")]).await;
    let admin = kafka.admin();
    let mut partitions = Assigned::all(&admin, &one, |_| From::Beginning)
        .await
        .unwrap();
    partitions.extend(
        Assigned::all(&admin, &two, |_| From::Beginning)
            .await
            .unwrap(),
    );
    let mut reader = start(partitions);
    let batch = read(&mut reader, "the ends", |b| b.caught_up).await;
    let count = |topic: &str| batch.records.iter().filter(|r| *r.topic == *topic).count();
    assert_eq!((count(&one), count(&two)), (4, 1));
}

/// Fault 20: a transaction marker is the last offset, and after it records that were aborted.
#[tokio::test]
async fn transaction_markers_at_the_end_do_not_keep_it_waiting() {
    let kafka = kafka();
    let topic = kafka.topic("marker", 1).await;
    let producer = TransactionalProducer::open(
        &kafka.config(),
        &unique("marker"),
        TransactionalOptions::default(),
    )
    .await
    .unwrap();
    let record = |value: &'static str| {
        OwnedOutRecord::new(topic.as_str(), Bytes::from_static(b"k"), Bytes::from(value))
    };
    producer
        .commit_all(vec![record("1"), record("2")])
        .await
        .unwrap();
    let mut reader = start(at(&topic, From::Beginning));
    let first = read(&mut reader, "both records", |b| b.caught_up).await;
    assert_eq!(first.records.len(), 2);
    // Two records and a marker.
    if first.positions != [((topic.as_str().into(), 0), 3)] {
        let batch = read(&mut reader, "the marker", |b| !b.positions.is_empty()).await;
        assert!(batch.records.is_empty());
        assert_eq!(batch.positions, [((topic.as_str().into(), 0), 3)]);
    }

    let large = OwnedOutRecord::new(topic.as_str(), None, Bytes::from(vec![0; 5_000_000]));
    producer
        .commit_all(vec![record("aborted"), large])
        .await
        .unwrap_err();
    reader.chase();
    let batch = read(&mut reader, "aborted records to be passed", |b| b.caught_up).await;
    assert!(batch.records.is_empty(), "{batch:?}");

    // Going on behind the marker works like behind a record.
    let end = batch.positions.first().map_or(3, |(_, next)| *next);
    producer.commit_all(vec![record("3")]).await.unwrap();
    let mut reader = start(at(&topic, From::Offset(end)));
    let batch = read(&mut reader, "the third", |b| b.caught_up).await;
    assert_eq!(batch.records.len(), 1);
    assert_eq!(batch.records[0].value.as_deref(), Some(&b"3"[..]));
}

#[tokio::test]
async fn gaps_of_compaction_are_passed() {
    let kafka = kafka();
    let topic = unique("compacted");
    kafka
        .create_topic(
            &NewTopic::new(&topic, 1)
                .with("cleanup.policy", "compact")
                .with("segment.ms", "100")
                .with("min.cleanable.dirty.ratio", "0.01")
                .with("max.compaction.lag.ms", "100"),
        )
        .await;
    for n in 0..20 {
        kafka.produce(&topic, &[("same", n.to_string())]).await;
    }
    // The active segment is never compacted: it must be rolled, by a write after its time.
    wait_until("compaction", || async {
        kafka.produce(&topic, &[("other", "x")]).await;
        let records = kafka.read_all(&topic).await;
        let same = records
            .iter()
            .filter(|r| r.key.as_deref() == Some(b"same"))
            .count();
        same == 1
    })
    .await;
    let mut reader = start(at(&topic, From::Offset(0)));
    let batch = read(&mut reader, "the end", |b| b.caught_up).await;
    let last = batch
        .records
        .iter()
        .find(|r| r.key.as_deref() == Some(b"same"))
        .unwrap();
    assert_eq!((last.offset, last.value.as_deref()), (19, Some(&b"19"[..])));
}

/// Fault 18.
#[tokio::test]
async fn an_offset_outside_of_the_log_is_an_error_and_not_a_jump() {
    let kafka = kafka();
    let topic = kafka.topic("range", 1).await;
    kafka
        .produce(&topic, &[("a", "1"), ("b", "2"), ("c", "3")])
        .await;
    kafka.admin().delete_records(&topic, 0, 2).await.unwrap();
    for offset in [0, 77] {
        let mut reader = start(at(&topic, From::Offset(offset)));
        let started = std::time::Instant::now();
        let error = loop {
            match reader.next(WAIT).await {
                Ok(batch) => assert!(batch.records.is_empty(), "{batch:?}"),
                Err(error) => break error,
            }
            assert!(started.elapsed() < DEADLINE, "waited for the error");
        };
        assert!(
            matches!(&error, KafkaError::OffsetOutOfRange { topic: t, partition: 0, offset: o }
                if *t == topic && *o == offset),
            "{error:?}"
        );
        // And it stays so.
        assert!(reader.next(WAIT).await.is_err());
    }
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_named() {
    let topic = unique("nowhere");
    let mut reader = start(at(&topic, From::Beginning));
    let started = std::time::Instant::now();
    let error = loop {
        if let Err(error) = reader.next(WAIT).await {
            break error;
        }
        assert!(started.elapsed() < DEADLINE, "waited for the error");
    };
    assert!(
        matches!(&error, KafkaError::UnknownTopic { topic: t, .. } if *t == topic),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_slow_caller_holds_the_reader_back_and_loses_nothing() {
    let kafka = kafka();
    let topic = kafka.topic("slow", 1).await;
    let records: Vec<(String, String)> = (0..3_000)
        .map(|n| (n.to_string(), "x".repeat(1_000)))
        .collect();
    kafka.produce(&topic, &records).await;
    let options = ReaderOptions {
        max_bytes: 256 * 1024,
        batch_bytes: 10_000,
        ..ReaderOptions::default()
    };
    let mut reader =
        LogReader::start(&kafka.config(), at(&topic, From::Beginning), options).unwrap();
    let mut next = 0;
    while next < 3_000 {
        let batch = reader.next(DEADLINE).await.unwrap();
        assert!(
            batch.records.len() <= 11,
            "{} records in a batch",
            batch.records.len()
        );
        for record in batch.records {
            assert_eq!(record.offset, next);
            next += 1;
        }
        if next < 100 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn without_a_broker_the_reader_says_so_and_goes_on_trying() {
    let config = KafkaConfig::new("127.0.0.1:1");
    let mut reader =
        LogReader::start(&config, at("t", From::Beginning), ReaderOptions::default()).unwrap();
    let batch = read(&mut reader, "trouble", |b| b.trouble.is_some()).await;
    assert!(!batch.caught_up);
}
