//! Products of benches, as `product apply` announces them.

use anyhow::Result;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::{
    EnforcementMode, ProductStatus, RegisteredSchema, TagMode,
};
use meshwork_model::name::{SchemaId, Urn};
use meshwork_model::time::Timestamp;

/// What tells one product from another.
#[derive(Clone, Debug)]
pub(crate) struct Product<'a> {
    pub(crate) urn: &'a str,
    pub(crate) schema: &'a str,
    pub(crate) id: SchemaId,
    pub(crate) partitions: i32,
    pub(crate) enforcement: EnforcementMode,
    pub(crate) tag: TagMode,
}

impl Product<'_> {
    /// Its announcement; its key is `id`, its event time `at`.
    ///
    /// # Errors
    /// That is no URN.
    pub(crate) fn announcement(&self, now: Timestamp) -> Result<ProductAnnouncement> {
        let urn: Urn = self.urn.parse()?;
        Ok(ProductAnnouncement {
            topic: urn.topic(),
            domain: urn.name().domain().to_owned(),
            product: urn.name().product().to_owned(),
            version: "1.0.0".to_owned(),
            status: ProductStatus::Active,
            announced_at: now,
            changed_at: now,
            owner: "bench".to_owned(),
            description: None,
            tags: vec![],
            contract: String::new(),
            contract_digest: String::new(),
            value_schema: RegisteredSchema {
                subject: urn.value_subject(),
                id: self.id.as_i32(),
                guid: String::new(),
                schema: self.schema.to_owned(),
            },
            key_schema: None,
            key_columns: vec!["id".to_owned()],
            compatibility: "BACKWARD".to_owned(),
            partitions: self.partitions,
            retention_ms: None,
            compacted: false,
            enforcement: self.enforcement,
            tag: self.tag,
            event_time: Some("at".to_owned()),
            inputs: vec![],
            slos: vec![],
            urn,
        })
    }
}
