//! The least number of bytes of each node, and whether it is always that many.

use crate::schema::{Kind, NodeId, Schema};

use super::{CompileError, ids};

/// What is known of the encoded size of a node.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct Size {
    /// No datum is shorter. Saturates: `u64::MAX` where no datum ends.
    pub least: u64,
    /// Every datum has exactly `least` bytes, whatever they are.
    pub exact: bool,
    /// Where `exact`: records entered at most, one within the other.
    pub levels: u32,
}

impl Size {
    const fn at_least(least: u64) -> Size {
        Size {
            least,
            exact: false,
            levels: 0,
        }
    }

    const fn exactly(least: u64) -> Size {
        Size {
            least,
            exact: true,
            levels: 0,
        }
    }
}

/// A record on the way down, and which of its fields comes next.
struct Visit {
    record: NodeId,
    next: usize,
    sum: Size,
}

/// The sizes of all nodes, by their position.
///
/// A union counts one byte, so sizes depend on each other through records in
/// records only, and one pass over those settles them. It keeps its own stack:
/// how deep records nest is up to whoever wrote the schema.
pub(super) fn sizes(schema: &Schema) -> Vec<Size> {
    let mut sizes: Vec<Option<Size>> = schema
        .nodes()
        .iter()
        .map(|node| of_leaf(&node.kind))
        .collect();
    let mut open = vec![false; sizes.len()];
    for start in ids(schema) {
        let mut stack = Vec::new();
        enter(start, &sizes, &mut open, &mut stack);
        while let Some(visit) = stack.last_mut() {
            let Kind::Record(record) = &schema.node(visit.record).kind else {
                stack.pop();
                continue;
            };
            let Some(field) = record.fields.get(visit.next) else {
                let mut sum = visit.sum;
                sum.levels = if sum.exact && sum.least > 0 {
                    sum.levels + 1
                } else {
                    0
                };
                set(&mut sizes, visit.record, sum);
                stack.pop();
                continue;
            };
            let known = sizes.get(field.node.index()).copied().flatten();
            let is_open = open.get(field.node.index()).copied().unwrap_or(false);
            let size = match known {
                Some(size) => size,
                // It is still open: a record in itself, and no datum of it ends.
                None if is_open => Size::at_least(u64::MAX),
                None => {
                    enter(field.node, &sizes, &mut open, &mut stack);
                    continue;
                }
            };
            visit.sum.least = visit.sum.least.saturating_add(size.least);
            visit.sum.exact &= size.exact;
            visit.sum.levels = visit.sum.levels.max(size.levels);
            visit.next += 1;
        }
    }
    sizes
        .into_iter()
        .map(|size| size.unwrap_or(Size::at_least(u64::MAX)))
        .collect()
}

fn enter(id: NodeId, sizes: &[Option<Size>], open: &mut [bool], stack: &mut Vec<Visit>) {
    if let (Some(None), Some(open)) = (sizes.get(id.index()), open.get_mut(id.index())) {
        *open = true;
        stack.push(Visit {
            record: id,
            next: 0,
            sum: Size::exactly(0),
        });
    }
}

fn set(sizes: &mut [Option<Size>], id: NodeId, size: Size) {
    if let Some(slot) = sizes.get_mut(id.index()) {
        *slot = Some(size);
    }
}

/// The size of anything but a record.
fn of_leaf(kind: &Kind) -> Option<Size> {
    Some(match kind {
        Kind::Record(_) => return None,
        Kind::Null => Size::exactly(0),
        Kind::Float => Size::exactly(4),
        Kind::Double => Size::exactly(8),
        Kind::Fixed(fixed) => Size::exactly(u64::from(fixed.size)),
        Kind::Boolean
        | Kind::Int
        | Kind::Long
        | Kind::Bytes
        | Kind::String
        | Kind::Array(_)
        | Kind::Map(_)
        | Kind::Union(_)
        | Kind::Enum(_) => Size::at_least(1),
    })
}

/// Refuses a record that contains itself before it has taken a byte: no walk
/// over it would ever get anywhere.
pub(super) fn refuse_endless(schema: &Schema, sizes: &[Size]) -> Result<(), CompileError> {
    #[derive(Copy, Clone, Eq, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; sizes.len()];
    for start in ids(schema) {
        let mut stack = vec![(start, 0_usize)];
        while let Some((id, next)) = stack.pop() {
            let Kind::Record(record) = &schema.node(id).kind else {
                continue;
            };
            let Some(state) = states.get_mut(id.index()) else {
                continue;
            };
            if next == 0 {
                match *state {
                    State::Done => continue,
                    State::Open => {
                        return Err(CompileError::Endless {
                            record: record.name.full().to_string(),
                        });
                    }
                    State::New => *state = State::Open,
                }
            }
            // Only fields that are reached with nothing taken lead in a circle;
            // those before the last one took nothing, or we would not be here.
            let taken = next
                .checked_sub(1)
                .and_then(|last| record.fields.get(last))
                .and_then(|field| sizes.get(field.node.index()))
                .is_some_and(|size| size.least > 0);
            match record.fields.get(next) {
                Some(field) if !taken => {
                    stack.push((id, next + 1));
                    stack.push((field.node, 0));
                }
                _ => *state = State::Done,
            }
        }
    }
    Ok(())
}
