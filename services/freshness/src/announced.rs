//! What is announced on `mesh.catalog`: read whole at the start, then followed. Shards, observer and
//! read-back take their products from here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::{Assigned, From, KafkaConfig, LogReader, ReaderOptions};
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::MeshReader;
use parking_lot::RwLock;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::FreshnessError;

/// Shared view of the announcements, by topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announced {
    by_topic: Arc<RwLock<BTreeMap<String, Arc<ProductAnnouncement>>>>,
}

impl Announced {
    pub(crate) fn get(&self, topic: &str) -> Option<Arc<ProductAnnouncement>> {
        self.by_topic.read().get(topic).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<ProductAnnouncement>> {
        self.by_topic.read().values().cloned().collect()
    }

    fn put(&self, announcement: &Arc<ProductAnnouncement>) {
        self.by_topic
            .write()
            .insert(announcement.topic.clone(), Arc::clone(announcement));
    }
}

/// Asks the follower to read to the end once more.
#[derive(Clone, Debug)]
pub(crate) struct Chase {
    asked: mpsc::Sender<()>,
    /// How often the end was reached.
    reached: watch::Receiver<u64>,
}

impl Chase {
    /// Returns once everything is read that was announced before the call, or after `limit`.
    pub(crate) async fn to_the_end(&self, limit: Duration) {
        let mut reached = self.reached.clone();
        // Two turns: the one under way may have looked up the end before.
        let wanted = reached.borrow_and_update().saturating_add(2);
        let turns = async {
            while *reached.borrow_and_update() < wanted {
                // A full queue already asks.
                let _ = self.asked.try_send(());
                if reached.changed().await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(limit, turns).await;
    }

    /// Returns once the catalog has been read to its end for the first time.
    pub(crate) async fn first_time(&self) {
        let mut reached = self.reached.clone();
        let _ = reached.wait_for(|n| *n > 0).await;
    }
}

/// Reads announcements for as long as the role runs and hands each on.
pub(crate) struct Follower {
    pub(crate) announced: Announced,
    pub(crate) reader: MeshReader<ProductAnnouncement>,
    asked: mpsc::Receiver<()>,
    reached: watch::Sender<u64>,
}

/// A follower and the way to ask it.
pub(crate) fn follower(
    announced: Announced,
    reader: MeshReader<ProductAnnouncement>,
) -> (Follower, Chase) {
    let (ask, asked) = mpsc::channel(1);
    let (reached, reaches) = watch::channel(0);
    let follower = Follower {
        announced,
        reader,
        asked,
        reached,
    };
    let chase = Chase {
        asked: ask,
        reached: reaches,
    };
    (follower, chase)
}

impl Follower {
    /// Follows the catalog until the end; `tell` hears each announcement after it is in the view.
    pub(crate) async fn run(
        mut self,
        kafka: &KafkaConfig,
        shutdown: CancellationToken,
        tell: impl Fn(Arc<ProductAnnouncement>),
    ) -> Result<(), FreshnessError> {
        let catalog = Assigned {
            topic: ControlTopic::Catalog.name().to_owned(),
            partition: 0,
            from: From::Beginning,
        };
        let mut log = LogReader::start(kafka, vec![catalog], ReaderOptions::default())?;
        let mut chasing = true;
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(()) = self.asked.recv(), if !chasing => {
                    log.chase();
                    chasing = true;
                    continue;
                }
                batch = log.next(Duration::from_millis(500)) => batch?,
            };
            for record in &batch.records {
                let Some(value) = &record.value else { continue };
                match self.decode(value, &shutdown).await {
                    Some(announcement) => {
                        let announcement = Arc::new(announcement);
                        self.announced.put(&announcement);
                        tell(announcement);
                    }
                    None if shutdown.is_cancelled() => return Ok(()),
                    None => {}
                }
            }
            if chasing && batch.caught_up {
                chasing = false;
                self.reached.send_modify(|n| *n = n.saturating_add(1));
            }
        }
    }

    /// Decodes, waiting for the registry where it can't be reached. None: not an announcement.
    async fn decode(
        &self,
        value: &[u8],
        shutdown: &CancellationToken,
    ) -> Option<ProductAnnouncement> {
        loop {
            match self.reader.decode(value).await {
                Ok(announcement) => return Some(announcement),
                Err(e) if crate::service::passes(&e) => {
                    tracing::warn!(error = %e, "waiting for the registry to read mesh.catalog");
                    tokio::select! {
                        () = shutdown.cancelled() => return None,
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
                Err(e) => {
                    tracing::warn!(error = %e, "a record of mesh.catalog can't be read and is left out");
                    return None;
                }
            }
        }
    }
}
