//! The fold as keys and values: what changed since the last save, and reading it all back. The forms are
//! of the store's format number; a changed form needs a new number.

mod forms;

use meshwork_model::mesh::announcement::{ProductStatus, SloDeclaration};
use meshwork_model::name::Urn;
use meshwork_model::slo::Slo;
use serde::{Deserialize, Serialize};

use super::fold::{Fold, Settings, Tally};
use super::product::{Followed, PARTITIONS_MAX, Product};
use super::track::Track;
use forms::{read_heard, read_partition, read_track, write_heard, write_partition, write_track};

/// Where a key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// The fold itself: one key.
    Fold,
    /// Products by number.
    Product,
    /// Partitions by product's number and their own.
    Partition,
    /// SLOs by number.
    Slo,
    /// Days of slices by SLO's number and UTC day.
    Page,
    /// Sources by instance and epoch.
    Source,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fold,
        Self::Product,
        Self::Partition,
        Self::Slo,
        Self::Page,
        Self::Source,
    ];

    /// Name of its column family.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fold => "fold",
            Self::Product => "product",
            Self::Partition => "partition",
            Self::Slo => "slo",
            Self::Page => "page",
            Self::Source => "source",
        }
    }
}

/// A stored value that this version did not write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value in family {family} can't be read: {what}")]
pub struct SavedError {
    /// Which family.
    pub family: &'static str,
    /// What is wrong with it.
    pub what: String,
}

const FOLD_KEY: &[u8] = b"fold";

#[derive(Serialize, Deserialize)]
struct SavedFold {
    next_slo: u32,
    last_tick: Option<i64>,
    tally: Tally,
}

#[derive(Serialize, Deserialize)]
struct SavedProduct {
    urn: Urn,
    topic: String,
    domain: String,
    owner: String,
    status: ProductStatus,
    announced_at: i64,
    partitions: usize,
    slos: Vec<SavedSlo>,
}

#[derive(Serialize, Deserialize)]
struct SavedSlo {
    id: u32,
    since: i64,
    declaration: SloDeclaration,
}

/// Key of a page.
#[must_use]
pub fn page_key(slo: u32, day: i64) -> [u8; 8] {
    let day = u32::try_from(day.max(0)).unwrap_or(u32::MAX);
    pair(slo, day)
}

fn pair(a: u32, b: u32) -> [u8; 8] {
    let mut key = [0; 8];
    let (left, right) = key.split_at_mut(4);
    left.copy_from_slice(&a.to_be_bytes());
    right.copy_from_slice(&b.to_be_bytes());
    key
}

impl Fold {
    /// Gives what changed since the last call, to be written in one batch with the input offsets. A
    /// value of none removes the key.
    ///
    /// # Errors
    /// A value that has no stored form: a defect.
    pub fn save(
        &mut self,
        mut put: impl FnMut(Family, &[u8], Option<&[u8]>),
    ) -> Result<(), SavedError> {
        let saved = SavedFold {
            next_slo: self.next_slo,
            last_tick: self.last_tick,
            tally: self.tally,
        };
        put(Family::Fold, FOLD_KEY, Some(&json(Family::Fold, &saved)?));
        let mut dirty = std::mem::take(&mut self.dirty_products);
        dirty.sort_unstable();
        dirty.dedup();
        for product in dirty.iter().filter_map(|i| self.products.get(*i)) {
            let value = json(Family::Product, &saved_product(product))?;
            put(Family::Product, &product.id.to_be_bytes(), Some(&value));
        }
        for id in self.dropped_slos.drain(..) {
            put(Family::Slo, &id.to_be_bytes(), None);
        }
        let mut buffer = Vec::with_capacity(512);
        for product in &mut self.products {
            for (number, followed) in (0_u32..).zip(&mut product.partitions) {
                if std::mem::take(&mut followed.dirty) {
                    buffer.clear();
                    write_partition(&mut buffer, &followed.partition);
                    put(Family::Partition, &pair(product.id, number), Some(&buffer));
                }
            }
            for track in &mut product.tracks {
                if !std::mem::take(&mut track.dirty) {
                    continue;
                }
                buffer.clear();
                write_track(&mut buffer, track);
                put(Family::Slo, &track.id.to_be_bytes(), Some(&buffer));
                for recent in track.pages.iter_mut().filter(|r| r.dirty) {
                    recent.dirty = false;
                    let key = page_key(track.id, recent.day);
                    put(Family::Page, &key, Some(&recent.page.to_bytes()));
                }
                track.trim_pages();
            }
        }
        for (instance, epochs) in &mut self.sources.by_instance {
            for (epoch, heard) in epochs {
                if std::mem::take(&mut heard.dirty) {
                    let mut key = instance.as_bytes().to_vec();
                    key.extend_from_slice(&epoch.to_be_bytes());
                    buffer.clear();
                    write_heard(&mut buffer, heard);
                    put(Family::Source, &key, Some(&buffer));
                }
            }
        }
        Ok(())
    }

    /// Reads a fold back. `entries` gives all keys and values of a family but [`Family::Page`], which is
    /// read as needed. An empty store gives an empty fold.
    ///
    /// # Errors
    /// A value that no version of this format writes ([`SavedError`]), or what `entries` says.
    pub fn restore<E: From<SavedError>>(
        settings: Settings,
        mut entries: impl FnMut(
            Family,
            &mut dyn FnMut(&[u8], &[u8]) -> Result<(), SavedError>,
        ) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut fold = Self::new(settings);
        entries(Family::Fold, &mut |_, value| {
            let saved: SavedFold = from_json(Family::Fold, value)?;
            fold.next_slo = saved.next_slo;
            fold.last_tick = saved.last_tick;
            fold.tally = saved.tally;
            Ok(())
        })?;
        entries(Family::Product, &mut |key, value| {
            fold.restore_product(key, value)
        })?;
        entries(Family::Slo, &mut |key, value| {
            let id = number(Family::Slo, key)?;
            let mut tracks = fold.products.iter_mut().flat_map(|p| &mut p.tracks);
            if let Some(track) = tracks.find(|t| t.id == id) {
                read_track(value, track).ok_or_else(|| garbled(Family::Slo))?;
            }
            Ok(())
        })?;
        entries(Family::Partition, &mut |key, value| {
            let (product, partition) = key
                .split_at_checked(4)
                .ok_or_else(|| garbled(Family::Partition))?;
            let product = number(Family::Partition, product)?;
            let partition = usize::try_from(number(Family::Partition, partition)?)
                .ok()
                .filter(|p| *p < usize::try_from(PARTITIONS_MAX).unwrap_or(0))
                .ok_or_else(|| garbled(Family::Partition))?;
            let product = usize::try_from(product)
                .ok()
                .and_then(|i| fold.products.get_mut(i))
                .ok_or_else(|| garbled(Family::Partition))?;
            if product.partitions.len() <= partition {
                product
                    .partitions
                    .resize_with(partition.saturating_add(1), Default::default);
            }
            let read = read_partition(value).ok_or_else(|| garbled(Family::Partition))?;
            if let Some(place) = product.partitions.get_mut(partition) {
                *place = Followed {
                    partition: read,
                    dirty: false,
                };
            }
            Ok(())
        })?;
        entries(Family::Source, &mut |key, value| {
            let (instance, epoch) = key
                .split_last_chunk::<8>()
                .and_then(|(i, e)| Some((std::str::from_utf8(i).ok()?, i64::from_be_bytes(*e))))
                .ok_or_else(|| garbled(Family::Source))?;
            let heard = read_heard(value).ok_or_else(|| garbled(Family::Source))?;
            fold.sources.insert(instance, epoch, heard);
            Ok(())
        })?;
        Ok(fold)
    }

    fn restore_product(&mut self, key: &[u8], value: &[u8]) -> Result<(), SavedError> {
        let id = number(Family::Product, key)?;
        let saved: SavedProduct = from_json(Family::Product, value)?;
        if usize::try_from(id).ok() != Some(self.products.len()) {
            return Err(garbled(Family::Product));
        }
        let mut tracks = Vec::with_capacity(saved.slos.len());
        for slo in &saved.slos {
            let declared = Slo::try_from(&slo.declaration);
            let declared = declared.map_err(|e| SavedError {
                family: Family::Product.name(),
                what: e.to_string(),
            })?;
            let hours = self.hours_of(&declared).map_err(|e| SavedError {
                family: Family::Product.name(),
                what: e.to_string(),
            })?;
            let key = format!("{}#{}", saved.urn, declared.id);
            let first = super::minute_from(slo.since);
            let mut track = Track::new(slo.id, key, declared, hours, slo.since, first);
            track.dirty = false;
            tracks.push(track);
        }
        self.by_topic
            .insert(saved.topic.clone(), self.products.len());
        self.products.push(Product {
            id,
            urn: saved.urn,
            topic: saved.topic,
            domain: saved.domain,
            owner: saved.owner,
            status: saved.status,
            announced_at: saved.announced_at,
            announced_partitions: saved.partitions,
            partitions: Vec::new(),
            tracks,
            behind: None,
        });
        Ok(())
    }
}

fn saved_product(p: &Product) -> SavedProduct {
    SavedProduct {
        urn: p.urn.clone(),
        topic: p.topic.clone(),
        domain: p.domain.clone(),
        owner: p.owner.clone(),
        status: p.status,
        announced_at: p.announced_at,
        partitions: p.announced_partitions,
        slos: p
            .tracks
            .iter()
            .map(|t| SavedSlo {
                id: t.id,
                since: t.since,
                declaration: SloDeclaration::from(&t.slo),
            })
            .collect(),
    }
}

fn garbled(family: Family) -> SavedError {
    SavedError {
        family: family.name(),
        what: "it does not have the form of this format".to_owned(),
    }
}

fn json<T: Serialize>(family: Family, value: &T) -> Result<Vec<u8>, SavedError> {
    serde_json::to_vec(value).map_err(|e| SavedError {
        family: family.name(),
        what: e.to_string(),
    })
}

fn from_json<'a, T: Deserialize<'a>>(family: Family, value: &'a [u8]) -> Result<T, SavedError> {
    serde_json::from_slice(value).map_err(|e| SavedError {
        family: family.name(),
        what: e.to_string(),
    })
}

fn number(family: Family, key: &[u8]) -> Result<u32, SavedError> {
    key.try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| garbled(family))
}
