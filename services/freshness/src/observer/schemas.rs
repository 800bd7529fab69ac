//! Schemas for reading back: asked for once each, compiled with the product's event-time field.

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_avro::Schema;
use meshwork_pipeline::{CompiledSchema, Needed, SchemaLookup, SchemaRef, Schemas};
use meshwork_registry_client::{RegistryClient, RegistryClientError};

/// Most schemas kept.
const SCHEMAS_MAX: usize = 1_024;

/// The schemas that one product's records were found to have.
pub(super) struct Loaded {
    event_time: Option<String>,
    by_ref: HashMap<SchemaRef, SchemaLookup>,
}

impl Schemas for Loaded {
    fn look_up(&self, _: &str, schema: SchemaRef) -> SchemaLookup {
        self.by_ref
            .get(&schema)
            .cloned()
            .unwrap_or(SchemaLookup::NotLoaded)
    }
}

impl Loaded {
    pub(super) fn new(event_time: Option<String>) -> Self {
        Self {
            event_time,
            by_ref: HashMap::new(),
        }
    }

    /// Asks the registry. What it does not have is remembered as unknown; where it can't be asked the
    /// record counts without its event time, which is better than not at all.
    pub(super) async fn load(&mut self, needed: &Needed, registry: &RegistryClient) {
        if self.by_ref.len() >= SCHEMAS_MAX {
            self.by_ref.clear();
        }
        let found = self.find(needed, registry).await;
        self.by_ref.insert(needed.schema, found);
    }

    async fn find(&self, needed: &Needed, registry: &RegistryClient) -> SchemaLookup {
        let SchemaRef::Id(id) = needed.schema else {
            return SchemaLookup::Unknown;
        };
        let stored = match registry.schema(id).await {
            Ok(stored) => stored,
            Err(RegistryClientError::NotFound { .. }) => return SchemaLookup::Unknown,
            Err(error) => {
                tracing::warn!(schema = %id, %error, "records are read back without their event times");
                return SchemaLookup::Unknown;
            }
        };
        let compiled = Schema::parse(&stored.text)
            .map_err(|e| e.to_string())
            .and_then(|schema| {
                CompiledSchema::compile(id, &schema, self.event_time.as_deref())
                    .map_err(|e| e.to_string())
            });
        match compiled {
            Ok(compiled) => SchemaLookup::Known(Arc::new(compiled)),
            Err(reason) => SchemaLookup::Unusable(reason.into()),
        }
    }
}
