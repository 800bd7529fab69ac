//! Unions: which branch was which.

use std::collections::HashSet;

use super::super::ChangeKind;
use super::super::path::{At, Step};
use super::super::words::{listed, type_of};
use super::{Task, Walk, positions};
use crate::schema::{Name, Node, NodeId, Schema};

impl<'a> Walk<'a> {
    pub(super) fn unions(&mut self, was: &'a [NodeId], now: &'a [NodeId], at: At) {
        self.charge(was.len() + now.len());
        let matched = pairs(self.old, was, self.new, now);
        let taken: HashSet<usize> = matched.iter().flatten().copied().collect();
        let place = format!("branches of {}", self.place(at));
        let mut todo = Vec::with_capacity(now.len());
        let several = now.len().max(was.len()) > 2;
        for ((index, branch), before) in now.iter().copied().enumerate().zip(&matched) {
            let label = several.then(|| label(self.new.node(branch)));
            let to = Step::Branch(index, label);
            match before.and_then(|b| was.get(b).map(|id| (b, *id))) {
                None => {
                    let values = (None, Some(type_of(self.new, branch)));
                    let member = index.to_string();
                    let place = place.clone();
                    self.tell(ChangeKind::BranchAdded, at, &[&member], place, values);
                }
                Some((earlier, old)) => {
                    if let Some(at) = self.extend(at, Step::Branch(earlier, label), to) {
                        todo.push(Task::Types(old, branch, at));
                    }
                }
            }
        }
        for (index, branch) in was.iter().enumerate() {
            if !taken.contains(&index) {
                let values = (Some(type_of(self.old, *branch)), None);
                let member = index.to_string();
                let place = place.clone();
                self.tell(ChangeKind::BranchRemoved, at, &[&member], place, values);
            }
        }
        if !matched.iter().flatten().is_sorted() {
            let earlier = (was.iter().enumerate())
                .filter(|(index, _)| taken.contains(index))
                .map(|(_, id)| label(self.old.node(*id)));
            let present = (now.iter().zip(&matched))
                .filter(|(_, before)| before.is_some())
                .map(|(id, _)| label(self.new.node(*id)));
            let values = (Some(listed(earlier)), Some(listed(present)));
            self.tell(ChangeKind::BranchesReordered, at, &[], place, values);
        }
        self.tasks.extend(todo.into_iter().rev());
    }
}

/// What tells a branch from the others of its union.
fn label(node: &Node) -> &str {
    node.kind
        .name()
        .map_or_else(|| node.kind.type_name(), Name::full)
}

/// Whether two types are the same branch: by type, by full name.
fn same(old: &Node, new: &Node) -> bool {
    label(old) == label(new) && old.kind.type_name() == new.kind.type_name()
}

/// Whether two named types are the same under another namespace or by alias.
fn renamed(old: &Node, new: &Node) -> bool {
    let (Some(was), Some(now)) = (old.kind.name(), new.kind.name()) else {
        return false;
    };
    old.kind.type_name() == new.kind.type_name()
        && (was.unqualified() == now.unqualified() || new.kind.aliases().contains(was))
}

/// The branch that a type became, or was: the same type, else a renamed one. `pair` puts a branch
/// and the type in the order old, new.
pub(super) fn branch<'n>(
    branches: &[NodeId],
    pair: impl Fn(NodeId) -> (&'n Node, &'n Node),
) -> Option<(usize, NodeId)> {
    let find = |like: fn(&Node, &Node) -> bool| {
        branches.iter().copied().enumerate().find(|(_, id)| {
            let (old, new) = pair(*id);
            like(old, new)
        })
    };
    find(same).or_else(|| find(renamed))
}

/// For each branch of the new union the one of the old union that it was.
fn pairs(old: &Schema, was: &[NodeId], new: &Schema, now: &[NodeId]) -> Vec<Option<usize>> {
    let before = positions(was.iter().map(|id| label(old.node(*id))));
    let mut taken: HashSet<usize> = HashSet::new();
    let mut matched: Vec<Option<usize>> = Vec::with_capacity(now.len());
    for id in now {
        let node = new.node(*id);
        let found = before.get(label(node)).copied().filter(|index| {
            let old_node = was.get(*index).map(|id| old.node(*id));
            old_node.is_some_and(|old_node| same(old_node, node))
        });
        matched.push(found.filter(|index| taken.insert(*index)));
    }
    // Few are left, if any; a bound keeps unions of thousands of unlike records from taking long.
    const RENAMED: usize = 100;
    let left: Vec<usize> = (0..was.len())
        .filter(|index| !taken.contains(index))
        .take(RENAMED)
        .collect();
    for (id, slot) in now.iter().zip(&mut matched) {
        if slot.is_some() {
            continue;
        }
        let node = new.node(*id);
        let found = left.iter().copied().find(|index| {
            let old_node = was.get(*index).map(|id| old.node(*id));
            !taken.contains(index) && old_node.is_some_and(|old_node| renamed(old_node, node))
        });
        *slot = found.filter(|index| taken.insert(*index));
    }
    matched
}
