//! One domain's producer of one product: encodes what happened, skips what an interrupted run has
//! published already, and lets the pipeline enforce, tag and observe.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use meshwork_client::{MeshProducer, NewRecord, ProducerOptions, RecordPosition, Sent, Span};
use meshwork_kafka::KafkaConfig;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::time::{MINUTE_MS, SharedClock, Timestamp};
use meshwork_registry_client::{RegistryClient, frame};
use serde_avro_fast::ser::SerializerConfig;

use crate::flights::Event;
use crate::flights::values::Value;
use crate::readback;

/// A producer of one product.
#[derive(Debug)]
pub(crate) struct Publisher {
    producer: MeshProducer,
    schema: Arc<serde_avro_fast::Schema>,
    prefix: [u8; 5],
    /// Keys that were there when this run began, in the topic or in quarantine.
    there: HashSet<String>,
    published: u64,
    refused: u64,
    position: u64,
    buffer: Vec<u8>,
}

impl Publisher {
    /// Opens it. `name` is what its records say in `mesh-producer`.
    ///
    /// # Errors
    /// The product's topic is not there, or can't be read back.
    pub(crate) async fn open(
        kafka: &KafkaConfig,
        registry: &RegistryClient,
        product: &ProductAnnouncement,
        name: &str,
        clock: SharedClock,
    ) -> Result<Self> {
        let mut there = readback::keys(kafka, &product.topic).await?;
        there.extend(readback::keys(kafka, &product.urn.quarantine_topic()).await?);
        let minute = Duration::from_millis(MINUTE_MS.unsigned_abs());
        let options = ProducerOptions {
            span: Span::RecordTime(minute),
            clock,
            instance: "demo".to_owned(),
            ..ProducerOptions::new(name)
        };
        let schema = product.value_schema.schema.parse().map_err(|error| {
            anyhow::anyhow!("the schema of {} can't be used: {error}", product.urn)
        })?;
        Ok(Self {
            producer: MeshProducer::open(kafka, registry.clone(), product, options).await?,
            schema: Arc::new(schema),
            prefix: frame(product.value_schema.schema_id()?),
            there,
            published: 0,
            refused: 0,
            position: 0,
            buffer: Vec::with_capacity(512),
        })
    }

    /// Records published by this run or found there.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// Records refused in this run or found in quarantine.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Publishes an event, unless its key is there already.
    ///
    /// # Errors
    /// It can't be encoded, or Kafka does not take it.
    pub(crate) async fn publish(&mut self, event: &Event) -> Result<()> {
        let mut value = std::mem::take(&mut self.buffer);
        value.clear();
        self.encode(&event.value, &mut value)
            .with_context(|| event.key.clone())?;
        let done = self.publish_bytes(&event.key, &value, event.due).await;
        self.buffer = value;
        done
    }

    /// Publishes bytes as they are, unless the key is there already.
    ///
    /// # Errors
    /// Kafka does not take them.
    pub(crate) async fn publish_bytes(
        &mut self,
        key: &str,
        value: &[u8],
        due: Timestamp,
    ) -> Result<()> {
        self.position += 1;
        let refused = if self.there.contains(key) {
            key.starts_with("bad/")
        } else {
            let record = NewRecord {
                key: Some(key.as_bytes()),
                value: Some(value),
                timestamp: Some(due),
                ..NewRecord::default()
            };
            let sent = self
                .producer
                .send(&record, &RecordPosition::line(self.position))
                .await?;
            !matches!(sent, Sent::Accepted)
        };
        *(if refused {
            &mut self.refused
        } else {
            &mut self.published
        }) += 1;
        Ok(())
    }

    /// Returns once every record and its observation is acknowledged.
    ///
    /// # Errors
    /// One was not.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(self.producer.flush().await?)
    }

    /// A framed datum.
    ///
    /// # Errors
    /// The value does not fit the schema.
    pub(crate) fn encode(&self, value: &Value, to: &mut Vec<u8>) -> Result<()> {
        to.extend_from_slice(&self.prefix);
        let config = &mut SerializerConfig::new(&self.schema);
        match value {
            Value::Departure(v) => serde_avro_fast::to_datum(v, to, config),
            Value::Arrival(v) => serde_avro_fast::to_datum(v, to, config),
            Value::Cancellation(v) => serde_avro_fast::to_datum(v, to, config),
            Value::Weather(v) => serde_avro_fast::to_datum(v, to, config),
            Value::Aircraft(v) => serde_avro_fast::to_datum(v, to, config),
            Value::Airport(v) => serde_avro_fast::to_datum(v, to, config),
            Value::Airline(v) => serde_avro_fast::to_datum(v, to, config),
        }
        .map_err(|error| anyhow::anyhow!("the value does not fit its schema: {error}"))?;
        Ok(())
    }
}
