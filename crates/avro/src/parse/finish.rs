//! The final graph: only what the schema leads to, numbered by first use, depth checked.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::build::Builder;
use super::error::{ParseError, ParseFault};
use super::resolve::target;
use crate::schema::{Inner, Kind, NodeId, Schema};

/// Makes the graph.
pub(super) fn finish(
    mut builder: Builder,
    root: NodeId,
    references: &[Arc<Schema>],
) -> Result<Schema, ParseError> {
    let mut places: Vec<Option<NodeId>> = vec![None; builder.slots.len()];
    let mut order: Vec<NodeId> = Vec::new();
    let mut stack = vec![(root, 0)];
    while let Some((id, depth)) = stack.pop() {
        let id = target(&builder, id);
        let Some(place) = places.get_mut(id.index()) else {
            continue;
        };
        if place.is_some() {
            continue;
        }
        if depth > builder.limits.depth {
            return Err(builder.error(ParseFault::TooDeep(builder.limits.depth)));
        }
        *place = Some(NodeId(u32::try_from(order.len()).unwrap_or(u32::MAX)));
        order.push(id);
        let node = &builder.slot(id).node;
        match &node.kind {
            Kind::Array(child) | Kind::Map(child) => stack.push((*child, depth + 1)),
            Kind::Union(branches) => {
                stack.extend(branches.iter().rev().map(|branch| (*branch, depth + 1)));
            }
            // The object, the list of fields, the field.
            Kind::Record(record) => {
                stack.extend(
                    record
                        .fields
                        .iter()
                        .rev()
                        .map(|field| (field.node, depth + 3)),
                );
            }
            _ => {}
        }
    }
    let targets: Vec<NodeId> = (0..builder.slots.len())
        .map(|at| target(&builder, NodeId(u32::try_from(at).unwrap_or(u32::MAX))))
        .collect();
    let moved = |id: NodeId| {
        let id = targets.get(id.index()).copied().unwrap_or(id);
        places.get(id.index()).copied().flatten().unwrap_or(id)
    };
    let mut nodes = Vec::with_capacity(order.len());
    for id in &order {
        let slot = builder.slot_mut(*id);
        let mut node = slot.node.clone();
        remap(&mut node.kind, moved);
        nodes.push(node);
    }
    let defined = builder
        .order
        .get(builder.imported..)
        .unwrap_or_default()
        .iter()
        .filter_map(|id| places.get(id.index()).copied().flatten())
        .collect();
    Ok(Schema {
        inner: Arc::new(Inner {
            nodes,
            root: moved(root),
            references: references.to_vec(),
            strictness: builder.strictness,
            defined,
            reads_strictly: AtomicBool::new(false),
        }),
    })
}

/// Renumbers what a type holds.
pub(super) fn remap(kind: &mut Kind, moved: impl Fn(NodeId) -> NodeId) {
    match kind {
        Kind::Array(child) | Kind::Map(child) => *child = moved(*child),
        Kind::Union(branches) => {
            for branch in branches {
                *branch = moved(*branch);
            }
        }
        Kind::Record(record) => {
            for field in &mut record.fields {
                field.node = moved(field.node);
            }
        }
        _ => {}
    }
}
