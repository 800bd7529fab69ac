//! The fold of one shard: announcements and observations in, slices and alerts out.

use std::collections::{BTreeMap, HashMap};

use meshwork_model::mesh::alert::AlertState;
use meshwork_model::mesh::{ProductAnnouncement, SloAlert, SloSlice, SloStatus};
use meshwork_model::slo::{DailyHours, Severity, Slo};
use meshwork_model::time::{MINUTE_MS, Timestamp};

use super::alert::{AlertChange, NOT_DUE};
use super::hours::Hours;
use super::partition::Partition;
use super::product::{PARTITIONS_MAX, Product, judged};
use super::record::{FactView, ObservationView};
use super::sources::Sources;
use super::track::{Changed, PageSource, Track};
use super::{Minute, end_of, minute_from};

/// Minutes older than this at a tick are not judged any more: no window reaches back so far, and their
/// slices would be past the retention of `mesh.slo.slices`. Bounds the work of one tick.
pub(super) const BACK_MAX: Minute = 95 * 1440;

/// When minutes close and alerts resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long after a minute's end observations of it may still come, ms.
    pub lateness_ms: i64,
    /// How long after a minute's end it closes whatever is missing, ms.
    pub give_up_ms: i64,
    /// Closed minutes in a row that are false before an alert resolves.
    pub keep: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lateness_ms: 10_000,
            give_up_ms: 60_000,
            keep: 5,
        }
    }
}

/// An announcement that can't be judged by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// An SLO's numbers or hours make no sense; the others are judged.
    #[error("SLO {key} is not judged: {reason}")]
    Slo {
        /// SLO key.
        key: String,
        /// Why.
        reason: String,
    },
}

/// What became of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It was taken in.
    Counted,
    /// This (instance, epoch, sequence) was seen before.
    Repeat,
    /// No such product is announced; nothing was noted, so it may be offered again.
    UnknownTopic,
    /// A partition number out of range.
    Nonsense,
    /// A tick: hand it to [`Fold::tick`].
    Tick,
}

/// What was counted on the way; part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Observations taken in.
    pub counted: u64,
    /// Repeats.
    pub repeats: u64,
    /// Observations all of whose offsets were accounted for before.
    pub covered_before: u64,
    /// Observations of minutes that had closed.
    pub late: u64,
    /// Observations of topics that no product has.
    pub unknown: u64,
    /// Logs made anew or cut.
    pub restarted: u64,
    /// Partition numbers out of range.
    pub nonsense: u64,
    /// Ticks taken in.
    pub ticks: u64,
}

/// What closed since it was last taken.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// Closed minutes, equal neighbours in one; per SLO in order.
    pub slices: Vec<SloSlice>,
    /// Alerts that changed.
    pub alerts: Vec<SloAlert>,
    /// SLOs that have a new status, by number, with their place.
    pub touched: BTreeMap<u32, (usize, usize)>,
    /// For each SLO the place of its last run in `slices`.
    last_run: HashMap<u32, usize>,
}

impl Outputs {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty() && self.alerts.is_empty() && self.touched.is_empty()
    }

    fn slice(&mut self, track: &Track, minute: Minute, judged: super::judge::Judged) {
        let from = Timestamp::from_millis(minute.saturating_mul(MINUTE_MS));
        let last = self
            .last_run
            .get(&track.id)
            .and_then(|i| self.slices.get_mut(*i));
        if let Some(run) = last {
            let until = run.from.plus_millis(i64::from(run.minutes) * MINUTE_MS);
            if run.state == judged.state && until == from {
                run.minutes = run.minutes.saturating_add(1);
                run.worst_lag_ms = run.worst_lag_ms.max(judged.lag_ms);
                return;
            }
        }
        self.last_run.insert(track.id, self.slices.len());
        self.slices.push(SloSlice {
            slo: track.key.clone(),
            from,
            minutes: 1,
            state: judged.state,
            revision: 0,
            worst_lag_ms: judged.lag_ms,
        });
    }
}

/// The fold of one shard.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    pub(super) settings: Settings,
    pub(super) products: Vec<Product>,
    pub(super) by_topic: HashMap<String, usize>,
    pub(super) hours: Vec<Hours>,
    pub(super) hours_by_declaration: HashMap<Option<DailyHours>, usize>,
    pub(super) sources: Sources,
    pub(super) next_slo: u32,
    pub(super) last_tick: Option<i64>,
    pub(super) tally: Tally,
    pub(super) dirty_products: Vec<usize>,
    pub(super) dropped_slos: Vec<u32>,
    outputs: Outputs,
}

impl Fold {
    /// An empty fold.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// The products it follows.
    #[must_use]
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The latest tick, ms.
    #[must_use]
    pub fn last_tick(&self) -> Option<i64> {
        self.last_tick
    }

    /// The product with this topic.
    #[must_use]
    pub fn product(&self, topic: &str) -> Option<&Product> {
        self.by_topic.get(topic).and_then(|i| self.products.get(*i))
    }

    /// What closed since the last call.
    pub fn take_outputs(&mut self) -> Outputs {
        std::mem::take(&mut self.outputs)
    }

    /// Takes in an announcement. SLOs that can't be judged are told; the rest is.
    pub fn announce(&mut self, a: &ProductAnnouncement) -> Vec<FoldError> {
        let mut faults = Vec::new();
        let announced_at = a.announced_at.as_millis().max(0);
        let changed_at = a.changed_at.as_millis().max(announced_at);
        let (index, since) = if let Some(index) = self.by_topic.get(&a.topic) {
            // What was promised later counts from then.
            (*index, changed_at)
        } else {
            let index = self.products.len();
            self.products.push(Product {
                id: u32::try_from(index).unwrap_or(u32::MAX),
                urn: a.urn.clone(),
                topic: a.topic.clone(),
                domain: a.domain.clone(),
                owner: a.owner.clone(),
                status: a.status,
                announced_at,
                announced_partitions: 0,
                partitions: Vec::new(),
                tracks: Vec::new(),
                behind: None,
            });
            self.by_topic.insert(a.topic.clone(), index);
            (index, announced_at)
        };
        let mut slos: Vec<(Slo, usize)> = Vec::new();
        for declaration in a.slos.iter().filter(|_| judged(a.status)) {
            let hours = Slo::try_from(declaration)
                .map_err(|e| e.to_string())
                .and_then(|slo| Ok((self.hours_of(&slo).map_err(|e| e.to_string())?, slo)));
            match hours {
                Ok((hours, slo)) => slos.push((slo, hours)),
                Err(reason) => faults.push(FoldError::Slo {
                    key: format!("{}#{}", a.urn, declaration.id),
                    reason,
                }),
            }
        }
        let Some(product) = self.products.get_mut(index) else {
            return faults;
        };
        product.behind = None;
        product.status = a.status;
        product.domain.clone_from(&a.domain);
        product.owner.clone_from(&a.owner);
        product.announced_partitions =
            usize::try_from(a.partitions.clamp(0, PARTITIONS_MAX)).unwrap_or(0);
        let next = product.next();
        let mut tracks = std::mem::take(&mut product.tracks);
        for (slo, hours) in slos {
            let known = tracks.iter().position(|t| t.slo.id == slo.id);
            let track = if let Some(at) = known {
                let mut track = tracks.remove(at);
                track.slo = slo;
                track.hours = hours;
                track
            } else {
                let id = self.next_slo;
                self.next_slo = self.next_slo.saturating_add(1);
                let first = minute_from(since).max(next.unwrap_or(Minute::MIN));
                let key = format!("{}#{}", a.urn, slo.id);
                Track::new(id, key, slo, hours, since, first)
            };
            product.tracks.push(track);
        }
        // What is left was withdrawn.
        for track in tracks {
            withdraw(product, &track, &mut self.outputs);
            self.dropped_slos.push(track.id);
        }
        // Places may have moved.
        for (place, track) in product.tracks.iter().enumerate() {
            if let Some(touched) = self.outputs.touched.get_mut(&track.id) {
                *touched = (index, place);
            }
        }
        self.dirty_products.push(index);
        faults
    }

    pub(super) fn hours_of(&mut self, slo: &Slo) -> Result<usize, super::hours::ZoneError> {
        if let Some(known) = self.hours_by_declaration.get(&slo.hours) {
            return Ok(*known);
        }
        let hours = Hours::new(slo.hours.as_ref())?;
        self.hours.push(hours);
        let index = self.hours.len().saturating_sub(1);
        self.hours_by_declaration.insert(slo.hours.clone(), index);
        Ok(index)
    }

    /// Takes in an observation of a partition. Minutes whose time has come, and that only waited for
    /// this, close.
    ///
    /// # Errors
    /// A page can't be read. The minute may be closed in part: restore the fold from its store.
    pub fn observe<P: PageSource>(
        &mut self,
        o: &ObservationView<'_>,
        pages: &P,
    ) -> Result<Observed, P::Error> {
        let FactView::Partition(p) = &o.fact else {
            return Ok(Observed::Tick);
        };
        let index = self.by_topic.get(p.topic).copied();
        let product = index.and_then(|i| Some((i, self.products.get_mut(i)?)));
        let Some((index, product)) = product else {
            self.tally.unknown = self.tally.unknown.saturating_add(1);
            return Ok(Observed::UnknownTopic);
        };
        let number = usize::try_from(p.partition)
            .ok()
            .filter(|_| p.partition < PARTITIONS_MAX);
        let Some(number) = number else {
            self.tally.nonsense = self.tally.nonsense.saturating_add(1);
            return Ok(Observed::Nonsense);
        };
        if !self.sources.hear(o.source) {
            self.tally.repeats = self.tally.repeats.saturating_add(1);
            return Ok(Observed::Repeat);
        }
        if !p.tells_of_log() {
            // Its partition's number is a client's word: one that is not there must not be waited
            // for.
            self.tally.counted = self.tally.counted.saturating_add(1);
            return Ok(Observed::Counted);
        }
        if product.partitions.len() <= number {
            product
                .partitions
                .resize_with(number.saturating_add(1), Default::default);
            product.behind = None;
        }
        let next = product.next();
        let Some(followed) = product.partitions.get_mut(number) else {
            return Ok(Observed::Nonsense);
        };
        followed.dirty = true;
        let partition = &mut followed.partition;
        let (was_known, before) = (partition.is_known(), partition.known_until);
        let at = o.observed_at.as_millis();
        let applied = partition.apply(at, p, next.unwrap_or(Minute::MIN));
        let after = partition.known_until;
        let tally = &mut self.tally;
        tally.counted = tally.counted.saturating_add(1);
        tally.late += u64::from(applied.late);
        tally.restarted += u64::from(applied.restarted);
        tally.covered_before += u64::from(applied.covered_before);
        let Some(next) = next else {
            return Ok(Observed::Counted);
        };
        let end = Some(end_of(next));
        if !was_known {
            product.behind = None;
        }
        if before < end && end <= after {
            product.behind = product.behind.and_then(|b| b.checked_sub(1));
            if let Some(tick) = self.last_tick {
                self.close_covered(index, tick, pages)?;
            }
        }
        Ok(Observed::Counted)
    }

    /// The owner's clock had come to `at`: closes the minutes that can close.
    ///
    /// # Errors
    /// A page can't be read. The minute may be closed in part: restore the fold from its store.
    pub fn tick<P: PageSource>(&mut self, at: i64, pages: &P) -> Result<(), P::Error> {
        let at = self.last_tick.map_or(at, |last| last.max(at));
        self.last_tick = Some(at);
        self.tally.ticks = self.tally.ticks.saturating_add(1);
        let oldest = super::minute_of(at).saturating_sub(BACK_MAX);
        for index in 0..self.products.len() {
            if let Some(product) = self.products.get_mut(index)
                && product.next().is_some_and(|next| next < oldest)
            {
                skip_to(product, oldest);
            }
            self.close_covered(index, at, pages)?;
            self.give_up(index, at, pages)?;
        }
        Ok(())
    }

    /// Closes the minutes that the tick is past and that are accounted for.
    fn close_covered<P: PageSource>(
        &mut self,
        index: usize,
        tick: i64,
        pages: &P,
    ) -> Result<(), P::Error> {
        while let Some(product) = self.products.get_mut(index) {
            let Some(next) = product.next() else { break };
            let past = tick > end_of(next).saturating_add(self.settings.lateness_ms);
            if !past || !product.is_covered(next) {
                break;
            }
            self.close_minute(index, next, true, pages)?;
        }
        Ok(())
    }

    /// Closes the minutes that have waited long enough for what is missing.
    fn give_up<P: PageSource>(
        &mut self,
        index: usize,
        tick: i64,
        pages: &P,
    ) -> Result<(), P::Error> {
        let wait = self.settings.give_up_ms.max(self.settings.lateness_ms);
        while let Some(product) = self.products.get_mut(index) {
            let Some(next) = product.next() else { break };
            if tick <= end_of(next).saturating_add(wait) {
                break;
            }
            let covered = product.is_covered(next);
            self.close_minute(index, next, covered, pages)?;
        }
        Ok(())
    }

    fn close_minute<P: PageSource>(
        &mut self,
        index: usize,
        minute: Minute,
        covered: bool,
        pages: &P,
    ) -> Result<(), P::Error> {
        let Some(product) = self.products.get_mut(index) else {
            return Ok(());
        };
        let at = product.close(minute, covered);
        for i in 0..product.tracks.len() {
            let Some(track) = product.tracks.get_mut(i).filter(|t| t.next == minute) else {
                continue;
            };
            let Some(hours) = self.hours.get_mut(track.hours) else {
                continue;
            };
            let (judged, changes) = track.close(&at, hours, self.settings.keep, pages)?;
            self.outputs.slice(track, minute, judged);
            self.outputs.touched.insert(track.id, (index, i));
            let key = track.key.clone();
            for change in changes {
                self.outputs
                    .alerts
                    .push(alert(product, &key, at.end, &change));
            }
        }
        Ok(())
    }

    /// Tells topic, number and partition of each one that changed since the last save.
    pub fn changed_partitions(&self, mut tell: impl FnMut(&str, i32, &Partition)) {
        for product in &self.products {
            for (number, followed) in (0..).zip(&product.partitions) {
                if followed.dirty {
                    tell(&product.topic, number, &followed.partition);
                }
            }
        }
    }

    /// How an SLO stands.
    ///
    /// # Errors
    /// A page can't be read.
    pub fn status<P: PageSource>(
        &mut self,
        (product, track): (usize, usize),
        pages: &P,
    ) -> Result<Option<SloStatus>, P::Error> {
        let Some(product) = self.products.get(product) else {
            return Ok(None);
        };
        let Some(track) = product.tracks.get(track) else {
            return Ok(None);
        };
        let (Some(last), Some(hours)) = (track.last, self.hours.get_mut(track.hours)) else {
            return Ok(None);
        };
        let counts = track.totals(track.window_minutes(), pages)?;
        let due = track.due(hours, pages)?;
        let objective = i64::from(track.slo.objective_millionths);
        let budget = 1_000_000_i64.saturating_sub(objective).saturating_mul(due);
        let firing = track.firing();
        Ok(Some(SloStatus {
            slo: track.key.clone(),
            urn: product.urn.clone(),
            domain: product.domain.clone(),
            owner: product.owner.clone(),
            as_of: Timestamp::from_millis(track.next.saturating_mul(MINUTE_MS)),
            state: last.state,
            lag_ms: last.lag_ms,
            within_ms: track.slo.indicator.within_ms(),
            objective: i32::try_from(objective).unwrap_or(i32::MAX),
            window_ms: track.slo.window_ms,
            good: counts.good,
            bad: counts.bad,
            expected_quiet: counts.expected_quiet,
            unmeasurable: counts.unmeasurable,
            due,
            budget_millionths: budget,
            budget_left_millionths: budget.saturating_sub(counts.bad.saturating_mul(1_000_000)),
            alert: match firing {
                None => AlertState::Quiet,
                Some(f) if f.frozen => AlertState::Frozen,
                Some(_) => AlertState::Firing,
            },
            rule: firing.map(|f| f.rule.clone()),
        }))
    }
}

/// Minutes before `oldest` are left: too old to be of use.
fn skip_to(product: &mut Product, oldest: Minute) {
    product.close(oldest.saturating_sub(1), false);
    for track in product.tracks.iter_mut().filter(|t| t.next < oldest) {
        track.first = oldest;
        track.next = oldest;
        track.pages.clear();
        track.dirty = true;
    }
}

/// An SLO that is no longer promised: its alert is over.
fn withdraw(product: &Product, track: &Track, outputs: &mut Outputs) {
    outputs.touched.remove(&track.id);
    for a in &track.alerts {
        if let Some(firing) = &a.firing {
            let change = Changed {
                severity: a.severity,
                change: AlertChange::Resolved { reason: NOT_DUE },
                firing: firing.clone(),
                bad_long: 0,
                bad_short: 0,
            };
            let end = track.next.saturating_mul(MINUTE_MS);
            outputs
                .alerts
                .push(alert(product, &track.key, end, &change));
        }
    }
}

fn alert(product: &Product, key: &str, end: i64, change: &Changed) -> SloAlert {
    let at = Timestamp::from_millis(end);
    let fired_at = Timestamp::from_millis(change.firing.fired_at);
    let (state, reason) = match change.change {
        AlertChange::Fired | AlertChange::Thawed => (AlertState::Firing, None),
        AlertChange::Froze => (AlertState::Frozen, None),
        AlertChange::Resolved { reason } => (AlertState::Resolved, Some(reason.to_owned())),
    };
    let severity = match change.severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
    };
    SloAlert {
        id: format!("{key}/{severity}/{fired_at}"),
        slo: key.to_owned(),
        urn: product.urn.clone(),
        domain: product.domain.clone(),
        owner: product.owner.clone(),
        severity: change.severity,
        rule: change.firing.rule.clone(),
        state,
        at,
        fired_at,
        resolved_at: (state == AlertState::Resolved).then_some(at),
        reason,
        bad_long: change.bad_long,
        bad_short: change.bad_short,
        consumers: Vec::new(),
        upstream: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
