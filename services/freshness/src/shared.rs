//! What the role's parts and its [`Handle`](crate::Handle) share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use meshwork_model::mesh::SloStatus;
use meshwork_model::mesh::observation::OffsetRange;
use meshwork_model::time::Timestamp;
use meshwork_state::Store;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::core::{Minute, Totals};

/// How an SLO stands, and where its slices are.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) status: SloStatus,
    /// All its slices, from the first on.
    pub(crate) totals: Totals,
    pub(crate) shard: i32,
    pub(crate) id: u32,
    pub(crate) first: Minute,
    pub(crate) next: Minute,
}

/// Offsets of one partition that no observation accounts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) ranges: Vec<OffsetRange>,
    /// They came after this moment.
    pub(crate) not_before: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Shared {
    pub(crate) standings: RwLock<BTreeMap<String, Standing>>,
    pub(crate) stores: RwLock<BTreeMap<i32, Store>>,
    pub(crate) gaps: Mutex<BTreeMap<(String, i32), Gap>>,
    folded: Mutex<BTreeMap<i32, i64>>,
    moved: Notify,
    /// Stamp of the latest poll that the shards have; `i64::MIN`: none.
    polled: AtomicI64,
    /// Up to when offsets that stand unreported were not there; `i64::MAX`: there are none.
    held: AtomicI64,
}

impl Shared {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            polled: AtomicI64::new(i64::MIN),
            held: AtomicI64::new(i64::MAX),
            ..Self::default()
        }
    }

    /// A shard has folded its log up to before `next`.
    pub(crate) fn set_folded(&self, shard: i32, next: i64) {
        self.folded.lock().insert(shard, next);
        self.moved.notify_waiters();
    }

    /// Returns once a shard has folded the record at `offset`.
    pub(crate) async fn folded(&self, shard: i32, offset: i64) {
        loop {
            let moved = self.moved.notified();
            if self.folded.lock().get(&shard).is_some_and(|n| *n > offset) {
                return;
            }
            moved.await;
        }
    }

    pub(crate) fn set_progress(&self, at: Timestamp) {
        self.polled.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn set_held(&self, at: Option<Timestamp>) {
        let at = at.map_or(i64::MAX, Timestamp::as_millis);
        self.held.store(at, Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> Option<Timestamp> {
        let at = self.polled.load(Ordering::Relaxed);
        let held = self.held.load(Ordering::Relaxed);
        (at != i64::MIN).then(|| Timestamp::from_millis(at.min(held)))
    }

    /// Forgets what belongs to stores that are closed.
    pub(crate) fn close(&self) {
        self.stores.write().clear();
        self.gaps.lock().clear();
        self.folded.lock().clear();
    }
}
