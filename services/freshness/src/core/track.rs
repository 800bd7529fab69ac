//! One SLO over time: its closed minutes as pages, its budget, its alerts.

use std::collections::VecDeque;

use meshwork_model::mesh::slice::SliceState;
use meshwork_model::slo::{Cadence, Indicator, Severity, Slo};
use meshwork_model::time::MINUTE_MS;

use super::alert::{Alert, AlertChange, Firing};
use super::hours::Hours;
use super::judge::{AtEnd, Judged, judge};
use super::page::{Counts, DAY_MINUTES, Page};
use super::rules::{RULES, Truth};
use super::{Minute, end_of};

/// D of an SLO without a schedule is at least this.
pub(super) const LEAST_DUE: i64 = 1_000;

/// Where pages are that are no longer in memory.
pub trait PageSource {
    /// Why one can't be read.
    type Error;

    /// The page of a day, if there is one.
    ///
    /// # Errors
    /// It can't be read.
    fn page(&self, slo: u32, day: i64) -> Result<Option<Page>, Self::Error>;
}

/// No pages but those in memory.
#[derive(Clone, Copy, Debug)]
pub struct NoPages;

impl PageSource for NoPages {
    type Error = std::convert::Infallible;

    fn page(&self, _: u32, _: i64) -> Result<Option<Page>, Self::Error> {
        Ok(None)
    }
}

/// Slices counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Good.
    pub good: i64,
    /// Bad.
    pub bad: i64,
    /// Nothing was due.
    pub expected_quiet: i64,
    /// Due and not known.
    pub unmeasurable: i64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Track {
    pub(super) id: u32,
    pub(super) key: String,
    pub(super) slo: Slo,
    /// From when lag counts before the first record, ms.
    pub(super) since: i64,
    pub(super) hours: usize,
    /// First minute that is judged.
    pub(super) first: Minute,
    /// First minute that is not closed.
    pub(super) next: Minute,
    /// Pages in memory, by day: those not yet saved and the latest two.
    pub(super) pages: VecDeque<Recent>,
    pub(super) last_bad: Minute,
    pub(super) last_unmeasurable: Minute,
    pub(super) alerts: Vec<Alert>,
    pub(super) last: Option<Judged>,
    pub(super) dirty: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Recent {
    pub(super) day: i64,
    pub(super) page: Page,
    pub(super) dirty: bool,
}

/// An alert that changed in a closed minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// How loud.
    pub severity: Severity,
    /// What happened.
    pub change: AlertChange,
    /// The alert.
    pub firing: Firing,
    /// Bad minutes in the long window.
    pub bad_long: i64,
    /// Bad minutes in the short window.
    pub bad_short: i64,
}

impl Track {
    pub(super) fn new(
        id: u32,
        key: String,
        slo: Slo,
        hours: usize,
        since: i64,
        first: Minute,
    ) -> Self {
        Self {
            id,
            key,
            slo,
            since,
            hours,
            first,
            next: first,
            pages: VecDeque::new(),
            last_bad: Minute::MIN,
            last_unmeasurable: Minute::MIN,
            alerts: Vec::new(),
            last: None,
            dirty: true,
        }
    }

    /// Its number in the shard's store.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// SLO key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is promised.
    #[must_use]
    pub fn slo(&self) -> &Slo {
        &self.slo
    }

    /// First minute that is judged.
    #[must_use]
    pub fn first(&self) -> Minute {
        self.first
    }

    /// First minute that is not closed.
    #[must_use]
    pub fn next(&self) -> Minute {
        self.next
    }

    /// The verdict on the last closed minute.
    #[must_use]
    pub fn last(&self) -> Option<Judged> {
        self.last
    }

    /// The alert that has not resolved, the loudest first.
    #[must_use]
    pub fn firing(&self) -> Option<&Firing> {
        let mut firing: Vec<&Alert> = self.alerts.iter().filter(|a| a.firing.is_some()).collect();
        firing.sort_by_key(|a| a.severity);
        firing.first().and_then(|a| a.firing.as_ref())
    }

    /// Closes the minute `next`, whose end `at` describes.
    pub(super) fn close<P: PageSource>(
        &mut self,
        at: &AtEnd,
        hours: &mut Hours,
        keep: u32,
        pages: &P,
    ) -> Result<(Judged, Vec<Changed>), P::Error> {
        let minute = self.next;
        let judged = judge(&self.slo, hours.due(minute), self.since, at);
        let day = minute.div_euclid(DAY_MINUTES);
        self.open_page(day, pages)?;
        if let Some(recent) = self.pages.back_mut() {
            recent
                .page
                .set(minute.rem_euclid(DAY_MINUTES), judged.state);
            recent.dirty = true;
        }
        match judged.state {
            SliceState::Bad => self.last_bad = minute,
            SliceState::Unmeasurable => self.last_unmeasurable = minute,
            SliceState::Good | SliceState::ExpectedQuiet => {}
        }
        self.next = minute.saturating_add(1);
        self.last = Some(judged);
        self.dirty = true;
        let changed = self.evaluate(end_of(minute), hours, keep, pages)?;
        Ok((judged, changed))
    }

    /// Makes the page of `day` the last one in memory.
    fn open_page<P: PageSource>(&mut self, day: i64, pages: &P) -> Result<(), P::Error> {
        if self.pages.back().is_some_and(|r| r.day == day) {
            return Ok(());
        }
        let page = match pages.page(self.id, day)? {
            Some(page) => page,
            None => Page::new(self.counts_before(day.saturating_mul(DAY_MINUTES), pages)?),
        };
        self.pages.push_back(Recent {
            day,
            page,
            dirty: false,
        });
        Ok(())
    }

    /// Drops saved pages from memory but for the latest two.
    pub(super) fn trim_pages(&mut self) {
        while self.pages.len() > 2 && self.pages.front().is_some_and(|r| !r.dirty) {
            self.pages.pop_front();
        }
    }

    /// Slices before a minute, from the first on.
    fn counts_before<P: PageSource>(&self, minute: Minute, pages: &P) -> Result<Counts, P::Error> {
        let minute = minute.clamp(self.first, self.next);
        if minute == self.first {
            return Ok(Counts::default());
        }
        let last = minute.saturating_sub(1);
        let day = last.div_euclid(DAY_MINUTES);
        let upto = last.rem_euclid(DAY_MINUTES).saturating_add(1);
        if let Some(recent) = self.pages.iter().rev().find(|r| r.day == day) {
            return Ok(recent.page.counts_before(upto));
        }
        let page = pages.page(self.id, day)?;
        Ok(page.map_or_else(Counts::default, |p| p.counts_before(upto)))
    }

    /// Slices of the last `minutes` closed minutes.
    ///
    /// # Errors
    /// A page can't be read.
    pub fn window<P: PageSource>(&self, minutes: i64, pages: &P) -> Result<Counts, P::Error> {
        let until = self.counts_before(self.next, pages)?;
        let from = self.counts_before(self.next.saturating_sub(minutes), pages)?;
        Ok(until.minus(from))
    }

    /// All its slices, from the first on, of at most the last `minutes`.
    ///
    /// # Errors
    /// A page can't be read.
    pub fn totals<P: PageSource>(&self, minutes: i64, pages: &P) -> Result<Totals, P::Error> {
        let counts = self.window(minutes, pages)?;
        let closed = self.next.saturating_sub(self.first).min(minutes);
        Ok(Totals {
            good: i64::from(counts.good()),
            bad: i64::from(counts.bad),
            expected_quiet: closed.saturating_sub(i64::from(counts.due)).max(0),
            unmeasurable: i64::from(counts.unmeasurable),
        })
    }

    /// Minutes of the objective's period.
    #[must_use]
    pub fn window_minutes(&self) -> i64 {
        self.slo.window_ms / MINUTE_MS
    }

    /// D: slices that the schedule makes due in the period that ends with the last closed minute,
    /// whether or not the product existed. Without a schedule: those in which records came, at least
    /// [`LEAST_DUE`].
    ///
    /// # Errors
    /// A page can't be read.
    pub fn due<P: PageSource>(&self, hours: &mut Hours, pages: &P) -> Result<i64, P::Error> {
        let window = self.window_minutes();
        let scheduled = matches!(self.slo.indicator, Indicator::Freshness { .. })
            && self.slo.cadence != Cadence::Event;
        if scheduled {
            Ok(hours.due_between(self.next.saturating_sub(window), self.next))
        } else {
            Ok(i64::from(self.window(window, pages)?.due).max(LEAST_DUE))
        }
    }

    fn evaluate<P: PageSource>(
        &mut self,
        end: i64,
        hours: &mut Hours,
        keep: u32,
        pages: &P,
    ) -> Result<Vec<Changed>, P::Error> {
        let longest = RULES.iter().map(|r| r.long).max().unwrap_or(0);
        let quiet_since = self.next.saturating_sub(longest);
        let calm = self.last_bad < quiet_since && self.last_unmeasurable < quiet_since;
        if calm && self.alerts.iter().all(|a| a.firing.is_none()) {
            return Ok(Vec::new());
        }
        let due = self.due(hours, pages)?;
        let mut changes = Vec::new();
        for severity in [Severity::Page, Severity::Ticket] {
            let mut joined = Truth::False;
            let mut rule = None;
            let mut good = false;
            for candidate in RULES
                .iter()
                .filter(|r| r.severity.max(self.slo.severity) == severity)
            {
                let long = self.window(candidate.long, pages)?;
                let short = self.window(candidate.short, pages)?;
                let truth = candidate.holds(self.slo.objective_millionths, due, long, short);
                good |= short.good() > 0;
                if rule.is_none() || truth > joined {
                    rule = Some((candidate.name, i64::from(long.bad), i64::from(short.bad)));
                }
                joined = joined.max(truth);
            }
            let Some((name, bad_long, bad_short)) = rule else {
                continue;
            };
            let at = match self.alerts.iter().position(|a| a.severity == severity) {
                Some(at) => at,
                None if joined == Truth::True => {
                    self.alerts.push(Alert::new(severity));
                    self.alerts.len().saturating_sub(1)
                }
                None => continue,
            };
            if let Some(alert) = self.alerts.get_mut(at)
                && let Some((change, firing)) = alert.step(joined, name, end, keep, good)
            {
                changes.push(Changed {
                    severity,
                    change,
                    firing,
                    bad_long,
                    bad_short,
                });
            }
        }
        Ok(changes)
    }
}
