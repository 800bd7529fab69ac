//! Topics that hold products' refused records: made by whoever is the first to need one.

use meshwork_model::topic::{QUARANTINE_SUFFIX, quarantine_configs};

use crate::admin::{Admin, Creation, NewTopic};
use crate::error::KafkaError;

/// Creates the quarantine of a product's topic unless it is there: with the partitions of that topic,
/// and its retention in milliseconds (none: for ever).
///
/// # Errors
/// See [`KafkaError`].
pub async fn create(
    admin: &Admin,
    source: &str,
    retention_ms: Option<i64>,
) -> Result<Creation, KafkaError> {
    let partitions = admin.topic(source).await?.map_or(1, |it| it.partitions);
    let brokers = admin.cluster().await?.brokers.len();
    let mut topic = NewTopic::new(format!("{source}{QUARANTINE_SUFFIX}"), partitions);
    for (key, value) in quarantine_configs(retention_ms, brokers) {
        topic = topic.with(key, value);
    }
    admin.create_topic(&topic).await
}
