//! The two graphs side by side, without recursion. Each pair of types is looked at once, so that
//! recursive schemas come to an end, and a named type's changes are told where it first stands.

mod named;
mod records;
mod unions;

use std::collections::{HashMap, HashSet};

use super::path::{At, Places, Side, Step};
use super::words::{self, type_of};
use super::{Change, ChangeKind, Diff, MAX_CHANGES};
use crate::schema::{Field, Kind, Node, NodeId, Schema};

/// Pairs of types, fields, symbols and branches that are looked at: a fraction of a second's work.
const MAX_STEPS: usize = 500_000;

/// What is left to do; the last is next.
enum Task<'a> {
    Types(NodeId, NodeId, At),
    Fields(&'a Field, &'a Field, At),
    Tell(Change),
}

struct Walk<'a> {
    old: &'a Schema,
    new: &'a Schema,
    seen: HashSet<(NodeId, NodeId)>,
    places: Places<'a>,
    tasks: Vec<Task<'a>>,
    diff: Diff,
    steps: usize,
}

pub(super) fn walk(old: &Schema, new: &Schema) -> Diff {
    let mut walk = Walk {
        old,
        new,
        seen: HashSet::new(),
        places: Places::default(),
        tasks: vec![Task::Types(old.root(), new.root(), At::default())],
        diff: Diff {
            changes: Vec::new(),
            complete: true,
        },
        steps: MAX_STEPS,
    };
    while let Some(task) = walk.tasks.pop() {
        match task {
            Task::Types(old, new, at) => walk.types(old, new, at),
            Task::Fields(old, new, at) => walk.field(old, new, at),
            Task::Tell(change) => walk.diff.changes.push(change),
        }
        if walk.diff.changes.len() > MAX_CHANGES {
            walk.diff.changes.truncate(MAX_CHANGES);
            walk.diff.complete = false;
            break;
        }
        if walk.steps == 0 {
            walk.diff.complete = false;
            break;
        }
    }
    walk.diff
}

impl<'a> Walk<'a> {
    fn charge(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps);
    }

    /// The place where `at` leads by one step, or a note that it is too deep.
    fn extend(&mut self, at: At, old: Step<'a>, new: Step<'a>) -> Option<At> {
        let place = self.places.extend(at, old, new);
        if place.is_none() {
            self.diff.complete = false;
        }
        place
    }

    fn push_types(&mut self, old: NodeId, new: NodeId, at: At, from: Step<'a>, to: Step<'a>) {
        if let Some(at) = self.extend(at, from, to) {
            self.tasks.push(Task::Types(old, new, at));
        }
    }

    fn change(
        &self,
        kind: ChangeKind,
        at: At,
        members: &[&str],
        place: String,
        values: (Option<String>, Option<String>),
    ) -> Change {
        let side = if values.1.is_none() {
            Side::Old
        } else {
            Side::New
        };
        Change {
            kind,
            path: self.places.pointer(at, side, members),
            place,
            old: values.0,
            new: values.1,
        }
    }

    fn tell(
        &mut self,
        kind: ChangeKind,
        at: At,
        members: &[&str],
        place: String,
        values: (Option<String>, Option<String>),
    ) {
        let change = self.change(kind, at, members, place, values);
        self.diff.changes.push(change);
    }

    /// The nearest field in words.
    fn place(&self, at: At) -> String {
        let names = self.places.names(at, Side::New);
        if names.is_empty() {
            "the schema".to_owned()
        } else {
            format!("field {names}")
        }
    }

    fn types(&mut self, old_id: NodeId, new_id: NodeId, at: At) {
        self.charge(1);
        if !self.seen.insert((old_id, new_id)) {
            return;
        }
        let (old, new) = (self.old.node(old_id), self.new.node(new_id));
        match (&old.kind, &new.kind) {
            (Kind::Union(was), Kind::Union(now)) => self.unions(was, now, at),
            (Kind::Union(was), _) => {
                self.type_changed(old_id, new_id, at);
                let branch = unions::branch(was, |id| (self.old.node(id), new));
                if let Some((index, branch)) = branch {
                    let from = Step::Branch(index, None);
                    self.push_types(branch, new_id, at, from, Step::Stay);
                }
            }
            (_, Kind::Union(now)) => {
                self.type_changed(old_id, new_id, at);
                let branch = unions::branch(now, |id| (old, self.new.node(id)));
                if let Some((index, branch)) = branch {
                    let to = Step::Branch(index, None);
                    self.push_types(old_id, branch, at, Step::Stay, to);
                }
            }
            _ if words::word(old) == words::word(new) => self.of_one_kind(old, new, at),
            _ => {
                self.type_changed(old_id, new_id, at);
                // A record that became an error, or ceased to be one, is the same on the wire.
                if let (Kind::Record(was), Kind::Record(now)) = (&old.kind, &new.kind) {
                    self.records(old, new, was, now, at);
                }
            }
        }
    }

    fn type_changed(&mut self, old: NodeId, new: NodeId, at: At) {
        let values = (Some(type_of(self.old, old)), Some(type_of(self.new, new)));
        let place = self.place(at);
        self.tell(ChangeKind::TypeChanged, at, &[], place, values);
    }

    fn of_one_kind(&mut self, old: &'a Node, new: &'a Node, at: At) {
        match (&old.kind, &new.kind) {
            (Kind::Record(was), Kind::Record(now)) => self.records(old, new, was, now, at),
            (Kind::Enum(was), Kind::Enum(now)) => {
                self.named(old, new, at);
                self.symbols(was, now, at);
                self.attributes(old, new, at);
            }
            (Kind::Fixed(was), Kind::Fixed(now)) => {
                self.named(old, new, at);
                if was.size != now.size {
                    let values = (Some(was.size.to_string()), Some(now.size.to_string()));
                    let place = title(new);
                    self.tell(ChangeKind::SizeChanged, at, &["size"], place, values);
                }
                self.attributes(old, new, at);
            }
            (Kind::Array(was), Kind::Array(now)) => {
                self.attributes(old, new, at);
                self.push_types(*was, *now, at, Step::Items, Step::Items);
            }
            (Kind::Map(was), Kind::Map(now)) => {
                self.attributes(old, new, at);
                self.push_types(*was, *now, at, Step::Values, Step::Values);
            }
            _ => self.attributes(old, new, at),
        }
    }
}

fn texts(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(String::as_str)
}

fn positions<'s>(names: impl Iterator<Item = &'s str>) -> HashMap<&'s str, usize> {
    names.enumerate().map(|(at, name)| (name, at)).collect()
}

/// `record com.acme.Address`.
fn title(node: &Node) -> String {
    match node.kind.name() {
        Some(name) => format!("{} {name}", words::word(node)),
        None => words::word(node).to_owned(),
    }
}
