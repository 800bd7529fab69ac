//! Writes to quarantine: records first, acknowledged by all replicas; then the verdict.

use std::time::Duration;

use meshwork_kafka::{
    BoxedDelivery, KafkaConfig, KafkaError, OutRecord, Producer, ProducerOptions, SendError,
};
use meshwork_model::headers::{SEQUENCE, SESSION, SOURCE_TIME};
use meshwork_model::topic::QUARANTINE_RECORD_MAX;
use meshwork_wire::{BatchView, Decompressor, Limits};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::kept::{Kept, SessionKey};
use super::verdict;
use crate::produce::Verdict;

/// How long a record may take, retries included. Its batch is put off well before.
const DELIVERED_WITHIN: Duration = Duration::from_secs(30);

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// It can't be: another try would fare no better.
    #[error("the records are too large for quarantine")]
    TooLarge,
    /// What was taken out of the batch does not read back as what was to be taken out. Nothing was
    /// written.
    #[error("what was taken out of the batch can't be read back")]
    Damaged,
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
    /// How many they are.
    pub(crate) records: usize,
    /// Whose they are, and each one's sequence; none without idempotence.
    pub(crate) session: Option<(SessionKey, &'p [i32])>,
    /// Partition of the product's topic.
    pub(crate) partition: i32,
}

/// Writes for all products.
#[derive(Debug)]
pub(crate) struct Writer {
    kafka: KafkaConfig,
    current: Mutex<Current>,
}

/// A producer; made anew when it has failed for good.
#[derive(Debug)]
struct Current {
    /// How many there were before.
    number: u64,
    producer: Producer<BoxedDelivery>,
}

type Told = oneshot::Receiver<Result<meshwork_kafka::Delivered, SendError>>;

impl Writer {
    pub(super) fn new(kafka: &KafkaConfig) -> Result<Self, KafkaError> {
        Ok(Self {
            kafka: kafka.clone(),
            current: Mutex::new(Current {
                number: 0,
                producer: producer(kafka)?,
            }),
        })
    }

    /// The producer, and its number.
    fn producer(&self) -> (Producer<BoxedDelivery>, u64) {
        let current = self.current.lock();
        (current.producer.clone(), current.number)
    }

    /// What an error of the producer with this number means. After one for good it is replaced, unless
    /// it was already: many records fail with one producer, and some are heard of late.
    fn failed(&self, number: u64, error: SendError) -> WriteError {
        if let SendError::Fatal(_) = error {
            let mut current = self.current.lock();
            if current.number == number
                && let Ok(anew) = producer(&self.kafka)
            {
                *current = Current {
                    number: number + 1,
                    producer: anew,
                };
            }
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
        let records = records(&payload)?;
        let (producer, number) = self.producer();
        let written = async {
            let mut told: Vec<Told> = Vec::new();
            for record in records {
                let (tell, tell_me) = oneshot::channel();
                let done: BoxedDelivery = Box::new(move |result| {
                    let _ = tell.send(result);
                });
                let headers = record.headers();
                let out = record.out(kept, payload.partition, &headers);
                if let Err(not) = producer.queue(&out, done).await {
                    return Err(self.failed(number, not.error.unwrap_or(SendError::Closed)));
                }
                told.push(tell_me);
            }
            for told in told {
                let told = told.await.unwrap_or(Err(SendError::Closed));
                told.map_err(|error| self.failed(number, error))?;
            }
            Ok(())
        };
        tokio::time::timeout_at(deadline, written)
            .await
            .unwrap_or(Err(WriteError::Late))
    }

    /// Writes records without waiting; `lost` hears of each one that was not written.
    ///
    /// # Errors
    /// [`WriteError::Damaged`].
    pub(crate) fn payload_unheard(
        &self,
        kept: &Kept,
        payload: Payload<'_>,
        lost: impl Fn(&SendError) + Clone + Send + 'static,
    ) -> Result<(), WriteError> {
        for record in records(&payload)? {
            let unheard = lost.clone();
            let done: BoxedDelivery = Box::new(move |result| {
                if let Err(error) = result {
                    unheard(&error);
                }
            });
            let headers = record.headers();
            let out = record.out(kept, payload.partition, &headers);
            let (producer, number) = self.producer();
            if let Err(not) = producer.send(&out, done) {
                let error = not.error.unwrap_or(SendError::TimedOut);
                lost(&error);
                self.failed(number, error);
            }
        }
        Ok(())
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
        let (producer, number) = self.producer();
        let delivered = tokio::time::timeout_at(deadline, producer.deliver(&out))
            .await
            .map_err(|_| WriteError::Late)?;
        delivered
            .map(|delivered| delivered.offset)
            .map_err(|error| self.failed(number, error))
    }
}

fn producer(kafka: &KafkaConfig) -> Result<Producer<BoxedDelivery>, KafkaError> {
    let options = ProducerOptions {
        linger: Duration::ZERO,
        delivery_timeout: DELIVERED_WITHIN,
        // A batch with a larger record is rejected.
        max_batch_bytes: u32::try_from(QUARANTINE_RECORD_MAX).unwrap_or(u32::MAX),
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

/// The records to write: all, or none where they are not as many as were taken out, so that none is
/// acknowledged that is nowhere.
fn records(payload: &Payload<'_>) -> Result<Vec<Refused>, WriteError> {
    // The pipeline has just written it, from what was within the limits.
    let limits = Limits {
        max_batch_bytes: usize::MAX,
        max_decompressed_bytes: usize::MAX,
        max_records: usize::MAX,
    };
    let damaged = |_| WriteError::Damaged;
    let batch = BatchView::parse(payload.batch, &limits).map_err(damaged)?;
    let mut decompressor = Decompressor::new();
    let all = batch.records(&mut decompressor, &limits).map_err(damaged)?;
    let mut out = Vec::new();
    for (at, record) in all.enumerate() {
        let record = record.map_err(|_| WriteError::Damaged)?;
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
            let sequence = sequences.get(at).ok_or(WriteError::Damaged)?;
            add(SESSION, verdict::session(key));
            add(SEQUENCE, sequence.to_string());
        }
        out.push(Refused {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers,
        });
    }
    if out.len() == payload.records {
        Ok(out)
    } else {
        Err(WriteError::Damaged)
    }
}

#[cfg(test)]
mod tests;
