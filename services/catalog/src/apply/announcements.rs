//! What is announced, followed while an apply is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use meshwork_kafka::{Admin, Assigned, From, LogReader, ReaderOptions};
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::name::Urn;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::MeshReader;

use super::{ApplyContext, ApplyError};
use crate::read::{Announced, DecodeError, ReadCatalogError, decode};

/// Longest wait for the brokers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The latest announcement of each product.
pub(super) struct Announcements {
    log: LogReader,
    reader: MeshReader<ProductAnnouncement>,
    products: BTreeMap<Urn, ProductAnnouncement>,
    unreadable: BTreeSet<Urn>,
}

impl Announcements {
    /// Begins to read `mesh.catalog`, which must be there.
    pub(super) async fn follow(context: &ApplyContext, admin: &Admin) -> Result<Self, ApplyError> {
        let partitions =
            Assigned::all(admin, ControlTopic::Catalog.name(), |_| From::Beginning).await?;
        Ok(Self {
            log: LogReader::start(&context.kafka, partitions, ReaderOptions::default())?,
            reader: MeshReader::new(context.registry.clone()),
            products: BTreeMap::new(),
            unreadable: BTreeSet::new(),
        })
    }

    /// Reads all that is committed now.
    pub(super) async fn refresh(&mut self) -> Result<(), ApplyError> {
        self.log.chase();
        let started = Instant::now();
        loop {
            let batch = self.log.next(Duration::from_millis(250)).await?;
            for record in &batch.records {
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                match decode(&self.reader, key, value).await {
                    Ok(Announced::Product(product)) => {
                        self.unreadable.remove(&product.urn);
                        self.products.insert(product.urn.clone(), *product);
                    }
                    Ok(Announced::Withdrawn(urn)) => {
                        self.unreadable.remove(&urn);
                        self.products.remove(&urn);
                    }
                    Err(DecodeError::Registry(error)) => {
                        return Err(ReadCatalogError::Registry(error).into());
                    }
                    // Another's record that is no announcement is not ours to judge. What it has
                    // replaced is announced again, if it is one of ours.
                    Err(DecodeError::Record(why)) => {
                        let key = std::str::from_utf8(key.unwrap_or_default());
                        let urn = key.ok().and_then(|key| key.parse().ok());
                        self.unreadable.extend(urn);
                        tracing::warn!(
                            offset = record.offset,
                            why,
                            "a record of mesh.catalog is no announcement"
                        );
                    }
                }
            }
            if batch.caught_up {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(ReadCatalogError::NotReached {
                    said: batch
                        .trouble
                        .map_or_else(|| "its end was not reached".to_owned(), |t| t.said),
                }
                .into());
            }
        }
    }

    pub(super) fn of(&self, urn: &Urn) -> Option<&ProductAnnouncement> {
        self.products.get(urn)
    }

    /// Of which products the last announcement can't be read.
    pub(super) const fn unreadable(&self) -> &BTreeSet<Urn> {
        &self.unreadable
    }

    pub(super) const fn all(&self) -> &BTreeMap<Urn, ProductAnnouncement> {
        &self.products
    }
}
