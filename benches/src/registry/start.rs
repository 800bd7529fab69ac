//! Starts on a log of 100,000 subjects with ten versions each: from the log, and again from the
//! store.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use meshwork_kafka::{Admin, KafkaConfig, NewTopic};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use serde_json::json;

use super::schemas::grown;
use super::server::Server;
use crate::process::Memory;

const SUBJECTS: usize = 100_000;
const VERSIONS: usize = 10;
const TOPIC: &str = "bench.start.schemas";

/// A start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// Until the newest schema of the log was answered.
    pub(super) took: Duration,
    /// Then.
    pub(super) memory: Memory,
}

/// Both starts: from the log, and from the store after a kill.
///
/// # Errors
/// Kafka or the registry fails.
pub(super) fn measure(kafka: &str, dir: &Path) -> Result<(Start, Start)> {
    let config = KafkaConfig::new(kafka);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let topic = NewTopic::new(TOPIC, 1).with("cleanup.policy", "compact");
            Admin::new(&config)?.create_topic(&topic).await
        })?;
    let began = Instant::now();
    write(kafka)?;
    eprintln!(
        "  a log of {} records, made in {:.0?}",
        SUBJECTS * VERSIONS,
        began.elapsed()
    );
    let first = start(kafka, dir)?;
    let second = start(kafka, dir)?;
    Ok((first, second))
}

fn start(kafka: &str, dir: &Path) -> Result<Start> {
    let newest = format!("/schemas/ids/{}", SUBJECTS * VERSIONS);
    let server = Server::registry(kafka, TOPIC, dir, &newest)?;
    Ok(Start {
        took: server.ready_after,
        memory: server.process.memory()?,
    })
}

/// The records, as Confluent's registry writes them: ids in the order of registration, a version of
/// every subject before the next one of any.
fn write(kafka: &str) -> Result<()> {
    let producer: ThreadedProducer<_> = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "131072")
        .create()
        .context("no producer")?;
    for version in 1..=VERSIONS {
        for subject in 0..SUBJECTS {
            let name = format!("com.example.topic-{subject:06}-value");
            let key = format!(
                r#"{{"keytype":"SCHEMA","subject":"{name}","version":{version},"magic":1}}"#
            );
            let id = (version - 1) * SUBJECTS + subject + 1;
            let text = json!(grown(subject, version));
            let value = format!(
                r#"{{"subject":"{name}","version":{version},"id":{id},"schemaType":"AVRO","schema":{text},"deleted":false}}"#
            );
            send(&producer, &key, &value)?;
        }
    }
    producer.flush(Duration::from_secs(120))?;
    Ok(())
}

fn send(
    producer: &ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
    key: &str,
    value: &str,
) -> Result<()> {
    let mut record = BaseRecord::to(TOPIC).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            // The queue is bounded: wait until some of it is sent.
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
