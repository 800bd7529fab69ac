//! Writes observations to `mesh.observations`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::control;
use meshwork_kafka::{Admin, BoxedDelivery, KafkaConfig, OutRecord, Producer, ProducerOptions};
use meshwork_model::mesh::StreamObservation;
use meshwork_model::mesh::observation::{ObservationFact, ObservationSource, SourceKind};
use meshwork_model::time::{Clock as _, SharedClock};
use meshwork_model::topic::{ControlTopic, partition_for_key};
use meshwork_registry_client::{MeshWriter, RegistryClient};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Observations, Ready};
use crate::consumption::{self, Consumption};
use crate::metrics::Metrics;

/// Observations that may wait for a broker; the oldest ones are given up beyond that, and the
/// observer reads their ranges back.
const WAITING_MAX: usize = 100_000;

/// Writes observations for as long as it is run.
pub(crate) struct Writer {
    pub(crate) observations: Arc<Observations>,
    pub(crate) consumption: Arc<Consumption>,
    pub(crate) kafka: KafkaConfig,
    pub(crate) registry: RegistryClient,
    pub(crate) clock: SharedClock,
    pub(crate) every: Duration,
    pub(crate) instance: String,
    pub(crate) metrics: Metrics,
}

/// Who wants everything written that is acknowledged so far, and hears when it is; dropped unheard
/// where it can't be written now, or where some of it is lost.
pub(crate) type Asked = mpsc::Receiver<oneshot::Sender<()>>;

/// How long observations that are asked for may take to be acknowledged.
const ASKED_WITHIN: Duration = Duration::from_secs(30);

/// What writing takes, once broker and registry have answered.
struct Tools {
    producer: Producer<BoxedDelivery>,
    encoder: MeshWriter<StreamObservation>,
    partitions: i32,
}

impl Writer {
    /// Runs until `stop`, then writes what is left.
    pub(crate) async fn run(self, mut asked: Asked, stop: CancellationToken) {
        let epoch = meshwork_model::time::WallClock.now().as_millis();
        let mut sequence = 0i64;
        let mut tools = None;
        // What was given up before anybody asked last.
        let mut lost_before = self.metrics.lost();
        let mut waiting: VecDeque<StreamObservation> = VecDeque::new();
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut now = None;
            let last = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
                Some(ask) = asked.recv() => {
                    now = Some(ask);
                    false
                }
            };
            let observed_at = self.clock.now();
            let mut ready = self.observations.take(last || now.is_some());
            let written = ready.iter_mut().map(|ready| &mut ready.seen);
            let only_read = consumption::join(written, self.consumption.take());
            ready.extend(only_read.into_iter().map(|seen| Ready {
                seen,
                observed_at: None,
            }));
            for Ready {
                seen,
                observed_at: stamp,
            } in ready
            {
                waiting.push_back(StreamObservation {
                    source: ObservationSource {
                        kind: SourceKind::Gateway,
                        instance: self.instance.clone(),
                        epoch,
                        sequence,
                    },
                    observed_at: stamp.unwrap_or(observed_at),
                    fact: ObservationFact::PartitionObservation(seen),
                });
                sequence += 1;
            }
            while waiting.len() > WAITING_MAX {
                waiting.pop_front();
                self.metrics.unobserved();
            }
            if tools.is_none() {
                tools = self.tools().await;
            }
            if let Some(tools) = &tools {
                self.write(tools, &mut waiting).await;
            }
            if let (Some(now), Some(tools)) = (now, &tools) {
                let flushed = tools.producer.flush(ASKED_WITHIN).await.is_ok();
                let lost = self.metrics.lost();
                if flushed && waiting.is_empty() && lost == lost_before {
                    // Whoever asked may have gone.
                    let _ = now.send(());
                }
                lost_before = lost;
            }
            if last {
                if let Some(tools) = &tools {
                    // Best effort: what does not leave is read back by the observer.
                    let _ = tools.producer.flush(Duration::from_secs(5)).await;
                }
                return;
            }
        }
    }

    async fn tools(&self) -> Option<Tools> {
        let tried = async {
            let admin = Admin::new(&self.kafka)?;
            let partitions = control::ensure(&admin, ControlTopic::Observations).await?;
            let subject = format!("{}-value", ControlTopic::Observations.name());
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Tools {
                producer: Producer::new(&self.kafka, &ProducerOptions::default())?,
                encoder: MeshWriter::register(&self.registry, &subject).await?,
                partitions,
            })
        };
        match tried.await {
            Ok(tools) => Some(tools),
            Err(error) => {
                tracing::warn!(%error, "observations wait until Kafka and the registry are there");
                None
            }
        }
    }

    async fn write(&self, tools: &Tools, waiting: &mut VecDeque<StreamObservation>) {
        while let Some(observation) = waiting.front() {
            let ObservationFact::PartitionObservation(seen) = &observation.fact else {
                waiting.pop_front();
                continue;
            };
            let partition = partition_for_key(seen.topic.as_bytes(), tools.partitions);
            let key = observation.key();
            let value = match tools.encoder.encode(observation) {
                Ok(value) => value,
                Err(error) => {
                    tracing::warn!(%key, %error, "an observation can't be written");
                    self.metrics.unobserved();
                    waiting.pop_front();
                    continue;
                }
            };
            let out = OutRecord {
                topic: ControlTopic::Observations.name(),
                partition: Some(partition),
                key: Some(key.as_bytes()),
                value: Some(&value),
                headers: &[],
                timestamp: None,
            };
            let metrics = self.metrics.clone();
            let done: BoxedDelivery = Box::new(move |result| match result {
                Ok(_) => metrics.observed(),
                Err(error) => {
                    tracing::warn!(%error, "an observation was not acknowledged; the observer reads its range back");
                    metrics.unobserved();
                }
            });
            // A full queue: try again with the next round.
            if tools.producer.send(&out, done).is_err() {
                return;
            }
            waiting.pop_front();
        }
    }
}
