//! Why something was not produced.

use std::time::Duration;

use meshwork_kafka::control::ControlTopicError;
use meshwork_kafka::{KafkaError, SendError};
use meshwork_pipeline::{Needed, Refusal};
use meshwork_registry_client::{MeshError, RegistryClientError};

use super::record::RecordPosition;

/// Why something was not produced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The record breaks the contract and the product rejects such records.
    #[error("{position} is refused: {refusal}")]
    Refused {
        /// Which record.
        position: RecordPosition,
        /// Why, and where in it.
        refusal: Box<Refusal>,
    },
    /// The product's topic is not there.
    #[error("topic {topic} is not there; create it with `meshwork product apply`")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// The schema is not known here and the registry could not be asked.
    #[error(
        "{position} can't be checked: {needed} could not be had within {} s; is the registry \
         running, and is its address right?",
        waited.as_secs()
    )]
    SchemaUnavailable {
        /// Which record.
        position: RecordPosition,
        /// Which schema.
        needed: Box<Needed>,
        /// For how long it was tried.
        waited: Duration,
        /// What the registry's client says.
        source: Option<Box<RegistryClientError>>,
    },
    /// Records or observations were queued and not written.
    #[error("{what} was not written{}", others(*more))]
    NotWritten {
        /// The first of them: `line 7 of flights.jsonl`, or which observation.
        what: String,
        /// How many more.
        more: u64,
        /// Why the first was not.
        source: SendError,
    },
    /// An observation could not be encoded.
    #[error("observation of {topic} could not be written")]
    Observation {
        /// Of which topic.
        topic: String,
        /// Why.
        source: MeshError,
    },
    /// Nothing was heard of what is on its way.
    #[error(
        "{in_flight} records or observations were not acknowledged within {} s{}",
        waited.as_secs(),
        said.as_deref().map(|s| format!(": {s}")).unwrap_or_default()
    )]
    FlushTimeout {
        /// How long was waited.
        waited: Duration,
        /// How many.
        in_flight: u64,
        /// The last that the Kafka client complained of.
        said: Option<String>,
    },
    /// Kafka could not be asked.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// `mesh.observations` can't be used.
    #[error(transparent)]
    Control(#[from] ControlTopicError),
    /// The observations' schema can't be used.
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

impl ProduceError {
    /// Whether only this record is concerned: the next may be sent.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

fn others(more: u64) -> String {
    match more {
        0 => String::new(),
        n => format!(", nor were {n} more"),
    }
}
