//! What can end the freshness role.

use meshwork_kafka::control::ControlTopicError;
use meshwork_kafka::{KafkaError, TransactionError};
use meshwork_registry_client::MeshError;
use meshwork_state::StateError;

use crate::core::SavedError;

/// Why the role can't start or go on. What can be waited for is waited for and not among these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FreshnessError {
    /// Kafka refused, or its client failed for good.
    #[error("freshness: {0}")]
    Kafka(#[from] KafkaError),
    /// A control topic is not as it must be.
    #[error("freshness: {0}")]
    ControlTopic(#[from] ControlTopicError),
    /// The registry refused the mesh's own schemas.
    #[error("freshness: {0}")]
    Registry(#[from] MeshError),
    /// The store can't be used.
    #[error("freshness: {0}")]
    State(#[from] StateError),
    /// A stored value is not of this format.
    #[error("freshness: {0}")]
    Saved(#[from] SavedError),
    /// Results can't be written.
    #[error("freshness, shard {shard}: results can't be written: {source}")]
    Publish {
        /// Partition of `mesh.observations`.
        shard: i32,
        /// Why.
        source: TransactionError,
    },
    /// `mesh.observations` and what is partitioned like it differ.
    #[error(
        "topic {topic} has {found} partitions and mesh.observations has {expected}: they must be the \
         same; delete {topic} so that it is made anew, it is rebuilt from the log"
    )]
    Partitions {
        /// The topic.
        topic: &'static str,
        /// Its partitions.
        found: i32,
        /// Those of `mesh.observations`.
        expected: i32,
    },
    /// A part of the role ended unexpectedly.
    #[error("freshness: {part} ended unexpectedly: {said}")]
    Ended {
        /// Which.
        part: &'static str,
        /// What is known of it.
        said: String,
    },
}
