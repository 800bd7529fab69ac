//! Avro Java's second pass: `ParseContext.resolve` with `SchemaResolver.ResolvingVisitor`.
//!
//! Java visits every known named type and then the schema itself, copies records, arrays, maps
//! and unions on the way, and puts the real types in the place of forward references. A copied
//! record gets its fields when all that they lead to has been visited; its defaults are checked
//! at that moment once more, now against the real types, of which some may still be without
//! fields. So the verdict on a default can hang on the order of the walk, and the walk is done
//! here as Java does it, less what can't change anything.

use std::collections::HashSet;

use super::build::{Builder, branch_name};
use super::defaults;
use super::error::{ParseError, ParseFault};
use crate::schema::{Kind, NodeId};

/// What a walk has still to do.
enum Task {
    Visit(NodeId),
    Leave(NodeId),
}

struct Resolver<'a> {
    builder: &'a mut Builder,
    /// Java's `replace` has it: there is a copy, or what takes its place.
    placed: Vec<bool>,
    /// All that it leads to is done, so that visiting it again changes nothing.
    closed: Vec<bool>,
    /// Types visited by the outermost walk that is going on.
    touched: Vec<NodeId>,
}

/// Resolves all forward references; gives the node of the schema itself.
pub(super) fn resolve(builder: &mut Builder, root: NodeId) -> Result<NodeId, ParseError> {
    let count = builder.slots.len();
    let order = builder.order.clone();
    builder.resolving = true;
    // Every record is copied anew.
    for slot in &mut builder.slots {
        if matches!(slot.node.kind, Kind::Record(_)) {
            slot.complete = false;
        }
    }
    let mut resolver = Resolver {
        builder,
        placed: vec![false; count],
        closed: vec![false; count],
        touched: Vec::new(),
    };
    for id in order {
        resolver.outermost(id)?;
    }
    let builder = &*resolver.builder;
    let slot = builder.slot(root);
    if let Some(name) = &slot.awaits {
        return Err(builder.error(ParseFault::Undefined(name.clone())));
    }
    if let Some(name) = slot.node.kind.name() {
        let known = builder.known.get(name.full()).copied();
        return Ok(known.unwrap_or(root));
    }
    resolver.outermost(root)?;
    Ok(root)
}

impl Resolver<'_> {
    fn fail<T>(&self, fault: ParseFault) -> Result<T, ParseError> {
        Err(self.builder.error(fault))
    }

    fn get(flags: &[bool], id: NodeId) -> bool {
        flags.get(id.index()).copied().unwrap_or(false)
    }

    fn place(&mut self, id: NodeId) {
        if let Some(flag) = self.placed.get_mut(id.index()) {
            *flag = true;
        }
    }

    fn outermost(&mut self, start: NodeId) -> Result<(), ParseError> {
        self.walk(start, 0)?;
        for id in std::mem::take(&mut self.touched) {
            if let Some(flag) = self.closed.get_mut(id.index()) {
                *flag = true;
            }
        }
        Ok(())
    }

    /// Java's `Schemas.visit`. A forward reference starts a walk of its own, at most as many
    /// within each other as text may have levels.
    fn walk(&mut self, start: NodeId, level: usize) -> Result<(), ParseError> {
        if level > self.builder.limits.depth {
            return self.fail(ParseFault::TooDeep(self.builder.limits.depth));
        }
        let mut visited: HashSet<NodeId> = HashSet::new();
        let mut tasks = vec![Task::Visit(start)];
        while let Some(task) = tasks.pop() {
            if let Err(fault) = self.builder.spend(1) {
                return self.fail(fault);
            }
            match task {
                Task::Visit(id) => self.visit(id, level, &mut visited, &mut tasks)?,
                Task::Leave(id) => self.leave(id)?,
            }
        }
        Ok(())
    }

    fn visit(
        &mut self,
        id: NodeId,
        level: usize,
        visited: &mut HashSet<NodeId>,
        tasks: &mut Vec<Task>,
    ) -> Result<(), ParseError> {
        if Self::get(&self.closed, id) {
            return Ok(());
        }
        let slot = self.builder.slot(id);
        if let Some(name) = slot.awaits.clone() {
            if visited.contains(&id) {
                return Ok(());
            }
            if !Self::get(&self.placed, id) {
                let Some(target) = self.builder.known.get(&name).copied() else {
                    return self.fail(ParseFault::Undefined(name));
                };
                if !Self::get(&self.placed, target) {
                    self.walk(target, level + 1)?;
                }
                self.place(id);
            }
            visited.insert(id);
            self.touched.push(id);
            return Ok(());
        }
        let mut children: Vec<NodeId> = match &slot.node.kind {
            Kind::Record(record) => record.fields.iter().map(|field| field.node).rev().collect(),
            Kind::Union(branches) => branches.clone(),
            Kind::Array(child) | Kind::Map(child) => vec![*child],
            _ => {
                self.place(id);
                return Ok(());
            }
        };
        let is_record = matches!(slot.node.kind, Kind::Record(_));
        if visited.contains(&id) {
            if !Self::get(&self.placed, id) {
                let name = branch_name(&slot.node.kind).to_owned();
                return self.fail(ParseFault::Tangled(name));
            }
            return Ok(());
        }
        if is_record {
            self.place(id);
        }
        visited.insert(id);
        self.touched.push(id);
        tasks.push(Task::Leave(id));
        tasks.extend(children.drain(..).map(Task::Visit));
        Ok(())
    }

    /// Java's `afterVisitNonTerminal`.
    fn leave(&mut self, id: NodeId) -> Result<(), ParseError> {
        let slot = self.builder.slot(id);
        match &slot.node.kind {
            Kind::Record(record) if !slot.complete => {
                let name = record.name.full().to_owned();
                let fields: Vec<_> = record
                    .fields
                    .iter()
                    .map(|field| (field.name.clone(), field.node, field.default.clone()))
                    .collect();
                for (field, node, default) in fields {
                    if !Self::get(&self.placed, node) {
                        return self.fail(ParseFault::Tangled(name));
                    }
                    if let Some(default) = default {
                        let node = self.target(node);
                        if let Err(fault) = defaults::check(self.builder, &field, node, &default) {
                            return self.fail(fault);
                        }
                    }
                }
                self.builder.slot_mut(id).complete = true;
            }
            Kind::Union(branches) => {
                let mut taken = HashSet::with_capacity(branches.len());
                for branch in branches {
                    if !Self::get(&self.placed, *branch) {
                        return self.fail(ParseFault::Tangled("union".to_owned()));
                    }
                    let kind = &self.builder.slot(self.target(*branch)).node.kind;
                    if !taken.insert(branch_name(kind)) {
                        let name = branch_name(kind).to_owned();
                        return self.fail(ParseFault::DuplicateBranch(name));
                    }
                }
                self.place(id);
            }
            Kind::Array(child) | Kind::Map(child) => {
                if !Self::get(&self.placed, *child) {
                    let name = slot.node.kind.type_name().to_owned();
                    return self.fail(ParseFault::Tangled(name));
                }
                self.place(id);
            }
            _ => {}
        }
        Ok(())
    }

    fn target(&self, id: NodeId) -> NodeId {
        target(self.builder, id)
    }
}

/// What a node stands for.
pub(super) fn target(builder: &Builder, id: NodeId) -> NodeId {
    match &builder.slot(id).awaits {
        Some(name) => builder.known.get(name).copied().unwrap_or(id),
        None => id,
    }
}
