//! Names as people type them: `<domain>.<product>`, `<domain>.<product>:v<N>`, a URN or a topic.

use anyhow::{Context as _, bail};
use meshwork_catalog::read_catalog;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::name::{ProductName, Urn};
use meshwork_registry_client::RegistryClient;

use crate::config::Config;

/// Whether `name`, where there is one, means this product version.
pub(crate) fn selects(name: Option<&str>, urn: &Urn) -> bool {
    let Some(name) = name else { return true };
    name == urn.to_string()
        || name == urn.topic()
        || name == urn.name().to_string()
        || name == format!("{}:{}", urn.name(), urn.version())
}

/// The announced product that `name` means; without a version the newest active one.
///
/// # Errors
/// The catalog can't be read, or has no such product; then it says what it has.
pub(crate) async fn find(
    name: &str,
    config: &Config,
    registry: &RegistryClient,
) -> anyhow::Result<ProductAnnouncement> {
    let catalog = read_catalog(&config.kafka, registry)
        .await
        .context("the catalog can't be read")?;
    let mut found: Vec<ProductAnnouncement> = catalog
        .products
        .iter()
        .filter(|p| selects(Some(name), &p.urn))
        .cloned()
        .collect();
    found.sort_by_key(|p| (p.status == ProductStatus::Active, p.urn.version()));
    match found.pop() {
        Some(product) => Ok(product),
        None => {
            let mut names: Vec<ProductName> = catalog
                .products
                .iter()
                .map(|p| p.urn.name().clone())
                .collect();
            names.sort();
            names.dedup();
            let listed: Vec<String> = names.iter().take(20).map(ToString::to_string).collect();
            bail!(
                "no product `{name}` is announced; there are {}: {}",
                names.len(),
                listed.join(", ")
            )
        }
    }
}

/// Whether Kafka has a topic of this name.
///
/// # Errors
/// Kafka can't be asked.
pub(crate) async fn topic(name: &str, config: &Config) -> anyhow::Result<bool> {
    Ok(meshwork_kafka::Admin::new(&config.kafka)?
        .topic(name)
        .await?
        .is_some())
}

/// `user@host`, where nothing better is said.
pub(crate) fn user_at_host() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    format!(
        "{}@{}",
        user.unwrap_or_else(|_| "unknown".to_owned()),
        meshwork_telemetry::host_name()
    )
}
