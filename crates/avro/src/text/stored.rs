//! Java's `Schema.toString()`.

use std::collections::HashSet;
use std::fmt::Write;

use crate::json::{Json, write_string};
use crate::schema::{Field, Kind, Name, NodeId, Order, Schema};

struct Writer<'a> {
    schema: &'a Schema,
    known: HashSet<String>,
    out: String,
}

/// The text of a type; `known` are names that count as defined.
pub(super) fn write(schema: &Schema, id: NodeId, known: Vec<String>) -> String {
    let mut writer = Writer {
        schema,
        known: known.into_iter().collect(),
        out: String::new(),
    };
    writer.node(id, None);
    writer.out
}

impl<'a> Writer<'a> {
    fn member(&mut self, key: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        write_string(key, &mut self.out);
        self.out.push(':');
    }

    fn text(&mut self, key: &str, value: &str) {
        self.member(key);
        write_string(value, &mut self.out);
    }

    fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.member(key);
        self.out.push('[');
        for (at, value) in values.enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            write_string(value, &mut self.out);
        }
        self.out.push(']');
    }

    fn props(&mut self, props: &[(String, Json)]) {
        for (key, value) in props {
            self.member(key);
            value.write(&mut self.out);
        }
    }

    /// Recursion is bounded by the parser's depth limit.
    fn node(&mut self, id: NodeId, namespace: Option<&'a str>) {
        let schema = self.schema;
        let node = schema.node(id);
        match &node.kind {
            Kind::Array(items) => {
                self.out.push('{');
                self.text("type", "array");
                self.member("items");
                self.node(*items, namespace);
            }
            Kind::Map(values) => {
                self.out.push('{');
                self.text("type", "map");
                self.member("values");
                self.node(*values, namespace);
            }
            Kind::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.node(*branch, namespace);
                }
                self.out.push(']');
                return;
            }
            Kind::Record(record) => {
                let kind = if record.is_error { "error" } else { "record" };
                if !self.open(kind, &record.name, record.doc.as_deref(), namespace) {
                    return;
                }
                self.member("fields");
                self.out.push('[');
                for (at, field) in record.fields.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.field(field, record.name.namespace());
                }
                self.out.push(']');
            }
            Kind::Enum(symbols) => {
                if !self.open("enum", &symbols.name, symbols.doc.as_deref(), namespace) {
                    return;
                }
                self.texts("symbols", symbols.symbols.iter().map(String::as_str));
                if let Some(default) = &symbols.default {
                    self.text("default", default);
                }
            }
            Kind::Fixed(fixed) => {
                if !self.open("fixed", &fixed.name, fixed.doc.as_deref(), namespace) {
                    return;
                }
                self.member("size");
                let _ = write!(self.out, "{}", fixed.size);
            }
            primitive => {
                if node.props.is_empty() {
                    return write_string(primitive.type_name(), &mut self.out);
                }
                self.out.push('{');
                self.text("type", primitive.type_name());
            }
        }
        self.props(&node.props);
        if let Some(name) = node.kind.name()
            && !node.kind.aliases().is_empty()
        {
            let aliases = node.kind.aliases().iter();
            self.texts(
                "aliases",
                aliases.map(|alias| qualified(alias, name.namespace())),
            );
        }
        self.out.push('}');
    }

    /// Begins a named type, or writes its name alone where it is known.
    fn open(&mut self, kind: &str, name: &Name, doc: Option<&str>, outer: Option<&str>) -> bool {
        if !self.known.insert(name.full().to_owned()) {
            write_string(qualified(name, outer), &mut self.out);
            return false;
        }
        self.out.push('{');
        self.text("type", kind);
        self.text("name", name.unqualified());
        if name.namespace() != outer {
            self.text("namespace", name.namespace().unwrap_or_default());
        }
        if let Some(doc) = doc {
            self.text("doc", doc);
        }
        true
    }

    fn field(&mut self, field: &'a Field, namespace: Option<&'a str>) {
        self.out.push('{');
        self.text("name", &field.name);
        self.member("type");
        self.node(field.node, namespace);
        if let Some(doc) = &field.doc {
            self.text("doc", doc);
        }
        if let Some(default) = &field.default {
            self.member("default");
            default.write(&mut self.out);
        }
        if field.order != Order::Ascending {
            self.text("order", field.order.as_str());
        }
        if !field.aliases.is_empty() {
            self.texts("aliases", field.aliases.iter().map(String::as_str));
        }
        self.props(&field.props);
        self.out.push('}');
    }
}

/// A name as it is written where `namespace` encloses it: short where that says enough and it
/// can't be taken for a type's own word.
pub(super) fn qualified<'n>(name: &'n Name, namespace: Option<&str>) -> &'n str {
    const WORDS: [&str; 14] = [
        "record", "enum", "array", "map", "union", "fixed", "string", "bytes", "int", "long",
        "float", "double", "boolean", "null",
    ];
    if name.namespace().is_some()
        && name.namespace() == namespace
        && !WORDS.contains(&name.unqualified())
    {
        name.unqualified()
    } else {
        name.full()
    }
}
