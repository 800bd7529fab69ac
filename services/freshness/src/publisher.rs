//! Sends a shard's outbox to Kafka: rows in order, many in one transaction. What an earlier life of the
//! shard sent is known from `mesh.slo.status`, which goes out in the same transaction as the slices and
//! alerts that lead to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::{
    Assigned, From, KafkaConfig, LogReader, OwnedOutRecord, ReaderOptions, TransactionError,
    TransactionalOptions, TransactionalProducer,
};
use meshwork_model::mesh::{SloAlert, SloSlice, SloStatus};
use meshwork_model::time::Timestamp;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshReader, MeshWriter};
use meshwork_state::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::FreshnessError;
use crate::outbox::{self, Row};

/// Most rows in one transaction.
const ROWS_MAX: usize = 2_000;
/// How long what is left may take to leave when the role ends.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);
/// Pause after a transaction that was aborted.
const PAUSE: Duration = Duration::from_millis(500);

/// Writers of what the role publishes.
#[derive(Clone, Debug)]
pub(crate) struct Writers {
    pub(crate) slices: MeshWriter<SloSlice>,
    pub(crate) statuses: MeshWriter<SloStatus>,
    pub(crate) alerts: MeshWriter<SloAlert>,
}

/// See the module.
pub(crate) struct Publisher {
    pub(crate) shard: i32,
    pub(crate) store: Store,
    pub(crate) kafka: KafkaConfig,
    pub(crate) writers: Writers,
    pub(crate) statuses: MeshReader<SloStatus>,
    pub(crate) every: Duration,
    /// Number of the row after the last that was committed.
    pub(crate) committed: watch::Receiver<u64>,
    /// Number of the row after the last that left.
    pub(crate) left: watch::Sender<u64>,
}

/// An open producer, and what was published of each SLO before.
struct Opened {
    producer: TransactionalProducer,
    published: HashMap<String, Timestamp>,
}

impl Publisher {
    /// Sends rows as they come, until the shard is closed; then what is left, within 10 s.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), FreshnessError> {
        let mut opened: Option<Opened> = None;
        let mut deadline: Option<Instant> = None;
        loop {
            let (rows, next) = self.rows().await?;
            let Some(next) = next else {
                // Nothing to send. When the shard is closed nothing more can come.
                if self.committed.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            if shutdown.is_cancelled() {
                let until = *deadline.get_or_insert_with(|| Instant::now() + DRAIN_WITHIN);
                if Instant::now() >= until {
                    tracing::warn!(
                        shard = self.shard,
                        "results are left in the outbox; they leave at the next start"
                    );
                    return Ok(());
                }
            }
            let started = Instant::now();
            let result = match opened.as_mut() {
                Some(opened) => self.send(opened, rows).await,
                None => match self.open(&shutdown).await {
                    Ok(Some(new)) => {
                        opened = Some(new);
                        continue;
                    }
                    Ok(None) => return Ok(()),
                    Err(e) => Err(e),
                },
            };
            match result {
                Ok(()) => {
                    let store = self.store.clone();
                    blocking(move || outbox::remove(&store, next)).await??;
                    self.left.send_replace(next);
                    if !shutdown.is_cancelled() {
                        let pause = self.every.saturating_sub(started.elapsed());
                        let stop = shutdown.cancelled();
                        let _ = tokio::time::timeout(pause, stop).await;
                    }
                }
                Err(FreshnessError::Publish { source, .. }) if may_repeat(&source) => {
                    tracing::warn!(
                        shard = self.shard, error = %source,
                        "results could not be written and are tried again"
                    );
                    if !matches!(source, TransactionError::Aborted { .. }) {
                        opened = None;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(e) => return Err(e),
            }
        }
    }

    async fn rows(&self) -> Result<(Vec<Row>, Option<u64>), FreshnessError> {
        let store = self.store.clone();
        Ok(blocking(move || outbox::rows(&store, ROWS_MAX)).await??)
    }

    /// Opens the producer, which shuts every earlier one of this shard out, and then reads what they
    /// published: nothing can be added to that any more.
    async fn open(&self, shutdown: &CancellationToken) -> Result<Option<Opened>, FreshnessError> {
        let id = format!("meshwork-freshness-{}", self.shard);
        let open = TransactionalProducer::open(&self.kafka, &id, TransactionalOptions::default());
        let producer = tokio::select! {
            () = shutdown.cancelled() => {
                tracing::info!(shard = self.shard, "ended before results could be written");
                return Ok(None);
            }
            opened = open => opened.map_err(|e| self.failed(e))?,
        };
        let own = Assigned {
            topic: ControlTopic::SloStatus.name().to_owned(),
            partition: self.shard,
            from: From::Beginning,
        };
        let mut log = LogReader::start(&self.kafka, vec![own], ReaderOptions::default())?;
        let mut published = HashMap::new();
        loop {
            let batch = log.next(Duration::from_secs(1)).await?;
            for record in &batch.records {
                let Some(value) = &record.value else { continue };
                match self.statuses.decode(value).await {
                    Ok(status) => {
                        published.insert(status.slo, status.as_of);
                    }
                    Err(e) => {
                        tracing::warn!(error = %e, "a record of mesh.slo.status can't be read");
                    }
                }
            }
            if batch.caught_up || shutdown.is_cancelled() {
                break;
            }
        }
        Ok(Some(Opened {
            producer,
            published,
        }))
    }

    async fn send(&self, opened: &mut Opened, rows: Vec<Row>) -> Result<(), FreshnessError> {
        let mut records = Vec::with_capacity(rows.len().saturating_mul(3));
        let mut sent = Vec::with_capacity(rows.len());
        for row in outbox::join(rows) {
            let row = match opened.published.get(&row.slo) {
                Some(as_of) => row.after(*as_of),
                None => row,
            };
            for slice in &row.slices {
                let value = self.writers.slices.encode(slice)?;
                records.push(self.record(
                    ControlTopic::SloSlices,
                    Some(self.shard),
                    &row.slo,
                    value,
                ));
            }
            for alert in &row.alerts {
                let value = self.writers.alerts.encode(alert)?;
                records.push(self.record(ControlTopic::SloAlerts, None, &row.slo, value));
            }
            if let Some(status) = &row.status {
                let value = self.writers.statuses.encode(status)?;
                records.push(self.record(
                    ControlTopic::SloStatus,
                    Some(self.shard),
                    &row.slo,
                    value,
                ));
                sent.push((row.slo, status.as_of));
            }
        }
        let committed = opened.producer.commit_all(records).await;
        committed.map_err(|e| self.failed(e))?;
        opened.published.extend(sent);
        Ok(())
    }

    fn record(
        &self,
        topic: ControlTopic,
        partition: Option<i32>,
        slo: &str,
        value: Vec<u8>,
    ) -> OwnedOutRecord {
        OwnedOutRecord {
            topic: Arc::from(topic.name()),
            partition,
            key: Some(slo.as_bytes().to_vec().into()),
            value: Some(value.into()),
            ..OwnedOutRecord::default()
        }
    }

    fn failed(&self, source: TransactionError) -> FreshnessError {
        FreshnessError::Publish {
            shard: self.shard,
            source,
        }
    }
}

/// Whether a later attempt may succeed; after a fencing none must be made.
fn may_repeat(e: &TransactionError) -> bool {
    !matches!(e, TransactionError::Fenced { .. })
}

/// Runs what blocks off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FreshnessError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| FreshnessError::Ended {
            part: "work on the store",
            said: e.to_string(),
        })
}
