//! What the registry answers, as values.

use meshwork_model::name::SchemaId;
use serde::{Deserialize, Serialize};

/// A schema's reference to one that is registered under another subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// Full name of the type, as the referring text uses it.
    pub name: String,
    /// Subject that holds it.
    pub subject: String,
    /// Version within the subject; −1: the latest, when registering.
    pub version: i32,
}

/// A schema as the registry keeps it under its id. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSchema {
    /// Its id.
    pub id: SchemaId,
    /// Its GUID; none from registries older than Confluent 8.0.
    pub guid: Option<String>,
    /// `AVRO`, `JSON` or `PROTOBUF`.
    pub schema_type: String,
    /// Its text, with types of references by name only.
    pub text: String,
    /// The schemas it refers to.
    pub references: Vec<Reference>,
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Subject.
    pub subject: String,
    /// Version within the subject, from 1.
    pub version: i32,
    /// The schema's id.
    pub id: SchemaId,
    /// Its GUID; none from registries older than Confluent 8.0.
    pub guid: Option<String>,
    /// The text as stored, which may differ from the one that was sent.
    pub schema: String,
    /// The schemas it refers to.
    pub references: Vec<Reference>,
}

/// Whether a schema fits a subject under its compatibility level.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CompatibilityAnswer {
    /// The verdict.
    #[serde(rename = "is_compatible")]
    pub compatible: bool,
    /// Every incompatibility, in the registry's words; empty where compatible.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub messages: Vec<String>,
}

/// Some registries write null for an empty list.
pub(crate) fn null_is_empty<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

/// Everything that the API may say of one schema; each endpoint gives a part.
#[derive(Debug, Deserialize)]
pub(crate) struct SchemaAnswer {
    pub(crate) subject: Option<String>,
    pub(crate) version: Option<i32>,
    pub(crate) id: Option<SchemaId>,
    pub(crate) guid: Option<String>,
    #[serde(rename = "schemaType")]
    pub(crate) schema_type: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) references: Option<Vec<Reference>>,
}

/// One subject and version that hold an id.
#[derive(Debug, Deserialize)]
pub(crate) struct SubjectVersion {
    pub(crate) subject: String,
}

/// `{"compatibilityLevel": …}`.
#[derive(Debug, Deserialize)]
pub(crate) struct ConfigAnswer {
    #[serde(rename = "compatibilityLevel")]
    pub(crate) level: Option<String>,
}

/// `{"version": …}`, of which only what Meshwork's own registry adds matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServerAnswer {
    pub(crate) announces_changes: bool,
}

/// `{"error_code": …, "message": …}`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorAnswer {
    pub(crate) error_code: Option<u32>,
    pub(crate) message: Option<String>,
}
