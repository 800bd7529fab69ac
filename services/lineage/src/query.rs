//! From a name that somebody typed to an answer.

use meshwork_model::mesh::lineage::{Basis, NodeKind, NodeRef};
use meshwork_model::mesh::observation::Trust;
use meshwork_model::name::{ProductName, Urn};
use meshwork_model::problem::nearest;
use meshwork_model::time::Timestamp;

use crate::answer::{
    EdgeState, LineageAnswer, LineageAsOf, LineageEdge, LineageNode, LineageSpan, LineageTotals,
};
use crate::fold;
use crate::graph::{Edge, Graph, Node, NodeIx};
use crate::node::{self, label};
use crate::walk::{Direction, WalkLimits, walk};

/// A name that stands for no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lineage knows nothing of `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!(", did you mean `{near}`?")))]
pub(crate) struct UnknownName {
    /// As asked.
    pub(crate) name: String,
    /// What may have been meant.
    pub(crate) near: Option<String>,
}

/// The nodes that `name` stands for: a product (`<domain>.<product>`, its newest version that is
/// not retired), a product version (with `:v1`, its URN or its topic), a topic, `group:<id>`,
/// `job:<group>`, or `producer:<name>` and `reader:<name>` with or without the trust.
///
/// # Errors
/// No such node.
pub(crate) fn resolve(graph: &Graph, name: &str) -> Result<Vec<NodeIx>, UnknownName> {
    let found = candidates(graph, name);
    if !found.is_empty() {
        return Ok(found);
    }
    let labels: Vec<String> = graph.nodes().map(|(_, node)| label(&node.name)).collect();
    let products: Vec<String> = graph
        .nodes()
        .filter_map(|(_, node)| urn_of(&node.name))
        .map(|urn| urn.name().to_string())
        .collect();
    Err(UnknownName {
        name: name.to_owned(),
        near: nearest(name, labels.iter().chain(&products).map(String::as_str)).map(str::to_owned),
    })
}

fn candidates(graph: &Graph, name: &str) -> Vec<NodeIx> {
    let one = |node: &NodeRef| graph.find(node).into_iter().collect::<Vec<_>>();
    if let Some(id) = name.strip_prefix("group:") {
        return one(&node::of_group(id));
    }
    if let Some(id) = name.strip_prefix("job:") {
        return one(&node::of_job(id));
    }
    for kind in [NodeKind::Producer, NodeKind::Reader] {
        let named = name
            .strip_prefix(node::kind_word(kind))
            .and_then(|rest| rest.strip_prefix(':'));
        if let Some(name) = named {
            return clients(graph, kind, name);
        }
    }
    for (prefix, kind) in [("topic:", NodeKind::Topic), ("dataset:", NodeKind::Dataset)] {
        if let Some(name) = name.strip_prefix(prefix) {
            return one(&NodeRef {
                kind,
                name: name.to_owned(),
            });
        }
    }
    if let Some(urn) = node::product_version(name) {
        return one(&NodeRef {
            kind: NodeKind::Product,
            name: urn.to_string(),
        });
    }
    if let Ok(product) = name.parse::<ProductName>()
        && let Some(newest) = newest(graph, &product)
    {
        return vec![newest];
    }
    node::of_topic(name).map_or_else(Vec::new, |node| one(&node))
}

/// Producers or readers.
fn clients(graph: &Graph, kind: NodeKind, name: &str) -> Vec<NodeIx> {
    let node = |name: String| NodeRef { kind, name };
    if let Some(ix) = graph.find(&node(name.to_owned())) {
        return vec![ix];
    }
    [
        Trust::Principal,
        Trust::Mtls,
        Trust::Configured,
        Trust::ClientId,
        Trust::Claimed,
    ]
    .into_iter()
    .filter_map(|trust| graph.find(&node(node::of_producer(name, trust).name)))
    .collect()
}

fn newest(graph: &Graph, product: &ProductName) -> Option<NodeIx> {
    graph
        .nodes()
        .filter_map(|(ix, node)| {
            let urn = urn_of(&node.name).filter(|urn| urn.name() == product)?;
            let retired = node.detail.get("status").is_some_and(|s| s == "retired");
            Some(((!retired, urn.version()), ix))
        })
        .max()
        .map(|(_, ix)| ix)
}

fn urn_of(node: &NodeRef) -> Option<Urn> {
    (node.kind == NodeKind::Product)
        .then(|| node.name.parse().ok())
        .flatten()
}

/// The answer for nodes found by [`resolve`].
#[must_use]
pub(crate) fn answer(
    graph: &Graph,
    starts: &[NodeIx],
    direction: Direction,
    limits: WalkLimits,
    offset: i64,
    now: Timestamp,
) -> LineageAnswer {
    let found = walk(graph, starts, direction, limits);
    let mut edges: Vec<LineageEdge> = found
        .edges
        .iter()
        .filter_map(|(ix, step)| edge_view(graph, graph.edge(*ix)?, *step, now))
        .collect();
    edges.sort_by(|a, b| {
        (a.step, &a.from, &a.to, &a.basis).cmp(&(b.step, &b.from, &b.to, &b.basis))
    });
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    LineageAnswer {
        of: starts
            .iter()
            .filter_map(|ix| graph.node(*ix))
            .map(node_view)
            .collect(),
        direction,
        depth: limits.depth,
        truncated: found.cut || found.edges.len() < found.edges_total,
        edges,
        totals: LineageTotals {
            edges: count(found.edges_total),
            nodes: count(found.nodes_total),
            products: count(found.products),
            producers: count(found.producers),
            groups: count(found.groups),
            readers: count(found.readers),
            jobs: count(found.jobs),
            beyond_depth: count(found.beyond_depth),
        },
        as_of: LineageAsOf {
            offset,
            latest: graph.latest(),
            asked_at: now,
        },
    }
}

fn node_view(node: &Node) -> LineageNode {
    LineageNode {
        kind: node::kind_word(node.name.kind).to_owned(),
        name: label(&node.name),
        id: node.name.name.clone(),
        detail: node
            .detail
            .iter()
            .filter(|(key, _)| *key != fold::AS_OF)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    }
}

fn edge_view(graph: &Graph, edge: &Edge, step: u32, now: Timestamp) -> Option<LineageEdge> {
    let (from, to) = (graph.node(edge.from)?, graph.node(edge.to)?);
    let counted = edge.basis == Basis::Observed && from.name.kind == NodeKind::Producer;
    Some(LineageEdge {
        from: node_view(from),
        to: node_view(to),
        basis: fold::basis_word(edge.basis).to_owned(),
        first_seen: edge.first_seen(),
        last_seen: edge.last_seen(),
        records: counted.then_some(edge.records),
        spans: edge
            .spans
            .iter()
            .map(|span| LineageSpan {
                first: span.first,
                last: span.last,
            })
            .collect(),
        state: match (edge.basis, edge.active(now, graph.limits().dormant_ms)) {
            (_, true) => EdgeState::Active,
            (Basis::Declared, false) => EdgeState::Ended,
            (_, false) => EdgeState::Dormant,
        },
        step,
    })
}

#[cfg(test)]
mod tests {
    use meshwork_model::mesh::lineage::NodeFact;

    use super::*;
    use crate::graph::tests::{LIMITS, day};

    fn graph() -> Graph {
        let mut graph = Graph::new(LIMITS);
        let (v1, v2) = (node::of_input("ops.dep.v1"), node::of_input("ops.dep.v2"));
        for version in [&v1, &v2] {
            let ops = node::of_producer("ops", Trust::Configured);
            graph.put_edge(&day(&ops, version, Basis::Observed, 1000), None);
        }
        let claimed = node::of_producer("ops", Trust::Claimed);
        graph.put_edge(&day(&claimed, &v1, Basis::Observed, 2000), None);
        graph.put_edge(
            &day(&v1, &node::of_group("board"), Basis::Observed, 3000),
            None,
        );
        graph.put_edge(
            &day(&node::of_topic("raw").unwrap(), &v1, Basis::Declared, 1),
            None,
        );
        graph
    }

    fn names(graph: &Graph, asked: &str) -> Vec<String> {
        resolve(graph, asked).map_or_else(
            |unknown| vec![unknown.to_string()],
            |found| {
                found
                    .iter()
                    .map(|ix| graph.node(*ix).unwrap().name.name.clone())
                    .collect()
            },
        )
    }

    #[test]
    fn names_resolve_as_people_type_them() {
        let graph = graph();
        let (v1, v2) = ("urn:meshwork:ops:dep:v1", "urn:meshwork:ops:dep:v2");
        for (asked, expected) in [
            ("ops.dep", vec![v2]),
            ("ops.dep:v1", vec![v1]),
            ("ops.dep.v1", vec![v1]),
            (v1, vec![v1]),
            ("group:board", vec!["board"]),
            ("raw", vec!["raw"]),
            ("topic:raw", vec!["raw"]),
            ("producer:ops", vec!["configured:ops", "claimed:ops"]),
            ("producer:claimed:ops", vec!["claimed:ops"]),
            (
                "ops.depp",
                vec!["lineage knows nothing of `ops.depp`, did you mean `ops.dep`?"],
            ),
            (
                "group:boart",
                vec!["lineage knows nothing of `group:boart`, did you mean `group:board`?"],
            ),
            (
                "zzzzzzzzzzz",
                vec!["lineage knows nothing of `zzzzzzzzzzz`"],
            ),
        ] {
            assert_eq!(names(&graph, asked), expected, "{asked}");
        }
    }

    #[test]
    fn a_retired_version_is_not_the_newest() {
        let mut graph = graph();
        graph.put_node(&NodeFact {
            node: node::of_input("ops.dep.v2"),
            detail: [("status".to_owned(), "retired".to_owned())].into(),
        });
        assert_eq!(names(&graph, "ops.dep"), ["urn:meshwork:ops:dep:v1"]);
    }

    #[test]
    fn an_answer_names_kinds_records_and_states() {
        let graph = graph();
        let limits = WalkLimits {
            depth: 3,
            shown: 100,
            visited: 100,
        };
        let starts = resolve(&graph, "ops.dep:v1").unwrap();
        let now = Timestamp::from_millis(8 * 86_400_000);
        let up = answer(&graph, &starts, Direction::Up, limits, 7, now);
        assert_eq!(up.as_of.offset, 7);
        assert_eq!(up.as_of.latest, Some(Timestamp::from_millis(3000)));
        assert_eq!((up.totals.edges, up.totals.producers), (3, 2));
        assert!(!up.truncated);
        let words: Vec<(String, String, Option<i64>, EdgeState)> = up
            .edges
            .iter()
            .map(|e| (e.from.name.clone(), e.basis.clone(), e.records, e.state))
            .collect();
        let producer = "producer:ops".to_owned();
        let observed = "observed".to_owned();
        assert_eq!(
            words,
            [
                (
                    producer.clone(),
                    observed.clone(),
                    Some(0),
                    EdgeState::Dormant
                ),
                (producer, observed, Some(0), EdgeState::Dormant),
                (
                    "topic:raw".to_owned(),
                    "declared".to_owned(),
                    None,
                    EdgeState::Active
                ),
            ]
        );
        let json = serde_json::to_string(&up).unwrap();
        assert!(
            json.contains(r#""first_seen":"1970-01-01T00:00:01Z""#),
            "{json}"
        );
        let back: LineageAnswer = serde_json::from_str(&json).unwrap();
        assert_eq!(back, up);
    }
}
