//! All fields of a schema, one after another, to be shown beside what changed.

use std::collections::HashSet;

use super::path::{At, Places, Side, Step};
use super::words;
use crate::schema::{Field, Kind, Name, NodeId, Schema};

/// Fields that are listed: more than anyone reads.
const MAX_FIELDS: usize = 10_000;

/// Types that are looked at.
const MAX_STEPS: usize = 500_000;

enum Task<'a> {
    Type(NodeId, At),
    Field(&'a Field, At),
}

/// The fields of a schema, those of inner records too, in the order of its text: the place as
/// [`super::Change::place`] has it, and type and default in words. A named type's fields come where
/// it first stands. At most 10,000 are listed.
#[must_use]
pub fn fields(schema: &Schema) -> Vec<(String, String)> {
    let mut places = Places::default();
    let mut seen: HashSet<NodeId> = HashSet::new();
    let mut listed = Vec::new();
    let mut tasks = vec![Task::Type(schema.root(), At::default())];
    for _ in 0..MAX_STEPS {
        let Some(task) = tasks.pop() else { break };
        let (id, at) = match task {
            Task::Type(id, at) => (id, at),
            Task::Field(field, at) => {
                let place = format!("field {}", places.names(at, Side::New));
                listed.push((place, words::field(schema, field)));
                if listed.len() >= MAX_FIELDS {
                    break;
                }
                (field.node, at)
            }
        };
        if !seen.insert(id) {
            continue;
        }
        let within = match &schema.node(id).kind {
            Kind::Array(items) => vec![(*items, Step::Items)],
            Kind::Map(values) => vec![(*values, Step::Values)],
            Kind::Union(branches) => {
                let several = branches.len() > 2;
                let label = |id: NodeId| {
                    let kind = &schema.node(id).kind;
                    kind.name().map_or(kind.type_name(), Name::full)
                };
                let steps = branches.iter().enumerate().map(|(index, branch)| {
                    let step = Step::Branch(index, several.then(|| label(*branch)));
                    (*branch, step)
                });
                steps.collect()
            }
            Kind::Record(record) => {
                for (index, field) in record.fields.iter().enumerate().rev() {
                    let step = Step::Field(index, &field.name);
                    let at = places.extend(at, step, step);
                    tasks.extend(at.map(|at| Task::Field(field, at)));
                }
                continue;
            }
            _ => continue,
        };
        for (id, step) in within.into_iter().rev() {
            let at = places.extend(at, step, step);
            tasks.extend(at.map(|at| Task::Type(id, at)));
        }
    }
    listed
}
