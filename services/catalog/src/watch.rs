//! Follows the catalog's topics without a service: what `catalog watch` shows.

use std::collections::VecDeque;
use std::time::Duration;

use meshwork_kafka::{Admin, Assigned, From, InRecord, KafkaConfig, LogReader, ReaderOptions};
use meshwork_model::mesh::{ProductAnnouncement, ProductChange};
use meshwork_model::name::Urn;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshReader, RegistryClient};

use crate::read::{Announced, DecodeError, ReadCatalogError, decode, decode_value};

/// How often is looked whether topics that are not there yet have been made.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for records before the brokers are said to be away.
const WAIT: Duration = Duration::from_secs(1);
/// Wait before the registry is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Something that happened to the catalog.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogEvent {
    /// A product version was announced, for the first time or anew.
    Announced(Box<ProductAnnouncement>),
    /// A product version was withdrawn.
    Withdrawn(Urn),
    /// A change was written to `mesh.catalog.changes`.
    Changed {
        /// Its offset there.
        offset: i64,
        /// The change.
        change: Box<ProductChange>,
    },
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFrom {
    /// With what happens from now on.
    Now,
    /// With all that the topics hold.
    Beginning,
}

/// Follows `mesh.catalog` and `mesh.catalog.changes`. Events of one topic come in its order.
#[derive(Debug)]
pub struct CatalogWatch {
    log: LogReader,
    announcements: MeshReader<ProductAnnouncement>,
    changes: MeshReader<ProductChange>,
    /// Read and not yet told.
    pending: VecDeque<InRecord>,
}

impl CatalogWatch {
    /// Begins to watch; waits for topics that are not there yet.
    ///
    /// # Errors
    /// The brokers can't be reached.
    pub async fn start(
        kafka: &KafkaConfig,
        registry: &RegistryClient,
        from: WatchFrom,
    ) -> Result<Self, ReadCatalogError> {
        let admin = Admin::new(kafka)?;
        let mut partitions = Vec::new();
        for topic in [ControlTopic::Catalog, ControlTopic::CatalogChanges] {
            let mut made_meanwhile = false;
            while admin.topic(topic.name()).await?.is_none() {
                made_meanwhile = true;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let from = match from {
                // A topic that was not there has nothing that is older than now.
                WatchFrom::Now if !made_meanwhile => From::End,
                _ => From::Beginning,
            };
            partitions.extend(Assigned::all(&admin, topic.name(), |_| from).await?);
        }
        Ok(Self {
            log: LogReader::start(kafka, partitions, ReaderOptions::default())?,
            announcements: MeshReader::new(registry.clone()),
            changes: MeshReader::new(registry.clone()),
            pending: VecDeque::new(),
        })
    }

    /// The next event. Records that do not decode are skipped with a word in the log; a registry
    /// that is away is waited for. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// The log can't be read any more.
    pub async fn next(&mut self) -> Result<CatalogEvent, ReadCatalogError> {
        loop {
            let Some(record) = self.pending.front() else {
                self.pending.extend(self.log.next(WAIT).await?.records);
                continue;
            };
            match self.event(record).await {
                Ok(event) => {
                    self.pending.pop_front();
                    if let Some(event) = event {
                        return Ok(event);
                    }
                }
                Err(DecodeError::Record(reason)) => {
                    tracing::warn!(topic = %record.topic, offset = record.offset, %reason, "skipped a record that can't be read");
                    self.pending.pop_front();
                }
                Err(DecodeError::Registry(error)) => {
                    tracing::warn!(%error, "waiting for the registry");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    async fn event(&self, record: &InRecord) -> Result<Option<CatalogEvent>, DecodeError> {
        let value = record.value.as_deref();
        if &*record.topic == ControlTopic::CatalogChanges.name() {
            let Some(value) = value else { return Ok(None) };
            return Ok(Some(CatalogEvent::Changed {
                offset: record.offset,
                change: Box::new(decode_value(&self.changes, value).await?),
            }));
        }
        let announced = decode(&self.announcements, record.key.as_deref(), value).await?;
        Ok(Some(match announced {
            Announced::Product(product) => CatalogEvent::Announced(product),
            Announced::Withdrawn(urn) => CatalogEvent::Withdrawn(urn),
        }))
    }
}
