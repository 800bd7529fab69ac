//! What the reader fills, the writer decides on, and handlers answer from.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::config::Config;
use crate::metrics::RegistryMetrics;
use crate::state::State;
use crate::texts::Texts;

/// Shared by all parts of one registry.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Held for as long as one request or one record takes, never across a wait.
    pub(crate) state: RwLock<State>,
    pub(crate) texts: Texts,
    /// The log is applied up to here: the next offset.
    pub(crate) applied: watch::Sender<i64>,
    /// Whether the log has been read to what was its end at the start.
    pub(crate) caught_up: AtomicBool,
    pub(crate) cluster_id: OnceLock<String>,
    pub(crate) metrics: RegistryMetrics,
}

impl Shared {
    pub(crate) fn new(config: Config, metrics: RegistryMetrics) -> Self {
        Self {
            config,
            state: RwLock::new(State::new()),
            texts: Texts::default(),
            applied: watch::Sender::new(0),
            caught_up: AtomicBool::new(false),
            cluster_id: OnceLock::new(),
            metrics,
        }
    }

    /// Returns once the record at `offset` is applied.
    pub(crate) async fn applied(&self, offset: i64) {
        let mut applied = self.applied.subscribe();
        // The sender lives as long as `self`.
        let _ = applied.wait_for(|next| *next > offset).await;
    }
}
