//! What is there: topics, subjects and announcements, asked of Kafka and the registry.

use std::collections::{BTreeMap, BTreeSet};

use meshwork_kafka::{Admin, KafkaError};
use meshwork_model::mesh::announcement::{ProductAnnouncement, RegisteredSchema};
use meshwork_model::name::Urn;
use meshwork_model::product::Product;
use meshwork_model::topic::suffices;
use meshwork_registry_client::{Registered, RegistryClient, RegistryClientError};

use crate::check::breaking;

/// A topic that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActualTopic {
    /// Partitions.
    pub partitions: i32,
    /// Replicas of the partition that has fewest.
    pub replication: usize,
    /// Its settings, the broker's defaults included.
    pub configs: BTreeMap<String, String>,
}

/// What the registry holds of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActualSubject {
    /// The subject's own level; none: the registry's default.
    pub level: Option<String>,
    /// Those of the desired texts that are registered.
    pub registered: BTreeMap<String, RegisteredSchema>,
    /// Versions with their texts, newest first. Left out where the desired text is registered,
    /// since nothing is compared then.
    pub newest_first: Vec<(i32, String)>,
}

/// What is there of the products that are planned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actual {
    /// How many brokers there are.
    pub brokers: usize,
    /// By name.
    pub topics: BTreeMap<String, ActualTopic>,
    /// By name.
    pub subjects: BTreeMap<String, ActualSubject>,
    /// The latest of each that can be read.
    pub announcements: BTreeMap<Urn, ProductAnnouncement>,
    /// Whose last announcement can't be read, so that it is announced again whatever was before.
    pub unreadable: BTreeSet<Urn>,
}

/// Why it could not be found out what is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActualError {
    /// Kafka can't be asked.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The registry can't be asked.
    #[error(transparent)]
    Registry(#[from] RegistryClientError),
}

impl ActualTopic {
    /// Whether it is as [`super::Step::CreateTopic`] would have made it.
    #[must_use]
    pub fn is_as(&self, partitions: i32, configs: &[(String, String)]) -> bool {
        let has = |(key, wanted): &(String, String)| self.has(key, wanted);
        self.partitions == partitions && configs.iter().all(has)
    }

    /// Whether a setting is as wanted.
    pub(super) fn has(&self, key: &str, wanted: &str) -> bool {
        let found = self.configs.get(key);
        found.is_some_and(|found| suffices(key, found, wanted))
    }
}

impl Actual {
    /// Asks for topics and subjects of one product and replaces what is known of them.
    ///
    /// # Errors
    /// Kafka or the registry can't be asked.
    pub async fn look_at(
        &mut self,
        product: &Product,
        admin: &Admin,
        registry: &RegistryClient,
    ) -> Result<(), ActualError> {
        self.brokers = admin.cluster().await?.brokers.len();
        for name in [product.topic(), product.quarantine_topic()] {
            self.topics.remove(&name);
            if let Some(topic) = look_at_topic(admin, &name).await? {
                self.topics.insert(name, topic);
            }
        }
        let texts = [
            Some((product.urn.value_subject(), &product.value_schema)),
            product
                .key_schema
                .as_ref()
                .map(|text| (product.urn.key_subject(), text)),
        ];
        for (subject, text) in texts.into_iter().flatten() {
            let there = look_at_subject(registry, &subject, text).await?;
            self.subjects.insert(subject, there);
        }
        Ok(())
    }
}

/// A topic as it is now; none if it is not there.
pub(crate) async fn look_at_topic(
    admin: &Admin,
    name: &str,
) -> Result<Option<ActualTopic>, KafkaError> {
    let Some(info) = admin.topic(name).await? else {
        return Ok(None);
    };
    let configs = admin
        .topic_configs(name)
        .await?
        .into_iter()
        .filter_map(|(key, config)| Some((key, config.value?)))
        .collect();
    Ok(Some(ActualTopic {
        partitions: info.partitions,
        replication: info.replication,
        configs,
    }))
}

async fn look_at_subject(
    registry: &RegistryClient,
    subject: &str,
    text: &str,
) -> Result<ActualSubject, RegistryClientError> {
    let mut there = ActualSubject {
        level: registry.level(subject).await?,
        ..ActualSubject::default()
    };
    match registry.look_up(subject, text).await? {
        Some(registered) => {
            there
                .registered
                .insert(text.to_owned(), as_announced(registered));
        }
        None => there.newest_first = breaking::fetch(registry, subject).await?.newest_first,
    }
    Ok(there)
}

/// A registered schema as announcements carry it. Registries older than Confluent 8.0 have no
/// GUIDs; it is a digest of the text, so that it can be had without them.
#[must_use]
pub fn as_announced(registered: Registered) -> RegisteredSchema {
    let guid = registered.guid.unwrap_or_else(|| {
        let references: Vec<meshwork_avro::Reference> = registered
            .references
            .iter()
            .map(|r| meshwork_avro::Reference {
                name: r.name.clone(),
                subject: r.subject.clone(),
                version: r.version,
            })
            .collect();
        meshwork_avro::guid(&registered.schema, &references, None, None).to_string()
    });
    RegisteredSchema {
        subject: registered.subject,
        id: registered.id.as_i32(),
        guid,
        schema: registered.schema,
    }
}
