//! Readiness is a set of latches: each starting part holds one and releases it once it has caught
//! up. The process is ready when none is held.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// The latches of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Readiness {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    held: Mutex<Held>,
    changed: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    waiting: BTreeMap<u64, String>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Ready, until a latch is taken.
    #[must_use]
    pub fn new() -> Self {
        let (changed, _) = watch::channel(0);
        Self {
            inner: Arc::new(Inner {
                held: Mutex::new(Held::default()),
                changed,
            }),
        }
    }

    /// Holds readiness back until [`Latch::release`]. `what` is shown to whoever asks what the
    /// process waits for, such as `registry: reading _schemas`.
    pub fn latch(&self, what: impl Into<String>) -> Latch {
        let mut held = self.inner.held.lock();
        let id = held.next;
        held.next += 1;
        held.waiting.insert(id, what.into());
        self.inner.changed.send_replace(held.waiting.len());
        Latch {
            id,
            inner: Arc::clone(&self.inner),
        }
    }

    /// What the process still waits for, oldest first; empty when it is ready.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.inner.held.lock().waiting.values().cloned().collect()
    }

    /// Returns once no latch is held.
    pub async fn ready(&self) {
        let mut changed = self.inner.changed.subscribe();
        // The sender lives as long as `self`, so the wait can only end by being ready.
        let _ = changed.wait_for(|held| *held == 0).await;
    }
}

/// Holds readiness back. Dropping it releases nothing: a part that died before it caught up leaves
/// the process not ready.
#[derive(Debug)]
pub struct Latch {
    id: u64,
    inner: Arc<Inner>,
}

impl Latch {
    /// The part has caught up.
    pub fn release(self) {
        let mut held = self.inner.held.lock();
        held.waiting.remove(&self.id);
        self.inner.changed.send_replace(held.waiting.len());
    }

    /// Says anew what is waited for, such as how far a restore has come.
    pub fn progress(&self, what: impl Into<String>) {
        if let Some(text) = self.inner.held.lock().waiting.get_mut(&self.id) {
            *text = what.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_ready_once_every_latch_is_released() {
        let readiness = Readiness::new();
        let first = readiness.latch("first");
        let second = readiness.latch("second");
        first.release();
        assert_eq!(readiness.waiting(), ["second"]);
        second.progress("second, half done");
        assert_eq!(readiness.waiting(), ["second, half done"]);
        second.release();
        readiness.ready().await;
        assert!(readiness.waiting().is_empty());
    }

    #[test]
    fn a_dropped_latch_stays_held() {
        let readiness = Readiness::new();
        drop(readiness.latch("died"));
        assert_eq!(readiness.waiting(), ["died"]);
    }
}
