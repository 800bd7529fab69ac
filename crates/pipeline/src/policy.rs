//! What the pipeline has to know of a product, taken from its announcement.

use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus, TagMode};
use meshwork_model::name::Urn;

/// How a product's records are to be checked, tagged and observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductPolicy {
    /// The product version.
    pub urn: Urn,
    /// Its topic.
    pub topic: String,
    /// What happens to a record that breaks the contract.
    pub enforcement: EnforcementMode,
    /// Which records carry lineage headers.
    pub tag: TagMode,
    /// Where it is in its life; a retired product refuses records.
    pub status: ProductStatus,
    /// Field that holds the event time.
    pub event_time: Option<String>,
    /// Subject that values' schemas must belong to.
    pub value_subject: String,
    /// Rule for keys.
    pub key: KeyRule,
    /// Whether a null value is a tombstone (a compacted topic) or no record at all.
    pub tombstones: bool,
    /// What happens to records whose schema can't be asked for.
    pub unavailable: OnUnavailable,
}

/// Rule for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRule {
    /// The contract names no primary key: any key, or none.
    Any,
    /// UTF-8 of the single key column; null is refused.
    Utf8,
    /// Avro under this subject; null is refused.
    Avro {
        /// Subject that keys' schemas must belong to.
        subject: String,
    },
}

/// What happens to a record whose schema is not in the cache while the registry is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnavailable {
    /// It has to wait: the producer is told to try later.
    #[default]
    Closed,
    /// It passes unchecked, and is counted.
    Open,
}

impl From<&ProductAnnouncement> for ProductPolicy {
    fn from(product: &ProductAnnouncement) -> Self {
        Self {
            urn: product.urn.clone(),
            topic: product.topic.clone(),
            enforcement: product.enforcement,
            tag: product.tag,
            status: product.status,
            event_time: product.event_time.clone(),
            value_subject: product.value_schema.subject.clone(),
            key: match (&product.key_schema, product.key_columns.len()) {
                (Some(schema), _) => KeyRule::Avro {
                    subject: schema.subject.clone(),
                },
                (None, 0) => KeyRule::Any,
                (None, _) => KeyRule::Utf8,
            },
            tombstones: product.compacted,
            unavailable: OnUnavailable::default(),
        }
    }
}
