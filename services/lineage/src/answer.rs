//! Answers of the lineage API, for the service that gives them and the clients that read them.

use std::collections::BTreeMap;

use meshwork_model::time::{Timestamp, rfc3339};
use serde::{Deserialize, Serialize};

use crate::walk::Direction;

/// Answer of `GET /v1/lineage`: what lies above or below a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageAnswer {
    /// The nodes that the name asked for stands for: as a rule one.
    pub of: Vec<LineageNode>,
    /// Which way was walked.
    pub direction: Direction,
    /// How many product steps were walked.
    pub depth: u32,
    /// Edges, nearest first; at most the limit asked for.
    pub edges: Vec<LineageEdge>,
    /// Counts over all that was found, shown or not.
    pub totals: LineageTotals,
    /// Through which facts the answer holds.
    pub as_of: LineageAsOf,
    /// Whether edges that were found are not shown, or the walk ended at its limit of nodes.
    pub truncated: bool,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineageNode {
    /// `product`, `topic`, `producer`, `group`, `reader` (without a group), `job` or
    /// `dataset`.
    pub kind: String,
    /// What people read, and the commands take back: `operations.departures:v1`, `group:board`.
    pub name: String,
    /// Canonical name: a product's URN, `<trust>:<name>` of a producer.
    pub id: String,
    /// What is known of it: owner and status of a product, client ids of a group,
    /// transactional ids of a job.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
}

/// An edge between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageEdge {
    /// Where data comes from.
    pub from: LineageNode,
    /// Where it goes.
    pub to: LineageNode,
    /// `observed` on the wire or at the brokers, `declared` in a contract, `reported` by a client,
    /// or `inferred`: a reader's group is concluded from its name, client id and address.
    pub basis: String,
    /// First sign of it.
    #[serde(with = "rfc3339")]
    pub first_seen: Timestamp,
    /// Last sign of it.
    #[serde(with = "rfc3339")]
    pub last_seen: Timestamp,
    /// Records that went over it, each offset once; none where records are not counted: readers
    /// are known by their groups, and declared edges by contracts.
    pub records: Option<i64>,
    /// Times of activity, oldest first: silence of over a week parts them.
    pub spans: Vec<LineageSpan>,
    /// `active`, `dormant` (silent for over a week) or `ended` (no contract names it any more).
    pub state: EdgeState,
    /// Product steps from the node asked for.
    pub step: u32,
}

/// A time of activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageSpan {
    /// First sign.
    #[serde(with = "rfc3339")]
    pub first: Timestamp,
    /// Last sign.
    #[serde(with = "rfc3339")]
    pub last: Timestamp,
}

/// How an edge stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeState {
    /// Seen lately, or declared.
    Active,
    /// Silent for long.
    Dormant,
    /// Declared once, and no more.
    Ended,
}

/// Counts over all that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageTotals {
    /// Edges.
    pub edges: u64,
    /// Nodes, the ones asked for not counted.
    pub nodes: u64,
    /// Of them product versions.
    pub products: u64,
    /// Of them producers.
    pub producers: u64,
    /// Of them consumer groups.
    pub groups: u64,
    /// Of them readers without a group.
    #[serde(default)]
    pub readers: u64,
    /// Of them jobs.
    #[serde(default)]
    pub jobs: u64,
    /// Edges not followed because the depth was reached.
    pub beyond_depth: u64,
}

/// Through which facts an answer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageAsOf {
    /// Next offset of `mesh.lineage` that was not yet read.
    pub offset: i64,
    /// Latest sign of anything, in the data's time.
    #[serde(with = "rfc3339::option")]
    pub latest: Option<Timestamp>,
    /// When the answer was given, in the data's time.
    #[serde(with = "rfc3339")]
    pub asked_at: Timestamp,
}
