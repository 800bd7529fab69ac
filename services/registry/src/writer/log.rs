//! Writing to `_schemas`: idempotently, with acks from all replicas, and read back.

use std::time::Duration;

use meshwork_kafka::{
    Delivered, KafkaConfig, KafkaError, OutRecord, Producer, ProducerOptions, SendError,
};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;

type Delivery = oneshot::Sender<Result<Delivered, SendError>>;

pub(super) struct Log {
    kafka: KafkaConfig,
    options: ProducerOptions,
    producer: Producer<Delivery>,
    timeout: Duration,
}

impl Log {
    pub(super) fn new(kafka: &KafkaConfig, config: &Config) -> Result<Self, KafkaError> {
        let timeout = config.write_timeout.get();
        let options = ProducerOptions {
            max_records: 10_000,
            linger: Duration::ZERO,
            // Half of the time is left for reading back.
            delivery_timeout: timeout / 2,
            compression: "none",
            ..ProducerOptions::default()
        };
        Ok(Self {
            kafka: kafka.clone(),
            producer: Producer::new(kafka, &options)?,
            options,
            timeout,
        })
    }

    /// Writes the records in order and returns once all of them have been read back.
    ///
    /// # Errors
    /// 50001 and 50002. After an error any of them may have been written, or none.
    pub(super) async fn append(
        &mut self,
        shared: &Shared,
        records: &[Record],
    ) -> Result<(), Refusal> {
        match tokio::time::timeout(self.timeout, self.write(shared, records)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                // After a time-out the producer goes on under a greater epoch, so that the broker
                // refuses what may still be on its way. Only one that has ended is made anew.
                if matches!(error, SendError::Fatal(_) | SendError::Closed)
                    && let Ok(producer) = Producer::new(&self.kafka, &self.options)
                {
                    self.producer = producer;
                }
                Err(refusal(&error))
            }
            Err(_) => Err(Refusal::new(
                Code::StoreTimedOut,
                format!(
                    "Write to the Kafka store timed out: not read back within {:?}; whether it was written will be known when {} can be read",
                    self.timeout, shared.config.topic
                ),
            )),
        }
    }

    async fn write(&self, shared: &Shared, records: &[Record]) -> Result<(), SendError> {
        let mut waiting = Vec::with_capacity(records.len());
        for record in records {
            let (tell, told) = oneshot::channel();
            let out = OutRecord {
                topic: &shared.config.topic,
                partition: Some(0),
                key: Some(&record.key),
                value: record.value.as_deref(),
                ..OutRecord::default()
            };
            self.producer
                .queue(&out, tell)
                .await
                .map_err(|refused| refused.error.unwrap_or(SendError::Closed))?;
            waiting.push(told);
        }
        let mut last = -1;
        for told in waiting {
            let delivered = told.await.unwrap_or(Err(SendError::Closed))?;
            last = delivered.offset.max(last);
        }
        shared.applied(last).await;
        Ok(())
    }
}

fn refusal(error: &SendError) -> Refusal {
    match error {
        SendError::TooLarge => Refusal::new(
            Code::SchemaTooLarge,
            "Register operation failed because schema is too large",
        ),
        SendError::TimedOut => Refusal::new(
            Code::StoreTimedOut,
            "Write to the Kafka store timed out; whether it was written will be known when _schemas can be read",
        ),
        error => Refusal::new(
            Code::StoreFailed,
            format!("Error in the backend Kafka store: {error}"),
        ),
    }
}
