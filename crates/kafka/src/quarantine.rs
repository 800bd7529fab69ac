//! Topics that hold products' refused records: made by whoever is the first to need one.

use meshwork_model::topic::{QUARANTINE_SUFFIX, quarantine_configs};

use crate::admin::{Admin, Creation, NewTopic};
use crate::error::KafkaError;

/// The setting that says how large a batch may be.
pub const MAX_MESSAGE: &str = "max.message.bytes";
/// What it is of a quarantine: 17 MiB, for a batch of the largest record that is kept (16 MiB), with
/// its headers.
pub const MAX_MESSAGE_BYTES: usize = 17 << 20;
/// From so many brokers on two replicas have to have a refused record.
const BROKERS_FOR_TWO: usize = 3;

/// Creates the quarantine of a product's topic unless it is there: with the partitions and the
/// retention of that topic.
///
/// # Errors
/// See [`KafkaError`].
pub async fn create(admin: &Admin, source: &str) -> Result<Creation, KafkaError> {
    let partitions = admin.topic(source).await?.map_or(1, |it| it.partitions);
    let brokers = admin.cluster().await?.brokers.len();
    let configs = admin.topic_configs(source).await.unwrap_or_default();
    let retention = configs
        .get("retention.ms")
        .and_then(|config| config.value.as_deref())
        .unwrap_or("-1");
    let mut topic = NewTopic::new(format!("{source}{QUARANTINE_SUFFIX}"), partitions)
        .with(MAX_MESSAGE, MAX_MESSAGE_BYTES.to_string());
    for (key, value) in quarantine_configs(retention) {
        topic = topic.with(key, value);
    }
    if brokers >= BROKERS_FOR_TWO {
        topic = topic.with("min.insync.replicas", "2");
    }
    admin.create_topic(&topic).await
}
