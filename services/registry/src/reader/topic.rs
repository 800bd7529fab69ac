//! What Kafka says of the topic that is followed: which one it is, and how far it reaches.

use std::time::{Duration, Instant};

use meshwork_kafka::{Admin, Isolation, KafkaConfig, KafkaError, PartitionOffset};

use crate::store::Topic;

/// How long the topic may be on its way between brokers before that is an error.
const DESCRIBE: Duration = Duration::from_secs(30);

/// What is known of the topic.
///
/// # Errors
/// Kafka can't be asked.
pub(crate) async fn describe(kafka: &KafkaConfig, name: &str) -> Result<Topic, KafkaError> {
    let started = Instant::now();
    loop {
        match look_at(kafka, name).await {
            // A broker that has just started does not know its partitions yet.
            Err(error) if error.is_passing() && started.elapsed() < DESCRIBE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            described => return described,
        }
    }
}

async fn look_at(kafka: &KafkaConfig, name: &str) -> Result<Topic, KafkaError> {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let admin = Admin::new(kafka)?;
    let info = admin
        .topic(name)
        .await?
        .ok_or_else(|| KafkaError::UnknownTopic {
            topic: name.to_owned(),
            what: "follow it".to_owned(),
        })?;
    let partition = [(name.to_owned(), 0)];
    let first = |offsets: Vec<PartitionOffset>| offsets.first().and_then(|found| found.offset);
    let start = admin.start_offsets(&partition).await?;
    let end = admin
        .end_offsets(&partition, Isolation::ReadUncommitted)
        .await?;
    let configs = admin.topic_configs(name).await?;
    let stay = configs
        .get("delete.retention.ms")
        .and_then(|config| config.value.as_deref())
        .and_then(|value| value.parse().ok())
        .map_or(A_DAY, Duration::from_millis);
    Ok(Topic {
        name: name.to_owned(),
        id: info.id,
        start: first(start).unwrap_or(0),
        end: first(end).unwrap_or(i64::MAX),
        tombstones_stay: stay,
    })
}
