//! The first pass for named types: records with their fields, enums and fixed.

use std::collections::HashSet;

use super::build::{Builder, NAMED_RESERVED, Segment, custom, shortened, text};
use super::defaults;
use super::error::{ParseError, ParseFault};
use super::names;
use crate::json::{Json, Number};
use crate::schema::{Enum, Field, Fixed, Kind, Name, NodeId, Order, Record};

const FIELD_RESERVED: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

impl Builder {
    /// The name of a named type.
    fn name(&mut self, json: &Json, namespace: Option<&str>) -> Result<Name, ParseError> {
        let namespace = text(json, "namespace").or(namespace);
        let Some(name) = text(json, "name") else {
            return self.fail(ParseFault::Missing {
                what: "a named type",
                member: "name",
                form: "text",
            });
        };
        self.spell(namespace, name)?;
        names::split(name, namespace, self.strictness).map_err(|fault| self.error(fault))
    }

    /// The aliases of a named type; its namespace is theirs unless they have one.
    fn aliases(&mut self, json: &Json, name: &Name) -> Result<Vec<Name>, ParseError> {
        let mut aliases = Vec::new();
        let mut taken = HashSet::new();
        for alias in self.alias_texts(json)? {
            self.spell(name.namespace(), &alias)?;
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

    #[inline(never)]
    pub(super) fn record(
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
    pub(super) fn symbols(
        &mut self,
        json: &Json,
        namespace: Option<&str>,
    ) -> Result<NodeId, ParseError> {
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
    pub(super) fn fixed(
        &mut self,
        json: &Json,
        namespace: Option<&str>,
    ) -> Result<NodeId, ParseError> {
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
