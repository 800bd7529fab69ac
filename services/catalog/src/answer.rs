//! Answers of the catalog's API, for the service that gives them and the clients that read them.

use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::{
    EnforcementMode, ProductStatus, RegisteredSchema, SloDeclaration, TagMode,
};
use meshwork_model::mesh::change::{Change, ProductChange};
use meshwork_model::name::Urn;
use meshwork_model::time::{Timestamp, rfc3339};
use serde::{Deserialize, Serialize};

/// How far an answer reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogAsOf {
    /// Next offset of `mesh.catalog` that was not yet read.
    pub catalog_offset: i64,
    /// Next offset of `mesh.catalog.changes` that was not yet read.
    pub changes_offset: i64,
    /// When the answer was given, in the data's time.
    #[serde(with = "rfc3339")]
    pub asked_at: Timestamp,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; none on the last.
    pub next_cursor: Option<String>,
    /// Items on all pages.
    pub total: u64,
    /// How far the answer reaches.
    pub as_of: CatalogAsOf,
    /// What is missing from the answer, and why; empty when it is whole.
    pub unavailable: Vec<String>,
}

/// A product version in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductItem {
    /// `urn:meshwork:<domain>:<product>:v<major>`.
    pub urn: Urn,
    /// `<domain>.<product>`.
    pub name: String,
    /// Owning domain.
    pub domain: String,
    /// The contract's version.
    pub version: String,
    /// `proposed`, `draft`, `active`, `deprecated` or `retired`.
    pub status: String,
    /// Its topic.
    pub topic: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is.
    pub description: Option<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// Last change of its announcement.
    #[serde(with = "rfc3339")]
    pub changed_at: Timestamp,
}

impl From<&ProductAnnouncement> for ProductItem {
    fn from(product: &ProductAnnouncement) -> Self {
        Self {
            urn: product.urn.clone(),
            name: product.urn.name().to_string(),
            domain: product.domain.clone(),
            version: product.version.clone(),
            status: status_word(product.status).to_owned(),
            topic: product.topic.clone(),
            owner: product.owner.clone(),
            description: product.description.clone(),
            tags: product.tags.clone(),
            changed_at: product.changed_at,
        }
    }
}

/// A product version with all that its announcement says, but for the texts of contract and schema,
/// which have paths of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductDetail {
    /// What lists show.
    #[serde(flatten)]
    pub item: ProductItem,
    /// First announcement.
    #[serde(with = "rfc3339")]
    pub announced_at: Timestamp,
    /// `sha256:<hex>` of the contract's bytes.
    pub contract_digest: String,
    /// Schema of the values.
    pub value_schema: SchemaRef,
    /// Schema of the keys; none: the key is the UTF-8 of the single key column.
    pub key_schema: Option<SchemaRef>,
    /// The primary key's columns.
    pub key_columns: Vec<String>,
    /// Compatibility level.
    pub compatibility: String,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Retention in milliseconds; none: for ever.
    pub retention_ms: Option<i64>,
    /// Whether the topic is compacted.
    pub compacted: bool,
    /// `reject`, `quarantine`, `mark` or `off`.
    pub enforcement: String,
    /// `record`, `batch` or `off`.
    pub tag: String,
    /// Field that holds the event time.
    pub event_time: Option<String>,
    /// What it is made from, as declared.
    pub inputs: Vec<String>,
    /// Its promises.
    pub slos: Vec<SloDeclaration>,
    /// URNs of all announced versions of the product, oldest first.
    pub versions: Vec<Urn>,
}

impl ProductDetail {
    /// From the announcement and the URNs of all versions.
    #[must_use]
    pub fn new(product: &ProductAnnouncement, versions: Vec<Urn>) -> Self {
        Self {
            item: product.into(),
            announced_at: product.announced_at,
            contract_digest: product.contract_digest.clone(),
            value_schema: (&product.value_schema).into(),
            key_schema: product.key_schema.as_ref().map(SchemaRef::from),
            key_columns: product.key_columns.clone(),
            compatibility: product.compatibility.clone(),
            partitions: product.partitions,
            retention_ms: product.retention_ms,
            compacted: product.compacted,
            enforcement: match product.enforcement {
                EnforcementMode::Reject => "reject",
                EnforcementMode::Quarantine => "quarantine",
                EnforcementMode::Mark => "mark",
                EnforcementMode::Off => "off",
            }
            .to_owned(),
            tag: match product.tag {
                TagMode::Record => "record",
                TagMode::Batch => "batch",
                TagMode::Off => "off",
            }
            .to_owned(),
            event_time: product.event_time.clone(),
            inputs: product.inputs.clone(),
            slos: product.slos.clone(),
            versions,
        }
    }
}

/// Where a schema is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRef {
    /// Subject.
    pub subject: String,
    /// Id in the registry.
    pub id: i32,
    /// GUID in the registry.
    pub guid: String,
}

impl From<&RegisteredSchema> for SchemaRef {
    fn from(schema: &RegisteredSchema) -> Self {
        Self {
            subject: schema.subject.clone(),
            id: schema.id,
            guid: schema.guid.clone(),
        }
    }
}

/// Answer of `GET /v1/search`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchAnswer {
    /// What was found, best first.
    pub items: Vec<SearchItem>,
    /// How much was found, shown or not.
    pub total: u64,
    /// Words of the query that were left out because no product has all of them.
    pub left_out: Vec<String>,
    /// A query that would find something, where this one found nothing or only near words.
    pub did_you_mean: Option<String>,
    /// How far the answer reaches.
    pub as_of: CatalogAsOf,
    /// What is missing from the answer, and why.
    pub unavailable: Vec<String>,
}

/// A product version that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchItem {
    /// The product.
    #[serde(flatten)]
    pub item: ProductItem,
    /// How well it fits; only comparable within one answer.
    pub score: f64,
    /// Where the words stand: `name`, `tag`, `owner`, `domain`, `column`, `description`.
    pub matched: Vec<String>,
}

/// Answer of `GET /v1/changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePage {
    /// Changes in the order of the log.
    pub items: Vec<ChangeItem>,
    /// Asks for the next page, as `after`; none where there is no more for now.
    pub next_cursor: Option<String>,
    /// How far the answer reaches.
    pub as_of: CatalogAsOf,
    /// What is missing from the answer, and why.
    pub unavailable: Vec<String>,
}

/// One change, from `mesh.catalog.changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeItem {
    /// Its offset there: its place in the order of changes.
    pub offset: i64,
    /// The same for every repeat of the change.
    pub id: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    /// Who made it.
    pub who: String,
    /// The product version, where there is one.
    pub urn: Option<Urn>,
    /// `contract`, `schema` or `status`.
    pub kind: String,
    /// What changed, a line each.
    pub in_words: Vec<String>,
    /// Consumer groups known to read the product.
    pub consumers: Vec<String>,
}

impl ChangeItem {
    /// The change that stands at `offset`.
    #[must_use]
    pub fn new(offset: i64, change: &ProductChange) -> Self {
        let (kind, in_words) = match &change.change {
            Change::ContractChange(contract) => {
                let mut words = contract.in_words.clone();
                if words.is_empty() {
                    words.push(match contract.from_digest {
                        None => "announced for the first time".to_owned(),
                        Some(_) => "contract changed".to_owned(),
                    });
                }
                ("contract", words)
            }
            Change::SchemaChange(schema) => {
                let mut words = vec![match schema.from_version {
                    Some(from) => {
                        format!("{}: version {from} → {}", schema.subject, schema.to_version)
                    }
                    None => format!("{}: version {}", schema.subject, schema.to_version),
                }];
                words.extend(schema.in_words.iter().cloned());
                ("schema", words)
            }
            Change::StatusChange(status) => {
                let from_to = format!("{} → {}", status.from_status, status.to_status);
                let words = match &status.reason {
                    Some(reason) => format!("{from_to}: {reason}"),
                    None => from_to,
                };
                ("status", vec![words])
            }
        };
        Self {
            offset,
            id: change.id.clone(),
            at: change.at,
            who: change.who.clone(),
            urn: change.urn.clone(),
            kind: kind.to_owned(),
            in_words,
            consumers: change.consumers.clone(),
        }
    }
}

/// The status as a word of the API.
#[must_use]
pub const fn status_word(status: ProductStatus) -> &'static str {
    match status {
        ProductStatus::Proposed => "proposed",
        ProductStatus::Draft => "draft",
        ProductStatus::Active => "active",
        ProductStatus::Deprecated => "deprecated",
        ProductStatus::Retired => "retired",
    }
}

/// All words of [`status_word`].
pub const STATUS_WORDS: [&str; 5] = ["proposed", "draft", "active", "deprecated", "retired"];
