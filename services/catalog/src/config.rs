//! Configuration of the catalog role.

use meshwork_model::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The catalog role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most product versions that are searched; those announced beyond are stored, and left out of
    /// lists and search with a word in the log. About 10 KiB each. Default 100,000.
    pub max_products: usize,
    /// Changes kept at hand, newest; older ones stay in `mesh.catalog.changes`. Default 100,000.
    pub max_changes: usize,
    /// Longest wait between two attempts to reach brokers or registry. Default `10s`.
    pub retry_at_most: HumanDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_products: 100_000,
            max_changes: 100_000,
            retry_at_most: HumanDuration::from_secs(10),
        }
    }
}
