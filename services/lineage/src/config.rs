//! Configuration of the lineage role.

use meshwork_model::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::GraphLimits;

/// The lineage role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often consumer groups are asked for, in real time. Default `10s`: one request for each
    /// group, so that 1,000 groups are 100 requests a second.
    pub poll_groups_every: HumanDuration,
    /// Most consumer groups asked for in one poll; the rest is named in the log. Default 10,000.
    pub max_groups: usize,
    /// How often facts that changed are written to `mesh.lineage`, in real time. Default `2s`: an
    /// edge in constant use is written at most this often.
    pub write_every: HumanDuration,
    /// Silence after which an edge is dormant, and after which activity makes a new span. Default
    /// `7d`.
    pub dormant_after: HumanDuration,
    /// Most nodes of the graph, about 300 bytes each in memory; facts beyond are stored, left out
    /// of answers and counted. Default 200,000.
    pub max_nodes: usize,
    /// Most edges of the graph, about 150 bytes each in memory; likewise. Default 1,000,000.
    pub max_edges: usize,
    /// Longest wait between two attempts to reach brokers or registry. Default `10s`.
    pub retry_at_most: HumanDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            poll_groups_every: HumanDuration::from_secs(10),
            max_groups: 10_000,
            write_every: HumanDuration::from_secs(2),
            dormant_after: HumanDuration::from_secs(7 * 86_400),
            max_nodes: 200_000,
            max_edges: 1_000_000,
            retry_at_most: HumanDuration::from_secs(10),
        }
    }
}

impl Config {
    pub(crate) fn graph_limits(&self) -> GraphLimits {
        GraphLimits {
            nodes: self.max_nodes,
            edges: self.max_edges,
            dormant_ms: self.dormant_after.as_millis_i64(),
        }
    }
}
