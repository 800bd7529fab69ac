//! What the terminal shows while the month goes by: shared between the replay, the followers of the
//! mesh's topics and the view.

use std::collections::BTreeMap;

use meshwork_model::mesh::{SloAlert, SloStatus};
use meshwork_model::time::Timestamp;
use parking_lot::Mutex;

use crate::flights::Product;

/// The latest of everything.
#[derive(Debug, Default)]
pub(crate) struct Live {
    state: Mutex<Shown>,
}

/// A copy of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// The simulated clock.
    pub(crate) clock: Timestamp,
    /// Records published by this run and skipped as already there.
    pub(crate) published: BTreeMap<Product, u64>,
    /// Records of the breaker that were refused.
    pub(crate) refused: u64,
    /// By SLO key.
    pub(crate) statuses: BTreeMap<String, SloStatus>,
    /// In the order in which they came, by id.
    pub(crate) alerts: Vec<SloAlert>,
}

impl Live {
    pub(crate) fn clock(&self, now: Timestamp, published: Vec<(Product, u64)>, refused: u64) {
        let mut state = self.state.lock();
        state.clock = now;
        state.published.extend(published);
        state.refused = refused;
    }

    pub(crate) fn status(&self, status: SloStatus) {
        self.state
            .lock()
            .statuses
            .insert(status.slo.clone(), status);
    }

    pub(crate) fn alert(&self, alert: SloAlert) {
        let mut state = self.state.lock();
        match state.alerts.iter_mut().find(|a| a.id == alert.id) {
            Some(known) => *known = alert,
            None => state.alerts.push(alert),
        }
    }

    pub(crate) fn shown(&self) -> Shown {
        self.state.lock().clone()
    }
}
