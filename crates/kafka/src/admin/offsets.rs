//! Where logs begin and end.

use meshwork_model::time::Timestamp;

use rdkafka::error::RDKafkaErrorCode;

use super::Admin;
use crate::error::{ErrorCode, KafkaError};
use crate::raw::admin as raw;

/// Which records count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All: the end is the high watermark.
    #[default]
    ReadUncommitted,
    /// Those of no open transaction: the end is the last stable offset.
    ReadCommitted,
}

/// An offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffset {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The offset; `None` where no record is at or after the time asked for.
    pub offset: Option<i64>,
    /// Timestamp of the record at the offset, where the question was about timestamps.
    pub timestamp: Option<Timestamp>,
}

impl Admin {
    /// The end of each partition: the offset that its next record gets, markers of transactions
    /// counted. One request per broker for any number of partitions; the answer is in their order.
    ///
    /// # Errors
    /// See [`KafkaError`]; one partition that fails fails all.
    pub async fn end_offsets(
        &self,
        partitions: &[(String, i32)],
        isolation: Isolation,
    ) -> Result<Vec<PartitionOffset>, KafkaError> {
        let asked = with(partitions, raw::LATEST);
        self.offsets("find the ends of partitions", asked, isolation)
            .await
    }

    /// The first offset of each partition that is still there.
    ///
    /// # Errors
    /// See [`KafkaError`]; one partition that fails fails all.
    pub async fn start_offsets(
        &self,
        partitions: &[(String, i32)],
    ) -> Result<Vec<PartitionOffset>, KafkaError> {
        let asked = with(partitions, raw::EARLIEST);
        self.offsets(
            "find the starts of partitions",
            asked,
            Isolation::ReadUncommitted,
        )
        .await
    }

    /// The first offset in each partition whose record has this timestamp or a later one.
    ///
    /// # Errors
    /// See [`KafkaError`]; one partition that fails fails all.
    pub async fn offsets_for_time(
        &self,
        partitions: &[(String, i32)],
        time: Timestamp,
    ) -> Result<Vec<PartitionOffset>, KafkaError> {
        // Negative numbers are words of the protocol.
        let asked = with(partitions, time.as_millis().max(0));
        self.offsets("find offsets by time", asked, Isolation::ReadUncommitted)
            .await
    }

    /// The greatest record timestamp of each partition with its offset (KIP-734); `None` for an
    /// empty one. A record stamped far in the future wins for ever.
    ///
    /// # Errors
    /// See [`KafkaError`]; one partition that fails fails all.
    pub async fn newest_timestamps(
        &self,
        partitions: &[(String, i32)],
    ) -> Result<Vec<PartitionOffset>, KafkaError> {
        let asked = with(partitions, raw::MAX_TIMESTAMP);
        self.offsets(
            "find the newest timestamps",
            asked,
            Isolation::ReadUncommitted,
        )
        .await
    }

    async fn offsets(
        &self,
        what: &'static str,
        asked: Vec<(String, i32, i64)>,
        isolation: Isolation,
    ) -> Result<Vec<PartitionOffset>, KafkaError> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let committed = isolation == Isolation::ReadCommitted;
        let order: Vec<(String, i32)> = asked.iter().map(|(t, p, _)| (t.clone(), *p)).collect();
        let listed = self
            .blocking(what, move |client, timeout| {
                raw::list_offsets(client, &asked, committed, timeout)
            })
            .await;
        let listed = match listed {
            // No leader was found: is there a topic at all?
            Err(e) if e.code() == Some(ErrorCode(RDKafkaErrorCode::NoEnt)) => {
                let mut topics: Vec<&str> = order.iter().map(|(t, _)| t.as_str()).collect();
                topics.dedup();
                for topic in topics {
                    if self.topic(topic).await?.is_none() {
                        return Err(KafkaError::UnknownTopic {
                            topic: topic.to_owned(),
                            what: what.to_owned(),
                        });
                    }
                }
                return Err(e);
            }
            listed => listed?,
        };
        let mut by_partition = std::collections::HashMap::with_capacity(listed.len());
        for one in listed {
            if let Some(code) = one.failure {
                let code = ErrorCode(code);
                return Err(if code.is_unknown_topic() {
                    KafkaError::UnknownTopic {
                        topic: one.topic,
                        what: what.to_owned(),
                    }
                } else {
                    KafkaError::Refused {
                        what: format!("{what}: {} partition {}", one.topic, one.partition),
                        code,
                        said: code.to_string(),
                    }
                });
            }
            by_partition.insert((one.topic, one.partition), (one.offset, one.timestamp));
        }
        order
            .into_iter()
            .map(|(topic, partition)| {
                let key = (topic, partition);
                let Some((offset, timestamp)) = by_partition.get(&key).copied() else {
                    return Err(KafkaError::UnknownTopic {
                        topic: key.0,
                        what: what.to_owned(),
                    });
                };
                Ok(PartitionOffset {
                    topic: key.0,
                    partition,
                    offset: (offset >= 0).then_some(offset),
                    timestamp: (timestamp >= 0).then(|| Timestamp::from_millis(timestamp)),
                })
            })
            .collect()
    }
}

fn with(partitions: &[(String, i32)], offset: i64) -> Vec<(String, i32, i64)> {
    partitions
        .iter()
        .map(|(topic, partition)| (topic.clone(), *partition, offset))
        .collect()
}
