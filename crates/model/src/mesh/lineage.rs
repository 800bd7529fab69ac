//! Value of `mesh.lineage`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MeshRecord, MeshSchema};
use crate::time::Timestamp;

/// One fact of the lineage graph. Facts fold in any order, and repeats change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageFact {
    /// What is the case.
    pub fact: Fact,
}

impl MeshRecord for LineageFact {
    const SCHEMA: MeshSchema = MeshSchema::LineageFact;
}

/// What is the case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// Data flowed, or is declared to flow, from one node to another.
    #[serde(rename = "mesh.EdgeFact")]
    EdgeFact(EdgeFact),
    /// What is known of a node.
    #[serde(rename = "mesh.NodeFact")]
    NodeFact(NodeFact),
}

/// A node by kind and canonical name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeRef {
    /// Kind.
    pub kind: NodeKind,
    /// The URN of a product, a topic, `<trust>:<name>` of a producer or of a reader without a
    /// group, the id of the group of a group or a job.
    pub name: String,
}

/// Kinds of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NodeKind {
    /// A product version.
    Product,
    /// A topic that is no product.
    Topic,
    /// Who writes.
    Producer,
    /// A consumer group.
    Group,
    /// What turns one product into another.
    Job,
    /// Something outside the mesh.
    Dataset,
    /// Who reads without a consumer group.
    Reader,
}

/// How an edge is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Basis {
    /// Seen on the wire or at the brokers.
    Observed,
    /// Said in a contract.
    Declared,
    /// Said by an `OpenLineage` event.
    Reported,
    /// Concluded from names and addresses.
    Inferred,
}

/// One edge on one UTC day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeFact {
    /// Where data comes from.
    pub from: NodeRef,
    /// Where it goes.
    pub to: NodeRef,
    /// How it is known.
    pub basis: Basis,
    /// UTC day, as days since 1970.
    pub day: i32,
    /// Earliest sign on that day.
    pub first_seen: Timestamp,
    /// Latest sign on that day.
    pub last_seen: Timestamp,
    /// A declared edge whose contract no longer names it.
    pub ended: bool,
    /// Cumulative within the day, per source.
    pub counts: Vec<SourceCount>,
}

/// Records counted by one source on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCount {
    /// Source's instance.
    pub instance: String,
    /// Source's epoch.
    pub epoch: i64,
    /// Cumulative records.
    pub records: i64,
}

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFact {
    /// Which.
    pub node: NodeRef,
    /// Names and values.
    pub detail: BTreeMap<String, String>,
}
