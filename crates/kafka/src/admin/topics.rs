//! Topics: listing, creating, altering.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    ConfigSource, NewPartitions, NewTopic as RdNewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Admin, rd};
use crate::error::{ErrorCode, KafkaError};
use crate::raw::admin as raw;

/// Names asked for in one DescribeTopics request.
const TOPICS_PER_REQUEST: usize = 500;

/// Topics whose settings are asked for in one DescribeConfigs request: an answer tells some 40 of each.
const CONFIGS_PER_REQUEST: usize = 200;

/// How long a change that was accepted is waited for, and how often is looked.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A topic to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Replicas of each partition; `None`: the lesser of 3 and the number of brokers.
    pub replication: Option<i16>,
    /// Settings, such as `cleanup.policy`.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with the usual replication and no settings of its own.
    #[must_use]
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self {
            name: name.into(),
            partitions,
            ..Self::default()
        }
    }

    /// With a setting.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(key.into(), value.into());
        self
    }
}

/// What came of creating a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It was created.
    Created,
    /// It was there already, with whatever partitions and settings it has.
    AlreadyThere,
}

/// A topic that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Replicas of the partition that has fewest.
    pub replication: usize,
    /// Replicas in sync of the partition that has fewest.
    pub in_sync: usize,
    /// Whether it is Kafka's own, such as `__consumer_offsets`.
    pub internal: bool,
    /// Kafka's id of this topic (base64 of a UUID): a topic that is deleted and made anew under
    /// its old name has another one.
    pub id: String,
}

/// Who holds a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Partition.
    pub partition: i32,
    /// The broker that takes writes; `None` while there is none.
    pub leader: Option<i32>,
    /// Brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that have all that is acknowledged.
    pub in_sync: Vec<i32>,
}

/// A setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigValue {
    /// Its value; `None` where the broker hides it.
    pub value: Option<String>,
    /// Whether it comes from the broker's defaults and not from the topic.
    pub is_default: bool,
}

impl Admin {
    /// All topics, by name.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn topics(&self) -> Result<Vec<TopicInfo>, KafkaError> {
        self.blocking("list topics", |client, timeout| {
            let metadata = client.fetch_metadata(None, timeout).map_err(|e| rd(&e))?;
            let names: Vec<&str> = metadata
                .topics()
                .iter()
                .map(rdkafka::metadata::MetadataTopic::name)
                .collect();
            let mut topics = Vec::with_capacity(names.len());
            for names in names.chunks(TOPICS_PER_REQUEST) {
                topics.extend(raw::describe_topics(client, names, timeout)?);
            }
            let mut topics: Vec<TopicInfo> = topics.into_iter().map(info).collect();
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(topics)
        })
        .await
    }

    /// One topic; `None` if it is not there.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn topic(&self, name: &str) -> Result<Option<TopicInfo>, KafkaError> {
        let owned = name.to_owned();
        self.blocking(format!("look at topic {name}"), move |client, timeout| {
            Ok(raw::describe_topics(client, &[&owned], timeout)?
                .into_iter()
                .next()
                .map(info))
        })
        .await
    }

    /// Who holds each partition of a topic, as the broker that was asked knows it; none where the
    /// topic is not there.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn partition_states(&self, name: &str) -> Result<Vec<PartitionState>, KafkaError> {
        let owned = name.to_owned();
        self.blocking(format!("look at topic {name}"), move |client, timeout| {
            let metadata = client
                .fetch_metadata(Some(&owned), timeout)
                .map_err(|e| rd(&e))?;
            let states = metadata.topics().iter().flat_map(|topic| {
                topic.partitions().iter().map(|partition| PartitionState {
                    partition: partition.id(),
                    leader: Some(partition.leader()).filter(|leader| *leader >= 0),
                    replicas: partition.replicas().to_vec(),
                    in_sync: partition.isr().to_vec(),
                })
            });
            Ok(states.collect())
        })
        .await
    }

    /// Creates a topic unless it is there.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<Creation, KafkaError> {
        let replication = match topic.replication {
            Some(replication) => replication,
            None => i16::try_from(self.cluster().await?.brokers.len().clamp(1, 3)).unwrap_or(1),
        };
        let what = format!("create topic {}", topic.name);
        let mut new = RdNewTopic::new(
            &topic.name,
            topic.partitions,
            TopicReplication::Fixed(i32::from(replication)),
        );
        for (key, value) in &topic.configs {
            new = new.set(key, value);
        }
        let results = self
            .request(&what, || {
                self.inner.client.create_topics([&new], &self.options())
            })
            .await?;
        let creation = match topic_result(results, &what) {
            Ok(()) => Creation::Created,
            Err(e) if e.code() == Some(ErrorCode(RDKafkaErrorCode::TopicAlreadyExists)) => {
                Creation::AlreadyThere
            }
            Err(e) => return Err(e),
        };
        let patience = Patience::new();
        while self.topic(&topic.name).await?.is_none() && patience.pause().await {}
        Ok(creation)
    }

    /// Raises the number of a topic's partitions to `total`.
    ///
    /// # Errors
    /// See [`KafkaError`]; fewer than there are is refused by the broker.
    pub async fn create_partitions(&self, topic: &str, total: i32) -> Result<(), KafkaError> {
        let what = format!("raise the partitions of {topic} to {total}");
        let new = NewPartitions::new(topic, usize::try_from(total).unwrap_or(0));
        let results = self
            .request(&what, || {
                self.inner.client.create_partitions([&new], &self.options())
            })
            .await?;
        topic_result(results, &what)?;
        let patience = Patience::new();
        while self
            .topic(topic)
            .await?
            .is_none_or(|info| info.partitions < total)
            && patience.pause().await
        {}
        Ok(())
    }

    /// Deletes a topic with all its records.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn delete_topic(&self, topic: &str) -> Result<(), KafkaError> {
        let what = format!("delete topic {topic}");
        let results = self
            .request(&what, || {
                self.inner.client.delete_topics(&[topic], &self.options())
            })
            .await?;
        topic_result(results, &what)?;
        let patience = Patience::new();
        while self.topic(topic).await?.is_some() && patience.pause().await {}
        Ok(())
    }

    /// Those of these topics that are there.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn topics_named(&self, names: &[&str]) -> Result<Vec<TopicInfo>, KafkaError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.blocking("look at topics", move |client, timeout| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut topics = Vec::with_capacity(names.len());
            for names in names.chunks(TOPICS_PER_REQUEST) {
                topics.extend(raw::describe_topics(client, names, timeout)?);
            }
            Ok(topics.into_iter().map(info).collect())
        })
        .await
    }

    /// All settings of a topic; none where it is not there, or may not be described.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn topic_configs(
        &self,
        topic: &str,
    ) -> Result<BTreeMap<String, ConfigValue>, KafkaError> {
        let what = format!("read the settings of topic {topic}");
        let all = self.configs(&what, &[topic]).await?;
        all.into_iter().next().map_or(Ok(BTreeMap::new()), |r| r)
    }

    /// All settings of each of these topics, in their order, asked for together. Of a topic that is
    /// not there, or may not be described, there are none.
    ///
    /// # Errors
    /// See [`KafkaError`]; of a single topic in its place.
    pub async fn configs_of_topics(
        &self,
        topics: &[&str],
    ) -> Result<Vec<Result<BTreeMap<String, ConfigValue>, KafkaError>>, KafkaError> {
        let what = "read the settings of topics";
        let mut all = Vec::with_capacity(topics.len());
        for topics in topics.chunks(CONFIGS_PER_REQUEST) {
            all.extend(self.configs(what, topics).await?);
        }
        Ok(all)
    }

    async fn configs(
        &self,
        what: &str,
        topics: &[&str],
    ) -> Result<Vec<Result<BTreeMap<String, ConfigValue>, KafkaError>>, KafkaError> {
        let asked: Vec<ResourceSpecifier<'_>> = topics
            .iter()
            .map(|topic| ResourceSpecifier::Topic(topic))
            .collect();
        let results = self
            .request(what, || {
                self.inner
                    .client
                    .describe_configs(asked.iter(), &self.options())
            })
            .await?;
        // librdkafka gives them in the order in which they were asked for.
        let configs = topics.iter().zip(results).map(|(topic, result)| {
            let resource = result.map_err(|code| refused(what, topic, code))?;
            let entries = resource.entries.into_iter().map(|entry| {
                let is_default = !matches!(entry.source, ConfigSource::DynamicTopic);
                let value = entry.value;
                (entry.name, ConfigValue { value, is_default })
            });
            Ok(entries.collect())
        });
        Ok(configs.collect())
    }

    /// Sets and unsets single settings of a topic; the others stay as they are (KIP-339).
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn alter_topic_configs(
        &self,
        topic: &str,
        set: &[(String, String)],
        unset: &[String],
    ) -> Result<(), KafkaError> {
        if set.is_empty() && unset.is_empty() {
            return Ok(());
        }
        let (name, setting, unsetting) = (topic.to_owned(), set.to_vec(), unset.to_vec());
        self.blocking(
            format!("alter the settings of topic {topic}"),
            move |client, timeout| {
                raw::alter_topic_configs(client, &name, &setting, &unsetting, timeout)
            },
        )
        .await?;
        let patience = Patience::new();
        while !altered(&self.topic_configs(topic).await?, set, unset) && patience.pause().await {}
        Ok(())
    }

    /// Deletes the records of a partition before offset `before`.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        before: i64,
    ) -> Result<(), KafkaError> {
        let what = format!("delete records of {topic} partition {partition} before {before}");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))
            .map_err(|e| KafkaError::config(&e))?;
        let done = self
            .request(&what, || {
                self.inner.client.delete_records(&list, &self.options())
            })
            .await?;
        for element in done.elements() {
            if let Err(e) = element.error() {
                let code = e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                return Err(refused(&what, topic, code));
            }
        }
        Ok(())
    }
}

/// Waits for a change to be seen that the controller has accepted: brokers hear of it a little
/// later. It gives up quietly, since the change is made.
struct Patience(Instant);

impl Patience {
    fn new() -> Self {
        Self(Instant::now())
    }

    /// Pauses before the next look; false once there is to be none.
    async fn pause(&self) -> bool {
        tokio::time::sleep(LOOK_AGAIN).await;
        self.0.elapsed() < SEEN_WITHIN
    }
}

fn altered(
    now: &BTreeMap<String, ConfigValue>,
    set: &[(String, String)],
    unset: &[String],
) -> bool {
    let is = |key: &str| now.get(key);
    set.iter()
        .all(|(key, value)| is(key).is_none_or(|c| c.value.as_ref() == Some(value)))
        && unset.iter().all(|key| is(key).is_none_or(|c| c.is_default))
}

fn info(topic: raw::DescribedTopic) -> TopicInfo {
    TopicInfo {
        name: topic.name,
        partitions: i32::try_from(topic.partitions).unwrap_or(i32::MAX),
        replication: topic.replication,
        in_sync: topic.in_sync,
        internal: topic.internal,
        id: topic.id,
    }
}

fn topic_result(results: Vec<rdkafka::admin::TopicResult>, what: &str) -> Result<(), KafkaError> {
    for result in results {
        if let Err((topic, code)) = result {
            return Err(refused(what, &topic, code));
        }
    }
    Ok(())
}

fn refused(what: &str, topic: &str, code: RDKafkaErrorCode) -> KafkaError {
    if ErrorCode(code).is_unknown_topic() {
        return KafkaError::UnknownTopic {
            topic: topic.to_owned(),
            what: what.to_owned(),
        };
    }
    KafkaError::Refused {
        what: what.to_owned(),
        code: ErrorCode(code),
        said: code.to_string(),
    }
}
