//! A data product as its contract and schema make it: all that `plan`, `apply` and the pipeline
//! need to know.

pub mod key;

use std::fmt;
use std::str::FromStr;

use crate::contract::Contract;
use crate::mesh::announcement::{
    EnforcementMode, ProductAnnouncement, ProductStatus, RegisteredSchema, SloDeclaration, TagMode,
};
use crate::name::Urn;
use crate::slo::Slo;
use crate::time::Timestamp;
use crate::topic::{quarantine_configs, retention_config};

/// A compatibility level, as in the Confluent Schema Registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compatibility {
    /// Anything goes.
    None,
    /// Readers with the new schema read what the last one wrote.
    Backward,
    /// … what any earlier one wrote.
    BackwardTransitive,
    /// Readers with the last schema read what the new one writes.
    Forward,
    /// Readers with any earlier schema do.
    ForwardTransitive,
    /// Both, with the last one.
    Full,
    /// Both, with every earlier one.
    FullTransitive,
}

impl Compatibility {
    /// As in the registry: `BACKWARD_TRANSITIVE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Compatibility {
    type Err = ();

    /// Case does not matter.
    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "NONE" => Self::None,
            "BACKWARD" => Self::Backward,
            "BACKWARD_TRANSITIVE" => Self::BackwardTransitive,
            "FORWARD" => Self::Forward,
            "FORWARD_TRANSITIVE" => Self::ForwardTransitive,
            "FULL" => Self::Full,
            "FULL_TRANSITIVE" => Self::FullTransitive,
            _ => return Err(()),
        })
    }
}

/// One product version, as desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The product version.
    pub urn: Urn,
    /// The contract's version; its major is the product version.
    pub version: String,
    /// Where it is in its life.
    pub status: ProductStatus,
    /// Who answers for it.
    pub owner: String,
    /// The owner's team.
    pub team: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// The contract, as written.
    pub contract: String,
    /// `sha256:<hex>` of the contract's bytes.
    pub contract_digest: String,
    /// Avro schema of the value, as written.
    pub value_schema: String,
    /// Avro schema of the key; none: the key is the UTF-8 of the single key column, or absent.
    pub key_schema: Option<String>,
    /// Fields of the key by position.
    pub key_columns: Vec<String>,
    /// Compatibility level of the value's subject.
    pub compatibility: Compatibility,
    /// Partitions of the topic.
    pub partitions: i32,
    /// How long records are kept, milliseconds; none: for ever.
    pub retention_ms: Option<i64>,
    /// Whether the topic keeps the latest record of each key only.
    pub compacted: bool,
    /// What happens to a record that breaks the contract.
    pub enforcement: EnforcementMode,
    /// Which records carry lineage headers.
    pub tag: TagMode,
    /// Field that holds the event time.
    pub event_time: Option<String>,
    /// URNs or topics that it is made from.
    pub inputs: Vec<String>,
    /// Its promises.
    pub slos: Vec<Slo>,
    /// Classification of each column that has one, by dotted path.
    pub classifications: Vec<(String, String)>,
}

impl Product {
    /// Of a contract and its schema. Whether the two agree is checked apart. With several key
    /// columns and no key schema, one is made of their types.
    ///
    /// # Errors
    /// The key's schema can't be made of the value's.
    pub fn new(
        contract: &Contract,
        value_schema: &str,
        key_schema: Option<&str>,
    ) -> Result<Self, key::KeySchemaError> {
        let key_schema = match key_schema {
            Some(text) => Some(text.to_owned()),
            None if contract.key_columns.len() > 1 => {
                Some(key::schema_of_columns(value_schema, &contract.key_columns)?)
            }
            None => None,
        };
        let mut classifications = Vec::new();
        classify(&contract.columns, "", &mut classifications);
        Ok(Self {
            urn: contract.urn.clone(),
            version: contract.version.clone(),
            status: contract.status,
            owner: contract.owner.clone(),
            team: contract.team.clone(),
            description: contract.description.clone(),
            tags: contract.tags.clone(),
            contract: contract.text.clone(),
            contract_digest: contract.digest(),
            value_schema: value_schema.to_owned(),
            key_schema,
            key_columns: contract.key_columns.clone(),
            compatibility: contract.settings.compatibility,
            partitions: contract.settings.partitions,
            retention_ms: contract.retention_ms,
            compacted: contract.settings.compacted,
            enforcement: contract.settings.enforcement,
            tag: contract.settings.tag,
            event_time: contract
                .settings
                .event_time
                .as_ref()
                .map(|(field, _)| field.clone()),
            inputs: contract.settings.inputs.clone(),
            slos: contract.slos.iter().map(|d| d.slo.clone()).collect(),
            classifications,
        })
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> String {
        self.urn.topic()
    }

    /// Where its refused records go.
    #[must_use]
    pub fn quarantine_topic(&self) -> String {
        self.urn.quarantine_topic()
    }

    /// Settings of its topic that are the contract's to say.
    #[must_use]
    pub fn topic_configs(&self) -> Vec<(&'static str, String)> {
        let policy = if self.compacted { "compact" } else { "delete" };
        vec![
            ("cleanup.policy", policy.to_owned()),
            ("retention.ms", retention_config(self.retention_ms)),
        ]
    }

    /// Settings of its quarantine with so many replicas: see [`quarantine_configs`].
    #[must_use]
    pub fn quarantine_configs(&self, replicas: usize) -> Vec<(&'static str, String)> {
        quarantine_configs(self.retention_ms, replicas)
    }

    /// What is announced of it once its schemas are registered.
    #[must_use]
    pub fn announcement(
        &self,
        value_schema: RegisteredSchema,
        key_schema: Option<RegisteredSchema>,
        announced_at: Timestamp,
        changed_at: Timestamp,
    ) -> ProductAnnouncement {
        ProductAnnouncement {
            urn: self.urn.clone(),
            domain: self.urn.name().domain().to_owned(),
            product: self.urn.name().product().to_owned(),
            version: self.version.clone(),
            status: self.status,
            topic: self.topic(),
            announced_at,
            changed_at,
            owner: self.owner.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            contract: self.contract.clone(),
            contract_digest: self.contract_digest.clone(),
            value_schema,
            key_schema,
            key_columns: self.key_columns.clone(),
            compatibility: self.compatibility.to_string(),
            partitions: self.partitions,
            retention_ms: self.retention_ms,
            compacted: self.compacted,
            enforcement: self.enforcement,
            tag: self.tag,
            event_time: self.event_time.clone(),
            inputs: self.inputs.clone(),
            slos: self.slos.iter().map(SloDeclaration::from).collect(),
        }
    }
}

/// Bounded by the depth of the contract's tree.
fn classify(columns: &[crate::contract::Column], above: &str, found: &mut Vec<(String, String)>) {
    for column in columns {
        let path = if above.is_empty() {
            column.field.clone()
        } else {
            format!("{above}.{}", column.field)
        };
        if let Some(classification) = &column.classification {
            found.push((path.clone(), classification.clone()));
        }
        classify(&column.properties, &path, found);
        if let Some(items) = &column.items {
            classify(&items.properties, &path, found);
        }
    }
}
