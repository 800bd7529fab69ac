//! A text of the schema that apache-avro 0.22 can read, for encoding and decoding by it.
//!
//! Its parser is not Java's: it takes no `error`, no forward references, no second definition,
//! looks up a name without namespace only in the enclosing one, takes aliases for definitions,
//! and refuses some defaults and attributes. So names are written in full and made legal and
//! unique, aliases that hide something and custom attributes are left out, and so are defaults
//! that it would refuse, which are used only where two schemas are resolved.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use crate::json::{Json, Number, write_string};
use crate::schema::{Field, Kind, LogicalType, Node, NodeId, Record, Schema};

pub(super) fn write(schema: &Schema) -> String {
    let mut writer = Writer {
        schema,
        names: names(schema),
        taken: HashSet::new(),
        open: HashSet::new(),
        written: HashSet::new(),
        out: String::new(),
    };
    writer.taken = writer.names.values().cloned().collect();
    writer.node(schema.root());
    writer.out
}

/// A legal full name for every named type; equal ones for types that are the same on the wire.
fn names(schema: &Schema) -> HashMap<NodeId, String> {
    let mut spaces = Spaces {
        schema,
        given: HashMap::new(),
        order: Vec::new(),
        rest: None,
    };
    if !spaces.visit() {
        // Something without namespace is used from within one: then none is left without.
        let rest = spaces.given.values().flatten().min().cloned();
        spaces = Spaces {
            schema,
            given: HashMap::new(),
            order: Vec::new(),
            rest,
        };
        spaces.visit();
    }
    let mut names = HashMap::new();
    let mut by_name: HashMap<String, NodeId> = HashMap::new();
    for id in spaces.order {
        let kind = &schema.node(id).kind;
        let Some(name) = kind.name() else {
            continue;
        };
        let mut full = match spaces.given.get(&id).and_then(Option::as_ref) {
            Some(namespace) => format!("{namespace}.{}", word(name.unqualified())),
            None => word(name.unqualified()),
        };
        while let Some(other) = by_name.get(&full) {
            if same(kind, &schema.node(*other).kind) {
                break;
            }
            full.push('_');
        }
        by_name.entry(full.clone()).or_insert(id);
        names.insert(id, full);
    }
    names
}

/// Finds namespaces for types. apache-avro can't name a type without namespace from within one,
/// so such a type gets the namespace that it is used in.
struct Spaces<'a> {
    schema: &'a Schema,
    given: HashMap<NodeId, Option<String>>,
    /// Named types in the order of their first use.
    order: Vec<NodeId>,
    /// What types without namespace get in any case.
    rest: Option<String>,
}

impl Spaces<'_> {
    /// Whether every use of a type fits its namespace.
    fn visit(&mut self) -> bool {
        let mut fits = true;
        let mut seen = HashSet::new();
        let mut stack: Vec<(NodeId, Option<String>)> = vec![(self.schema.root(), None)];
        while let Some((id, outer)) = stack.pop() {
            let kind = &self.schema.node(id).kind;
            let first = seen.insert(id);
            let mut inner = outer;
            if let Some(name) = kind.name() {
                if let Some(given) = self.given.get(&id) {
                    fits &= given.is_some() || inner.is_none();
                } else {
                    let own = name.namespace().map(legal_namespace);
                    let given = own.or_else(|| self.rest.clone()).or(inner);
                    self.given.insert(id, given);
                    self.order.push(id);
                }
                inner = self.given.get(&id).cloned().flatten();
            }
            if !first {
                continue;
            }
            match kind {
                Kind::Array(child) | Kind::Map(child) => stack.push((*child, inner)),
                Kind::Union(branches) => {
                    stack.extend(branches.iter().rev().map(|branch| (*branch, inner.clone())));
                }
                Kind::Record(record) => {
                    let fields = record.fields.iter().rev();
                    stack.extend(fields.map(|field| (field.node, inner.clone())));
                }
                _ => {}
            }
        }
        fits
    }
}

/// Whether two types of one name are the same on the wire, and not merely called so.
fn same(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::Enum(a), Kind::Enum(b)) => a.symbols == b.symbols,
        (Kind::Fixed(a), Kind::Fixed(b)) => a.size == b.size,
        _ => false,
    }
}

/// A namespace as the specification allows it.
fn legal_namespace(namespace: &str) -> String {
    namespace.split('.').map(word).collect::<Vec<_>>().join(".")
}

/// A word with what is not legal in it spelled out.
fn word(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit()) {
            out.push(c);
        } else {
            let _ = write!(out, "_u{:04X}", u32::from(c));
        }
    }
    if out.is_empty() {
        out.push('_');
    }
    out
}

/// Words made legal, and kept apart where that made them equal.
fn words<'t>(texts: impl Iterator<Item = &'t str> + Clone) -> Vec<String> {
    let mut taken: HashSet<String> = texts
        .clone()
        .filter(|text| word(text) == **text)
        .map(str::to_owned)
        .collect();
    texts
        .map(|text| {
            let mut legal = word(text);
            if legal != text {
                while !taken.insert(legal.clone()) {
                    legal.push('_');
                }
            }
            legal
        })
        .collect()
}

struct Writer<'a> {
    schema: &'a Schema,
    names: HashMap<NodeId, String>,
    /// All names, so that no alias hides one.
    taken: HashSet<String>,
    /// Records that are being written.
    open: HashSet<NodeId>,
    written: HashSet<String>,
    out: String,
}

impl Writer<'_> {
    /// Recursion is bounded by the parser's depth limit.
    fn node(&mut self, id: NodeId) {
        let node = self.schema.node(id);
        if let Some(name) = self.names.get(&id).cloned() {
            if !self.written.insert(name.clone()) {
                return write_string(&name, &mut self.out);
            }
            let kind = node.kind.type_name();
            let _ = write!(self.out, "{{\"type\":\"{kind}\",\"name\":\"{name}\"");
            // Without it a name without dots would go into the enclosing namespace.
            if !name.contains('.') {
                self.out.push_str(",\"namespace\":\"\"");
            }
            if let Some(doc) = node.kind.doc() {
                self.out.push_str(",\"doc\":");
                write_string(doc, &mut self.out);
            }
            self.aliases(&node.kind, &name);
        }
        match &node.kind {
            Kind::Array(items) => {
                self.out.push_str("{\"type\":\"array\",\"items\":");
                self.node(*items);
                self.out.push('}');
            }
            Kind::Map(values) => {
                self.out.push_str("{\"type\":\"map\",\"values\":");
                self.node(*values);
                self.out.push('}');
            }
            Kind::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.node(*branch);
                }
                self.out.push(']');
            }
            Kind::Record(record) => {
                self.open.insert(id);
                self.fields(record);
                self.open.remove(&id);
                self.out.push('}');
            }
            Kind::Enum(symbols) => {
                let legal = words(symbols.symbols.iter().map(String::as_str));
                self.out.push_str(",\"symbols\":[");
                for (at, symbol) in legal.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    let _ = write!(self.out, "{comma}\"{symbol}\"");
                }
                self.out.push(']');
                let default = symbols.default.as_ref().and_then(|default| {
                    let at = symbols
                        .symbols
                        .iter()
                        .position(|symbol| symbol == default)?;
                    legal.get(at)
                });
                if let Some(default) = default {
                    let _ = write!(self.out, ",\"default\":\"{default}\"");
                }
                self.out.push('}');
            }
            Kind::Fixed(fixed) => {
                let _ = write!(self.out, ",\"size\":{}", fixed.size);
                self.logical(node);
                self.out.push('}');
            }
            primitive => {
                if node.logical.is_none() {
                    return write_string(primitive.type_name(), &mut self.out);
                }
                let _ = write!(self.out, "{{\"type\":\"{}\"", primitive.type_name());
                self.logical(node);
                self.out.push('}');
            }
        }
    }

    fn logical(&mut self, node: &Node) {
        let Some(logical) = node.logical else {
            return;
        };
        let _ = write!(self.out, ",\"logicalType\":\"{}\"", logical.as_str());
        if let LogicalType::Decimal { precision, scale } = logical {
            let _ = write!(self.out, ",\"precision\":{precision},\"scale\":{scale}");
        }
    }

    /// Aliases that are legal and hide no type; apache-avro takes them for names of this one.
    fn aliases(&mut self, kind: &Kind, own: &str) {
        let mut aliases: Vec<String> = Vec::new();
        let outer = own.rsplit_once('.').map(|(namespace, _)| namespace);
        for alias in kind.aliases() {
            let legal = word(alias.unqualified());
            let full = match alias.namespace().or(outer) {
                Some(namespace) => format!("{}.{legal}", legal_namespace(namespace)),
                None => legal,
            };
            if self.taken.insert(full.clone()) {
                aliases.push(full);
            }
        }
        if aliases.is_empty() {
            return;
        }
        self.out.push_str(",\"aliases\":[");
        for (at, alias) in aliases.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(self.out, "{comma}\"{alias}\"");
        }
        self.out.push(']');
    }

    fn fields(&mut self, record: &Record) {
        let names = words(record.fields.iter().map(|field| field.name.as_str()));
        let mut taken: HashSet<&str> = names.iter().map(String::as_str).collect();
        self.out.push_str(",\"fields\":[");
        for (at, (field, name)) in record.fields.iter().zip(&names).enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(self.out, "{comma}{{\"name\":\"{name}\",\"type\":");
            self.node(field.node);
            if let Some(doc) = &field.doc {
                self.out.push_str(",\"doc\":");
                write_string(doc, &mut self.out);
            }
            // An alias that is a field's name would take that field's place.
            let aliases: Vec<&String> = field
                .aliases
                .iter()
                .filter(|alias| taken.insert(alias.as_str()))
                .collect();
            for (at, alias) in aliases.iter().enumerate() {
                self.out
                    .push_str(if at == 0 { ",\"aliases\":[" } else { "," });
                write_string(alias, &mut self.out);
            }
            if !aliases.is_empty() {
                self.out.push(']');
            }
            self.default(field);
            self.out.push('}');
        }
        self.out.push(']');
    }

    fn default(&mut self, field: &Field) {
        let Some(default) = &field.default else {
            return;
        };
        let mut steps = MAX_STEPS;
        let fits = match &self.schema.node(field.node).kind {
            Kind::Union(branches) => branches
                .iter()
                .any(|branch| self.fits(*branch, default, &mut steps)),
            _ => self.fits(field.node, default, &mut steps),
        };
        if fits {
            self.out.push_str(",\"default\":");
            default.write(&mut self.out);
        }
    }

    /// Whether apache-avro takes a default; where that is hard to tell, not.
    fn fits(&self, id: NodeId, value: &Json, steps: &mut u32) -> bool {
        let Some(left) = steps.checked_sub(1) else {
            return false;
        };
        *steps = left;
        let node = self.schema.node(id);
        match (&node.kind, value) {
            (Kind::Null, Json::Null)
            | (Kind::Boolean, Json::Bool(_))
            | (Kind::Long, Json::Number(Number::Integer(_))) => true,
            (Kind::Int, Json::Number(Number::Integer(value))) => i32::try_from(*value).is_ok(),
            (Kind::Float | Kind::Double, Json::Number(number)) => match number {
                Number::Integer(_) => true,
                Number::Big(_) => false,
                Number::Double(value) => value.is_finite(),
            },
            (Kind::Bytes | Kind::String | Kind::Fixed(_), Json::String(_)) => {
                node.logical.is_none()
            }
            (Kind::Enum(symbols), Json::String(symbol)) => {
                word(symbol) == *symbol && symbols.symbols.contains(symbol)
            }
            (Kind::Array(items), Json::Array(list)) => {
                list.iter().all(|item| self.fits(*items, item, steps))
            }
            (Kind::Map(values), Json::Object(members)) => members
                .iter()
                .all(|(_, member)| self.fits(*values, member, steps)),
            (Kind::Union(branches), Json::Null) => branches
                .iter()
                .any(|branch| matches!(self.schema.node(*branch).kind, Kind::Null)),
            (Kind::Record(record), Json::Object(members)) => {
                // It can't look into a record that it has not read to the end.
                !self.open.contains(&id)
                    && record.fields.len() == members.len()
                    && record.fields.iter().all(|field| {
                        word(&field.name) == field.name
                            && value
                                .get(&field.name)
                                .is_some_and(|member| self.fits(field.node, member, steps))
                    })
            }
            _ => false,
        }
    }
}

/// Values of one default that are looked at before it is left out.
const MAX_STEPS: u32 = 10_000;
