//! What other parts of the process may ask the freshness role, and its HTTP API.

use std::sync::Arc;

use axum::Router;
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::mesh::{SloSlice, SloStatus};
use meshwork_model::time::{MINUTE_MS, Timestamp};

use crate::core::{DAY_MINUTES, PageSource as _, Totals, minute_from, minute_of};
use crate::error::FreshnessError;
use crate::shard::StoredPages;
use crate::shared::{Shared, Standing};

/// Most minutes that one question for slices is answered with: 31 days.
pub const SLICES_MINUTES_MAX: i64 = 31 * DAY_MINUTES;

/// Asks the freshness role. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How every SLO stands, by SLO key.
    #[must_use]
    pub fn statuses(&self) -> Vec<SloStatus> {
        let standings = self.shared.standings.read();
        standings.values().map(|s| s.status.clone()).collect()
    }

    /// How one SLO stands; none where it is not known or no minute of it has closed.
    #[must_use]
    pub fn status(&self, slo: &str) -> Option<SloStatus> {
        self.standing(slo).map(|s| s.status)
    }

    /// All slices of an SLO since its announcement, counted.
    #[must_use]
    pub fn totals(&self, slo: &str) -> Option<Totals> {
        self.standing(slo).map(|s| s.totals)
    }

    /// End of the last closed minute of an SLO.
    #[must_use]
    pub fn closed_until(&self, slo: &str) -> Option<Timestamp> {
        self.standing(slo).map(|s| s.status.as_of)
    }

    /// Reading of the clock at the last poll of every partition that the shards have taken in, or, while
    /// offsets stand that nobody reported, the moment before which those were not there. A simulated
    /// clock waits for it.
    #[must_use]
    pub fn observer_progress(&self) -> Option<Timestamp> {
        self.shared.progress()
    }

    /// Closed minutes of an SLO that start from `from` to before `to`, equal neighbours in one; at most
    /// 31 days. None where the SLO is not known.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn slices(
        &self,
        slo: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Vec<SloSlice>>, FreshnessError> {
        let Some(standing) = self.standing(slo) else {
            return Ok(None);
        };
        let Some(store) = self.shared.stores.read().get(&standing.shard).cloned() else {
            return Ok(None);
        };
        let pages = StoredPages(store);
        let mut minute = minute_of(from.as_millis()).max(standing.first);
        let until = minute_from(to.as_millis())
            .min(standing.next)
            .min(minute.saturating_add(SLICES_MINUTES_MAX));
        let mut slices: Vec<SloSlice> = Vec::new();
        while minute < until {
            let day = minute.div_euclid(DAY_MINUTES);
            let end = day.saturating_add(1).saturating_mul(DAY_MINUTES).min(until);
            let page = pages.page(standing.id, day)?;
            while minute < end {
                // A day without a page has had no minute that was due.
                let at = minute.rem_euclid(DAY_MINUTES);
                let state = page
                    .as_ref()
                    .map_or(SliceState::ExpectedQuiet, |p| p.get(at));
                match slices.last_mut() {
                    Some(run) if run.state == state => run.minutes = run.minutes.saturating_add(1),
                    _ => slices.push(SloSlice {
                        slo: slo.to_owned(),
                        from: Timestamp::from_millis(minute.saturating_mul(MINUTE_MS)),
                        minutes: 1,
                        state,
                        revision: 0,
                        worst_lag_ms: None,
                    }),
                }
                minute = minute.saturating_add(1);
            }
        }
        Ok(Some(slices))
    }

    /// `GET /v1/slos`, `GET /v1/slos/{urn}/{id}` and `GET /v1/slos/{urn}/{id}/slices`.
    pub fn routes(&self) -> Router {
        crate::http::routes(self.clone())
    }

    pub(crate) fn standings(&self) -> Vec<Standing> {
        self.shared.standings.read().values().cloned().collect()
    }

    pub(crate) fn standing(&self, slo: &str) -> Option<Standing> {
        self.shared.standings.read().get(slo).cloned()
    }
}
