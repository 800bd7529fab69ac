//! The first pass: JSON to types, with names that may be defined further on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Limits;
use super::error::{ParseError, ParseFault};
use super::logical::{confluent_logical, logical_type};
use super::names;
use crate::json::{Json, Number};
use crate::schema::{Kind, Name, Node, NodeId, Schema, Strictness};

pub(super) const NAMED_RESERVED: [&str; 10] = [
    "doc",
    "fields",
    "items",
    "name",
    "namespace",
    "size",
    "symbols",
    "values",
    "type",
    "aliases",
];

/// A type while it is being parsed.
pub(super) struct Slot {
    pub(super) node: Node,
    /// The full name that a reference waits for; the node is a stand-in then.
    pub(super) awaits: Option<String>,
    /// A record's fields are complete.
    pub(super) complete: bool,
}

/// The state of a parse.
pub(super) struct Builder {
    pub(super) slots: Vec<Slot>,
    /// Named types by full name: those of references, then those of the text.
    pub(super) known: HashMap<String, NodeId>,
    /// Named types in the order of their definition.
    pub(super) order: Vec<NodeId>,
    /// How many of `order` come from references.
    pub(super) imported: usize,
    pub(super) strictness: Strictness,
    pub(super) limits: Limits,
    /// Bytes left for names in full and for references.
    spelled: usize,
    /// Steps left for checks whose cost the text's size does not bound.
    pub(super) steps: u64,
    /// Where in the text the parser is.
    pub(super) path: Vec<Segment>,
    /// Names that are still to come count as what they stand for: the second pass has begun.
    pub(super) resolving: bool,
    /// References that are in already, with the text they have.
    pub(super) seen: Vec<(Arc<Schema>, String)>,
}

/// A step of a JSON pointer.
#[derive(Clone, Copy)]
pub(super) enum Segment {
    Member(&'static str),
    Item(usize),
}

impl Builder {
    pub(super) fn new(strictness: Strictness, limits: Limits) -> Self {
        Self {
            slots: Vec::new(),
            known: HashMap::new(),
            order: Vec::new(),
            imported: 0,
            strictness,
            limits,
            spelled: limits.spelled_bytes,
            steps: limits.steps,
            path: Vec::new(),
            resolving: false,
            seen: Vec::new(),
        }
    }

    /// An error here.
    pub(super) fn error(&self, fault: ParseFault) -> ParseError {
        let mut pointer = String::new();
        for segment in &self.path {
            pointer.push('/');
            match segment {
                Segment::Member(name) => pointer.push_str(name),
                Segment::Item(at) => pointer.push_str(&at.to_string()),
            }
        }
        ParseError { pointer, fault }
    }

    pub(super) fn fail<T>(&self, fault: ParseFault) -> Result<T, ParseError> {
        Err(self.error(fault))
    }

    /// Takes steps off the budget.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), ParseFault> {
        match self.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(ParseFault::TooCostly(self.limits.steps)),
        }
    }

    /// Takes the bytes of a name, with the namespace that goes before it, off what may be spelled.
    pub(super) fn spell(&mut self, namespace: Option<&str>, name: &str) -> Result<(), ParseError> {
        let bytes = namespace.map_or(0, str::len).saturating_add(name.len());
        match self.spelled.checked_sub(bytes) {
            Some(left) => {
                self.spelled = left;
                Ok(())
            }
            None => self.fail(ParseFault::TooMuchSpelled(self.limits.spelled_bytes)),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "ids are made by `add` only")]
    pub(super) fn slot(&self, id: NodeId) -> &Slot {
        &self.slots[id.index()]
    }

    #[expect(clippy::indexing_slicing, reason = "ids are made by `add` only")]
    pub(super) fn slot_mut(&mut self, id: NodeId) -> &mut Slot {
        &mut self.slots[id.index()]
    }

    pub(super) fn add(&mut self, kind: Kind, awaits: Option<String>) -> Result<NodeId, ParseError> {
        let next = u32::try_from(self.slots.len())
            .ok()
            .filter(|_| self.slots.len() < self.limits.nodes);
        let Some(next) = next else {
            return self.fail(ParseFault::TooManyTypes(self.limits.nodes));
        };
        let complete = !matches!(kind, Kind::Record(_));
        self.slots.push(Slot {
            node: Node {
                kind,
                logical: None,
                props: Vec::new(),
            },
            awaits,
            complete,
        });
        Ok(NodeId(next))
    }

    /// From here on definitions are the text's own.
    pub(super) fn commit(&mut self) {
        self.imported = self.order.len();
    }

    /// Java's `ParseContext.put`: a name may be defined again only by what equals it as far as
    /// it is known at that moment.
    pub(super) fn define(&mut self, id: NodeId) -> Result<(), ParseError> {
        let Some(name) = self.slot(id).node.kind.name() else {
            return Ok(());
        };
        if let Err(fault) = names::full(name, self.strictness) {
            return self.fail(fault);
        }
        let full = name.full().to_owned();
        let Some(earlier) = self.known.get(&full).copied() else {
            self.known.insert(full, id);
            self.order.push(id);
            return Ok(());
        };
        let earlier = self.slot(earlier);
        let equal = earlier.node.props.is_empty()
            && match (&earlier.node.kind, &self.slot(id).node.kind) {
                (Kind::Record(_), Kind::Record(_)) => !earlier.complete,
                (Kind::Enum(a), Kind::Enum(b)) => a.symbols == b.symbols,
                (Kind::Fixed(a), Kind::Fixed(b)) => a.size == b.size,
                _ => false,
            };
        if equal {
            Ok(())
        } else {
            self.fail(ParseFault::Redefined(full))
        }
    }

    /// Runs `read` one step further into the text.
    pub(super) fn within<T>(
        &mut self,
        segment: Segment,
        read: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.path.push(segment);
        let result = read(self);
        self.path.pop();
        result
    }

    /// A schema. Recursion is bounded by the JSON reader's depth limit.
    pub(super) fn schema(
        &mut self,
        json: &Json,
        namespace: Option<&str>,
    ) -> Result<NodeId, ParseError> {
        match json {
            Json::String(name) => self.find(name, namespace),
            Json::Array(branches) => self.union(branches, namespace),
            Json::Object(_) => {
                let Some(kind) = text(json, "type") else {
                    return self.fail(ParseFault::Missing {
                        what: "a schema",
                        member: "type",
                        form: "text",
                    });
                };
                match kind {
                    "record" => self.record(json, namespace, false),
                    "error" => self.record(json, namespace, true),
                    "enum" => self.symbols(json, namespace),
                    "array" => self.array(json, namespace),
                    "map" => self.map(json, namespace),
                    "fixed" => self.fixed(json, namespace),
                    _ => match primitive(kind) {
                        Some(kind) => {
                            let id = self.add(kind, None)?;
                            self.props(json, id, &NAMED_RESERVED)?;
                            Ok(id)
                        }
                        None => self.find(kind, namespace),
                    },
                }
            }
            Json::Null => self.fail(ParseFault::NotASchema("null")),
            Json::Bool(_) => self.fail(ParseFault::NotASchema("a boolean")),
            Json::Number(_) => self.fail(ParseFault::NotASchema("a number")),
        }
    }

    /// A type by its name: primitive, in the namespace, in none, or one that is still to come.
    fn find(&mut self, name: &str, namespace: Option<&str>) -> Result<NodeId, ParseError> {
        if let Some(kind) = primitive(name) {
            return self.add(kind, None);
        }
        self.spell(namespace, name)?;
        let full = match namespace {
            Some(namespace) if !name.contains('.') => format!("{namespace}.{name}"),
            _ => name.to_owned(),
        };
        if let Some(id) = self.known.get(&full).or_else(|| self.known.get(name)) {
            return Ok(*id);
        }
        self.add(Kind::Null, Some(full))
    }

    #[inline(never)]
    fn union(&mut self, branches: &[Json], namespace: Option<&str>) -> Result<NodeId, ParseError> {
        let mut ids = Vec::with_capacity(branches.len());
        for (at, branch) in branches.iter().enumerate() {
            ids.push(self.within(Segment::Item(at), |b| b.schema(branch, namespace))?);
        }
        let mut taken = HashSet::with_capacity(ids.len());
        for id in &ids {
            let slot = self.slot(*id);
            if slot.awaits.is_some() {
                continue;
            }
            if matches!(slot.node.kind, Kind::Union(_)) {
                return self.fail(ParseFault::NestedUnion);
            }
            let name = branch_name(&slot.node.kind);
            if !taken.insert(name) {
                return self.fail(ParseFault::DuplicateBranch(name.to_owned()));
            }
        }
        self.add(Kind::Union(ids), None)
    }

    #[inline(never)]
    fn array(&mut self, json: &Json, namespace: Option<&str>) -> Result<NodeId, ParseError> {
        let Some(items) = json.get("items") else {
            return self.fail(ParseFault::Missing {
                what: "an array",
                member: "items",
                form: "a schema",
            });
        };
        let items = self.within(Segment::Member("items"), |b| b.schema(items, namespace))?;
        let id = self.add(Kind::Array(items), None)?;
        self.props(json, id, &NAMED_RESERVED)?;
        Ok(id)
    }

    #[inline(never)]
    fn map(&mut self, json: &Json, namespace: Option<&str>) -> Result<NodeId, ParseError> {
        let Some(values) = json.get("values") else {
            return self.fail(ParseFault::Missing {
                what: "a map",
                member: "values",
                form: "a schema",
            });
        };
        let values = self.within(Segment::Member("values"), |b| b.schema(values, namespace))?;
        let id = self.add(Kind::Map(values), None)?;
        self.props(json, id, &NAMED_RESERVED)?;
        Ok(id)
    }

    /// Custom attributes and the logical type that they may give.
    pub(super) fn props(
        &mut self,
        json: &Json,
        id: NodeId,
        reserved: &[&str],
    ) -> Result<(), ParseError> {
        let mut props = custom(json, reserved);
        let kind = &self.slot(id).node.kind;
        if matches!(kind, Kind::Record(_) | Kind::Array(_) | Kind::Map(_)) {
            // Java copies these through its own objects, which have no room for such numbers.
            if let Some((name, _)) = props.iter().find(|(_, value)| holds_big(value)) {
                return self.fail(ParseFault::BigAttribute(name.clone()));
            }
            let kind_of = |id| {
                let slot = self.slot(id);
                (slot.complete && slot.awaits.is_none()).then_some(&slot.node.kind)
            };
            if confluent_logical(kind, &props, kind_of).is_some()
                && let Some(at) = props.iter().position(|(name, _)| name == "logicalType")
                && let Some(first) = props.get_mut(..=at)
            {
                first.rotate_right(1);
            }
        }
        let logical = logical_type(&self.slot(id).node.kind, &props);
        let node = &mut self.slot_mut(id).node;
        node.logical = logical;
        node.props = props;
        Ok(())
    }
}

/// What tells a union's branches apart: the full name, or the type's.
pub(super) fn branch_name(kind: &Kind) -> &str {
    kind.name().map_or(kind.type_name(), Name::full)
}

/// A member that is text.
pub(super) fn text<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key)?.as_str()
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

/// All members that are not reserved.
pub(super) fn custom(json: &Json, reserved: &[&str]) -> Vec<(String, Json)> {
    json.as_object()
        .unwrap_or_default()
        .iter()
        .filter(|(name, _)| !reserved.contains(&name.as_str()))
        .cloned()
        .collect()
}

/// Whether a whole number beyond 64 bits is in there.
fn holds_big(json: &Json) -> bool {
    match json {
        Json::Number(Number::Big(_)) => true,
        Json::Array(items) => items.iter().any(holds_big),
        Json::Object(members) => members.iter().any(|(_, value)| holds_big(value)),
        _ => false,
    }
}

/// A value for a message.
pub(super) fn shortened(json: &Json) -> String {
    const LONGEST: usize = 80;
    let mut text = json.to_text();
    if text.len() > LONGEST {
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
