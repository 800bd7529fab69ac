//! The mesh's own topics: created by those who write them, checked by those who read them.

use meshwork_model::topic::{Cleanup, ControlTopic};

use crate::admin::{Admin, NewTopic};
use crate::error::KafkaError;

/// Why a control topic can't be used as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlTopicError {
    /// Its records would be cleaned up in the wrong way. Nothing is started on such a topic.
    #[error(
        "topic {topic} has cleanup.policy={found}, and {why}; mend it with: kafka-configs.sh \
         --bootstrap-server <address> --alter --entity-type topics --entity-name {topic} \
         --add-config cleanup.policy={wanted}"
    )]
    WrongCleanup {
        /// The topic.
        topic: &'static str,
        /// What it has.
        found: String,
        /// What it must have.
        wanted: &'static str,
        /// What would go wrong.
        why: &'static str,
    },
    /// It is not there.
    #[error(
        "topic {topic} is not there; it is made by the service that writes it: start that first"
    )]
    Missing {
        /// The topic.
        topic: &'static str,
    },
    /// The brokers could not be asked.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

/// For writers: creates the topic if it is not there, and checks it. Gives its partitions.
///
/// # Errors
/// See [`ControlTopicError`].
pub async fn ensure(admin: &Admin, topic: ControlTopic) -> Result<i32, ControlTopicError> {
    if admin.topic(topic.name()).await?.is_none() {
        admin.create_topic(&new_topic(topic)).await?;
    }
    check(admin, topic).await
}

/// For readers: checks that the topic is there and is cleaned up as it must be. Gives its
/// partitions.
///
/// # Errors
/// See [`ControlTopicError`].
pub async fn check(admin: &Admin, topic: ControlTopic) -> Result<i32, ControlTopicError> {
    let Some(info) = admin.topic(topic.name()).await? else {
        return Err(ControlTopicError::Missing {
            topic: topic.name(),
        });
    };
    let configs = admin.topic_configs(topic.name()).await?;
    let found = configs
        .get("cleanup.policy")
        .and_then(|c| c.value.clone())
        .unwrap_or_default();
    judge(topic, &found)?;
    Ok(info.partitions)
}

/// What is to be created where `topic` is not there.
#[must_use]
pub fn new_topic(topic: ControlTopic) -> NewTopic {
    let new = NewTopic::new(topic.name(), topic.partitions())
        .with("cleanup.policy", topic.cleanup().policy());
    match topic.cleanup() {
        Cleanup::Compact => new,
        Cleanup::Delete { retention_ms } => new.with("retention.ms", retention_ms.to_string()),
    }
}

fn judge(topic: ControlTopic, found: &str) -> Result<(), ControlTopicError> {
    let wanted = topic.cleanup().policy();
    if found == wanted {
        return Ok(());
    }
    Err(ControlTopicError::WrongCleanup {
        topic: topic.name(),
        found: found.to_owned(),
        wanted,
        why: match topic.cleanup() {
            Cleanup::Compact => "the latest record of every key must be kept for ever",
            Cleanup::Delete { .. } => {
                "every record counts, so that those with equal keys must not be merged"
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_policy_will_do_and_the_error_says_how_to_mend_it() {
        for topic in ControlTopic::ALL {
            let right = topic.cleanup().policy();
            assert!(judge(topic, right).is_ok());
            for wrong in ["compact", "delete", "compact,delete", ""] {
                if wrong == right {
                    continue;
                }
                let text = judge(topic, wrong).unwrap_err().to_string();
                assert!(text.contains(topic.name()), "{text}");
                assert!(
                    text.contains(&format!("--add-config cleanup.policy={right}")),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn new_ones_are_as_the_model_says() {
        let slices = new_topic(ControlTopic::SloSlices);
        assert_eq!((slices.partitions, slices.replication), (8, None));
        assert_eq!(
            slices.configs.get("cleanup.policy").map(String::as_str),
            Some("delete")
        );
        assert_eq!(
            slices.configs.get("retention.ms").map(String::as_str),
            Some("8208000000")
        );
        let catalog = new_topic(ControlTopic::Catalog);
        assert_eq!(catalog.configs.len(), 1);
    }
}
