//! Our batches against Kafka's own: what librdkafka wrote and the broker stored is read by
//! `meshwork-wire`, and what `meshwork-wire` wrote is taken by the broker and read by librdkafka.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use meshwork_kafka::{NewTopic, OutRecord, Producer, ProducerOptions};
use meshwork_testkit::unique;
use meshwork_wire::{
    BatchBuilder, BatchView, Codec, Compressor, Decompressor, Header, Limits, RecordParts,
};

fn value(n: usize) -> Vec<u8> {
    format!("value {n} of many that are alike, ")
        .repeat(40)
        .into_bytes()
}

fn segments(dir: &Path, topic: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name == format!("{topic}-0") {
                found.extend(
                    std::fs::read_dir(&path)
                        .unwrap()
                        .flatten()
                        .map(|e| e.path())
                        .filter(|p| p.extension().is_some_and(|e| e == "log")),
                );
            } else {
                found.extend(segments(&path, topic));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_librdkafka_writes_is_read() {
    let kafka = meshwork_testkit::kafka();
    for codec in Codec::ALL {
        let topic = kafka.topic(&unique(codec.name()), 1).await;
        let options = ProducerOptions {
            compression: codec.name(),
            linger: std::time::Duration::from_millis(50),
            ..ProducerOptions::default()
        };
        let producer = Producer::<()>::new(&kafka.config(), &options).unwrap();
        for n in 0..300 {
            let out = OutRecord {
                topic: &topic,
                key: Some(b"key"),
                value: Some(&value(n)),
                headers: &[("h", b"1"), ("empty", b"")],
                ..OutRecord::default()
            };
            producer.queue(&out, ()).await.unwrap();
        }
        producer.flush(meshwork_testkit::DEADLINE).await.unwrap();

        let limits = Limits::default();
        let mut decompressor = Decompressor::new();
        let mut read = 0;
        let mut codecs = BTreeMap::new();
        for segment in segments(kafka.dev().data_dir(), &topic) {
            let bytes = std::fs::read(segment).unwrap();
            let mut rest = &bytes[..];
            // A segment may be longer than what is written to it.
            while rest.iter().any(|b| *b != 0) {
                let (batch, behind) = BatchView::split_first(rest, &limits).unwrap();
                rest = behind;
                *codecs.entry(batch.codec().name()).or_insert(0) += 1;
                assert!(batch.header().producer_id >= 0, "idempotent");
                for record in batch.records(&mut decompressor, &limits).unwrap() {
                    let record = record.unwrap();
                    assert_eq!(record.key, Some(&b"key"[..]));
                    assert_eq!(record.value, Some(&value(read)[..]));
                    let names: Vec<_> = record.headers.iter().map(|h| h.key).collect();
                    assert_eq!(names, [&b"h"[..], b"empty"]);
                    read += 1;
                }
            }
        }
        assert_eq!(read, 300, "{codec:?}");
        assert!(codecs.contains_key(codec.name()), "{codec:?}: {codecs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_the_broker_takes_and_librdkafka_reads() {
    let kafka = meshwork_testkit::kafka();
    let topic = unique("ours");
    kafka
        .create_topic(&NewTopic::new(&topic, 1).with("retention.ms", "-1"))
        .await;
    let mut stream = TcpStream::connect(kafka.bootstrap_servers()).unwrap();
    let mut expected = Vec::new();
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(1_357_016_400_000);
        for n in 0..50 {
            let parts = RecordParts {
                timestamp_delta: n,
                key: Some(codec.name().as_bytes()),
                value: Some(&value(n as usize)),
                ..RecordParts::default()
            };
            let header = Header {
                key: b"n",
                value: Some(b"1"),
            };
            builder.push(parts, [header]).unwrap();
            expected.push((codec.name().to_owned(), value(n as usize)));
        }
        let mut batch = Vec::new();
        builder
            .finish(codec, &mut Compressor::new(), &mut batch)
            .unwrap();
        assert_eq!(produce(&mut stream, &topic, &batch), 0, "{codec:?} refused");
    }
    let read: Vec<_> = kafka
        .read_all(&topic)
        .await
        .into_iter()
        .map(|r| {
            assert_eq!(&*r.headers[0].name, "n");
            (
                String::from_utf8(r.key.unwrap().to_vec()).unwrap(),
                r.value.unwrap().to_vec(),
            )
        })
        .collect();
    assert_eq!(read, expected);
}

/// A Produce request, version 7, by hand; gives the partition's error code.
fn produce(stream: &mut TcpStream, topic: &str, batch: &[u8]) -> i16 {
    let string = |text: &str| {
        let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes
    };
    let mut body = Vec::new();
    body.extend(0i16.to_be_bytes()); // Produce
    body.extend(7i16.to_be_bytes());
    body.extend(1i32.to_be_bytes()); // correlation id
    body.extend(string("wire-test"));
    body.extend((-1i16).to_be_bytes()); // no transactional id
    body.extend((-1i16).to_be_bytes()); // acks=all
    body.extend(10_000i32.to_be_bytes());
    body.extend(1i32.to_be_bytes()); // topics
    body.extend(string(topic));
    body.extend(1i32.to_be_bytes()); // partitions
    body.extend(0i32.to_be_bytes());
    body.extend(i32::try_from(batch.len()).unwrap().to_be_bytes());
    body.extend(batch);
    stream
        .write_all(&i32::try_from(body.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(&body).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // Correlation id, number of topics, name, number of partitions, index; then the code.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    i16::from_be_bytes([answer[at], answer[at + 1]])
}
