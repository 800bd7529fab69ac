//! Writes to quarantine: records first, acknowledged by all replicas; then the verdict.

use std::time::Duration;

use meshwork_kafka::{
    BoxedDelivery, KafkaConfig, KafkaError, OutRecord, Producer, ProducerOptions, SendError,
};
use meshwork_model::headers::{SEQUENCE, SESSION, SOURCE_TIME};
use meshwork_wire::{BatchView, Decompressor, Limits};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::kept::{Kept, SessionKey};
use super::verdict;
use crate::produce::Verdict;

/// Largest record that goes to quarantine, headers included. A batch with a larger one is rejected.
pub(super) const RECORD_MAX: usize = 16 << 20;
/// How long a record may take, retries included. Its batch is put off well before.
const DELIVERED_WITHIN: Duration = Duration::from_secs(30);

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// It can't be: another try would fare no better.
    #[error("the records are too large for quarantine")]
    TooLarge,
    /// It was not, or it is not known.
    #[error("{0}")]
    Failed(#[from] SendError),
    /// Not by the deadline; it may be written yet.
    #[error("quarantine did not take them in time")]
    Late,
}

/// The refused records of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'p> {
    /// A batch of them, with their headers ([`meshwork_pipeline::BatchReport::quarantine`]).
    pub(crate) batch: &'p [u8],
    /// Whose they are, and each one's sequence; none without idempotence.
    pub(crate) session: Option<(SessionKey, &'p [i32])>,
    /// Partition of the product's topic.
    pub(crate) partition: i32,
}

/// Writes for all products.
#[derive(Debug)]
pub(crate) struct Writer {
    kafka: KafkaConfig,
    /// Made anew when it has failed for good.
    producer: Mutex<Producer<BoxedDelivery>>,
}

type Told = oneshot::Receiver<Result<meshwork_kafka::Delivered, SendError>>;

impl Writer {
    pub(super) fn new(kafka: &KafkaConfig) -> Result<Self, KafkaError> {
        Ok(Self {
            kafka: kafka.clone(),
            producer: Mutex::new(producer(kafka)?),
        })
    }

    fn producer(&self) -> Producer<BoxedDelivery> {
        self.producer.lock().clone()
    }

    fn failed(&self, error: SendError) -> WriteError {
        if let SendError::Fatal(_) = error
            && let Ok(anew) = producer(&self.kafka)
        {
            *self.producer.lock() = anew;
        }
        match error {
            SendError::TooLarge => WriteError::TooLarge,
            error => WriteError::Failed(error),
        }
    }

    /// Writes records and waits until all are acknowledged.
    pub(crate) async fn payload(
        &self,
        kept: &Kept,
        payload: Payload<'_>,
        deadline: Instant,
    ) -> Result<(), WriteError> {
        let producer = self.producer();
        let written = async {
            let mut told: Vec<Told> = Vec::new();
            for record in records(&payload) {
                let (tell, tell_me) = oneshot::channel();
                let done: BoxedDelivery = Box::new(move |result| {
                    let _ = tell.send(result);
                });
                let headers = record.headers();
                let out = record.out(kept, payload.partition, &headers);
                if let Err(not) = producer.queue(&out, done).await {
                    return Err(self.failed(not.error.unwrap_or(SendError::Closed)));
                }
                told.push(tell_me);
            }
            for told in told {
                let told = told.await.unwrap_or(Err(SendError::Closed));
                told.map_err(|error| self.failed(error))?;
            }
            Ok(())
        };
        tokio::time::timeout_at(deadline, written)
            .await
            .unwrap_or(Err(WriteError::Late))
    }

    /// Writes records without waiting; `lost` hears of each one that was not written.
    pub(crate) fn payload_unheard(
        &self,
        kept: &Kept,
        payload: Payload<'_>,
        lost: impl Fn(&SendError) + Clone + Send + 'static,
    ) {
        for record in records(&payload) {
            let unheard = lost.clone();
            let done: BoxedDelivery = Box::new(move |result| {
                if let Err(error) = result {
                    unheard(&error);
                }
            });
            let headers = record.headers();
            let out = record.out(kept, payload.partition, &headers);
            if let Err(not) = self.producer().send(&out, done) {
                lost(&not.error.unwrap_or(SendError::TimedOut));
            }
        }
    }

    /// Writes a verdict; its offset in partition 0. Whatever goes wrong, it may be written yet.
    pub(crate) async fn verdict(
        &self,
        kept: &Kept,
        key: SessionKey,
        verdict: &Verdict,
        deadline: Instant,
    ) -> Result<i64, WriteError> {
        let headers = verdict::headers(&kept.source, key, verdict);
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        let out = OutRecord {
            topic: &kept.topic,
            // Always the first, however many there are by now: of several verdicts on a range the
            // first holds, and only one partition has an order.
            partition: Some(0),
            headers: &headers,
            ..OutRecord::default()
        };
        let delivered = tokio::time::timeout_at(deadline, self.producer().deliver(&out))
            .await
            .map_err(|_| WriteError::Late)?;
        delivered
            .map(|delivered| delivered.offset)
            .map_err(|error| self.failed(error))
    }
}

fn producer(kafka: &KafkaConfig) -> Result<Producer<BoxedDelivery>, KafkaError> {
    let options = ProducerOptions {
        linger: Duration::ZERO,
        delivery_timeout: DELIVERED_WITHIN,
        max_batch_bytes: u32::try_from(RECORD_MAX).unwrap_or(u32::MAX),
        ..ProducerOptions::default()
    };
    Producer::new(kafka, &options)
}

/// A record on its way to quarantine, with its own bytes.
struct Refused {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Refused {
    fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect()
    }

    fn out<'r>(
        &'r self,
        kept: &'r Kept,
        partition: i32,
        headers: &'r [(&'r str, &'r [u8])],
    ) -> OutRecord<'r> {
        OutRecord {
            topic: &kept.topic,
            partition: Some(partition.rem_euclid(kept.partitions.max(1))),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
            // Now: retention would delete what is stamped long ago as soon as it is written.
            timestamp: None,
        }
    }
}

fn records(payload: &Payload<'_>) -> Vec<Refused> {
    let limits = Limits {
        max_batch_bytes: usize::MAX,
        max_decompressed_bytes: usize::MAX,
    };
    // The pipeline has just written it.
    let Ok(batch) = BatchView::parse(payload.batch, &limits) else {
        return Vec::new();
    };
    let mut decompressor = Decompressor::new();
    let Ok(all) = batch.records(&mut decompressor, &limits) else {
        return Vec::new();
    };
    all.enumerate()
        .filter_map(|(at, record)| {
            let record = record.ok()?;
            let mut headers: Vec<(String, Vec<u8>)> = record
                .headers
                .iter()
                .map(|h| {
                    let name = String::from_utf8_lossy(h.key).into_owned();
                    (name, h.value.unwrap_or_default().to_vec())
                })
                .collect();
            let mut add = |name: &str, value: String| {
                headers.push((name.to_owned(), value.into_bytes()));
            };
            add(
                SOURCE_TIME,
                batch.timestamp(record.timestamp_delta).to_string(),
            );
            if let Some((key, sequences)) = payload.session {
                add(SESSION, verdict::session(key));
                if let Some(sequence) = sequences.get(at) {
                    add(SEQUENCE, sequence.to_string());
                }
            }
            Some(Refused {
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers,
            })
        })
        .collect()
}
