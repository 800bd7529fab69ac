//! Walks up and down the graph. Depth counts product steps; each node is entered once, so that
//! circles and diamonds cost nothing; what is shown is cut at a limit, what is counted is not.

use std::collections::VecDeque;

use meshwork_model::mesh::lineage::NodeKind;
use serde::{Deserialize, Serialize};

use crate::graph::{EdgeIx, Graph, NodeIx, is_step};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To where data comes from.
    Up,
    /// To where data goes.
    Down,
}

/// How far a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalkLimits {
    /// Product steps.
    pub(crate) depth: u32,
    /// Edges shown; further ones are only counted.
    pub(crate) shown: usize,
    /// Nodes entered; there the walk ends.
    pub(crate) visited: usize,
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Edges with the product step that they belong to, nearest first.
    pub(crate) edges: Vec<(EdgeIx, u32)>,
    /// All edges found, shown or not.
    pub(crate) edges_total: usize,
    /// Nodes found, the starting ones not counted.
    pub(crate) nodes_total: usize,
    /// Of them product versions.
    pub(crate) products: usize,
    /// Of them producers.
    pub(crate) producers: usize,
    /// Of them consumer groups.
    pub(crate) groups: usize,
    /// Of them readers without a group.
    pub(crate) readers: usize,
    /// Of them jobs.
    pub(crate) jobs: usize,
    /// Edges not followed because the depth was reached.
    pub(crate) beyond_depth: usize,
    /// Whether the walk ended at its limit of nodes, so that the totals are too low.
    pub(crate) cut: bool,
}

/// Walks from `starts`.
#[must_use]
pub(crate) fn walk(
    graph: &Graph,
    starts: &[NodeIx],
    direction: Direction,
    limits: WalkLimits,
) -> Walk {
    let mut found = Walk::default();
    let mut entered = vec![false; graph.node_count()];
    let mut enter = |ix: NodeIx| -> bool {
        usize::try_from(ix)
            .ok()
            .and_then(|ix| entered.get_mut(ix))
            .is_some_and(|seen| !std::mem::replace(seen, true))
    };
    // Ascending by steps: what costs no step goes to the front.
    let mut queue: VecDeque<(NodeIx, u32)> = VecDeque::new();
    for start in starts {
        if enter(*start) {
            queue.push_back((*start, 0));
        }
    }
    let mut visited = queue.len();
    while let Some((ix, steps)) = queue.pop_front() {
        let Some(node) = graph.node(ix) else { continue };
        let edges = match direction {
            Direction::Up => &node.into,
            Direction::Down => &node.out,
        };
        for edge_ix in edges {
            let Some(edge) = graph.edge(*edge_ix) else {
                continue;
            };
            let next = match direction {
                Direction::Up => edge.from,
                Direction::Down => edge.to,
            };
            let Some(kind) = graph.node(next).map(|node| node.name.kind) else {
                continue;
            };
            let step = steps.saturating_add(u32::from(is_step(kind)));
            if step > limits.depth {
                found.beyond_depth += 1;
                continue;
            }
            found.edges_total += 1;
            if found.edges.len() < limits.shown {
                found.edges.push((*edge_ix, step));
            }
            if visited >= limits.visited {
                found.cut = true;
                continue;
            }
            if !enter(next) {
                continue;
            }
            visited += 1;
            found.nodes_total += 1;
            match kind {
                NodeKind::Product => found.products += 1,
                NodeKind::Producer => found.producers += 1,
                NodeKind::Group => found.groups += 1,
                NodeKind::Job => found.jobs += 1,
                NodeKind::Reader => found.readers += 1,
                NodeKind::Topic | NodeKind::Dataset => {}
            }
            if step == steps {
                queue.push_front((next, step));
            } else {
                queue.push_back((next, step));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use meshwork_model::mesh::lineage::{Basis, NodeRef};
    use meshwork_model::mesh::observation::Trust;

    use super::*;
    use crate::graph::tests::{LIMITS, day};
    use crate::node;

    const ALL: WalkLimits = WalkLimits {
        depth: 32,
        shown: 10_000,
        visited: 10_000,
    };

    fn product(name: &str) -> NodeRef {
        node::of_input(&format!("d.{name}.v1"))
    }

    /// ops → a → b → d → group, a → c → d, d → a: a diamond with a circle.
    fn diamond() -> Graph {
        let mut graph = Graph::new(LIMITS);
        let ops = node::of_producer("ops", Trust::Configured);
        let mut link = |from: &NodeRef, to: &NodeRef| {
            graph.put_edge(&day(from, to, Basis::Declared, 0), None);
        };
        let [a, b, c, d] = ["a", "b", "c", "d"].map(product);
        link(&ops, &a);
        link(&a, &b);
        link(&a, &c);
        link(&b, &d);
        link(&c, &d);
        link(&d, &a);
        link(&d, &node::of_group("board"));
        graph
    }

    fn reached(graph: &Graph, walk: &Walk, direction: Direction) -> Vec<(String, u32)> {
        let mut all: Vec<(String, u32)> = walk
            .edges
            .iter()
            .map(|(ix, step)| {
                let edge = graph.edge(*ix).unwrap();
                let end = match direction {
                    Direction::Up => edge.from,
                    Direction::Down => edge.to,
                };
                (node::label(&graph.node(end).unwrap().name), *step)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn enters_each_node_once_and_shows_every_edge() {
        let graph = diamond();
        let start = graph.find(&product("a")).unwrap();
        let down = walk(&graph, &[start], Direction::Down, ALL);
        assert_eq!(
            reached(&graph, &down, Direction::Down),
            [
                ("d.a:v1", 3),
                ("d.b:v1", 1),
                ("d.c:v1", 1),
                ("d.d:v1", 2),
                ("d.d:v1", 2),
                ("group:board", 2),
            ]
            .map(|(name, step)| (name.to_owned(), step))
        );
        assert_eq!((down.edges_total, down.nodes_total), (6, 4));
        assert_eq!((down.products, down.groups, down.producers), (3, 1, 0));
        let up = walk(&graph, &[start], Direction::Up, ALL);
        assert_eq!((up.products, up.producers), (3, 1));
    }

    #[test]
    fn depth_counts_product_steps_and_says_what_lies_beyond() {
        let graph = diamond();
        let start = graph.find(&product("a")).unwrap();
        for (depth, edges, beyond) in [(0, 0, 2), (1, 2, 2), (2, 5, 1), (3, 6, 0)] {
            let found = walk(
                &graph,
                &[start],
                Direction::Down,
                WalkLimits { depth, ..ALL },
            );
            assert_eq!(
                (found.edges_total, found.beyond_depth),
                (edges, beyond),
                "{depth}"
            );
        }
        let board = graph.find(&node::of_group("board")).unwrap();
        let up = walk(
            &graph,
            &[board],
            Direction::Up,
            WalkLimits { depth: 1, ..ALL },
        );
        assert_eq!(
            reached(&graph, &up, Direction::Up),
            [("d.d:v1".to_owned(), 1)]
        );
    }

    #[test]
    fn limits_cut_what_is_shown_and_say_so() {
        let graph = diamond();
        let start = graph.find(&product("a")).unwrap();
        let shown = walk(
            &graph,
            &[start],
            Direction::Down,
            WalkLimits { shown: 2, ..ALL },
        );
        assert_eq!((shown.edges.len(), shown.edges_total), (2, 6));
        assert!(!shown.cut);
        let cut = walk(
            &graph,
            &[start],
            Direction::Down,
            WalkLimits { visited: 2, ..ALL },
        );
        assert!(cut.cut);
        assert_eq!(cut.nodes_total, 1);
    }
}
