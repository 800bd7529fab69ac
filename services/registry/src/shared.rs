//! What the reader fills, the writer decides on, and handlers answer from.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use meshwork_state::Store;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};

use crate::config::Config;
use crate::content::Content;
use crate::metrics::RegistryMetrics;
use crate::recent::Recent;
use crate::refusal::{Code, Refusal};
use crate::standing::Standing;
use crate::state::{Contents, Foreign, LogWriter, State};
use crate::store::StoredRows;
use crate::texts::Texts;

/// Long reads at once, each on a thread of its own; more wait.
const APART_AT_ONCE: usize = 4;

/// Shared by all parts of one registry.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Where other instances reach this one.
    pub(crate) url: String,
    /// Name of this instance.
    pub(crate) instance: Arc<str>,
    /// Largest record that may be written, key and value, bytes.
    record_limit: AtomicUsize,
    /// Whether this instance writes.
    pub(crate) standing: watch::Sender<Standing>,
    /// None before it is opened, while it is made anew, and after the end. Held for as long as one
    /// request or one batch of records takes, never across a wait.
    pub(crate) store: RwLock<Option<Store>>,
    pub(crate) texts: Texts,
    contents: Recent<Arc<Content>>,
    /// The plain answers to "schema by id".
    pub(crate) answers: Recent<Bytes>,
    /// The log is applied up to here: the next offset.
    pub(crate) applied: watch::Sender<i64>,
    /// Records that others wrote, as of `applied`.
    pub(crate) foreign: watch::Sender<Foreign>,
    /// Who writes, as of `applied`.
    pub(crate) log_writer: watch::Sender<Option<LogWriter>>,
    /// Whether the log has been read to what was its end at the start.
    pub(crate) caught_up: AtomicBool,
    /// Why the store can't be gone on with, until the reader has made it anew.
    pub(crate) damage: Mutex<Option<String>>,
    apart: Semaphore,
    pub(crate) cluster_id: OnceLock<String>,
    pub(crate) metrics: RegistryMetrics,
}

impl Shared {
    pub(crate) fn new(config: Config, address: SocketAddr, metrics: RegistryMetrics) -> Self {
        let url = config
            .advertised_url
            .clone()
            .unwrap_or_else(|| match config.tls {
                Some(_) => format!("https://{address}"),
                None => format!("http://{address}"),
            });
        let instance = config.instance.clone().unwrap_or_else(|| {
            let after = url.split_once("://").map_or(&*url, |(_, rest)| rest);
            after.trim_end_matches('/').to_owned()
        });
        Self {
            record_limit: AtomicUsize::new(config.max_record_bytes),
            instance: instance.into(),
            url,
            standing: watch::Sender::new(Standing::Waiting),
            store: RwLock::new(None),
            texts: Texts::default(),
            contents: Recent::new(config.contents_cache.get()),
            answers: Recent::new(config.answers_cache.get()),
            applied: watch::Sender::new(0),
            foreign: watch::Sender::new(Foreign::default()),
            log_writer: watch::Sender::new(None),
            caught_up: AtomicBool::new(false),
            damage: Mutex::new(None),
            apart: Semaphore::new(APART_AT_ONCE),
            cluster_id: OnceLock::new(),
            config,
            metrics,
        }
    }

    /// Returns once the record at `offset` is applied.
    pub(crate) async fn applied(&self, offset: i64) {
        let mut applied = self.applied.subscribe();
        // The sender lives as long as `self`.
        let _ = applied.wait_for(|next| *next > offset).await;
    }

    /// The plain answer to "schema by id", if it is ready.
    pub(crate) fn kept_answer(&self, context: &str, id: i32) -> Option<Bytes> {
        // What is kept is forgotten together with the store that it was made of.
        self.answers.get(context, id)
    }

    /// The last offset that the state of this moment shows, which may be ahead of what is published.
    pub(crate) fn shown(&self) -> i64 {
        let stored = self.store.read().as_ref().and_then(|store| {
            let next = store.offset(&self.config.topic, 0);
            next.ok().flatten()
        });
        stored.unwrap_or(0).max(*self.applied.borrow()) - 1
    }

    /// Largest record that may be written, key and value, bytes.
    pub(crate) fn record_limit(&self) -> usize {
        self.record_limit.load(Ordering::Relaxed)
    }

    /// What the topic takes may be less than what is configured.
    pub(crate) fn limit_records(&self, bytes: usize) {
        let limit = bytes.min(self.config.max_record_bytes);
        self.record_limit.store(limit, Ordering::Relaxed);
    }

    /// Offset of the newest record of others, if it is at `since` or behind.
    pub(crate) fn foreign_since(&self, since: i64) -> Option<i64> {
        Some(self.foreign.borrow().newest).filter(|newest| *newest >= since)
    }

    /// Returns once others have written at `since` or behind: the offset.
    pub(crate) async fn foreign_from(&self, since: i64) -> i64 {
        let mut foreign = self.foreign.subscribe();
        // The sender lives as long as `self`.
        let _ = foreign.wait_for(|foreign| foreign.newest >= since).await;
        self.foreign.borrow().newest
    }

    /// As [`Self::read`], with a state that records may be laid over.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn draft<T>(
        &self,
        ask: impl FnOnce(State<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with_state(|state, _| ask(state))
    }

    /// Asks the state of this moment.
    ///
    /// # Errors
    /// The refusal; 50001 where the store can't be read, 50004 while there is none.
    pub(crate) fn read<T>(
        &self,
        ask: impl FnOnce(&State<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.read_published(|state, _| ask(state))
    }

    /// As [`Self::read`]; also tells the offset up to which the state is at least applied, for what
    /// is made of it to be kept in a [`Recent`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_published<T>(
        &self,
        ask: impl FnOnce(&State<'_>, i64) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with_state(|state, published| ask(&state, published))
    }

    fn with_state<T>(
        &self,
        ask: impl FnOnce(State<'_>, i64) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let store = self.store.read();
        let Some(store) = store
            .as_ref()
            .filter(|_| self.caught_up.load(Ordering::Acquire))
        else {
            return Err(still_reading());
        };
        let published = *self.applied.borrow();
        let rows = StoredRows::now(store);
        let state = State::new(&rows).with_contents(Contents {
            recent: &self.contents,
            published,
        });
        let answer = ask(state, published);
        if let Err(refusal) = &answer
            && refusal.code == Code::StoreDamaged
        {
            self.damage
                .lock()
                .get_or_insert_with(|| refusal.message.clone());
        }
        answer
    }

    /// As [`Self::read`], for what may take long: on a thread where nobody waits for the next
    /// request.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) async fn read_apart<T, F>(self: &Arc<Self>, ask: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&State<'_>) -> Result<T, Refusal> + Send + 'static,
    {
        // Never closed.
        let _permit = self.apart.acquire().await;
        let shared = Arc::clone(self);
        match tokio::task::spawn_blocking(move || shared.read(ask)).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(still_reading()),
            },
        }
    }

    /// Forgets what was made of the ids that `changes` touches, and publishes the offset behind.
    pub(crate) fn publish(&self, applied: &crate::reader::Taken, next: i64) {
        let changes = &applied.changes;
        self.answers.changed(changes.touched.iter(), next);
        self.contents.changed(changes.released.iter(), next);
        if changes.referenced_gone {
            self.texts.clear();
        }
        self.foreign.send_if_modified(|foreign| {
            std::mem::replace(foreign, applied.foreign) != applied.foreign
        });
        self.log_writer.send_if_modified(|writer| {
            let changed = *writer != applied.writer;
            if changed {
                writer.clone_from(&applied.writer);
            }
            changed
        });
        self.applied.send_replace(next);
    }

    /// Takes the store out, once the last request has done with it.
    pub(crate) fn close(&self) -> Option<Store> {
        let mut store = self.store.write();
        self.caught_up.store(false, Ordering::Release);
        let closed = store.take();
        // No one is at work on an older state now.
        self.answers.clear();
        self.contents.clear();
        self.texts.clear();
        closed
    }
}

fn still_reading() -> Refusal {
    Refusal::new(
        Code::NoWriter,
        "the registry is still reading _schemas; ask again in a moment",
    )
}
