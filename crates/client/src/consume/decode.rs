//! Keys and values as text for people and for `produce`.

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_kafka::InRecord;
use meshwork_model::headers::{FORMAT, KEY_SCHEMA_ID, VALUE_SCHEMA_ID};
use meshwork_model::name::SchemaId;
use meshwork_pipeline::framing::{framed, guid_text};
use meshwork_pipeline::{Header, QuarantineFormat, SchemaRef};
use meshwork_registry_client::{RegistryClient, RegistryClientError};
use parking_lot::Mutex;

use crate::json::JsonForm;
use crate::schemas::parse_stored;

/// Schemas kept; with one more all are dropped and loaded again as they are met.
const FORMS_KEPT: usize = 1_000;

/// A key or value as it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Null.
    Null,
    /// JSON, under the writer's schema.
    Json {
        /// One line.
        text: String,
        /// The schema.
        schema: SchemaId,
    },
    /// Text that is not Avro: a key of a single column, or a line in quarantine.
    Text(String),
    /// Bytes that can't be decoded.
    Bytes {
        /// As they are.
        bytes: Vec<u8>,
        /// Why.
        why: String,
    },
}

/// Decodes under writers' schemas, which it keeps.
#[derive(Debug)]
pub struct Decoder {
    registry: RegistryClient,
    forms: Mutex<HashMap<SchemaId, Result<JsonForm, Arc<str>>>>,
}

impl Decoder {
    /// Schemas come from `registry`.
    #[must_use]
    pub fn new(registry: RegistryClient) -> Self {
        Self {
            registry,
            forms: Mutex::default(),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn value(&self, record: &InRecord) -> Result<Shown, RegistryClientError> {
        let Some(value) = &record.value else {
            return Ok(Shown::Null);
        };
        if record.header(FORMAT) == Some(QuarantineFormat::Json.name().as_bytes()) {
            return Ok(text_or_bytes(value, "a line that is not UTF-8"));
        }
        self.avro(value, record, VALUE_SCHEMA_ID).await
    }

    /// The key: text, or framed Avro.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn key(&self, record: &InRecord, avro: bool) -> Result<Shown, RegistryClientError> {
        let Some(key) = &record.key else {
            return Ok(Shown::Null);
        };
        if avro {
            return self.avro(key, record, KEY_SCHEMA_ID).await;
        }
        Ok(text_or_bytes(key, "a key that is not UTF-8"))
    }

    async fn avro(
        &self,
        bytes: &[u8],
        record: &InRecord,
        header: &str,
    ) -> Result<Shown, RegistryClientError> {
        let undecoded = |why: String| {
            Ok(Shown::Bytes {
                bytes: bytes.to_vec(),
                why,
            })
        };
        let headers = record.headers.iter().map(|h| Header {
            key: h.name.as_bytes(),
            value: h.value.as_deref(),
        });
        let framed = match framed(bytes, headers, header) {
            Ok(framed) => framed,
            Err(error) => return undecoded(error.to_string()),
        };
        let schema = match framed.schema {
            SchemaRef::Id(id) => id,
            SchemaRef::Guid(guid) => {
                return undecoded(format!("its schema is named by GUID {}", guid_text(&guid)));
            }
        };
        match self.form(schema).await? {
            Err(why) => undecoded(why.to_string()),
            Ok(form) => {
                let mut text = String::new();
                match form.decode(framed.datum, &mut text) {
                    Ok(()) => Ok(Shown::Json { text, schema }),
                    Err(fault) => undecoded(fault.to_string()),
                }
            }
        }
    }

    async fn form(&self, id: SchemaId) -> Result<Result<JsonForm, Arc<str>>, RegistryClientError> {
        if let Some(known) = self.forms.lock().get(&id) {
            return Ok(known.clone());
        }
        let form = match self.load(id).await {
            Ok(form) => form.map_err(Arc::<str>::from),
            // Not kept: it may be registered next.
            Err(error) if error.is_not_found() => {
                return Ok(Err(format!("the registry has no schema {id}").into()));
            }
            Err(error) => return Err(error),
        };
        let mut forms = self.forms.lock();
        if forms.len() >= FORMS_KEPT {
            forms.clear();
        }
        forms.insert(id, form.clone());
        Ok(form)
    }

    async fn load(&self, id: SchemaId) -> Result<Result<JsonForm, String>, RegistryClientError> {
        let stored = self.registry.schema(id).await?;
        if stored.schema_type != "AVRO" {
            return Ok(Err(format!(
                "schema {id} is of type {}",
                stored.schema_type
            )));
        }
        let parsed = parse_stored(&self.registry, &stored.text, &stored.references).await?;
        Ok(parsed.and_then(|schema| JsonForm::new(&schema).map_err(|e| e.to_string())))
    }
}

fn text_or_bytes(bytes: &[u8], why: &str) -> Shown {
    match std::str::from_utf8(bytes) {
        Ok(text) => Shown::Text(text.to_owned()),
        Err(_) => Shown::Bytes {
            bytes: bytes.to_vec(),
            why: why.to_owned(),
        },
    }
}
