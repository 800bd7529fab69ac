//! Follows `_schemas` for as long as the process lives, from where the store is: what records change
//! is written together with the offset behind them, then published. A store that is of no use, or
//! whose offset the log does not reach to, is set aside and filled from the log.

mod ahead;
mod topic;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meshwork_kafka::{Assigned, From as Begin, KafkaConfig, KafkaError, LogReader, ReaderOptions};
use meshwork_state::{Opened, Store};
use meshwork_telemetry::Latch;
use tokio::task::JoinError;

use crate::record::Oddity;
use crate::service::Error;
use crate::shared::Shared;
use crate::state::{Changes, Foreign, LogWriter, State, StateError};
use crate::store::{self, StoredRows, Topic};
use ahead::{Ahead, ReadAhead, given};
pub(crate) use topic::describe;

/// Longest wait for the next batch; only how soon trouble is seen depends on it.
const WAIT: Duration = Duration::from_secs(1);

/// How often the store is told that the end of the log has been read.
const NOTE_SEEN: Duration = Duration::from_secs(60);

/// Waits between attempts to open a store that is in use, and to write to one that refuses.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_AT_MOST: Duration = Duration::from_secs(5);

/// Applies the log to the store.
pub(crate) struct Follower {
    pub(crate) kafka: KafkaConfig,
    pub(crate) shared: Arc<Shared>,
    /// Where the store is.
    pub(crate) dir: PathBuf,
    pub(crate) topic: Topic,
    /// Released once the end is reached.
    pub(crate) latch: Option<Latch>,
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) changes: Changes,
    pub(crate) foreign: Foreign,
    pub(crate) writer: Option<LogWriter>,
    applied: u64,
    skipped: Vec<(i64, Oddity)>,
}

/// Why following stops.
enum Stop {
    /// The store must be filled anew.
    Anew(String),
    /// The store refuses to be written to, for now, or could not be opened again.
    Refused(String),
    Error(Error),
}

impl From<KafkaError> for Stop {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::OffsetOutOfRange { .. } => Self::Anew(error.to_string()),
            error => Self::Error(error.into()),
        }
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        if error.is_damage() {
            Self::Anew(error.to_string())
        } else {
            Self::Error(Error::Unreadable(error))
        }
    }
}

impl From<meshwork_state::StateError> for Stop {
    fn from(error: meshwork_state::StateError) -> Self {
        match error {
            meshwork_state::StateError::Corrupt { .. } => Self::Anew(error.to_string()),
            meshwork_state::StateError::Write { .. } => Self::Refused(error.to_string()),
            error => Self::Error(error.into()),
        }
    }
}

impl Follower {
    /// Follows until an error that it can't mend.
    ///
    /// # Errors
    /// Kafka or the store can't be used.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let mut why: Option<String> = None;
        loop {
            let filling = why.is_some();
            let from = self.open(why.take()).await?;
            let mut caught_up = false;
            match self.follow(from, &mut caught_up).await {
                Stop::Error(error) => return Err(error),
                Stop::Refused(why) => return Err(Error::NoUse { why }),
                Stop::Anew(again) if filling && !caught_up => {
                    return Err(Error::NoUse { why: again });
                }
                Stop::Anew(again) => {
                    tracing::warn!(why = %again, "the registry's store is filled anew from the log");
                    drop(self.shared.close());
                    self.topic = describe(&self.kafka, &self.topic.name).await?;
                    why = Some(again);
                }
            }
        }
    }

    /// Opens the store, set aside before if `why` says so, and gives where the log is gone on with.
    async fn open(&self, why: Option<String>) -> Result<Begin, Error> {
        let mut wait = RETRY_FIRST;
        let started = Instant::now();
        let (store, opened) = loop {
            let (dir, topic) = (self.dir.clone(), self.topic.clone());
            let (shared, why) = (Arc::clone(&self.shared), why.clone());
            let opened = blocking(move || match why {
                Some(why) => Store::set_aside(&dir, &store::options(&shared.config), &why),
                None => store::open(&dir, &shared.config, &topic, now_millis()),
            })
            .await;
            match opened {
                Ok(opened) => break opened,
                // The former process on this directory may be at its end.
                Err(error @ meshwork_state::StateError::Locked { .. })
                    if started.elapsed() < self.shared.config.startup_timeout.get() =>
                {
                    tracing::warn!(%error, "registry waits for its store");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_AT_MOST);
                }
                Err(error) => return Err(error.into()),
            }
        };
        match opened {
            Opened::Existing => {}
            Opened::Created => {
                tracing::info!(dir = %self.dir.display(), "the registry's store is new and is filled from the log");
            }
            Opened::SetAside { to, why } => tracing::warn!(
                set_aside_as = %to.display(), %why, "the registry's store is filled anew from the log"
            ),
        }
        let next = store.offset(&self.topic.name, 0)?;
        let (foreign, writer) = {
            let rows = StoredRows::now(&store);
            let state = State::new(&rows);
            (state.foreign(), state.writer())
        };
        // Where even these can't be read, following stops before it begins.
        let damage = foreign.as_ref().err().or(writer.as_ref().err());
        *self.shared.damage.lock() = damage.map(ToString::to_string);
        self.shared
            .foreign
            .send_replace(foreign.unwrap_or_default());
        self.shared.log_writer.send_replace(writer.ok().flatten());
        *self.shared.store.write() = Some(store);
        self.shared.applied.send_replace(next.unwrap_or(0));
        Ok(match next {
            Some(next) if next > 0 => Begin::Offset(next),
            _ => Begin::Beginning,
        })
    }

    async fn follow(&mut self, from: Begin, caught_up: &mut bool) -> Stop {
        let stop: Result<std::convert::Infallible, Stop> = async {
            let log = Assigned {
                topic: self.topic.name.clone(),
                partition: 0,
                from,
            };
            let reader = LogReader::start(&self.kafka, vec![log], ReaderOptions::default())?;
            let mut batches = Ahead::of(reader);
            let mut in_trouble = false;
            let mut seen: Option<Instant> = None;
            let mut reached = Instant::now();
            loop {
                let read = batches.next().await?;
                let batch = &read.batch;
                match (&batch.trouble, in_trouble) {
                    (Some(trouble), false) => {
                        tracing::warn!(said = %trouble.said, "registry can't read _schemas for now");
                    }
                    (None, true) => {
                        tracing::info!("registry reads _schemas again");
                        self.still_the_same(reached.elapsed()).await?;
                    }
                    _ => {}
                }
                in_trouble = batch.trouble.is_some();
                if let Some(why) = self.shared.damage.lock().take() {
                    return Err(Stop::Anew(why));
                }
                let is_end = batch.caught_up && !in_trouble;
                self.take(read).await?;
                if is_end {
                    reached = Instant::now();
                    if seen.is_none_or(|seen| seen.elapsed() >= NOTE_SEEN) {
                        self.note_seen().await?;
                        seen = Some(reached);
                    }
                    if !*caught_up {
                        *caught_up = true;
                        self.reached_the_end();
                    }
                }
            }
        }
        .await;
        match stop {
            Err(stop) => stop,
        }
    }

    fn reached_the_end(&mut self) {
        self.shared.caught_up.store(true, Ordering::Release);
        tracing::info!(
            next = *self.shared.applied.borrow(),
            "registry has read _schemas to its end"
        );
        if let Some(latch) = self.latch.take() {
            latch.release();
        }
    }

    /// Takes a batch in. While the store refuses to be written to, a full disk say, nothing new is
    /// applied, reads go on, and it is tried again.
    async fn take(&self, read: ReadAhead) -> Result<(), Stop> {
        let Some((_, next)) = read.batch.positions.last() else {
            return Ok(());
        };
        let next = *next;
        let read = Arc::new(read);
        let mut wait = RETRY_FIRST;
        loop {
            let (shared, topic) = (Arc::clone(&self.shared), self.topic.clone());
            let read = Arc::clone(&read);
            match blocking(move || take(&shared, &topic, &read, next)).await {
                Err(Stop::Refused(why)) => {
                    if wait == RETRY_FIRST {
                        tracing::error!(%why, "registry can't keep what it reads; it goes on answering from what it has");
                    }
                    self.shared.metrics.degraded(true);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_AT_MOST);
                    let (shared, dir) = (Arc::clone(&self.shared), self.dir.clone());
                    blocking(move || reopen(&shared, &dir)).await?;
                }
                Err(stop) => return Err(stop),
                Ok(()) => {
                    self.shared.metrics.degraded(false);
                    return Ok(());
                }
            }
        }
    }

    async fn note_seen(&self) -> Result<(), Stop> {
        let shared = Arc::clone(&self.shared);
        let noted = blocking(move || match &*shared.store.read() {
            Some(store) => store::note_seen(store, now_millis()),
            None => Ok(()),
        })
        .await;
        match noted {
            // Tried again in a minute.
            Err(meshwork_state::StateError::Write { .. }) => Ok(()),
            noted => Ok(noted?),
        }
    }

    /// After a time in which nothing could be read: whether it is still the same topic, and no
    /// tombstone can have been missed.
    async fn still_the_same(&self, unseen: Duration) -> Result<(), Stop> {
        if unseen > self.topic.tombstones_stay / 2 {
            return Err(Stop::Anew(format!(
                "{} could not be read for {} minutes, and what was deleted meanwhile may be gone from there (delete.retention.ms)",
                self.topic.name,
                unseen.as_secs() / 60
            )));
        }
        match describe(&self.kafka, &self.topic.name).await {
            Ok(now) if now.id != self.topic.id => {
                Err(Stop::Anew(format!("topic {} was made anew", now.name)))
            }
            // Brokers that can't say are asked again after the next trouble.
            _ => Ok(()),
        }
    }
}

/// Once a write to RocksDB's own log has failed it takes no more of them; opened again it does.
/// Readers wait meanwhile. Not tried before the disk has space, since a store that can't be opened
/// can't be read either.
fn reopen(shared: &Shared, dir: &Path) -> Result<(), Stop> {
    /// What opening writes: the recovered part of the log, at most.
    const PROBE: usize = 8 << 20;
    let probe = dir.with_extension("probe");
    let has_space = std::fs::write(&probe, vec![0; PROBE]).is_ok();
    let _ = std::fs::remove_file(&probe);
    if !has_space {
        return Ok(());
    }
    let mut store = shared.store.write();
    // The former one must be closed first: it holds the lock.
    *store = None;
    match Store::open(dir, &store::options(&shared.config)) {
        Ok((opened, Opened::Existing)) => {
            *store = Some(opened);
            Ok(())
        }
        Ok((_, opened)) => Err(Stop::Anew(format!("found when opened again: {opened:?}"))),
        Err(error) => {
            tracing::warn!(%error, "registry can't open its store again; trying again");
            Ok(())
        }
    }
}

/// Applies records and commits what they change.
fn take(shared: &Shared, topic: &Topic, read: &ReadAhead, next: i64) -> Result<(), Stop> {
    let store = shared.store.read();
    let store = store
        .as_ref()
        .ok_or_else(|| Stop::Refused("the store is closed".to_owned()))?;
    let taken = apply(&StoredRows::now(store), read)?;
    store::commit(store, &taken.changes, topic, next)?;
    shared.metrics.applied(taken.applied);
    for (offset, oddity) in &taken.skipped {
        shared.metrics.skipped(*offset, *oddity);
    }
    shared.publish(&taken, next);
    Ok(())
}

fn apply(rows: &StoredRows<'_>, read: &ReadAhead) -> Result<Taken, StateError> {
    let mut taken = Taken::default();
    let mut state = State::new(rows);
    for (record, read) in read.batch.records.iter().zip(&read.read) {
        let applied = state.apply_read(&given(record), read)?;
        match applied {
            Ok(()) => taken.applied += 1,
            Err(oddity) => taken.skipped.push((record.offset, oddity)),
        }
    }
    taken.foreign = state.foreign()?;
    taken.writer = state.writer()?;
    taken.changes = state.into_changes();
    Ok(taken)
}

fn now_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// On a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    done(tokio::task::spawn_blocking(work).await).await
}

/// What a task came to; its panic is this task's.
async fn done<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is at its end, and nobody waits any more.
            Err(_) => std::future::pending().await,
        },
    }
}
