//! Runs one shard: takes in what is read, commits, and keeps the outbox from growing without end. The
//! work itself is done on blocking threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::InRecord;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::topic::partition_for_key;
use meshwork_registry_client::RegistryClient;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::announced::{Announced, Chase};
use crate::decoder::Decoder;
use crate::error::FreshnessError;
use crate::publisher::blocking;
use crate::shard::{Progress, Shard};
use crate::shared::Shared;

/// Least time between two commits. A commit costs some ten microseconds; results wait for the publisher
/// anyway.
const COMMIT_EVERY: Duration = Duration::from_millis(20);
/// The same while more is waiting to be read: what changes again and again is written once.
const COMMIT_EVERY_BEHIND: Duration = Duration::from_millis(200);
/// Rows that may wait in the outbox; the shard stops reading beyond.
const ROWS_WAITING_MAX: u64 = 50_000;
/// How long an observation of an unknown topic waits for the catalog to be read to its end.
const CATALOG_WITHIN: Duration = Duration::from_secs(5);
/// Pause before the registry is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What was read of one partition.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<InRecord>,
    /// Offset after the last, markers included.
    pub(crate) next: Option<i64>,
}

/// See the module.
pub(crate) struct Worker {
    pub(crate) shards: i32,
    pub(crate) registry: RegistryClient,
    pub(crate) decoder: Decoder,
    pub(crate) announced: Announced,
    pub(crate) chase: Chase,
    pub(crate) shared: Arc<Shared>,
    /// Changes with each announcement.
    pub(crate) version: watch::Receiver<u64>,
    pub(crate) committed: watch::Sender<u64>,
    pub(crate) left: watch::Receiver<u64>,
}

impl Worker {
    /// Runs until nothing more is read.
    pub(crate) async fn run(
        mut self,
        mut shard: Shard,
        mut batches: mpsc::Receiver<Batch>,
    ) -> Result<(), FreshnessError> {
        let mut applied: HashMap<String, Arc<ProductAnnouncement>> = HashMap::new();
        shard = self.refresh(shard, &mut applied).await?;
        shard = self.commit(shard).await?;
        // Rows of an earlier life may wait.
        self.committed.send_modify(|_| {});
        let mut last = Instant::now();
        let mut follows = true;
        loop {
            let every = if batches.is_empty() {
                COMMIT_EVERY
            } else {
                COMMIT_EVERY_BEHIND
            };
            let due = last + every;
            tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => shard = self.take(shard, batch, &mut applied).await?,
                    None => break,
                },
                changed = self.version.changed(), if follows => {
                    follows = changed.is_ok();
                    shard = self.refresh(shard, &mut applied).await?;
                }
                () = tokio::time::sleep_until(due), if shard.is_uncommitted() => {}
            }
            if shard.is_uncommitted() && Instant::now() >= due {
                shard = self.commit(shard).await?;
                last = Instant::now();
            }
        }
        self.commit(shard).await?;
        Ok(())
    }

    /// Takes in the announcements of this shard's products that are new.
    async fn refresh(
        &self,
        mut shard: Shard,
        applied: &mut HashMap<String, Arc<ProductAnnouncement>>,
    ) -> Result<Shard, FreshnessError> {
        let number = shard.number();
        let new: Vec<Arc<ProductAnnouncement>> = self
            .announced
            .all()
            .into_iter()
            .filter(|a| partition_for_key(a.topic.as_bytes(), self.shards) == number)
            .filter(|a| {
                applied
                    .get(&a.topic)
                    .is_none_or(|known| !Arc::ptr_eq(known, a))
            })
            .collect();
        if new.is_empty() {
            return Ok(shard);
        }
        for announcement in &new {
            applied.insert(announcement.topic.clone(), Arc::clone(announcement));
        }
        blocking(move || {
            for announcement in &new {
                shard.announce(announcement);
            }
            shard
        })
        .await
    }

    async fn take(
        &self,
        mut shard: Shard,
        batch: Batch,
        applied: &mut HashMap<String, Arc<ProductAnnouncement>>,
    ) -> Result<Shard, FreshnessError> {
        let records = Arc::new(batch.records);
        let mut from = 0;
        loop {
            let theirs = Arc::clone(&records);
            let (back, progress) = blocking(move || {
                let progress = shard.apply(&theirs, from);
                (shard, progress)
            })
            .await?;
            shard = back;
            match progress? {
                Progress::Done => break,
                Progress::Load(at, id) => {
                    from = at;
                    while let Err(error) = self.decoder.load(id, &self.registry).await {
                        if self.left.has_changed().is_err() {
                            // The publisher has ended, and with it the role.
                            return Err(error.into());
                        }
                        tracing::warn!(%error, "waiting for the registry to read mesh.observations");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Progress::Unknown(at, topic) => {
                    from = at;
                    // Its announcement may be written and not read yet.
                    if self.announced.get(&topic).is_none() {
                        self.chase.to_the_end(CATALOG_WITHIN).await;
                    }
                    shard = self.refresh(shard, applied).await?;
                    if shard.fold().product(&topic).is_none() {
                        shard.ignore(topic);
                    }
                }
            }
        }
        if let Some(next) = batch.next {
            shard.moved_to(next);
        }
        Ok(shard)
    }

    async fn commit(&mut self, mut shard: Shard) -> Result<Shard, FreshnessError> {
        let shared = Arc::clone(&self.shared);
        let (shard, next) = blocking(move || {
            let next = shard.commit(&shared);
            (shard, next)
        })
        .await?;
        let next = next?;
        self.committed.send_replace(next);
        // Reading stops while results can't leave.
        while next.saturating_sub(*self.left.borrow_and_update()) > ROWS_WAITING_MAX {
            if self.left.changed().await.is_err() {
                break;
            }
        }
        Ok(shard)
    }
}
