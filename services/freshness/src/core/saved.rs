//! The fold as keys and values: what changed since the last save, and reading it all back. The forms are
//! of the store's format number; a changed form needs a new number.

use meshwork_model::mesh::announcement::{ProductStatus, SloDeclaration};
use meshwork_model::mesh::observation::OffsetRange;
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::name::Urn;
use meshwork_model::slo::{Severity, Slo};
use serde::{Deserialize, Serialize};

use super::alert::{Alert, Firing};
use super::coverage::Coverage;
use super::fold::{Fold, Settings, Tally};
use super::judge::Judged;
use super::partition::{Partition, Poll, Seen};
use super::product::{Followed, PARTITIONS_MAX, Product};
use super::sources::Heard;
use super::track::Track;

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

// Numbers are big-endian; an optional one is a byte 0 or 1 and the number; a list is a u32 and its
// members.

fn put_i64(out: &mut Vec<u8>, n: i64) {
    out.extend_from_slice(&n.to_be_bytes());
}

fn put_option(out: &mut Vec<u8>, n: Option<i64>) {
    out.push(u8::from(n.is_some()));
    if let Some(n) = n {
        put_i64(out, n);
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn i64(&mut self) -> Option<i64> {
        self.bytes(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn option(&mut self) -> Option<Option<i64>> {
        if self.flag()? {
            self.i64().map(Some)
        } else {
            Some(None)
        }
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.u32()?).ok()?;
        let bytes = self.bytes(len)?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    /// A list whose members have at least `least` bytes, so that a garbled length allocates nothing.
    fn list<T>(
        &mut self,
        least: usize,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let len = usize::try_from(self.u32()?).ok()?;
        if len.checked_mul(least)? > self.0.len() {
            return None;
        }
        (0..len).map(|_| read(self)).collect()
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn write_partition(out: &mut Vec<u8>, p: &Partition) {
    out.push(u8::from(p.topic_id.is_some()));
    if let Some(id) = &p.topic_id {
        put_text(out, id);
    }
    put_len(out, p.coverage.ranges().len());
    for range in p.coverage.ranges() {
        put_i64(out, range.from);
        put_i64(out, range.until);
    }
    put_option(out, p.watermark);
    put_option(out, p.maybe);
    put_option(out, p.known_until);
    put_len(out, usize::from(p.latest.is_some()));
    for poll in p.latest.iter() {
        put_i64(out, poll.end);
        put_i64(out, poll.at);
    }
    put_len(out, p.polls.len());
    for poll in &p.polls {
        put_i64(out, poll.end);
        put_i64(out, poll.at);
    }
    put_len(out, p.open.len());
    for (minute, seen) in &p.open {
        put_i64(out, *minute);
        put_option(out, seen.greatest);
        put_option(out, seen.maybe);
        out.push(u8::from(seen.delays));
        put_option(out, seen.delay_most);
        put_option(out, seen.delay_sure);
    }
}

fn read_partition(value: &[u8]) -> Option<Partition> {
    let r = &mut Reader(value);
    let topic_id = if r.flag()? { Some(r.text()?) } else { None };
    let ranges = r.list(16, |r| {
        Some(OffsetRange {
            from: r.i64()?,
            until: r.i64()?,
        })
    })?;
    let mut coverage = Coverage::default();
    for range in ranges {
        coverage.add(range);
    }
    let poll = |r: &mut Reader<'_>| {
        Some(Poll {
            end: r.i64()?,
            at: r.i64()?,
        })
    };
    let read = Partition {
        topic_id,
        coverage,
        watermark: r.option()?,
        maybe: r.option()?,
        known_until: r.option()?,
        latest: r.list(16, poll)?.first().copied(),
        polls: r.list(16, poll)?,
        open: r
            .list(13, |r| {
                let minute = r.i64()?;
                let seen = Seen {
                    greatest: r.option()?,
                    maybe: r.option()?,
                    delays: r.flag()?,
                    delay_most: r.option()?,
                    delay_sure: r.option()?,
                };
                Some((minute, seen))
            })?
            .into(),
    };
    r.end()?;
    Some(read)
}

fn write_track(out: &mut Vec<u8>, t: &Track) {
    for minute in [t.first, t.next, t.last_bad, t.last_unmeasurable] {
        put_i64(out, minute);
    }
    put_len(out, usize::from(t.last.is_some()));
    for judged in t.last.iter() {
        out.push(state_code(judged.state));
        put_option(out, judged.lag_ms);
    }
    put_len(out, t.alerts.len());
    for alert in &t.alerts {
        out.push(u8::from(alert.severity == Severity::Ticket));
        put_len(out, usize::from(alert.firing.is_some()));
        for firing in alert.firing.iter() {
            put_i64(out, firing.fired_at);
            put_text(out, &firing.rule);
            put_i64(out, i64::from(firing.false_minutes));
            out.push(u8::from(firing.frozen));
        }
    }
}

fn read_track(value: &[u8], t: &mut Track) -> Option<()> {
    let r = &mut Reader(value);
    t.first = r.i64()?;
    t.next = r.i64()?;
    t.last_bad = r.i64()?;
    t.last_unmeasurable = r.i64()?;
    let last = r.list(2, |r| {
        Some(Judged {
            state: state_of(r.byte()?)?,
            lag_ms: r.option()?,
        })
    })?;
    t.last = last.first().copied();
    t.alerts = r.list(5, |r| {
        let severity = if r.flag()? {
            Severity::Ticket
        } else {
            Severity::Page
        };
        let firing = r.list(21, |r| {
            Some(Firing {
                fired_at: r.i64()?,
                rule: r.text()?,
                false_minutes: u32::try_from(r.i64()?).ok()?,
                frozen: r.flag()?,
            })
        })?;
        Some(Alert {
            severity,
            firing: firing.into_iter().next(),
        })
    })?;
    r.end()
}

const fn state_code(state: SliceState) -> u8 {
    match state {
        SliceState::ExpectedQuiet => 0,
        SliceState::Good => 1,
        SliceState::Bad => 2,
        SliceState::Unmeasurable => 3,
    }
}

const fn state_of(code: u8) -> Option<SliceState> {
    match code {
        0 => Some(SliceState::ExpectedQuiet),
        1 => Some(SliceState::Good),
        2 => Some(SliceState::Bad),
        3 => Some(SliceState::Unmeasurable),
        _ => None,
    }
}

fn write_heard(out: &mut Vec<u8>, h: &Heard) {
    put_i64(out, h.greatest);
    out.extend_from_slice(&h.order.to_be_bytes());
    for word in h.bits {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn read_heard(value: &[u8]) -> Option<Heard> {
    let r = &mut Reader(value);
    let greatest = r.i64()?;
    let order = r.u64()?;
    let mut bits = [0; 8];
    for word in &mut bits {
        *word = r.u64()?;
    }
    r.end()?;
    Some(Heard {
        greatest,
        bits,
        order,
        dirty: false,
    })
}
