//! What changed from one announcement to the next, for `mesh.catalog.changes`.

use meshwork_avro::Schema;
use meshwork_model::contract::digest;
use meshwork_model::mesh::ProductChange;
use meshwork_model::mesh::announcement::{ProductAnnouncement, ProductStatus, RegisteredSchema};
use meshwork_model::mesh::change::{Change, ContractChange, SchemaChange, StatusChange};
use meshwork_registry_client::{RegistryClient, RegistryClientError};

use crate::plan::difference;

/// Version numbers of the schemas that an announcement names by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions {
    value: (Option<i32>, Option<i32>),
    key: (Option<i32>, Option<i32>),
}

impl Versions {
    /// Asks for the versions of the schemas that differ.
    pub(super) async fn ask(
        registry: &RegistryClient,
        before: Option<&ProductAnnouncement>,
        new: &ProductAnnouncement,
    ) -> Result<Self, RegistryClientError> {
        let value = pair(
            registry,
            before.map(|b| &b.value_schema),
            Some(&new.value_schema),
        )
        .await?;
        let old_key = before.and_then(|b| b.key_schema.as_ref());
        let key = pair(registry, old_key, new.key_schema.as_ref()).await?;
        Ok(Self { value, key })
    }
}

async fn pair(
    registry: &RegistryClient,
    old: Option<&RegisteredSchema>,
    new: Option<&RegisteredSchema>,
) -> Result<(Option<i32>, Option<i32>), RegistryClientError> {
    if old.map(|o| o.id) == new.map(|n| n.id) {
        return Ok((None, None));
    }
    Ok((version(registry, old).await?, version(registry, new).await?))
}

async fn version(
    registry: &RegistryClient,
    schema: Option<&RegisteredSchema>,
) -> Result<Option<i32>, RegistryClientError> {
    let Some(schema) = schema else {
        return Ok(None);
    };
    let found = registry.look_up(&schema.subject, &schema.schema).await?;
    Ok(found.map(|f| f.version))
}

/// The changes, each with an id that a repeat would have too.
pub(super) fn between(
    before: Option<&ProductAnnouncement>,
    new: &ProductAnnouncement,
    versions: &Versions,
    who: &str,
    consumers: &[String],
) -> Vec<ProductChange> {
    let mut changes = Vec::new();
    // Every change builds on one announcement, so that it and the new content name it.
    let base = before.map_or(0, |b| b.changed_at.as_millis());
    let mut push = |kind: &str, content: &str, change: Change| {
        let id = digest(&format!("{}\n{kind}\n{base}\n{content}", new.urn));
        changes.push(ProductChange {
            id: id.replacen("sha256:", "", 1).chars().take(32).collect(),
            at: new.changed_at,
            who: who.to_owned(),
            urn: Some(new.urn.clone()),
            consumers: consumers.to_vec(),
            change,
        });
    };
    let old_digest = before.map(|b| b.contract_digest.clone());
    if old_digest.as_ref() != Some(&new.contract_digest) {
        push(
            "contract",
            &new.contract_digest,
            Change::ContractChange(ContractChange {
                from_digest: old_digest,
                to_digest: new.contract_digest.clone(),
                in_words: before.map_or_else(Vec::new, |b| difference::announcements(b, new)),
            }),
        );
    }
    let pairs = [
        (
            before.map(|b| &b.value_schema),
            Some(&new.value_schema),
            versions.value,
        ),
        (
            before.and_then(|b| b.key_schema.as_ref()),
            new.key_schema.as_ref(),
            versions.key,
        ),
    ];
    for (old, now, (from_version, to_version)) in pairs {
        let (Some(now), Some(to_version)) = (now, to_version) else {
            continue;
        };
        push(
            "schema",
            &format!("{} {}", now.subject, now.id),
            Change::SchemaChange(SchemaChange {
                subject: now.subject.clone(),
                from_version,
                to_version,
                in_words: old.map_or_else(Vec::new, |old| schema_words(old, now)),
            }),
        );
    }
    if let Some(before) = before
        && before.status != new.status
    {
        push(
            "status",
            status(new.status),
            Change::StatusChange(StatusChange {
                from_status: status(before.status).to_owned(),
                to_status: status(new.status).to_owned(),
                reason: None,
            }),
        );
    }
    changes
}

fn schema_words(old: &RegisteredSchema, new: &RegisteredSchema) -> Vec<String> {
    match (Schema::parse(&old.schema), Schema::parse(&new.schema)) {
        (Ok(old), Ok(new)) => difference::schemas(&old, &new),
        _ => Vec::new(),
    }
}

const fn status(status: ProductStatus) -> &'static str {
    match status {
        ProductStatus::Proposed => "PROPOSED",
        ProductStatus::Draft => "DRAFT",
        ProductStatus::Active => "ACTIVE",
        ProductStatus::Deprecated => "DEPRECATED",
        ProductStatus::Retired => "RETIRED",
    }
}
