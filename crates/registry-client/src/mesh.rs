//! Records of the `mesh.*` topics in Confluent framing: written under the schema that this build
//! carries, read under whichever schema their writer had.

use std::fmt;
use std::io::Read as _;
use std::marker::PhantomData;
use std::sync::Arc;

use meshwork_model::mesh::MeshRecord;
use meshwork_model::name::SchemaId;
use quick_cache::sync::Cache;
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use serde_avro_fast::ser::SerializerConfig;

use crate::client::RegistryClient;
use crate::error::RegistryClientError;
use crate::framing::{FramingError, frame, unframe};

/// Writers' schemas that a reader keeps compiled. There are as many as releases of Meshwork that
/// wrote to the topic.
const WRITERS_KEPT: usize = 64;

/// Largest array or map in a mesh record, in items. The mesh's own lists are shorter by far.
const MAX_ITEMS: usize = 1_000_000;

/// Why a mesh record could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// The registry gave no schema.
    #[error(transparent)]
    Registry(#[from] RegistryClientError),
    /// Not framed.
    #[error("record of type {record} is not framed: {source}")]
    Framing {
        /// Rust type.
        record: &'static str,
        /// What is wrong.
        source: FramingError,
    },
    /// A schema that can't be compiled.
    #[error("schema of type {record} can't be compiled: {detail}")]
    Schema {
        /// Rust type.
        record: &'static str,
        /// Why.
        detail: String,
    },
    /// The value does not fit the schema.
    #[error("value of type {record} does not fit its schema: {detail}")]
    Encode {
        /// Rust type.
        record: &'static str,
        /// Why.
        detail: String,
    },
    /// The datum does not decode as this type.
    #[error("datum under schema {id} does not decode as {record}: {detail}")]
    Decode {
        /// Rust type.
        record: &'static str,
        /// Writer's schema.
        id: SchemaId,
        /// Why.
        detail: String,
    },
}

fn record<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

fn compile<T>(text: &str) -> Result<Schema, MeshError> {
    text.parse().map_err(
        |error: serde_avro_fast::schema::SchemaError| MeshError::Schema {
            record: record::<T>(),
            detail: error.to_string(),
        },
    )
}

/// Encodes records of one type. Clones share the schema.
pub struct MeshWriter<T> {
    id: SchemaId,
    schema: Arc<Schema>,
    of: PhantomData<fn(&T)>,
}

impl<T> Clone for MeshWriter<T> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            schema: Arc::clone(&self.schema),
            of: PhantomData,
        }
    }
}

impl<T> fmt::Debug for MeshWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeshWriter<{}>({})", record::<T>(), self.id)
    }
}

impl<T: MeshRecord> MeshWriter<T> {
    /// Registers this build's schema under `subject`, which is `<topic>-value`. Waits for a
    /// registry that does not answer yet, up to the client's `startup_timeout`.
    ///
    /// # Errors
    /// The registry refuses it or can't be reached.
    pub async fn register(client: &RegistryClient, subject: &str) -> Result<Self, MeshError> {
        let registered = client.register_at_start(subject, T::SCHEMA.text()).await?;
        Self::with_id(registered.id)
    }

    /// With an id that is known already.
    ///
    /// # Errors
    /// The build's schema can't be compiled.
    pub fn with_id(id: SchemaId) -> Result<Self, MeshError> {
        Ok(Self {
            id,
            schema: Arc::new(compile::<T>(T::SCHEMA.text())?),
            of: PhantomData,
        })
    }

    /// The id that records carry.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// The framed datum.
    ///
    /// # Errors
    /// A value that does not fit the schema ([`MeshError::Encode`]).
    pub fn encode(&self, value: &T) -> Result<Vec<u8>, MeshError> {
        let mut bytes = Vec::with_capacity(256);
        self.encode_to(value, &mut bytes)?;
        Ok(bytes)
    }

    /// Appends the framed datum to `bytes`. After an error what was appended is undefined.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_to(&self, value: &T, bytes: &mut Vec<u8>) -> Result<(), MeshError> {
        bytes.extend_from_slice(&frame(self.id));
        let mut config = SerializerConfig::new(&self.schema);
        serde_avro_fast::to_datum(value, bytes, &mut config).map_err(|error| {
            MeshError::Encode {
                record: record::<T>(),
                detail: error.to_string(),
            }
        })?;
        Ok(())
    }
}

/// Decodes records of one type. Clones share the compiled schemas.
pub struct MeshReader<T> {
    client: RegistryClient,
    writers: Arc<Cache<SchemaId, Arc<Schema>>>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for MeshReader<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            writers: Arc::clone(&self.writers),
            of: PhantomData,
        }
    }
}

impl<T> fmt::Debug for MeshReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeshReader<{}>", record::<T>())
    }
}

impl<T: MeshRecord> MeshReader<T> {
    /// Writers' schemas come from `client`.
    #[must_use]
    pub fn new(client: RegistryClient) -> Self {
        Self {
            client,
            writers: Arc::new(Cache::new(WRITERS_KEPT)),
            of: PhantomData,
        }
    }

    /// Takes this build's schema for `id`, so that the registry need not be asked.
    ///
    /// # Errors
    /// The build's schema can't be compiled.
    pub fn know(&self, id: SchemaId) -> Result<(), MeshError> {
        self.writers
            .insert(id, Arc::new(compile::<T>(T::SCHEMA.text())?));
        Ok(())
    }

    /// Decodes a framed datum under its writer's schema, which is asked for once.
    ///
    /// # Errors
    /// Bytes that are not framed or do not decode, an unknown id, or no registry.
    pub async fn decode(&self, bytes: &[u8]) -> Result<T, MeshError> {
        let (id, datum) = Self::split(bytes)?;
        if let Some(schema) = self.writers.get(&id) {
            return decode(id, &schema, datum);
        }
        let stored = self.client.schema(id).await?;
        let schema = Arc::new(compile::<T>(&stored.text)?);
        self.writers.insert(id, Arc::clone(&schema));
        decode(id, &schema, datum)
    }

    /// As [`Self::decode`] where the writer's schema is known already; none where it is not. For
    /// threads that must not wait: ask again through `decode`.
    ///
    /// # Errors
    /// Bytes that are not framed or do not decode.
    pub fn decode_known(&self, bytes: &[u8]) -> Result<Option<T>, MeshError> {
        let (id, datum) = Self::split(bytes)?;
        self.writers
            .get(&id)
            .map(|schema| decode(id, &schema, datum))
            .transpose()
    }

    fn split(bytes: &[u8]) -> Result<(SchemaId, &[u8]), MeshError> {
        unframe(bytes).map_err(|source| MeshError::Framing {
            record: record::<T>(),
            source,
        })
    }
}

fn decode<T: MeshRecord>(id: SchemaId, schema: &Schema, datum: &[u8]) -> Result<T, MeshError> {
    let bad = |detail: String| MeshError::Decode {
        record: record::<T>(),
        id,
        detail,
    };
    let mut config = DeserializerConfig::new(schema);
    config.max_seq_size = MAX_ITEMS;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let value = T::deserialize(state.deserializer()).map_err(|error| bad(error.to_string()))?;
    let mut rest = Vec::new();
    match state.into_reader().read_to_end(&mut rest) {
        Ok(0) => Ok(value),
        Ok(n) => Err(bad(format!("{n} bytes are left over"))),
        Err(error) => Err(bad(error.to_string())),
    }
}
