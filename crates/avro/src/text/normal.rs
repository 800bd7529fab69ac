//! Confluent's normal form: its `AvroSchemaUtils.toNormalizedString`, then, as there, that text
//! parsed again and written as Java writes schemas.

use std::collections::HashSet;
use std::fmt::Write;

use crate::json::{Json, Number, write_float, write_string};
use crate::parse::{ParseOptions, confluent_logical};
use crate::schema::{Field, Kind, LogicalType, Node, NodeId, Order, Schema};

/// The normal form, or nothing where Confluent fails to make one.
pub(super) fn write(schema: &Schema) -> Option<String> {
    let mut writer = Writer {
        schema,
        known: schema.reference_names().into_iter().collect(),
        out: String::new(),
    };
    writer.node(schema.root())?;
    let options = ParseOptions {
        references: schema.references(),
        strictness: schema.strictness(),
        ..ParseOptions::default()
    };
    Some(Schema::parse_with(&writer.out, &options).ok()?.to_text())
}

struct Writer<'a> {
    schema: &'a Schema,
    known: HashSet<String>,
    out: String,
}

impl Writer<'_> {
    /// Recursion is bounded by the parser's depth limit.
    fn node(&mut self, id: NodeId) -> Option<()> {
        let schema = self.schema;
        let node = schema.node(id);
        if let Some(name) = node.kind.name() {
            if !self.known.insert(name.full().to_owned()) {
                let _ = write!(self.out, "\"{}\"", name.full());
                return Some(());
            }
            let _ = write!(
                self.out,
                "{{\"name\":\"{}\",\"type\":\"{}\"",
                name.full(),
                node.kind.type_name()
            );
        }
        match &node.kind {
            Kind::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.node(*branch)?;
                }
                self.out.push(']');
                return Some(());
            }
            Kind::Array(items) => {
                self.out.push_str("{\"type\":\"array\",\"items\":");
                self.node(*items)?;
            }
            Kind::Map(values) => {
                self.out.push_str("{\"type\":\"map\",\"values\":");
                self.node(*values)?;
            }
            Kind::Enum(symbols) => {
                self.out.push_str(",\"symbols\":[");
                for (at, symbol) in symbols.symbols.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    let _ = write!(self.out, "{comma}\"{symbol}\"");
                }
                self.out.push(']');
            }
            Kind::Fixed(fixed) => {
                let _ = write!(self.out, ",\"size\":{}", fixed.size);
            }
            Kind::Record(record) => {
                self.out.push_str(",\"fields\":[");
                for (at, field) in record.fields.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.field(field)?;
                }
                self.out.push(']');
            }
            primitive => {
                let _ = if node.props.is_empty() {
                    write!(self.out, "\"{}\"", primitive.type_name())
                } else {
                    write!(self.out, "{{\"type\":\"{}\"", primitive.type_name())
                };
                if node.props.is_empty() {
                    return Some(());
                }
            }
        }
        self.logical(node);
        self.named(node);
        self.props(&node.props)?;
        self.out.push('}');
        Some(())
    }

    /// The logical type and what belongs to it come before the other attributes.
    fn logical(&mut self, node: &Node) {
        let name = match node.logical {
            // Java 1.12.0 does not know the name that its own class gives to durations.
            Some(LogicalType::Duration) => return,
            Some(LogicalType::Decimal { precision, scale }) => {
                let _ = write!(
                    self.out,
                    ",\"logicalType\":\"decimal\",\"precision\":{precision}"
                );
                if scale != 0 {
                    let _ = write!(self.out, ",\"scale\":{scale}");
                }
                return;
            }
            Some(logical) => logical.as_str(),
            None => match confluent_logical(&node.kind, &node.props, |id| {
                Some(&self.schema.node(id).kind)
            }) {
                Some(name) => name,
                None => return,
            },
        };
        let _ = write!(self.out, ",\"logicalType\":\"{name}\"");
    }

    /// Documentation, aliases and an enum's default.
    fn named(&mut self, node: &Node) {
        let Some(name) = node.kind.name() else {
            return;
        };
        if let Some(doc) = node.kind.doc()
            && !doc.is_empty()
        {
            self.out.push_str(",\"doc\":");
            write_string(doc, &mut self.out);
        }
        let aliases = node.kind.aliases().iter().map(|alias| {
            if alias.namespace().is_none() && name.namespace().is_some() {
                format!(".{}", alias.unqualified())
            } else {
                alias.full().to_owned()
            }
        });
        self.aliases(aliases.collect());
        if let Kind::Enum(symbols) = &node.kind
            && let Some(default) = &symbols.default
        {
            self.out.push_str(",\"default\":");
            write_string(default, &mut self.out);
        }
    }

    fn aliases(&mut self, mut aliases: Vec<String>) {
        if aliases.is_empty() {
            return;
        }
        aliases.sort_by(|a, b| java_order(a, b));
        self.out.push_str(",\"aliases\":[");
        for (at, alias) in aliases.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            write_string(alias, &mut self.out);
        }
        self.out.push(']');
    }

    fn field(&mut self, field: &Field) -> Option<()> {
        let _ = write!(self.out, "{{\"name\":\"{}\",\"type\":", field.name);
        self.node(field.node)?;
        if field.order != Order::Ascending {
            let _ = write!(self.out, ",\"order\":\"{}\"", field.order.as_str());
        }
        if let Some(doc) = &field.doc {
            self.out.push_str(",\"doc\":");
            write_string(doc, &mut self.out);
        }
        self.aliases(field.aliases.clone());
        if let Kind::Union(branches) = &self.schema.node(field.node).kind {
            // Java asks for the first branch even where there is no default.
            branches.first()?;
        }
        if let Some(default) = &field.default {
            let mut text = String::new();
            if self.typed(Some(field.node), default, &mut text)? {
                self.out.push_str(",\"default\":");
                self.out.push_str(&text);
            }
        }
        self.props(&field.props)?;
        self.out.push('}');
        Some(())
    }

    /// Attributes in order of their names. Keys are written as they are, as Confluent does: one
    /// with a quote in it makes a text that can't be read.
    fn props(&mut self, props: &[(String, Json)]) -> Option<()> {
        let mut sorted: Vec<&(String, Json)> = props.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| java_order(a, b));
        for (key, value) in sorted {
            let mut text = String::new();
            if !self.typed(None, value, &mut text)? {
                return None;
            }
            let _ = write!(self.out, ",\"{key}\":{text}");
        }
        Some(())
    }

    /// A value as Java's `JacksonUtils.toObject` and Confluent's `toJsonNode` make it: numbers of
    /// the type that the schema gives, a union's being its first branch; object keys sorted.
    /// `Some(false)` where Java has no object for it, which drops a whole default; nothing where
    /// it fails.
    fn typed(&self, id: Option<NodeId>, value: &Json, out: &mut String) -> Option<bool> {
        let id = match id {
            Some(id) => match &self.schema.node(id).kind {
                Kind::Union(branches) => Some(*branches.first()?),
                _ => Some(id),
            },
            None => None,
        };
        let kind = id.map(|id| &self.schema.node(id).kind);
        match value {
            Json::Null | Json::Bool(_) => value.write(out),
            Json::Number(Number::Big(_)) => return Some(false),
            Json::Number(number) => {
                let whole = match number {
                    Number::Integer(whole) => Some(*whole),
                    _ => None,
                };
                match kind {
                    None => number.write(out),
                    Some(Kind::Double) => Number::Double(number.as_f64()).write(out),
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "Java narrows the same way"
                    )]
                    Some(Kind::Float) => write_float(number.as_f64() as f32, out),
                    Some(Kind::Int | Kind::Long) if whole.is_some() => match (kind, whole) {
                        // Java keeps the long that an int can't hold, but not the other way round.
                        (Some(Kind::Long | Kind::Int), Some(_)) => number.write(out),
                        _ => return Some(false),
                    },
                    Some(_) => return Some(false),
                }
            }
            Json::String(text) => match kind {
                None | Some(Kind::String | Kind::Enum(_)) => write_string(text, out),
                Some(Kind::Bytes | Kind::Fixed(_)) => {
                    let latin = |c: char| if u32::from(c) < 256 { c } else { '?' };
                    write_string(&text.chars().map(latin).collect::<String>(), out);
                }
                Some(_) => return Some(false),
            },
            Json::Array(items) => {
                let inner = match kind {
                    None => None,
                    Some(Kind::Array(inner)) => Some(*inner),
                    // Java asks any other type for its items and fails; not for an empty list.
                    Some(_) if items.is_empty() => None,
                    Some(_) => return None,
                };
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    if !self.typed(inner, item, out)? {
                        return None;
                    }
                }
                out.push(']');
            }
            Json::Object(members) => {
                let mut sorted: Vec<&(String, Json)> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| java_order(a, b));
                out.push('{');
                for (at, (key, member)) in sorted.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    let inner = match kind {
                        Some(Kind::Map(values)) => Some(*values),
                        Some(Kind::Record(record)) => {
                            Some(record.fields.iter().find(|field| field.name == *key)?.node)
                        }
                        _ => None,
                    };
                    write_string(key, out);
                    out.push(':');
                    if !self.typed(inner, member, out)? {
                        return None;
                    }
                }
                out.push('}');
            }
        }
        Some(true)
    }
}

/// Java's order of strings: by UTF-16 unit.
pub(crate) fn java_order(a: &str, b: &str) -> std::cmp::Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}
