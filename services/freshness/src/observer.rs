//! The observer: asks the brokers for the ends of all product partitions, so that silence is known and
//! not assumed, and reads back what nobody reported.

mod readback;
mod schemas;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::{Admin, Isolation, KafkaConfig};
use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::mesh::observation::PartitionObservation;
use meshwork_model::time::{SharedClock, Timestamp};
use meshwork_registry_client::RegistryClient;
use tokio_util::sync::CancellationToken;

use crate::announced::Announced;
use crate::config::Config;
use crate::core::minute_of;
use crate::shared::Shared;
use crate::sink::{Sent, Sink};
use readback::Standing;

/// How often the partitions and ids of topics are looked up anew, in real time.
const TOPICS_EVERY: Duration = Duration::from_secs(30);
/// How long the start may take before ticks are written whatever is missing. A minute closes as
/// unmeasurable then, which is what it is.
const START_WITHIN: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Observer {
    pub(crate) config: Config,
    pub(crate) kafka: KafkaConfig,
    pub(crate) registry: RegistryClient,
    pub(crate) admin: Admin,
    pub(crate) clock: SharedClock,
    pub(crate) announced: Announced,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sink: Sink,
    pub(crate) known: Known,
}

/// What the observer remembers between polls.
#[derive(Default)]
pub(crate) struct Known {
    topics: BTreeMap<String, Topic>,
    looked_up: Option<Instant>,
    written: BTreeMap<(String, i32), Written>,
    standing: Standing,
}

#[derive(Clone)]
struct Topic {
    partitions: i32,
    id: Option<String>,
}

struct Written {
    end: i64,
    at: Timestamp,
}

/// A poll whose observations are on their way.
struct Polled {
    at: Timestamp,
    sent: Vec<Sent>,
}

impl Observer {
    /// What has to be known before time may pass: the ends of all partitions are polled, and what nobody
    /// reported is read back. Returns when the shards have it, or after a minute.
    pub(crate) async fn start(&mut self, shutdown: &CancellationToken) {
        let work = async {
            while !shutdown.is_cancelled() {
                match self.poll_once().await {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::warn!(%error, "the brokers can't be polled yet");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
            self.read_back(Duration::ZERO, shutdown).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            done = tokio::time::timeout(START_WITHIN, work) => if done.is_err() {
                tracing::warn!("the start took longer than a minute; it goes on while time passes");
            }
        }
    }

    /// Polls and reads back until the end.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut interval = tokio::time::interval(self.config.poll_interval);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = interval.tick() => {}
            }
            let polled = tokio::select! {
                () = shutdown.cancelled() => return,
                polled = self.poll_once() => polled,
            };
            match polled {
                Ok(()) => {
                    if std::mem::replace(&mut failing, false) {
                        tracing::info!("the brokers can be polled again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the brokers can't be polled; minutes stay open");
                    }
                }
            }
            let stands = self.config.gap_stands;
            self.read_back(stands, &shutdown).await;
        }
    }

    /// One poll: the clock is read before the brokers are asked, and progress is what has been appended.
    async fn poll_once(&mut self) -> Result<(), String> {
        let Polled { at, sent } = self.poll().await?;
        let mut last = BTreeMap::new();
        for s in sent {
            let shard = s.shard;
            last.insert(shard, s.offset().await?);
        }
        // Gaps are those after this poll, so the shards must have it.
        for (shard, offset) in last {
            self.shared.folded(shard, offset).await;
        }
        self.shared.set_progress(at);
        Ok(())
    }

    async fn poll(&mut self) -> Result<Polled, String> {
        let at = self.clock.now();
        self.look_up_topics().await?;
        let topics = &self.known.topics;
        let partitions: Vec<(String, i32)> = topics
            .iter()
            .flat_map(|(name, t)| (0..t.partitions).map(move |p| (name.clone(), p)))
            .collect();
        if partitions.is_empty() {
            return Ok(Polled {
                at,
                sent: Vec::new(),
            });
        }
        let ends = self
            .admin
            .end_offsets(&partitions, Isolation::ReadCommitted)
            .await;
        let ends = match ends {
            Ok(ends) => ends,
            Err(e) => {
                // A topic may have gone.
                self.known.looked_up = None;
                return Err(e.to_string());
            }
        };
        let mut sent = Vec::new();
        for end in ends {
            let Some(offset) = end.offset else { continue };
            let place = (end.topic, end.partition);
            let written = self.known.written.get(&place);
            let moved = written.is_none_or(|w| w.end != offset);
            let minute =
                written.is_none_or(|w| minute_of(w.at.as_millis()) != minute_of(at.as_millis()));
            if !moved && !minute {
                continue;
            }
            let id = self.known.topics.get(&place.0).and_then(|t| t.id.clone());
            let seen = PartitionObservation {
                topic: place.0.clone(),
                topic_id: id,
                partition: place.1,
                end_offset: Some(offset),
                ..PartitionObservation::default()
            };
            sent.push(self.sink.observation(at, seen).await?);
            self.known
                .written
                .insert(place, Written { end: offset, at });
        }
        Ok(Polled { at, sent })
    }

    /// Partitions and ids of the topics of products, from the brokers.
    async fn look_up_topics(&mut self) -> Result<(), String> {
        let announced: Vec<String> = self
            .announced
            .all()
            .iter()
            .filter(|a| a.status != ProductStatus::Proposed)
            .map(|a| a.topic.clone())
            .collect();
        let fresh = self
            .known
            .looked_up
            .is_some_and(|at| at.elapsed() < TOPICS_EVERY);
        if fresh && announced.iter().all(|t| self.known.topics.contains_key(t)) {
            return Ok(());
        }
        let found = self.admin.topics().await.map_err(|e| e.to_string())?;
        self.known.topics = found
            .into_iter()
            .filter(|t| announced.contains(&t.name))
            .map(|t| {
                let topic = Topic {
                    partitions: t.partitions,
                    id: Some(t.id),
                };
                (t.name, topic)
            })
            .collect();
        let topics = &self.known.topics;
        self.known
            .written
            .retain(|(t, _), _| topics.contains_key(t));
        self.known.looked_up = Some(Instant::now());
        Ok(())
    }
}
