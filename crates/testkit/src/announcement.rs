//! Products as `product apply` announces them.

use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::{
    EnforcementMode, ProductStatus, RegisteredSchema, TagMode,
};
use meshwork_model::name::Urn;
use meshwork_model::time::Timestamp;

/// An announcement of a product with one partition, which rejects what breaks its contract and tags
/// records. Its values are of `schema`, registered under `schema_id`; its key is their `id`, and their
/// event time is `at`.
#[must_use]
pub fn announcement(urn: Urn, schema_id: i32, schema: &str) -> ProductAnnouncement {
    ProductAnnouncement {
        topic: urn.topic(),
        domain: urn.name().domain().to_owned(),
        product: urn.name().product().to_owned(),
        version: "1.0.0".to_owned(),
        status: ProductStatus::Active,
        announced_at: Timestamp::from_millis(0),
        changed_at: Timestamp::from_millis(0),
        owner: "tests".to_owned(),
        description: None,
        tags: Vec::new(),
        contract: String::new(),
        contract_digest: String::new(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: schema_id,
            guid: String::new(),
            schema: schema.to_owned(),
        },
        key_schema: None,
        key_columns: vec!["id".to_owned()],
        compatibility: "BACKWARD".to_owned(),
        partitions: 1,
        retention_ms: None,
        compacted: false,
        enforcement: EnforcementMode::Reject,
        tag: TagMode::Record,
        event_time: Some("at".to_owned()),
        inputs: Vec::new(),
        slos: Vec::new(),
        urn,
    }
}
