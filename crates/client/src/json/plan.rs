//! What the JSON form needs to know of a schema beyond the schema itself,
//! worked out once: how unions are told apart, where fields are, the bytes of defaults.

use std::collections::HashMap;

use meshwork_avro::{Kind, LogicalType, Node, NodeId, Schema};

use super::default::default_bytes;

/// The kinds of JSON values other than null.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Bool,
    Number,
    Text,
    Array,
    Object,
}

/// A schema with what was worked out of it.
#[derive(Debug)]
pub(super) struct Plan {
    pub schema: Schema,
    extras: Vec<Extra>,
}

#[derive(Debug)]
enum Extra {
    None,
    Union(Branches),
    Record(Fields),
    Enum(HashMap<String, i64>),
}

/// How the branches of a union are told apart.
#[derive(Debug)]
pub(super) struct Branches {
    /// The branch names that tags are: full names of named types, else the type.
    pub tags: Vec<String>,
    /// Where null is.
    pub null: Option<usize>,
    /// Which branch takes a plain value, by [`Shape`].
    takes: [Choice; 5],
    /// Some value of it must be tagged: an object with a tag's name as its only
    /// member is then always a tag.
    pub tags_needed: bool,
    /// Branches whose plain objects cannot be mistaken for a tag.
    plain_objects: Vec<bool>,
}

/// Which branch takes a plain value.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Choice {
    None,
    One(usize),
    Many,
}

/// The fields of a record.
#[derive(Debug)]
pub(super) struct Fields {
    pub positions: HashMap<String, usize>,
    /// The bytes of each field's default, or why it has none that fits.
    pub defaults: Vec<Option<Result<Vec<u8>, String>>>,
}

impl Plan {
    pub(super) fn new(schema: &Schema) -> Plan {
        let extras = schema
            .nodes()
            .iter()
            .map(|node| match &node.kind {
                Kind::Union(branches) => Extra::Union(Branches::new(schema, branches)),
                Kind::Record(record) => Extra::Record(Fields {
                    positions: record
                        .fields
                        .iter()
                        .enumerate()
                        .map(|(at, field)| (field.name.clone(), at))
                        .collect(),
                    defaults: record
                        .fields
                        .iter()
                        .map(|field| {
                            let default = field.default.as_ref()?;
                            Some(default_bytes(schema, field.node, default))
                        })
                        .collect(),
                }),
                Kind::Enum(symbols) => {
                    Extra::Enum(symbols.symbols.iter().cloned().zip(0..).collect())
                }
                _ => Extra::None,
            })
            .collect();
        Plan {
            schema: schema.clone(),
            extras,
        }
    }

    pub(super) fn branches(&self, id: NodeId) -> Option<&Branches> {
        match self.extras.get(id.index()) {
            Some(Extra::Union(branches)) => Some(branches),
            _ => None,
        }
    }

    pub(super) fn fields(&self, id: NodeId) -> Option<&Fields> {
        match self.extras.get(id.index()) {
            Some(Extra::Record(fields)) => Some(fields),
            _ => None,
        }
    }

    /// The position of an enum's symbol.
    pub(super) fn symbol(&self, id: NodeId, symbol: &str) -> Option<i64> {
        match self.extras.get(id.index()) {
            Some(Extra::Enum(symbols)) => symbols.get(symbol).copied(),
            _ => None,
        }
    }
}

impl Branches {
    fn new(schema: &Schema, branches: &[NodeId]) -> Branches {
        let nodes: Vec<&Node> = branches.iter().map(|id| schema.node(*id)).collect();
        let tags: Vec<String> = nodes.iter().map(|node| tag(node)).collect();
        let takes = [
            Shape::Bool,
            Shape::Number,
            Shape::Text,
            Shape::Array,
            Shape::Object,
        ]
        .map(|shape| choose(&nodes, shape));
        let tags_needed = nodes.iter().enumerate().any(|(at, node)| {
            let (usual, rare) = printed(node);
            let plain = |shape: &Shape| takes.get(*shape as usize) == Some(&Choice::One(at));
            !usual.iter().chain(rare).all(plain)
        });
        let plain_objects = nodes
            .iter()
            .map(|node| match &node.kind {
                Kind::Map(_) => !tags_needed,
                Kind::Record(record) => {
                    !tags_needed || !record.fields.iter().any(|field| tags.contains(&field.name))
                }
                _ => !tags.iter().any(|tag| tag == HEX),
            })
            .collect();
        let null = nodes.iter().position(|node| node.kind == Kind::Null);
        Branches {
            tags,
            null,
            takes,
            tags_needed,
            plain_objects,
        }
    }

    /// Which branch takes a plain value of a shape.
    pub(super) fn takes(&self, shape: Shape) -> Choice {
        self.takes
            .get(shape as usize)
            .copied()
            .unwrap_or(Choice::None)
    }

    /// Whether a branch's value may be printed plain where it has this shape.
    pub(super) fn prints_plain(&self, branch: usize, shape: Shape) -> bool {
        self.takes(shape) == Choice::One(branch)
            && (shape != Shape::Object || self.plain_objects.get(branch).copied().unwrap_or(false))
    }
}

/// The member that holds bytes which have no plain form: `{"hex": "0a0b"}`.
pub(super) const HEX: &str = "hex";

/// Whether an object that is a plain value of this node may have a member of this name.
pub(super) fn takes_member(node: &Node, name: &str) -> bool {
    match &node.kind {
        Kind::Map(_) => true,
        Kind::Record(record) => record.fields.iter().any(|field| field.name == name),
        Kind::Fixed(_) if node.logical == Some(LogicalType::Duration) => true,
        _ => name == HEX,
    }
}

/// The branch that takes a shape: the only one that usually has it, else the only
/// one that takes it at all.
fn choose(nodes: &[&Node], shape: Shape) -> Choice {
    let only = |takes: &dyn Fn(&Node) -> bool| {
        let mut branches = nodes.iter().enumerate().filter(|(_, node)| takes(node));
        match (branches.next(), branches.next()) {
            (None, _) => Choice::None,
            (Some((at, _)), None) => Choice::One(at),
            _ => Choice::Many,
        }
    };
    match only(&|node| printed(node).0.contains(&shape)) {
        Choice::None => only(&|node| printed(node).1.contains(&shape) || also_taken(node, shape)),
        choice => choice,
    }
}

/// The shapes that values of a node are printed in: the usual ones, and rare ones.
fn printed(node: &Node) -> (&'static [Shape], &'static [Shape]) {
    match (&node.kind, &node.logical) {
        (Kind::Boolean, _) => (&[Shape::Bool], &[]),
        (Kind::Int | Kind::Long, None) => (&[Shape::Number], &[]),
        // Times beyond what RFC 3339 can say are numbers.
        (Kind::Int | Kind::Long, Some(_)) => (&[Shape::Text, Shape::Number], &[]),
        (Kind::Float | Kind::Double, _) => (&[Shape::Number], &[Shape::Text, Shape::Object]),
        (
            Kind::Bytes | Kind::Fixed(_),
            Some(LogicalType::Decimal { .. } | LogicalType::BigDecimal),
        ) => (&[Shape::Text], &[Shape::Object]),
        (Kind::Fixed(_), Some(LogicalType::Duration)) | (Kind::Map(_) | Kind::Record(_), _) => {
            (&[Shape::Object], &[])
        }
        (Kind::Bytes | Kind::Fixed(_) | Kind::String | Kind::Enum(_), _) => (&[Shape::Text], &[]),
        (Kind::Array(_), _) => (&[Shape::Array], &[]),
        // Null tells itself, and a union is no branch of a union.
        (Kind::Null | Kind::Union(_), _) => (&[], &[]),
    }
}

/// Decimals are taken as numbers too.
fn also_taken(node: &Node, shape: Shape) -> bool {
    shape == Shape::Number
        && matches!(
            node.logical,
            Some(LogicalType::Decimal { .. } | LogicalType::BigDecimal)
        )
}

fn tag(node: &Node) -> String {
    match node.kind.name() {
        Some(name) => name.full().to_owned(),
        None => node.kind.type_name().to_owned(),
    }
}
