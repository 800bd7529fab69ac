//! Reads records of `mesh.observations` borrowed, under whichever schema their writer had.

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_model::name::SchemaId;
use meshwork_registry_client::{MeshError, RegistryClient, unframe};
use parking_lot::RwLock;
use serde::Deserialize as _;
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};

use crate::core::ObservationView;

/// Most writers' schemas kept; there are as many as releases that wrote to the topic.
const SCHEMAS_MAX: usize = 256;
/// Longest list in an observation. Meshwork's own lists have at most 64 entries.
const ITEMS_MAX: usize = 65_536;

/// See the module. Clones share the schemas.
#[derive(Clone, Default)]
pub struct Decoder {
    /// None: an id that can't be used.
    schemas: Arc<RwLock<HashMap<SchemaId, Option<Arc<Schema>>>>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

/// Why a record was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// Its schema has to be loaded first.
    Load(SchemaId),
    /// It is no observation.
    Garbled(String),
}

impl Decoder {
    /// Knows `text` as the schema `id`.
    ///
    /// # Errors
    /// It is no Avro schema.
    pub fn know(&self, id: SchemaId, text: &str) -> Result<(), String> {
        let schema: Schema = text
            .parse()
            .map_err(|e: serde_avro_fast::schema::SchemaError| e.to_string())?;
        self.put(id, Some(Arc::new(schema)));
        Ok(())
    }

    fn put(&self, id: SchemaId, schema: Option<Arc<Schema>>) {
        let mut schemas = self.schemas.write();
        if schemas.len() >= SCHEMAS_MAX {
            schemas.clear();
        }
        schemas.insert(id, schema);
    }

    /// Asks the registry for a schema. One that it does not have, or that can't be used, is remembered
    /// as such.
    ///
    /// # Errors
    /// The registry can't be asked now.
    pub async fn load(&self, id: SchemaId, registry: &RegistryClient) -> Result<(), MeshError> {
        match registry.schema(id).await {
            Ok(stored) => {
                if let Err(reason) = self.know(id, &stored.text) {
                    tracing::warn!(schema = %id, %reason, "a schema of mesh.observations can't be used");
                    self.put(id, None);
                }
                Ok(())
            }
            Err(e) => {
                let e = MeshError::from(e);
                if crate::service::passes(&e) {
                    return Err(e);
                }
                tracing::warn!(schema = %id, error = %e, "a schema of mesh.observations can't be had");
                self.put(id, None);
                Ok(())
            }
        }
    }

    /// Calls `with` on the observation in a framed record.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn read<T>(
        &self,
        bytes: &[u8],
        with: impl FnOnce(&ObservationView<'_>) -> T,
    ) -> Result<T, NotRead> {
        let (id, datum) = unframe(bytes).map_err(|e| NotRead::Garbled(e.to_string()))?;
        let schema = match self.schemas.read().get(&id) {
            None => return Err(NotRead::Load(id)),
            Some(None) => return Err(NotRead::Garbled(format!("schema {id} can't be used"))),
            Some(Some(schema)) => Arc::clone(schema),
        };
        let mut config = DeserializerConfig::new(&schema);
        config.max_seq_size = ITEMS_MAX;
        let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
        let view = ObservationView::deserialize(state.deserializer())
            .map_err(|e| NotRead::Garbled(e.to_string()))?;
        Ok(with(&view))
    }
}
