//! The graph in memory: nodes numbered, edges with both ends' lists, spans of activity and totals
//! over all days. Built from folded facts; names and counts per day stay in the store.

use std::collections::{BTreeMap, HashMap};

use meshwork_model::mesh::lineage::{Basis, EdgeFact, NodeFact, NodeKind, NodeRef};
use meshwork_model::time::Timestamp;

use crate::fold;

/// Most spans kept of one edge; the two oldest are joined beyond.
pub(crate) const SPANS_MAX: usize = 64;

/// How large the graph may grow. About 300 bytes a node and 150 an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GraphLimits {
    /// Most nodes.
    pub(crate) nodes: usize,
    /// Most edges.
    pub(crate) edges: usize,
    /// Silence after which an edge is dormant, milliseconds: activity further apart makes two spans.
    pub(crate) dormant_ms: i64,
}

/// Number of a node, local to this graph.
pub(crate) type NodeIx = u32;
/// Number of an edge, local to this graph.
pub(crate) type EdgeIx = u32;

/// A time of activity, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First sign.
    pub(crate) first: Timestamp,
    /// Last sign.
    pub(crate) last: Timestamp,
}

/// A node and what touches it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Kind and canonical name.
    pub(crate) name: NodeRef,
    /// What is known of it.
    pub(crate) detail: BTreeMap<String, String>,
    /// Edges that leave it.
    pub(crate) out: Vec<EdgeIx>,
    /// Edges that come to it.
    pub(crate) into: Vec<EdgeIx>,
}

/// An edge over all its days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    /// Where data comes from.
    pub(crate) from: NodeIx,
    /// Where it goes.
    pub(crate) to: NodeIx,
    /// How it is known.
    pub(crate) basis: Basis,
    /// Times of activity, oldest first, never empty.
    pub(crate) spans: Vec<Span>,
    /// Records over all days.
    pub(crate) records: i64,
    /// Whether the last word on a declared edge is that it ended.
    pub(crate) ended: bool,
}

/// A declared edge as the graph knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredEdge {
    /// Where data comes from.
    pub(crate) from: NodeRef,
    /// Last word on it.
    pub(crate) last_seen: Timestamp,
    /// Whether that word is that it ended.
    pub(crate) ended: bool,
}

impl Edge {
    fn new(from: NodeIx, to: NodeIx, basis: Basis) -> Self {
        Self {
            from,
            to,
            basis,
            spans: Vec::new(),
            records: 0,
            ended: false,
        }
    }

    /// First sign of all.
    #[must_use]
    pub(crate) fn first_seen(&self) -> Timestamp {
        self.spans
            .first()
            .map_or_else(Timestamp::default, |s| s.first)
    }

    /// Last sign of all.
    #[must_use]
    pub(crate) fn last_seen(&self) -> Timestamp {
        self.spans
            .last()
            .map_or_else(Timestamp::default, |s| s.last)
    }

    /// Whether it lives at `now`: a declared edge until its contract no longer names it, another
    /// until it has been silent for `dormant_ms`.
    #[must_use]
    pub(crate) fn active(&self, now: Timestamp, dormant_ms: i64) -> bool {
        match self.basis {
            Basis::Declared => !self.ended,
            _ => now.millis_since(self.last_seen()) <= dormant_ms,
        }
    }

    /// Takes one day in. Days of one edge may come in any order, and again as they grow.
    fn add(&mut self, day: &EdgeFact, replaced: Option<&EdgeFact>, dormant_ms: i64) {
        let known = self.spans.last().map(|s| s.last);
        match known.map(|known| known.cmp(&day.last_seen)) {
            None | Some(std::cmp::Ordering::Less) => self.ended = day.ended,
            Some(std::cmp::Ordering::Equal) => self.ended |= day.ended,
            Some(std::cmp::Ordering::Greater) => {}
        }
        let before = replaced.map_or(0, fold::records);
        self.records = self
            .records
            .saturating_add(fold::records(day).saturating_sub(before));
        self.insert_span(
            Span {
                first: day.first_seen,
                last: day.last_seen,
            },
            dormant_ms,
        );
    }

    fn insert_span(&mut self, mut span: Span, dormant_ms: i64) {
        let apart = |a: &Span, b: &Span| {
            b.first.millis_since(a.last) > dormant_ms || a.first.millis_since(b.last) > dormant_ms
        };
        self.spans.retain(|old| {
            if apart(old, &span) {
                return true;
            }
            span.first = span.first.min(old.first);
            span.last = span.last.max(old.last);
            false
        });
        let at = self.spans.partition_point(|old| old.first < span.first);
        self.spans.insert(at, span);
        if self.spans.len() > SPANS_MAX
            && let [oldest, second, ..] = self.spans.as_mut_slice()
        {
            oldest.last = second.last;
            self.spans.remove(1);
        }
    }
}

/// The graph. See the module.
#[derive(Debug)]
pub(crate) struct Graph {
    limits: GraphLimits,
    by_name: HashMap<NodeRef, NodeIx>,
    nodes: Vec<Node>,
    by_ends: HashMap<(NodeIx, NodeIx, Basis), EdgeIx>,
    edges: Vec<Edge>,
    latest: Option<Timestamp>,
    left_out: u64,
}

impl Graph {
    /// An empty one.
    #[must_use]
    pub(crate) fn new(limits: GraphLimits) -> Self {
        Self {
            limits,
            by_name: HashMap::new(),
            nodes: Vec::new(),
            by_ends: HashMap::new(),
            edges: Vec::new(),
            latest: None,
            left_out: 0,
        }
    }

    /// Its limits.
    #[must_use]
    pub(crate) fn limits(&self) -> GraphLimits {
        self.limits
    }

    /// Latest sign of anything.
    #[must_use]
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// Facts that were left out because the graph is full.
    #[must_use]
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Number of nodes.
    #[must_use]
    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Number of edges, removed ones included.
    #[must_use]
    pub(crate) fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// A node by number.
    #[must_use]
    pub(crate) fn node(&self, ix: NodeIx) -> Option<&Node> {
        self.nodes.get(usize::try_from(ix).ok()?)
    }

    /// An edge by number.
    #[must_use]
    pub(crate) fn edge(&self, ix: EdgeIx) -> Option<&Edge> {
        self.edges.get(usize::try_from(ix).ok()?)
    }

    /// A node's number by name.
    #[must_use]
    pub(crate) fn find(&self, name: &NodeRef) -> Option<NodeIx> {
        self.by_name.get(name).copied()
    }

    /// An edge by its ends.
    #[must_use]
    pub(crate) fn find_edge(&self, from: &NodeRef, to: &NodeRef, basis: Basis) -> Option<&Edge> {
        let ends = (self.find(from)?, self.find(to)?, basis);
        self.edge(*self.by_ends.get(&ends)?)
    }

    /// All nodes, in no particular order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        (0..).zip(&self.nodes)
    }

    /// The declared edges into `to`.
    #[must_use]
    pub(crate) fn declared_into(&self, to: &NodeRef) -> Vec<DeclaredEdge> {
        let Some(node) = self.find(to).and_then(|ix| self.node(ix)) else {
            return Vec::new();
        };
        node.into
            .iter()
            .filter_map(|ix| self.edge(*ix))
            .filter(|edge| edge.basis == Basis::Declared)
            .filter_map(|edge| {
                Some(DeclaredEdge {
                    from: self.node(edge.from)?.name.clone(),
                    last_seen: edge.last_seen(),
                    ended: edge.ended,
                })
            })
            .collect()
    }

    /// Takes in one folded day of an edge, in place of what was known of that day.
    pub(crate) fn put_edge(&mut self, day: &EdgeFact, replaced: Option<&EdgeFact>) {
        let Some(ix) = self.edge_between(day) else {
            self.left_out += 1;
            return;
        };
        let dormant_ms = self.limits.dormant_ms;
        if let Some(edge) = usize::try_from(ix)
            .ok()
            .and_then(|ix| self.edges.get_mut(ix))
        {
            edge.add(day, replaced, dormant_ms);
        }
        self.latest = self.latest.max(Some(day.last_seen));
    }

    /// Takes in what is known of a node.
    pub(crate) fn put_node(&mut self, fact: &NodeFact) {
        match self.node_named(&fact.node) {
            Some(ix) => {
                if let Some(node) = self.node_mut(ix) {
                    node.detail.clone_from(&fact.detail);
                }
            }
            None => self.left_out += 1,
        }
    }

    /// Forgets an edge and takes in the days that are left of it; none: it is gone.
    pub(crate) fn rebuild_edge<'a>(
        &mut self,
        of: &EdgeFact,
        days: impl IntoIterator<Item = &'a EdgeFact>,
    ) {
        let ends = self.find(&of.from).zip(self.find(&of.to));
        let Some((from, to)) = ends else { return };
        let Some(ix) = self.by_ends.get(&(from, to, of.basis)).copied() else {
            return;
        };
        let mut rebuilt = Edge::new(from, to, of.basis);
        for day in days {
            rebuilt.add(day, None, self.limits.dormant_ms);
        }
        let gone = rebuilt.spans.is_empty();
        if let Some(edge) = usize::try_from(ix)
            .ok()
            .and_then(|ix| self.edges.get_mut(ix))
        {
            *edge = rebuilt;
        }
        if gone {
            self.by_ends.remove(&(from, to, of.basis));
            if let Some(node) = self.node_mut(from) {
                node.out.retain(|edge| *edge != ix);
            }
            if let Some(node) = self.node_mut(to) {
                node.into.retain(|edge| *edge != ix);
            }
        }
    }

    /// Forgets what is known of a node, but for its edges.
    pub(crate) fn clear_node(&mut self, name: &NodeRef) {
        if let Some(node) = self.find(name).and_then(|ix| self.node_mut(ix)) {
            node.detail.clear();
        }
    }

    fn node_mut(&mut self, ix: NodeIx) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(ix).ok()?)
    }

    fn node_named(&mut self, name: &NodeRef) -> Option<NodeIx> {
        if let Some(ix) = self.by_name.get(name) {
            return Some(*ix);
        }
        if self.nodes.len() >= self.limits.nodes {
            return None;
        }
        let ix = NodeIx::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Node {
            name: name.clone(),
            detail: BTreeMap::new(),
            out: Vec::new(),
            into: Vec::new(),
        });
        self.by_name.insert(name.clone(), ix);
        Some(ix)
    }

    fn edge_between(&mut self, day: &EdgeFact) -> Option<EdgeIx> {
        let from = self.node_named(&day.from)?;
        let to = self.node_named(&day.to)?;
        if let Some(ix) = self.by_ends.get(&(from, to, day.basis)) {
            return Some(*ix);
        }
        if self.edges.len() >= self.limits.edges {
            return None;
        }
        let ix = EdgeIx::try_from(self.edges.len()).ok()?;
        self.edges.push(Edge::new(from, to, day.basis));
        self.by_ends.insert((from, to, day.basis), ix);
        self.node_mut(from)?.out.push(ix);
        self.node_mut(to)?.into.push(ix);
        Some(ix)
    }
}

/// Whether an edge to a node of this kind is a product step, which depth counts.
#[must_use]
pub(crate) const fn is_step(kind: NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::Product | NodeKind::Topic | NodeKind::Dataset
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use meshwork_model::mesh::lineage::{Fact, LineageFact};
    use proptest::prelude::*;

    use super::*;
    use crate::fold::{fold, key, tests::any_fact};
    use crate::node;

    pub(crate) const LIMITS: GraphLimits = GraphLimits {
        nodes: 10_000,
        edges: 10_000,
        dormant_ms: 7 * 86_400_000,
    };

    pub(crate) fn day(from: &NodeRef, to: &NodeRef, basis: Basis, at: i64) -> EdgeFact {
        let at = Timestamp::from_millis(at);
        EdgeFact {
            from: from.clone(),
            to: to.clone(),
            basis,
            day: fold::day_of(at).unwrap(),
            first_seen: at,
            last_seen: at,
            ended: false,
            counts: Vec::new(),
        }
    }

    /// As the service does it: fold in a book, replace in the graph.
    fn build<'a>(facts: impl IntoIterator<Item = &'a LineageFact>) -> Graph {
        let mut graph = Graph::new(LIMITS);
        let mut book: BTreeMap<String, LineageFact> = BTreeMap::new();
        for fact in facts {
            let key = key(fact);
            let old = book.get(&key).cloned();
            let new = fold(old.as_ref(), fact);
            match (&new.fact, old.as_ref().map(|old| &old.fact)) {
                (Fact::EdgeFact(new), Some(Fact::EdgeFact(old))) => graph.put_edge(new, Some(old)),
                (Fact::EdgeFact(new), _) => graph.put_edge(new, None),
                (Fact::NodeFact(new), _) => graph.put_node(new),
            }
            book.insert(key, new);
        }
        graph
    }

    type Edges = BTreeMap<(NodeRef, NodeRef, Basis), (Timestamp, Timestamp, i64, bool, usize)>;

    fn edges(graph: &Graph) -> Edges {
        graph
            .edges
            .iter()
            .map(|e| {
                let name = |ix| graph.node(ix).unwrap().name.clone();
                (
                    (name(e.from), name(e.to), e.basis),
                    (
                        e.first_seen(),
                        e.last_seen(),
                        e.records,
                        e.ended,
                        e.spans.len(),
                    ),
                )
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_graph_does_not_depend_on_the_order_of_facts(
            facts in proptest::collection::vec(any_fact(), 0..40),
        ) {
            let straight = build(&facts);
            let back = build(facts.iter().rev().chain(&facts));
            prop_assert_eq!(edges(&straight), edges(&back));
            prop_assert_eq!(straight.latest(), back.latest());
        }
    }

    #[test]
    fn silence_splits_activity_into_spans() {
        const DAY: i64 = 86_400_000;
        let (p, g) = (node::of_input("a.b.v1"), node::of_group("g"));
        for days in [[0, 3, 20, 26, 60], [60, 20, 3, 26, 0], [26, 60, 0, 20, 3]] {
            let mut graph = Graph::new(LIMITS);
            for at in days {
                graph.put_edge(&day(&p, &g, Basis::Observed, at * DAY), None);
            }
            let edge = graph.find_edge(&p, &g, Basis::Observed).unwrap();
            let spans: Vec<(i64, i64)> = edge
                .spans
                .iter()
                .map(|s| (s.first.as_millis() / DAY, s.last.as_millis() / DAY))
                .collect();
            assert_eq!(spans, [(0, 3), (20, 26), (60, 60)], "{days:?}");
            let at = |day: i64| Timestamp::from_millis(day * DAY);
            assert!(edge.active(at(67), LIMITS.dormant_ms));
            assert!(!edge.active(at(68), LIMITS.dormant_ms));
        }
    }

    #[test]
    fn a_full_graph_counts_what_it_leaves_out() {
        let mut graph = Graph::new(GraphLimits {
            nodes: 2,
            edges: 1,
            ..LIMITS
        });
        let p = node::of_input("a.b.v1");
        graph.put_edge(&day(&p, &node::of_group("g"), Basis::Observed, 0), None);
        graph.put_edge(&day(&p, &node::of_group("h"), Basis::Observed, 0), None);
        assert_eq!((graph.node_count(), graph.edge_count()), (2, 1));
        assert_eq!(graph.left_out(), 1);
    }

    #[test]
    fn an_erased_edge_is_gone_and_an_erased_day_is_not_counted() {
        let (p, g) = (node::of_input("a.b.v1"), node::of_group("g"));
        let mut graph = Graph::new(LIMITS);
        let first = day(&p, &g, Basis::Observed, 0);
        let second = day(&p, &g, Basis::Observed, 86_400_000);
        graph.put_edge(&first, None);
        graph.put_edge(&second, None);
        graph.rebuild_edge(&first, [&second]);
        let edge = graph.find_edge(&p, &g, Basis::Observed).unwrap();
        assert_eq!(edge.first_seen(), second.first_seen);
        graph.rebuild_edge(&second, []);
        assert_eq!(graph.find_edge(&p, &g, Basis::Observed), None);
        assert!(
            graph
                .nodes()
                .all(|(_, n)| n.out.is_empty() && n.into.is_empty())
        );
        graph.put_edge(&second, None);
        assert!(graph.find_edge(&p, &g, Basis::Observed).is_some());
    }
}
