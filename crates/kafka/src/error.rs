//! Errors: what was tried, against which brokers, for how long, and what they said.

use std::fmt;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;

/// A code from a broker (Kafka protocol, "Error Codes") or from librdkafka itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub(crate) RDKafkaErrorCode);

impl ErrorCode {
    /// The topic or partition is not there.
    #[must_use]
    pub fn is_unknown_topic(self) -> bool {
        matches!(
            self.0,
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    }

    /// A newer producer with the same transactional id has taken over.
    #[must_use]
    pub fn is_fenced(self) -> bool {
        matches!(
            self.0,
            RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::InvalidProducerEpoch
        )
    }

    /// No broker answered: none is reachable, or none in time.
    #[must_use]
    pub fn is_unreachable(self) -> bool {
        matches!(
            self.0,
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::TimedOutQueue
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::WaitingForCoordinator
        )
    }

    /// A partition or a coordinator is on its way from one broker to another, or a broker that has
    /// just started has not heard of it yet.
    #[must_use]
    pub fn is_moving(self) -> bool {
        matches!(
            self.0,
            RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
        )
    }

    /// Not permitted by the cluster's ACLs.
    #[must_use]
    pub fn is_forbidden(self) -> bool {
        matches!(
            self.0,
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why something asked of Kafka was not done.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// librdkafka refuses the configuration.
    #[error("kafka configuration: {said}")]
    Config {
        /// Which property and why.
        said: String,
    },
    /// No broker answered in time.
    #[error(
        "no Kafka broker at {bootstrap_servers} answered within {:.1} s, trying to {what}: {said}; \
         is it running, and is the address right?", waited.as_secs_f64()
    )]
    Unreachable {
        /// What was tried.
        what: String,
        /// Addresses that were tried.
        bootstrap_servers: String,
        /// For how long.
        waited: Duration,
        /// The last that was heard.
        said: String,
    },
    /// The topic, or the partition of it, is not there.
    #[error("topic {topic} is not there, or a partition of it that was asked for ({what})")]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// What was tried.
        what: String,
    },
    /// A broker refused.
    #[error("could not {what}: {said} ({code})")]
    Refused {
        /// What was tried.
        what: String,
        /// The broker's code.
        code: ErrorCode,
        /// The broker's words.
        said: String,
    },
    /// The cluster's ACLs do not let a topic be read.
    #[error("topic {topic} may not be read ({code}); it takes READ and DESCRIBE on it")]
    Forbidden {
        /// The topic.
        topic: String,
        /// The broker's code.
        code: ErrorCode,
    },
    /// The log no longer, or does not yet, reach to the offset that was to be read: it was
    /// truncated, its topic was made anew, or retention has passed it.
    #[error(
        "offset {offset} of {topic} partition {partition} is outside of the log: it was truncated, \
         made anew, or retention has passed it; what was built from it must be rebuilt"
    )]
    OffsetOutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset asked for; −1 where librdkafka does not say.
        offset: i64,
    },
    /// The client has ended: it was closed, or it failed for good before.
    #[error("the Kafka client for {what} has ended{}", said.as_deref().map(|s| format!(": {s}")).unwrap_or_default())]
    Ended {
        /// Which.
        what: String,
        /// Why, where it was not closed by its owner.
        said: Option<String>,
    },
}

impl KafkaError {
    /// The broker's code, where a broker refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } | Self::Forbidden { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether trying again later may help without anything being mended here.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether it may pass within seconds: no broker answers, or what was asked for is moving from
    /// one to another.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.is_unreachable() || self.code().is_some_and(ErrorCode::is_moving)
    }

    pub(crate) fn config(error: &rdkafka::error::KafkaError) -> Self {
        use rdkafka::error::KafkaError as E;
        let said = match error {
            E::ClientConfig(_, said, key, _) if key.is_empty() => said.clone(),
            // The value is left out: it may be a secret.
            E::ClientConfig(_, said, key, _) => format!("{key}: {said}"),
            other => other.to_string(),
        };
        Self::Config { said }
    }
}

/// Why a record was not written. With idempotence a record is written once or not at all, except
/// after [`SendError::TimedOut`], when it may have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The record, or its batch, is larger than the broker or the producer takes.
    #[error("the record is too large for the topic (max.message.bytes)")]
    TooLarge,
    /// No such topic or partition.
    #[error("the topic or partition is not there")]
    UnknownTopic,
    /// Not acknowledged in time; it may have been written all the same.
    #[error("not acknowledged within the delivery time-out; it may have been written all the same")]
    TimedOut,
    /// The producer was closed or dropped before the record was acknowledged.
    #[error("the producer was closed before the record was acknowledged")]
    Closed,
    /// The broker refused.
    #[error("the broker refused the record: {0}")]
    Refused(ErrorCode),
    /// The producer failed for good and must be made anew.
    #[error("the producer failed for good: {0}")]
    Fatal(String),
}

impl SendError {
    pub(crate) fn of(code: RDKafkaErrorCode) -> Self {
        match code {
            RDKafkaErrorCode::MessageSizeTooLarge => Self::TooLarge,
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition => Self::UnknownTopic,
            RDKafkaErrorCode::MessageTimedOut | RDKafkaErrorCode::OperationTimedOut => {
                Self::TimedOut
            }
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => Self::Closed,
            RDKafkaErrorCode::Fatal => Self::Fatal(code.to_string()),
            other => Self::Refused(ErrorCode(other)),
        }
    }
}

/// Why a transaction was not committed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// A newer producer with this transactional id has taken over. Nothing was written, and this
    /// one can never write again.
    #[error("fenced: a newer producer with transactional id {transactional_id} has taken over")]
    Fenced {
        /// The id that both have.
        transactional_id: String,
    },
    /// Nothing was written; trying again may help.
    #[error("the transaction was aborted: {said}")]
    Aborted {
        /// Why.
        said: String,
    },
    /// The commit was sent and not answered in time: all was written, or nothing.
    #[error("the commit was not answered within {} s: all of it was written, or nothing: {said}", waited.as_secs())]
    Unknown {
        /// How long.
        waited: Duration,
        /// The last that was heard.
        said: String,
    },
    /// The producer failed for good and must be made anew; nothing was written.
    #[error("the transactional producer failed for good: {said}")]
    Fatal {
        /// Why.
        said: String,
    },
    /// It could not be opened, or no broker answered.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_broker_is_named_with_the_time_tried() {
        let error = KafkaError::Unreachable {
            what: "list topics".to_owned(),
            bootstrap_servers: "127.0.0.1:1".to_owned(),
            waited: Duration::from_millis(1_500),
            said: "connection refused".to_owned(),
        };
        let text = error.to_string();
        for part in ["127.0.0.1:1", "1.5 s", "list topics", "connection refused"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn send_errors_are_told_apart() {
        for (code, error) in [
            (RDKafkaErrorCode::MessageSizeTooLarge, SendError::TooLarge),
            (RDKafkaErrorCode::UnknownTopic, SendError::UnknownTopic),
            (RDKafkaErrorCode::MessageTimedOut, SendError::TimedOut),
            (RDKafkaErrorCode::PurgeInflight, SendError::Closed),
            (
                RDKafkaErrorCode::InvalidRecord,
                SendError::Refused(ErrorCode(RDKafkaErrorCode::InvalidRecord)),
            ),
        ] {
            assert_eq!(SendError::of(code), error);
        }
    }
}
