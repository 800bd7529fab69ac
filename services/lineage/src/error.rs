//! Why the lineage role ends.

use meshwork_kafka::KafkaError;
use meshwork_kafka::SendError;
use meshwork_kafka::control::ControlTopicError;
use meshwork_registry_client::MeshError;
use meshwork_state::StateError;

/// Why the lineage role can't start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its store can't be used.
    #[error("lineage's store can't be used")]
    State(#[from] StateError),
    /// One of its topics can't be used as it is.
    #[error("lineage can't use one of its topics")]
    ControlTopic(#[from] ControlTopicError),
    /// Kafka can't be used.
    #[error("lineage can't use Kafka")]
    Kafka(#[from] KafkaError),
    /// Facts can't be written.
    #[error("lineage can't write facts to mesh.lineage")]
    Send(#[from] SendError),
    /// The registry does not answer, or refuses.
    #[error("lineage can't use the registry")]
    Registry(#[from] MeshError),
}

impl Error {
    /// Whether trying again later may help without anything being mended here.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::State(_) | Self::ControlTopic(ControlTopicError::WrongCleanup { .. }) => false,
            Self::ControlTopic(_) | Self::Send(_) => true,
            Self::Kafka(error) => !matches!(error, KafkaError::Config { .. }),
            Self::Registry(error) => match error {
                MeshError::Registry(registry) => registry.is_unavailable(),
                _ => false,
            },
        }
    }
}
