//! The first pass: JSON to types, with names that may be defined further on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::defaults;
use super::error::{ParseError, ParseFault};
use super::logical::{confluent_logical, logical_type};
use super::names;
use super::{Limits, ParseOptions};
use crate::json::{Json, Number};
use crate::schema::{
    Enum, Field, Fixed, Kind, Name, Node, NodeId, Order, Record, Schema, Strictness,
};

const NAMED_RESERVED: [&str; 10] = [
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
const FIELD_RESERVED: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

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
    /// Steps left for checks whose cost the text's size does not bound.
    pub(super) steps: u64,
    /// Where in the text the parser is.
    pub(super) path: Vec<Segment>,
    /// Names that are still to come count as what they stand for: the second pass has begun.
    pub(super) resolving: bool,
    /// References that are in already, with the text they have.
    seen: Vec<(Arc<Schema>, String)>,
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

    fn fail<T>(&self, fault: ParseFault) -> Result<T, ParseError> {
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

    #[expect(clippy::indexing_slicing, reason = "ids are made by `add` only")]
    pub(super) fn slot(&self, id: NodeId) -> &Slot {
        &self.slots[id.index()]
    }

    #[expect(clippy::indexing_slicing, reason = "ids are made by `add` only")]
    pub(super) fn slot_mut(&mut self, id: NodeId) -> &mut Slot {
        &mut self.slots[id.index()]
    }

    fn add(&mut self, kind: Kind, awaits: Option<String>) -> Result<NodeId, ParseError> {
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

    /// Takes in the named types of a referenced schema, those of its own references first.
    /// A schema that came in already, by itself or with another, is not taken twice.
    pub(super) fn import(&mut self, schema: &Arc<Schema>) -> Result<(), ParseError> {
        if self
            .seen
            .iter()
            .any(|(seen, _)| Arc::ptr_eq(&seen.inner, &schema.inner))
        {
            return Ok(());
        }
        for reference in schema.references() {
            self.import(reference)?;
        }
        let text = schema.to_text();
        if self.seen.iter().any(|(_, seen)| *seen == text) {
            return Ok(());
        }
        if self.strictness == Strictness::Strict && schema.strictness() == Strictness::Stored {
            // Java reads the references of a new schema as strictly as the schema itself.
            let references: Vec<Arc<Schema>> = schema.references().to_vec();
            let options = ParseOptions {
                references: &references,
                ..ParseOptions::default()
            };
            Schema::parse_with(&text, &options)?;
        }
        self.copy(schema)?;
        self.seen.push((Arc::clone(schema), text));
        Ok(())
    }

    /// Copies the named types that a schema's own text defines, with all they hold.
    fn copy(&mut self, schema: &Schema) -> Result<(), ParseError> {
        let own: HashSet<NodeId> = schema.inner.defined.iter().copied().collect();
        let mut places: Vec<NodeId> = Vec::with_capacity(schema.nodes().len());
        let mut added: Vec<NodeId> = Vec::new();
        for (at, node) in schema.nodes().iter().enumerate() {
            let is_own = u32::try_from(at).is_ok_and(|at| own.contains(&NodeId(at)));
            let known = node
                .kind
                .name()
                .and_then(|name| self.known.get(name.full()).copied());
            // What its references define came in with them.
            let place = match known {
                Some(known) if !is_own => known,
                _ => {
                    let id = self.add(Kind::Null, None)?;
                    self.slot_mut(id).node = node.clone();
                    added.push(id);
                    id
                }
            };
            places.push(place);
        }
        let moved = |id: NodeId| places.get(id.index()).copied().unwrap_or(id);
        for id in added {
            super::finish::remap(&mut self.slot_mut(id).node.kind, moved);
        }
        for id in &schema.inner.defined {
            let id = moved(*id);
            self.define(id)?;
        }
        Ok(())
    }

    /// From here on definitions are the text's own.
    pub(super) fn commit(&mut self) {
        self.imported = self.order.len();
    }

    /// Java's `ParseContext.put`: a name may be defined again only by what equals it as far as
    /// it is known at that moment.
    fn define(&mut self, id: NodeId) -> Result<(), ParseError> {
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

    /// The name of a named type.
    fn name(&self, json: &Json, namespace: Option<&str>) -> Result<Name, ParseError> {
        let namespace = text(json, "namespace").or(namespace);
        let Some(name) = text(json, "name") else {
            return self.fail(ParseFault::Missing {
                what: "a named type",
                member: "name",
                form: "text",
            });
        };
        names::split(name, namespace, self.strictness).map_err(|fault| self.error(fault))
    }

    /// The aliases of a named type; its namespace is theirs unless they have one.
    fn aliases(&self, json: &Json, name: &Name) -> Result<Vec<Name>, ParseError> {
        let mut aliases = Vec::new();
        let mut taken = HashSet::new();
        for alias in self.alias_texts(json)? {
            let alias = names::alias(&alias, name.namespace(), self.strictness)
                .map_err(|fault| self.error(fault))?;
            if taken.insert(alias.clone()) {
                aliases.push(alias);
            }
        }
        Ok(aliases)
    }

    fn alias_texts(&self, json: &Json) -> Result<Vec<String>, ParseError> {
        let Some(list) = json.get("aliases") else {
            return Ok(Vec::new());
        };
        let Some(list) = list.as_array() else {
            return self.fail(ParseFault::Aliases);
        };
        let mut aliases = Vec::with_capacity(list.len());
        let mut taken = HashSet::with_capacity(list.len());
        for alias in list {
            let Some(alias) = alias.as_str() else {
                return self.fail(ParseFault::Aliases);
            };
            if taken.insert(alias) {
                aliases.push(alias.to_owned());
            }
        }
        Ok(aliases)
    }

    /// Custom attributes and the logical type that they may give.
    fn props(&mut self, json: &Json, id: NodeId, reserved: &[&str]) -> Result<(), ParseError> {
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

    #[inline(never)]
    fn record(
        &mut self,
        json: &Json,
        namespace: Option<&str>,
        is_error: bool,
    ) -> Result<NodeId, ParseError> {
        let name = self.name(json, namespace)?;
        let record = Record {
            name: name.clone(),
            is_error,
            doc: text(json, "doc").map(str::to_owned),
            aliases: Vec::new(),
            fields: Vec::new(),
        };
        let id = self.add(Kind::Record(record), None)?;
        self.define(id)?;
        let Some(list) = json.get("fields").and_then(Json::as_array) else {
            return self.fail(ParseFault::Missing {
                what: "a record",
                member: "fields",
                form: "an array",
            });
        };
        let mut fields = Vec::with_capacity(list.len());
        self.path.push(Segment::Member("fields"));
        for (at, field) in list.iter().enumerate() {
            fields.push(self.within(Segment::Item(at), |b| b.field(field, name.namespace()))?);
        }
        self.path.pop();
        let mut taken = HashSet::with_capacity(fields.len());
        for field in &fields {
            if !taken.insert(field.name.as_str()) {
                return self.fail(ParseFault::DuplicateField {
                    record: name.full().to_owned(),
                    field: field.name.clone(),
                });
            }
        }
        self.slot_mut(id).complete = true;
        if let Kind::Record(record) = &mut self.slot_mut(id).node.kind {
            record.fields = fields;
        }
        self.props(json, id, &NAMED_RESERVED)?;
        let aliases = self.aliases(json, &name)?;
        if let Kind::Record(record) = &mut self.slot_mut(id).node.kind {
            record.aliases = aliases;
        }
        Ok(id)
    }

    #[inline(never)]
    fn field(&mut self, json: &Json, namespace: Option<&str>) -> Result<Field, ParseError> {
        let Some(name) = text(json, "name") else {
            return self.fail(ParseFault::Missing {
                what: "a field",
                member: "name",
                form: "text",
            });
        };
        let Some(kind) = json.get("type") else {
            return self.fail(ParseFault::Missing {
                what: "a field",
                member: "type",
                form: "a schema",
            });
        };
        let node = self.within(Segment::Member("type"), |b| b.schema(kind, namespace))?;
        let order = match json.get("order") {
            None => Order::Ascending,
            Some(order) => match order.as_str().map(str::to_uppercase).as_deref() {
                Some("ASCENDING") => Order::Ascending,
                Some("DESCENDING") => Order::Descending,
                Some("IGNORE") => Order::Ignore,
                _ => return self.fail(ParseFault::Order(shortened(order))),
            },
        };
        let mut default = json.get("default").cloned();
        if let Some(Json::String(text)) = &default
            && self.slot(node).awaits.is_none()
            && matches!(self.slot(node).node.kind, Kind::Float | Kind::Double)
        {
            match defaults::java_double(text) {
                Some(value) => default = Some(Json::Number(Number::Double(value))),
                None => return self.fail(ParseFault::NotANumber(text.clone())),
            }
        }
        names::simple(name, self.strictness).map_err(|fault| self.error(fault))?;
        if let Some(default) = &default {
            defaults::check(self, name, node, default).map_err(|fault| self.error(fault))?;
        }
        Ok(Field {
            name: name.to_owned(),
            node,
            doc: text(json, "doc").map(str::to_owned),
            default,
            order,
            aliases: self.alias_texts(json)?,
            props: custom(json, &FIELD_RESERVED),
        })
    }

    #[inline(never)]
    fn symbols(&mut self, json: &Json, namespace: Option<&str>) -> Result<NodeId, ParseError> {
        let name = self.name(json, namespace)?;
        let Some(list) = json.get("symbols").and_then(Json::as_array) else {
            return self.fail(ParseFault::Missing {
                what: "an enum",
                member: "symbols",
                form: "an array",
            });
        };
        if list.len() > self.limits.enum_symbols {
            return self.fail(ParseFault::TooManySymbols(self.limits.enum_symbols));
        }
        let mut symbols = Vec::with_capacity(list.len());
        let mut taken = HashSet::with_capacity(list.len());
        for symbol in list {
            let Some(symbol) = symbol.as_str() else {
                return self.fail(ParseFault::InvalidName(shortened(symbol)));
            };
            names::simple(symbol, self.strictness).map_err(|fault| self.error(fault))?;
            if !taken.insert(symbol) {
                return self.fail(ParseFault::DuplicateSymbol(symbol.to_owned()));
            }
            symbols.push(symbol.to_owned());
        }
        let default = text(json, "default").map(str::to_owned);
        if let Some(default) = &default
            && !taken.contains(default.as_str())
        {
            return self.fail(ParseFault::EnumDefault(default.clone()));
        }
        let doc = text(json, "doc").map(str::to_owned);
        let id = self.add(
            Kind::Enum(Enum {
                name: name.clone(),
                doc,
                aliases: Vec::new(),
                symbols,
                default,
            }),
            None,
        )?;
        self.define(id)?;
        let mut reserved = NAMED_RESERVED.to_vec();
        reserved.push("default");
        self.props(json, id, &reserved)?;
        let aliases = self.aliases(json, &name)?;
        if let Kind::Enum(symbols) = &mut self.slot_mut(id).node.kind {
            symbols.aliases = aliases;
        }
        Ok(id)
    }

    #[inline(never)]
    fn fixed(&mut self, json: &Json, namespace: Option<&str>) -> Result<NodeId, ParseError> {
        let name = self.name(json, namespace)?;
        let Some(size) = json.get("size").and_then(Json::as_i64) else {
            return self.fail(ParseFault::Missing {
                what: "a fixed",
                member: "size",
                form: "a whole number",
            });
        };
        let limit = self.limits.fixed_bytes;
        let Some(bytes) = u32::try_from(size).ok().filter(|bytes| *bytes <= limit) else {
            return self.fail(ParseFault::FixedSize { size, limit });
        };
        let doc = text(json, "doc").map(str::to_owned);
        let id = self.add(
            Kind::Fixed(Fixed {
                name: name.clone(),
                doc,
                aliases: Vec::new(),
                size: bytes,
            }),
            None,
        )?;
        self.define(id)?;
        self.props(json, id, &NAMED_RESERVED)?;
        let aliases = self.aliases(json, &name)?;
        if let Kind::Fixed(fixed) = &mut self.slot_mut(id).node.kind {
            fixed.aliases = aliases;
        }
        Ok(id)
    }
}

/// What tells a union's branches apart: the full name, or the type's.
pub(super) fn branch_name(kind: &Kind) -> &str {
    kind.name().map_or(kind.type_name(), Name::full)
}

/// A member that is text.
fn text<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
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
fn custom(json: &Json, reserved: &[&str]) -> Vec<(String, Json)> {
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
