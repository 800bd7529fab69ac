//! Why the catalog role ends.

use meshwork_kafka::KafkaError;
use meshwork_kafka::control::ControlTopicError;
use meshwork_state::StateError;

/// Why the catalog role can't start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its store can't be used.
    #[error("the catalog's store can't be used")]
    State(#[from] StateError),
    /// One of its topics can't be used as it is.
    #[error("the catalog can't use one of its topics")]
    ControlTopic(#[from] ControlTopicError),
    /// Kafka can't be used.
    #[error("the catalog can't read its topics")]
    Kafka(#[from] KafkaError),
}

impl Error {
    /// Whether trying again later may help without anything being mended here.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::State(_) | Self::ControlTopic(ControlTopicError::WrongCleanup { .. }) => false,
            Self::ControlTopic(_) => true,
            Self::Kafka(error) => !matches!(error, KafkaError::Config { .. }),
        }
    }
}
