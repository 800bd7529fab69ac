//! The catalog as a view of its topics: announcements and changes in RocksDB, with the input
//! offsets in the same batch, and the search index in memory.

use meshwork_kafka::InRecord;
use meshwork_model::mesh::{ProductAnnouncement, ProductChange};
use meshwork_model::name::Urn;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshReader, RegistryClient};
use meshwork_state::{Batch, StateError, Store};
use serde::de::DeserializeOwned;

use crate::read::{Announced, DecodeError, UnreadableAnnouncement, decode, decode_value};
use crate::search::SearchIndex;

/// Announcements by URN, JSON.
pub(crate) const PRODUCTS: &str = "products";
/// Changes by offset, eight bytes big-endian, JSON.
pub(crate) const CHANGES: &str = "changes";
/// Records that are no announcements, by their key, JSON.
pub(crate) const UNREADABLE: &str = "unreadable";

/// Version of what is written to the families above.
pub(crate) const FORMAT: u32 = 1;

/// Most keys of unreadable records that are remembered; beyond, they are only logged and counted.
const UNREADABLE_MAX: usize = 1000;

/// What a record of an input did to the view.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Announcements taken in.
    pub(crate) announced: u64,
    /// Withdrawn product versions.
    pub(crate) withdrawn: u64,
    /// Changes taken in.
    pub(crate) changes: u64,
    /// Records skipped because they do not decode.
    pub(crate) skipped: u64,
}

/// Work on the index that follows a committed batch.
#[derive(Debug)]
pub(crate) enum IndexStep {
    Put(Box<ProductAnnouncement>),
    Remove(Urn),
}

/// The view's store and how it reads its inputs.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) store: Store,
    announcements: MeshReader<ProductAnnouncement>,
    changes: MeshReader<ProductChange>,
    changes_max: usize,
}

impl View {
    pub(crate) fn new(store: Store, registry: &RegistryClient, changes_max: usize) -> Self {
        Self {
            store,
            announcements: MeshReader::new(registry.clone()),
            changes: MeshReader::new(registry.clone()),
            changes_max,
        }
    }

    /// The index of all stored products. A row that does not decode means that the store is not
    /// what its format says.
    pub(crate) fn index(&self) -> Result<SearchIndex, StateError> {
        let mut index = SearchIndex::new();
        for entry in self.store.scan(PRODUCTS, &[], None)? {
            let (_, value) = entry?;
            match serde_json::from_slice::<ProductAnnouncement>(&value) {
                Ok(product) => index.put(&product),
                Err(error) => {
                    tracing::error!(%error, "a stored product does not decode; it is left out until it is announced anew");
                }
            }
        }
        Ok(index)
    }

    /// Takes one record in: writes to the batch, and what the index is to do.
    ///
    /// # Errors
    /// [`DecodeError::Registry`] only: the record must be tried again.
    pub(crate) async fn apply(
        &self,
        record: &InRecord,
        batch: &mut Batch,
        steps: &mut Vec<IndexStep>,
        applied: &mut Applied,
    ) -> Result<(), DecodeError> {
        if &*record.topic == ControlTopic::CatalogChanges.name() {
            return self.apply_change(record, batch, applied).await;
        }
        let key = record.key.as_deref().unwrap_or_default();
        match decode(
            &self.announcements,
            record.key.as_deref(),
            record.value.as_deref(),
        )
        .await
        {
            Ok(Announced::Product(product)) => {
                match serde_json::to_vec(&product) {
                    Ok(json) => batch.put(PRODUCTS, key, json),
                    Err(error) => {
                        tracing::error!(%error, urn = %product.urn, "an announcement can't be stored");
                    }
                }
                batch.delete(UNREADABLE, key);
                applied.announced += 1;
                steps.push(IndexStep::Put(product));
            }
            Ok(Announced::Withdrawn(urn)) => {
                batch.delete(PRODUCTS, key);
                batch.delete(UNREADABLE, key);
                applied.withdrawn += 1;
                steps.push(IndexStep::Remove(urn));
            }
            Err(DecodeError::Record(reason)) => {
                let unreadable = UnreadableAnnouncement {
                    key: String::from_utf8_lossy(key).chars().take(256).collect(),
                    offset: record.offset,
                    reason,
                };
                tracing::warn!(
                    topic = %record.topic, offset = record.offset, key = %unreadable.key,
                    reason = %unreadable.reason, "skipped a record that is no announcement"
                );
                applied.skipped += 1;
                let room = self
                    .unreadable()
                    .is_ok_and(|all| all.len() < UNREADABLE_MAX);
                if let (true, Ok(json)) = (room, serde_json::to_vec(&unreadable)) {
                    batch.put(UNREADABLE, key, json);
                }
            }
            Err(away @ DecodeError::Registry(_)) => return Err(away),
        }
        Ok(())
    }

    async fn apply_change(
        &self,
        record: &InRecord,
        batch: &mut Batch,
        applied: &mut Applied,
    ) -> Result<(), DecodeError> {
        let Some(value) = record.value.as_deref() else {
            return Ok(());
        };
        match decode_value::<ProductChange>(&self.changes, value).await {
            Ok(change) => {
                if let Ok(json) = serde_json::to_vec(&change) {
                    batch.put(CHANGES, offset_key(record.offset), json);
                    applied.changes += 1;
                }
                // Offsets are dense but for markers, so this keeps about `changes_max`.
                let keep = i64::try_from(self.changes_max).unwrap_or(i64::MAX);
                if let Some(oldest) = record.offset.checked_sub(keep).filter(|o| *o > 0) {
                    batch.delete_range(CHANGES, offset_key(0), offset_key(oldest));
                }
            }
            Err(DecodeError::Record(reason)) => {
                tracing::warn!(
                    topic = %record.topic, offset = record.offset, %reason,
                    "skipped a record that is no change"
                );
                applied.skipped += 1;
            }
            Err(away @ DecodeError::Registry(_)) => return Err(away),
        }
        Ok(())
    }

    /// Forgets what came from `topic`, which was made again.
    pub(crate) fn forget(&self, topic: &str) -> Result<(), StateError> {
        let mut batch = self.store.write();
        let families: &[&str] = if topic == ControlTopic::Catalog.name() {
            &[PRODUCTS, UNREADABLE]
        } else {
            &[CHANGES]
        };
        for family in families {
            for entry in self.store.scan(family, &[], None)? {
                batch.delete(family, entry?.0);
            }
        }
        for (known, partition, _) in self.store.offsets()? {
            if known == topic {
                batch.set_offset(topic, partition, 0);
            }
        }
        self.store.commit(batch)
    }

    /// One announcement.
    pub(crate) fn product(&self, urn: &Urn) -> Result<Option<ProductAnnouncement>, StateError> {
        let row = self.store.get(PRODUCTS, urn.to_string())?;
        Ok(row.as_deref().and_then(parse))
    }

    /// Records that are no announcements.
    pub(crate) fn unreadable(&self) -> Result<Vec<UnreadableAnnouncement>, StateError> {
        let mut all = Vec::new();
        for entry in self.store.scan(UNREADABLE, &[], None)?.take(UNREADABLE_MAX) {
            all.extend(parse::<UnreadableAnnouncement>(&entry?.1));
        }
        Ok(all)
    }

    /// Changes from `from` on in the order of the log, at most `limit` of those that `fits` takes.
    pub(crate) fn changes(
        &self,
        from: i64,
        limit: usize,
        fits: impl Fn(&ProductChange) -> bool,
    ) -> Result<Vec<(i64, ProductChange)>, StateError> {
        let mut found = Vec::new();
        for entry in self.store.scan(CHANGES, &offset_key(from.max(0)), None)? {
            let (key, value) = entry?;
            let offset = <[u8; 8]>::try_from(&*key).map(i64::from_be_bytes).ok();
            if let (Some(offset), Some(change)) = (offset, parse::<ProductChange>(&value))
                && fits(&change)
            {
                found.push((offset, change));
                if found.len() >= limit {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn offset_key(offset: i64) -> [u8; 8] {
    offset.to_be_bytes()
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json)
        .inspect_err(|error| tracing::error!(%error, "a stored row does not decode"))
        .ok()
}
