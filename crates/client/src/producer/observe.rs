//! Writes observations to `mesh.observations`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use meshwork_kafka::{OutRecord, Producer};
use meshwork_model::mesh::StreamObservation;
use meshwork_model::mesh::observation::{ObservationFact, ObservationSource, SourceKind};
use meshwork_model::time::SharedClock;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::MeshWriter;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Load, Ready, Tracked};

#[derive(Debug)]
pub(super) struct Observer {
    writer: MeshWriter<StreamObservation>,
    producer: Producer<Tracked>,
    ledger: Arc<Ledger>,
    /// Partition of `mesh.observations`: by the topic's name alone.
    partition: i32,
    instance: String,
    epoch: i64,
    clock: SharedClock,
    /// Next sequence number. Held while a round is written, so that they go out in order.
    sequence: Mutex<i64>,
}

impl Observer {
    pub(super) fn new(
        writer: MeshWriter<StreamObservation>,
        producer: Producer<Tracked>,
        ledger: Arc<Ledger>,
        partition: i32,
        instance: String,
        epoch: i64,
        clock: SharedClock,
    ) -> Self {
        Self {
            writer,
            producer,
            ledger,
            partition,
            instance,
            epoch,
            clock,
            sequence: Mutex::new(0),
        }
    }

    /// Queues the observations that are complete, or (`all`) of everything acknowledged so far.
    /// What can't be written the ledger remembers.
    pub(super) async fn emit(&self, all: bool) {
        let mut sequence = self.sequence.lock().await;
        for Ready { seen, observed_at } in self.ledger.take(all) {
            let observation = StreamObservation {
                source: ObservationSource {
                    kind: SourceKind::Produce,
                    instance: self.instance.clone(),
                    epoch: self.epoch,
                    sequence: *sequence,
                },
                observed_at: observed_at.unwrap_or_else(|| self.clock.now()),
                fact: ObservationFact::PartitionObservation(seen),
            };
            *sequence += 1;
            let key = observation.key();
            let value = match self.writer.encode(&observation) {
                Ok(value) => value,
                Err(error) => {
                    self.ledger.not_encoded(&key, error);
                    continue;
                }
            };
            let out = OutRecord {
                topic: ControlTopic::Observations.name(),
                partition: Some(self.partition),
                key: Some(key.as_bytes()),
                value: Some(&value),
                headers: &[],
                timestamp: None,
            };
            let tracked = self.ledger.track(Load::Observation { key: key.clone() });
            if let Err(refused) = self.producer.queue(&out, tracked).await {
                let error = refused.error.unwrap_or(meshwork_kafka::SendError::Closed);
                refused.done.not_queued(error);
            }
        }
    }
}

/// Writes observations every `period` of real time, until the producer is gone.
pub(super) async fn tick(
    observer: Weak<Observer>,
    ledger_is_real_time: bool,
    period: Duration,
    until: CancellationToken,
) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = until.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(observer) = observer.upgrade() else {
            return;
        };
        observer.emit(ledger_is_real_time).await;
    }
}
