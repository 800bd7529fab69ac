//! The programs to compare with: nothing but what is needed to send the same records.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use apache_avro::writer::datum::GenericDatumWriter;
use meshwork_kafka::{KafkaConfig, ProducerOptions};
use meshwork_model::name::SchemaId;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde::{Deserialize, Serialize};

use super::per_second;
use crate::records;

fn producer(kafka: &KafkaConfig) -> Result<ThreadedProducer<DefaultProducerContext>> {
    let same = ProducerOptions::default();
    let producer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.type", same.compression)
        .set("linger.ms", same.linger.as_millis().to_string())
        .set("batch.size", same.max_batch_bytes.to_string())
        .set("batch.num.messages", "100000")
        .set("queue.buffering.max.messages", same.max_records.to_string())
        .set("queue.buffering.max.kbytes", same.max_kib.to_string())
        .create()?;
    Ok(producer)
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    key: &[u8],
    value: &[u8],
) -> Result<()> {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => bail!(error),
        }
    }
}

/// Records a second, of framed records.
pub(super) fn framed(kafka: &KafkaConfig, topic: &str, mut bytes: &[u8]) -> Result<f64> {
    let producer = producer(kafka)?;
    let started = Instant::now();
    while !bytes.is_empty() {
        let key = part(&mut bytes)?;
        let value = part(&mut bytes)?;
        send(&producer, topic, key, value)?;
    }
    finish(&producer, started)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>().context("a length")?;
    let length = usize::try_from(i32::from_be_bytes(*length))?;
    let (part, rest) = rest.split_at_checked(length).context("a part")?;
    *bytes = rest;
    Ok(part)
}

#[derive(Serialize, Deserialize)]
struct Order {
    id: String,
    at: i64,
    customer: i64,
    status: Status,
    total: f64,
    discount: Option<f64>,
    gift: bool,
    street: String,
    city: String,
    lines: Vec<OrderLine>,
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum Status {
    #[serde(rename = "NEW")]
    New,
    #[serde(rename = "PAID")]
    Paid,
    #[serde(rename = "SENT")]
    Sent,
}

#[derive(Serialize, Deserialize)]
struct OrderLine {
    sku: String,
    count: i32,
    price: f64,
}

/// Records a second, of JSON lines.
pub(super) fn lines(kafka: &KafkaConfig, topic: &str, id: SchemaId, bytes: &[u8]) -> Result<f64> {
    let schema = apache_avro::Schema::parse_str(records::SCHEMA)?;
    let writer = GenericDatumWriter::builder(&schema).build()?;
    let producer = producer(kafka)?;
    let [a, b, c, d] = id.get().to_be_bytes();
    let started = Instant::now();
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let order: Order = serde_json::from_slice(line)?;
        let mut value = vec![0, a, b, c, d];
        writer.write_ser(&mut value, &order)?;
        send(&producer, topic, order.id.as_bytes(), &value)?;
    }
    finish(&producer, started)
}

fn finish(producer: &ThreadedProducer<DefaultProducerContext>, started: Instant) -> Result<f64> {
    producer.flush(Duration::from_secs(120))?;
    ensure!(producer.in_flight_count() == 0, "not all was sent");
    Ok(per_second(started.elapsed()))
}
