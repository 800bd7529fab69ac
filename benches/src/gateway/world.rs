//! What the ladder stands on: one Kafka node, a registry's answers, topics, and products announced as
//! `product apply` announces them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use meshwork_dev_kafka::{DevKafka, DevKafkaOptions};
use meshwork_kafka::{
    Admin, BoxedDelivery, KafkaConfig, NewTopic, OutRecord, Producer, ProducerOptions, control,
};
use meshwork_model::mesh::announcement::{EnforcementMode, TagMode};
use meshwork_model::mesh::{MeshSchema, ProductAnnouncement};
use meshwork_model::name::{SchemaId, Urn};
use meshwork_model::time::{Clock as _, WallClock};
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::MeshWriter;

use super::frame::Content;
use crate::produce::registry;
use crate::{product, records};

/// A partition for each connection.
pub(super) const PARTITIONS: i32 = 16;
/// Bytes of a segment: the broker begins another one when a partition has taken so many.
pub(super) const SEGMENT_BYTES: usize = 16_000_000;
/// A topic that is no product's.
pub(super) const PLAIN: &str = "bench.plain";
/// A topic that is no product's, for JSON.
pub(super) const JSON: &str = "bench.json";

/// A product of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    urn: &'static str,
    content: Content,
    tag: TagMode,
    /// Of its schema; the registry gives them in this order.
    id: i64,
}

const PRODUCTS: [Product; 4] = [
    Product {
        urn: "urn:meshwork:bench:large-untagged:v1",
        content: Content::Large,
        tag: TagMode::Off,
        id: 1,
    },
    Product {
        urn: "urn:meshwork:bench:large:v1",
        content: Content::Large,
        tag: TagMode::Batch,
        id: 2,
    },
    Product {
        urn: "urn:meshwork:bench:small-untagged:v1",
        content: Content::Small,
        tag: TagMode::Off,
        id: 3,
    },
    Product {
        urn: "urn:meshwork:bench:small:v1",
        content: Content::Small,
        tag: TagMode::Batch,
        id: 4,
    },
];
/// What the registry gives the catalog's schema.
const CATALOG_ID: i64 = 5;

/// Kafka and a registry.
pub(super) struct World {
    kafka: DevKafka,
    /// Where the registry answers.
    pub(super) registry: String,
}

impl World {
    /// Starts them, and announces the products. Topics keep little: what is over their limit is
    /// deleted as often as `trimmed`.
    ///
    /// # Errors
    /// No Kafka can be had.
    pub(super) async fn start(dir: &Path, trimmed: Duration) -> Result<Self> {
        let mut options = DevKafkaOptions::new(dir.join("kafka"));
        options.discard = true;
        // Many runs, each of gigabytes.
        for key in [
            "log.retention.check.interval.ms",
            "log.initial.task.delay.ms",
        ] {
            let ms = trimmed.as_millis().to_string();
            options.settings.insert(key.to_owned(), ms);
        }
        let kafka = tokio::task::spawn_blocking(|| DevKafka::start(options))
            .await?
            .context("no Kafka for the bench")?;
        let registry = registry::start(&subjects()?)?;
        let world = Self { kafka, registry };
        world.announce().await?;
        Ok(world)
    }

    /// Where the broker is.
    pub(super) fn bootstrap_servers(&self) -> String {
        self.kafka.bootstrap_servers()
    }

    async fn announce(&self) -> Result<()> {
        let config = KafkaConfig::new(self.bootstrap_servers());
        let admin = Admin::new(&config)?;
        let mut topics = vec![PLAIN.to_owned(), JSON.to_owned()];
        for product in PRODUCTS {
            topics.push(product.urn.parse::<Urn>()?.topic());
        }
        for topic in topics {
            let new = NewTopic::new(topic, PARTITIONS)
                .with("retention.ms", "-1")
                .with("retention.bytes", SEGMENT_BYTES.to_string())
                .with("segment.bytes", SEGMENT_BYTES.to_string())
                .with("file.delete.delay.ms", "100");
            admin.create_topic(&new).await?;
        }
        control::ensure(&admin, ControlTopic::Catalog).await?;
        let writer = MeshWriter::<ProductAnnouncement>::with_id(SchemaId::new(CATALOG_ID)?)?;
        let producer: Producer<BoxedDelivery> =
            Producer::new(&config, &ProducerOptions::default())?;
        for product in PRODUCTS {
            let announcement = product.announcement()?;
            let value = writer.encode(&announcement)?;
            let out = OutRecord {
                topic: ControlTopic::Catalog.name(),
                partition: None,
                key: Some(product.urn.as_bytes()),
                value: Some(&value),
                headers: &[],
                timestamp: None,
            };
            producer
                .send(&out, Box::new(|_| {}))
                .map_err(|_| anyhow::anyhow!("an announcement can't be queued"))?;
        }
        producer.flush(Duration::from_secs(60)).await?;
        Ok(())
    }
}

fn subjects() -> Result<Vec<(String, String)>> {
    let mut subjects = Vec::new();
    for product in PRODUCTS {
        let urn: Urn = product.urn.parse()?;
        subjects.push((urn.value_subject(), product.schema().to_owned()));
    }
    for (topic, schema) in [
        (ControlTopic::Catalog, MeshSchema::ProductAnnouncement),
        (ControlTopic::Observations, MeshSchema::StreamObservation),
    ] {
        subjects.push((format!("{}-value", topic.name()), schema.text().to_owned()));
    }
    Ok(subjects)
}

impl Product {
    /// The one with such records.
    pub(super) fn of(content: Content, tag: TagMode) -> Option<Self> {
        PRODUCTS
            .into_iter()
            .find(|p| p.content == content && p.tag == tag)
    }

    pub(super) fn topic(self) -> Result<String> {
        Ok(self.urn.parse::<Urn>()?.topic())
    }

    pub(super) fn id(self) -> Result<SchemaId> {
        Ok(SchemaId::new(self.id)?)
    }

    fn schema(self) -> &'static str {
        match self.content {
            Content::Small | Content::SmallJson => records::SMALL_SCHEMA,
            Content::Large | Content::LargeJson => records::SCHEMA,
        }
    }

    fn announcement(self) -> Result<ProductAnnouncement> {
        let product = product::Product {
            urn: self.urn,
            schema: self.schema(),
            id: self.id()?,
            partitions: PARTITIONS,
            enforcement: EnforcementMode::Reject,
            tag: self.tag,
        };
        product.announcement(WallClock.now())
    }
}
