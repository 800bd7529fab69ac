//! The catalog from its topic alone, without a service: what commands do that only need Kafka and
//! the registry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use meshwork_kafka::{Admin, Assigned, From, KafkaConfig, KafkaError, LogReader, ReaderOptions};
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::name::Urn;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshError, MeshReader, RegistryClient};
use serde::{Deserialize, Serialize};

/// Longest wait for the brokers while `mesh.catalog` is read.
const PATIENCE: Duration = Duration::from_secs(30);

/// The products as `mesh.catalog` announces them.
#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot {
    /// The latest announcement of each product version, by URN.
    pub products: Vec<ProductAnnouncement>,
    /// Records that are no announcements, the latest of each key; what was announced before them
    /// under the same key stands.
    pub unreadable: Vec<UnreadableAnnouncement>,
    /// Offset up to which `mesh.catalog` was read; 0 where the topic is not there.
    pub next_offset: i64,
}

/// A record of `mesh.catalog` that is no announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableAnnouncement {
    /// Its key, as far as it is text.
    pub key: String,
    /// Its offset.
    pub offset: i64,
    /// What is wrong with it.
    pub reason: String,
}

/// Why the catalog could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadCatalogError {
    /// The brokers failed.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The brokers could not be reached while reading.
    #[error("mesh.catalog could not be read within {} s: {said}", PATIENCE.as_secs())]
    NotReached {
        /// What librdkafka says.
        said: String,
    },
    /// The registry failed: nothing can be decoded without it.
    #[error("mesh.catalog can't be decoded: {0}")]
    Registry(MeshError),
}

/// Reads all product versions that are announced, by URN. A topic that is not there is an empty
/// catalog; a record that doesn't decode is listed and skipped.
///
/// # Errors
/// The brokers or the registry can't be reached.
pub async fn read_catalog(
    kafka: &KafkaConfig,
    registry: &RegistryClient,
) -> Result<CatalogSnapshot, ReadCatalogError> {
    let admin = Admin::new(kafka)?;
    let name = ControlTopic::Catalog.name();
    if admin.topic(name).await?.is_none() {
        return Ok(CatalogSnapshot::default());
    }
    let partitions = Assigned::all(&admin, name, |_| From::Beginning).await?;
    let mut log = LogReader::start(kafka, partitions, ReaderOptions::default())?;
    let reader = MeshReader::<ProductAnnouncement>::new(registry.clone());
    let mut products: BTreeMap<Urn, ProductAnnouncement> = BTreeMap::new();
    let mut unreadable: BTreeMap<String, UnreadableAnnouncement> = BTreeMap::new();
    let mut next_offset = 0;
    let started = Instant::now();
    loop {
        let batch = log.next(Duration::from_millis(250)).await?;
        for record in &batch.records {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
            unreadable.remove(key.as_ref());
            match decode(&reader, record.key.as_deref(), record.value.as_deref()).await {
                Ok(Announced::Product(product)) => {
                    products.insert(product.urn.clone(), *product);
                }
                Ok(Announced::Withdrawn(urn)) => {
                    products.remove(&urn);
                }
                Err(DecodeError::Registry(error)) => {
                    return Err(ReadCatalogError::Registry(error));
                }
                Err(DecodeError::Record(reason)) => {
                    unreadable.insert(
                        key.clone().into_owned(),
                        UnreadableAnnouncement {
                            key: key.into_owned(),
                            offset: record.offset,
                            reason,
                        },
                    );
                }
            }
        }
        for (_, next) in &batch.positions {
            next_offset = next_offset.max(*next);
        }
        if batch.caught_up {
            return Ok(CatalogSnapshot {
                products: products.into_values().collect(),
                unreadable: unreadable.into_values().collect(),
                next_offset,
            });
        }
        if started.elapsed() > PATIENCE
            && let Some(trouble) = batch.trouble
        {
            return Err(ReadCatalogError::NotReached { said: trouble.said });
        }
    }
}

/// What a record of `mesh.catalog` says.
#[derive(Debug)]
pub(crate) enum Announced {
    /// This is the product now.
    Product(Box<ProductAnnouncement>),
    /// This product is no more.
    Withdrawn(Urn),
}

/// Why a record of a mesh topic says nothing.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// The registry does not answer: the record may be fine.
    Registry(MeshError),
    /// The record is not fine.
    Record(String),
}

/// Reads a record of `mesh.catalog`.
pub(crate) async fn decode(
    reader: &MeshReader<ProductAnnouncement>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<Announced, DecodeError> {
    let bad = |reason: String| DecodeError::Record(reason);
    let urn: Urn = std::str::from_utf8(key.unwrap_or_default())
        .map_err(|_| bad("its key is not UTF-8".to_owned()))?
        .parse()
        .map_err(|error| bad(format!("its key is no URN: {error}")))?;
    let Some(value) = value else {
        return Ok(Announced::Withdrawn(urn));
    };
    let product = decode_value(reader, value).await?;
    if product.urn != urn {
        return Err(bad(format!(
            "its key is {urn} and its value {}",
            product.urn
        )));
    }
    Ok(Announced::Product(Box::new(product)))
}

/// Reads a value of a mesh topic; tells a registry that is away from a record that is wrong.
pub(crate) async fn decode_value<T: meshwork_model::mesh::MeshRecord>(
    reader: &MeshReader<T>,
    value: &[u8],
) -> Result<T, DecodeError> {
    reader.decode(value).await.map_err(|error| match &error {
        MeshError::Registry(registry) if !registry.is_not_found() => DecodeError::Registry(error),
        _ => DecodeError::Record(error.to_string()),
    })
}
