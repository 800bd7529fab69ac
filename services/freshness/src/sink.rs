//! Writes observations and ticks to `mesh.observations`, as the one source that this process is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use meshwork_kafka::{Delivered, OutRecord, Producer, SendError};
use meshwork_model::mesh::StreamObservation;
use meshwork_model::mesh::observation::{
    ObservationFact, ObservationSource, PartitionObservation, SourceKind, Tick,
};
use meshwork_model::time::Timestamp;
use meshwork_model::topic::{ControlTopic, partition_for_key};
use meshwork_registry_client::MeshWriter;
use tokio::sync::oneshot;

/// See the module. Clones share the sequence.
#[derive(Clone)]
pub(crate) struct Sink {
    producer: Producer,
    writer: MeshWriter<StreamObservation>,
    instance: Arc<str>,
    epoch: i64,
    sequence: Arc<AtomicI64>,
    shards: i32,
}

/// An observation on its way.
pub(crate) struct Sent {
    pub(crate) shard: i32,
    answer: oneshot::Receiver<Result<Delivered, SendError>>,
}

impl Sent {
    /// Its offset, once it is acknowledged.
    pub(crate) async fn offset(self) -> Result<i64, String> {
        match self.answer.await {
            Ok(Ok(delivered)) => Ok(delivered.offset),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err("the producer has ended".to_owned()),
        }
    }
}

impl Sink {
    pub(crate) fn new(
        producer: Producer,
        writer: MeshWriter<StreamObservation>,
        instance: &str,
        epoch: i64,
        shards: i32,
    ) -> Self {
        Self {
            producer,
            writer,
            instance: instance.into(),
            epoch,
            sequence: Arc::new(AtomicI64::new(0)),
            shards,
        }
    }

    /// Queues an observation of a partition.
    pub(crate) async fn observation(
        &self,
        observed_at: Timestamp,
        seen: PartitionObservation,
    ) -> Result<Sent, String> {
        let shard = partition_for_key(seen.topic.as_bytes(), self.shards);
        let fact = ObservationFact::PartitionObservation(seen);
        self.send(shard, observed_at, fact).await
    }

    /// Queues a tick.
    pub(crate) async fn tick(&self, shard: i32, at: Timestamp) -> Result<Sent, String> {
        self.send(shard, at, ObservationFact::Tick(Tick { shard }))
            .await
    }

    async fn send(
        &self,
        shard: i32,
        observed_at: Timestamp,
        fact: ObservationFact,
    ) -> Result<Sent, String> {
        let observation = StreamObservation {
            source: ObservationSource {
                kind: SourceKind::Observer,
                instance: self.instance.to_string(),
                epoch: self.epoch,
                sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            },
            observed_at,
            fact,
        };
        let value = self
            .writer
            .encode(&observation)
            .map_err(|e| e.to_string())?;
        let key = observation.key();
        let record = OutRecord {
            topic: ControlTopic::Observations.name(),
            partition: Some(shard),
            key: Some(key.as_bytes()),
            value: Some(&value),
            ..OutRecord::default()
        };
        let (done, answer) = oneshot::channel();
        let done = Box::new(move |result| {
            // Whoever sent it may have stopped waiting.
            let _ = done.send(result);
        });
        self.producer.queue(&record, done).await.map_err(|e| {
            e.error
                .map_or_else(|| "the queue is full".to_owned(), |e| e.to_string())
        })?;
        Ok(Sent { shard, answer })
    }
}
