//! Value of `mesh.catalog.changes`.

use serde::{Deserialize, Serialize};

use super::{MeshRecord, MeshSchema};
use crate::name::Urn;
use crate::time::Timestamp;

/// One change to a product or a subject. Its key is the URN, or `subject:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductChange {
    /// The same for every repeat of this change.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Who made it; where the registry does not ask who its clients are, who they say they are.
    pub who: String,
    /// The product version, where there is one.
    pub urn: Option<Urn>,
    /// Consumer groups known to read the product.
    pub consumers: Vec<String>,
    /// What changed.
    pub change: Change,
}

impl MeshRecord for ProductChange {
    const SCHEMA: MeshSchema = MeshSchema::ProductChange;
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The contract.
    #[serde(rename = "mesh.ContractChange")]
    ContractChange(ContractChange),
    /// A subject's schema.
    #[serde(rename = "mesh.SchemaChange")]
    SchemaChange(SchemaChange),
    /// The product's status.
    #[serde(rename = "mesh.StatusChange")]
    StatusChange(StatusChange),
}

/// A contract was announced for the first time, or anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractChange {
    /// Digest before; none: announced for the first time.
    pub from_digest: Option<String>,
    /// Digest now.
    pub to_digest: String,
    /// The differences, a line each.
    pub in_words: Vec<String>,
}

/// A subject has a new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// Subject.
    pub subject: String,
    /// Version before; none: the first.
    pub from_version: Option<i32>,
    /// Version now.
    pub to_version: i32,
    /// The differences, a line each.
    pub in_words: Vec<String>,
}

/// A product's status changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// Before.
    pub from_status: String,
    /// Now.
    pub to_status: String,
    /// Why.
    pub reason: Option<String>,
}
