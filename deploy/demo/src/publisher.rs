//! One domain's producer of one product: a stock Kafka client that writes what happened to the
//! gateway, and skips what an interrupted run has published already.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use meshwork_kafka::{
    Delivered, Delivery, KafkaConfig, OutRecord, Producer, ProducerOptions, SendError,
};
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::time::Timestamp;
use meshwork_registry_client::frame;
use serde_avro_fast::ser::SerializerConfig;

use crate::flights::Event;
use crate::flights::values::Value;
use crate::readback;

/// How long what was sent may take to be acknowledged.
const WITHIN: Duration = Duration::from_secs(120);

/// A producer of one product.
#[derive(Debug)]
pub(crate) struct Publisher {
    producer: Producer<Heard>,
    topic: String,
    schema: Arc<serde_avro_fast::Schema>,
    prefix: [u8; 5],
    /// Keys that were there when this run began, in the topic or in quarantine.
    there: HashSet<String>,
    published: u64,
    refused: u64,
    failed: Arc<OnceLock<String>>,
    buffer: Vec<u8>,
}

/// Hears what became of a record.
#[derive(Debug)]
struct Heard {
    /// What the first one that was not taken was told.
    failed: Arc<OnceLock<String>>,
}

impl Delivery for Heard {
    fn delivered(self, result: Result<Delivered, SendError>) {
        if let Err(error) = result {
            // The first one is enough.
            let _ = self.failed.set(error.to_string());
        }
    }
}

impl Publisher {
    /// Opens it. `name` is the client's id, and so what its records say in `mesh-producer`. What is
    /// there already is read from `kafka`; what is new is written by way of `gateway`.
    ///
    /// # Errors
    /// The product's topic can't be read back.
    pub(crate) async fn open(
        kafka: &KafkaConfig,
        gateway: &KafkaConfig,
        product: &ProductAnnouncement,
        name: &str,
    ) -> Result<Self> {
        let mut there = readback::keys(kafka, &product.topic).await?;
        there.extend(readback::keys(kafka, &product.urn.quarantine_topic()).await?);
        let schema = product.value_schema.schema.parse().map_err(|error| {
            anyhow::anyhow!("the schema of {} can't be used: {error}", product.urn)
        })?;
        let client = KafkaConfig {
            client_id: name.to_owned(),
            ..gateway.clone()
        };
        Ok(Self {
            producer: Producer::new(&client, &ProducerOptions::default())?,
            topic: product.topic.clone(),
            schema: Arc::new(schema),
            prefix: frame(product.value_schema.schema_id()?),
            there,
            published: 0,
            refused: 0,
            failed: Arc::default(),
            buffer: Vec::with_capacity(512),
        })
    }

    /// Records published by this run or found there.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// Records that break the contract, sent in this run or found in quarantine.
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
        if !self.there.contains(key) {
            let record = OutRecord {
                topic: &self.topic,
                key: Some(key.as_bytes()),
                value: Some(value),
                timestamp: Some(due),
                ..OutRecord::default()
            };
            let heard = Heard {
                failed: Arc::clone(&self.failed),
            };
            if let Err(refused) = self.producer.queue(&record, heard).await {
                let error = refused.error.unwrap_or(SendError::Closed);
                return Err(error).with_context(|| format!("{key} was not sent"));
            }
        }
        *(if key.starts_with("bad/") {
            &mut self.refused
        } else {
            &mut self.published
        }) += 1;
        Ok(())
    }

    /// Returns once every record is acknowledged.
    ///
    /// # Errors
    /// One was not.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.producer.flush(WITHIN).await?;
        match self.failed.get() {
            Some(error) => bail!("a record of {} was not taken: {error}", self.topic),
            None => Ok(()),
        }
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
