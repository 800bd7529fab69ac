//! One shard: a partition of `mesh.observations`, its fold, and the store that both are kept in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use meshwork_kafka::InRecord;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::observation::OffsetRange;
use meshwork_model::time::Timestamp;
use meshwork_model::topic::ControlTopic;
use meshwork_state::{Opened, Store, StoreOptions};

use crate::core::{
    FactView, Family, Fold, Observed, Page, PageSource, Partition, SavedError, Settings,
};
use crate::decoder::{Decoder, NotRead};
use crate::error::FreshnessError;
use crate::outbox::{self, Row};
use crate::shared::{Gap, Shared, Standing};

/// Number of what is written into the store. A store of another one is set aside and rebuilt.
const FORMAT: u32 = 1;
/// How long "no such product is announced" is believed of a topic.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Most topics of which it is remembered.
const UNKNOWN_MAX: usize = 10_000;

/// Options of a shard's store. Eight shards stay under 128 MiB together.
#[must_use]
pub fn store_options() -> StoreOptions {
    let mut families: Vec<&'static str> = Family::ALL.iter().map(|f| f.name()).collect();
    families.push(outbox::FAMILY);
    StoreOptions {
        block_cache_bytes: 8 << 20,
        write_buffer_bytes: 8 << 20,
        ..StoreOptions::new("freshness", FORMAT, &families)
    }
}

/// Pages in a store.
#[derive(Clone, Debug)]
pub struct StoredPages(pub Store);

impl PageSource for StoredPages {
    type Error = FreshnessError;

    fn page(&self, slo: u32, day: i64) -> Result<Option<Page>, FreshnessError> {
        let key = crate::core::page_key(slo, day);
        let Some(value) = self.0.get(Family::Page.name(), key)? else {
            return Ok(None);
        };
        let page = Page::from_bytes(&value).ok_or_else(|| SavedError {
            family: Family::Page.name(),
            what: format!("a page of {} bytes", value.len()),
        })?;
        Ok(Some(page))
    }
}

/// See the module. It blocks on the disk: not for async threads.
#[derive(Debug)]
pub struct Shard {
    number: i32,
    fold: Fold,
    store: Store,
    pages: StoredPages,
    decoder: Decoder,
    next_offset: Option<i64>,
    next_row: u64,
    uncommitted: bool,
    unknown: HashMap<String, Instant>,
    /// Partitions with offsets that nobody reported, as shown to the observer.
    gapped: HashSet<(String, i32)>,
    garbled: u64,
}

/// How far a batch of records was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of it.
    Done,
    /// Up to before this index, whose schema has to be loaded first.
    Load(usize, meshwork_model::name::SchemaId),
    /// Up to before this index, whose topic no announcement names yet.
    Unknown(usize, String),
}

impl Shard {
    /// Opens shard `number` with its store in `dir`. A store that can't be used is set aside and the
    /// shard starts empty.
    ///
    /// # Errors
    /// The store is in use elsewhere, or the file system refuses.
    pub fn open(
        number: i32,
        dir: &Path,
        settings: Settings,
        decoder: Decoder,
    ) -> Result<(Self, Opened), FreshnessError> {
        let (store, opened) = Store::open(dir, &store_options())?;
        match Self::restore(number, store, settings, decoder.clone()) {
            Ok(shard) => Ok((shard, opened)),
            Err(FreshnessError::Saved(e)) => {
                let (store, opened) = Store::set_aside(dir, &store_options(), &e.to_string())?;
                Ok((Self::restore(number, store, settings, decoder)?, opened))
            }
            Err(e) => Err(e),
        }
    }

    fn restore(
        number: i32,
        store: Store,
        settings: Settings,
        decoder: Decoder,
    ) -> Result<Self, FreshnessError> {
        let fold = Fold::restore::<FreshnessError>(settings, |family, each| {
            for entry in store.scan(family.name(), &[], None)? {
                let (key, value) = entry?;
                each(&key, &value)?;
            }
            Ok(())
        })?;
        let (next_row, _) = outbox::next_number(&store)?;
        let next_offset = store.offset(ControlTopic::Observations.name(), number)?;
        Ok(Self {
            number,
            fold,
            pages: StoredPages(store.clone()),
            store,
            decoder,
            next_offset,
            next_row,
            uncommitted: false,
            unknown: HashMap::new(),
            gapped: HashSet::new(),
            garbled: 0,
        })
    }

    /// Partition of `mesh.observations`.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Where to go on reading; none: from the beginning.
    #[must_use]
    pub fn next_offset(&self) -> Option<i64> {
        self.next_offset
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its fold.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Records that were no observations.
    #[must_use]
    pub fn garbled(&self) -> u64 {
        self.garbled
    }

    /// Takes in an announcement.
    pub fn announce(&mut self, announcement: &ProductAnnouncement) {
        self.unknown.remove(&announcement.topic);
        for fault in self.fold.announce(announcement) {
            tracing::warn!(%fault, "a promise of an announcement is left out");
        }
        self.uncommitted = true;
    }

    /// No announcement names this topic, as far as the catalog has been read.
    pub fn ignore(&mut self, topic: String) {
        if self.unknown.len() >= UNKNOWN_MAX {
            self.unknown.clear();
        }
        self.unknown.insert(topic, Instant::now());
    }

    /// Takes in records from index `from` on.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn apply(&mut self, records: &[InRecord], from: usize) -> Result<Progress, FreshnessError> {
        let decoder = self.decoder.clone();
        for (index, record) in records.iter().enumerate().skip(from) {
            let Some(value) = &record.value else { continue };
            let read = decoder.read(value, |o| -> Result<Option<String>, FreshnessError> {
                if self.fold.observe(o, &self.pages)? == Observed::UnknownTopic
                    && let FactView::Partition(p) = &o.fact
                {
                    let asked = self.unknown.get(p.topic);
                    let ignored = asked.is_some_and(|at| at.elapsed() < UNKNOWN_FOR);
                    return Ok((!ignored).then(|| p.topic.to_owned()));
                }
                if let FactView::Tick(_) = &o.fact {
                    self.fold.tick(o.observed_at.as_millis(), &self.pages)?;
                }
                Ok(None)
            });
            match read {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(topic))) => return Ok(Progress::Unknown(index, topic)),
                Ok(Err(e)) => return Err(e),
                Err(NotRead::Load(id)) => return Ok(Progress::Load(index, id)),
                Err(NotRead::Garbled(reason)) => {
                    self.garbled = self.garbled.saturating_add(1);
                    tracing::warn!(
                        shard = self.number, offset = record.offset, %reason,
                        "a record of mesh.observations can't be read and is left out"
                    );
                }
            }
            self.uncommitted = true;
            self.next_offset = Some(record.offset.saturating_add(1));
        }
        Ok(Progress::Done)
    }

    /// The log has been read up to before `next`, markers included.
    pub fn moved_to(&mut self, next: i64) {
        if self.next_offset.is_none_or(|n| n < next) {
            self.next_offset = Some(next);
            self.uncommitted = true;
        }
    }

    /// Whether there is something to commit.
    #[must_use]
    pub fn is_uncommitted(&self) -> bool {
        self.uncommitted
    }

    /// Writes state, results and offset in one batch; gives the number after the last row of the outbox.
    ///
    /// # Errors
    /// The store refuses; the shard must be opened anew then.
    pub fn commit(&mut self, shared: &Shared) -> Result<u64, FreshnessError> {
        if !self.uncommitted {
            return Ok(self.next_row);
        }
        let outputs = self.fold.take_outputs();
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for slice in outputs.slices {
            rows.entry(slice.slo.clone())
                .or_default()
                .slices
                .push(slice);
        }
        for alert in outputs.alerts {
            rows.entry(alert.slo.clone())
                .or_default()
                .alerts
                .push(alert);
        }
        let mut standings = Vec::with_capacity(outputs.touched.len());
        for (id, place) in outputs.touched {
            if let Some(standing) = self.standing(id, place)? {
                let row = rows.entry(standing.status.slo.clone()).or_default();
                row.status = Some(standing.status.clone());
                standings.push(standing);
            }
        }
        let gaps = self.changed_gaps();

        let mut batch = self.store.write();
        for (slo, mut row) in rows {
            row.slo = slo;
            row.put(self.next_row, &mut batch).map_err(|e| SavedError {
                family: outbox::FAMILY,
                what: e.to_string(),
            })?;
            self.next_row = self.next_row.saturating_add(1);
        }
        self.fold.save(|family, key, value| match value {
            Some(value) => batch.put(family.name(), key, value),
            None => batch.delete(family.name(), key),
        })?;
        if let Some(next) = self.next_offset {
            batch.set_offset(ControlTopic::Observations.name(), self.number, next);
        }
        self.store.commit(batch)?;
        self.uncommitted = false;

        let mut known = shared.standings.write();
        for standing in standings {
            known.insert(standing.status.slo.clone(), standing);
        }
        drop(known);
        show_gaps(shared, gaps);
        shared.set_folded(self.number, self.next_offset.unwrap_or(0));
        Ok(self.next_row)
    }

    /// Shows how everything stands that was restored from the store.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn show(&mut self, shared: &Shared) -> Result<(), FreshnessError> {
        let places: Vec<(u32, (usize, usize))> = (0..)
            .zip(self.fold.products())
            .flat_map(|(p, product)| {
                let tracks = (0..).zip(product.tracks());
                tracks.map(move |(t, track)| (track.id(), (p, t)))
            })
            .collect();
        for (id, place) in places {
            if let Some(standing) = self.standing(id, place)? {
                let mut known = shared.standings.write();
                known.insert(standing.status.slo.clone(), standing);
            }
        }
        let mut gaps = Vec::new();
        for product in self.fold.products() {
            for (number, p) in product.partitions() {
                let ranges = p.gaps();
                if !ranges.is_empty() {
                    let place = (product.topic().to_owned(), number);
                    self.gapped.insert(place.clone());
                    gaps.push((place, Some(gap(p, ranges))));
                }
            }
        }
        show_gaps(shared, gaps);
        shared
            .stores
            .write()
            .insert(self.number, self.store.clone());
        shared.set_folded(self.number, self.next_offset.unwrap_or(0));
        Ok(())
    }

    /// Gaps that opened, changed or closed. The usual partition has none and had none.
    fn changed_gaps(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let gapped = &mut self.gapped;
        self.fold.changed_partitions(|topic, number, p| {
            let ranges = p.gaps();
            if ranges.is_empty() && gapped.is_empty() {
                return;
            }
            let place = (topic.to_owned(), number);
            if !ranges.is_empty() {
                gapped.insert(place.clone());
                changes.push((place, Some(gap(p, ranges))));
            } else if gapped.remove(&place) {
                changes.push((place, None));
            }
        });
        changes
    }

    fn standing(
        &mut self,
        id: u32,
        place: (usize, usize),
    ) -> Result<Option<Standing>, FreshnessError> {
        let Some(status) = self.fold.status(place, &self.pages)? else {
            return Ok(None);
        };
        let product = self.fold.products().get(place.0);
        let Some(track) = product.and_then(|p| p.tracks().get(place.1)) else {
            return Ok(None);
        };
        Ok(Some(Standing {
            status,
            totals: track.totals(i64::MAX, &self.pages)?,
            shard: self.number,
            id,
            first: track.first(),
            next: track.next(),
        }))
    }
}

type Change = ((String, i32), Option<Gap>);

fn gap(p: &Partition, ranges: Vec<OffsetRange>) -> Gap {
    Gap {
        ranges,
        not_before: Timestamp::from_millis(p.known_until().unwrap_or(0)),
    }
}

fn show_gaps(shared: &Shared, changes: Vec<Change>) {
    let mut gaps = shared.gaps.lock();
    for (place, gap) in changes {
        match gap {
            Some(gap) => gaps.insert(place, gap),
            None => gaps.remove(&place),
        };
    }
}
