//! Whether a contract and its Avro schema say the same, column by column.

use meshwork_avro::{Kind, LogicalType, NodeId, ParseError, ParseFault, Record, Schema, Validator};
use meshwork_model::contract::{Column, Contract};
use meshwork_model::finding::place::{JsonPlaces, Step};
use meshwork_model::finding::{Code, Finding, Findings, Level, Position, nearest};

use crate::contract_files::SourceFile;

/// Parses a schema file; what is wrong goes to the findings, with its place.
#[must_use]
pub fn parse(file: &SourceFile, findings: &mut Findings) -> Option<Schema> {
    match Schema::parse(&file.text) {
        Ok(schema) => Some(schema),
        Err(error) => {
            let at = place_of(&file.text, &error);
            findings.push(Finding::error(
                Code::Schema,
                &file.path,
                at.or(Some(Position::START)),
                format!("the schema does not parse: {}", error.fault),
            ));
            None
        }
    }
}

/// Where in its text a schema does not parse, as far as can be told.
#[must_use]
pub fn place_of(text: &str, error: &ParseError) -> Option<Position> {
    match &error.fault {
        ParseFault::Json(_) => json_fault_place(text),
        // A name may be defined further down, so only the end tells that it is not; where it was
        // used is then found by its text.
        ParseFault::Undefined(name) => name_place(text, name),
        // What is wrong is in one member of the type that is pointed to.
        ParseFault::InvalidName(name) | ParseFault::Order(name) => {
            name_place(text, name).or_else(|| JsonPlaces::new(text).of(&steps(&error.pointer)))
        }
        _ => JsonPlaces::new(text).of(&steps(&error.pointer)),
    }
}

fn json_fault_place(text: &str) -> Option<Position> {
    let error = serde_json::from_str::<serde::de::IgnoredAny>(text).err()?;
    Some(Position {
        line: u32::try_from(error.line()).ok()?.max(1),
        column: u32::try_from(error.column()).ok()?.max(1),
    })
}

fn name_place(text: &str, name: &str) -> Option<Position> {
    let unqualified = name.rsplit('.').next().unwrap_or(name);
    [name, unqualified]
        .iter()
        .find_map(|name| text.find(&format!("\"{name}\"")))
        .map(|byte| Position::of_byte(text, byte))
}

/// A JSON pointer as steps; numbers are taken for elements.
pub(super) fn steps(pointer: &str) -> Vec<Step> {
    pointer
        .split('/')
        .skip(1)
        .filter(|step| !step.is_empty())
        .map(|step| match step.parse() {
            Ok(index) => Step::Element(index),
            Err(_) => Step::Member(step.replace("~1", "/").replace("~0", "~")),
        })
        .collect()
}

/// Adds what contract and schema disagree on.
pub fn check(
    contract: &Contract,
    file: &SourceFile,
    schema: &Schema,
    key: Option<&Schema>,
    findings: &mut Findings,
) {
    let mut walk = Walk {
        contract,
        file,
        schema,
        places: JsonPlaces::new(&file.text),
        json: serde_json::from_str(&file.text).unwrap_or_default(),
        findings,
    };
    let Kind::Record(record) = &schema.node(schema.root()).kind else {
        walk.in_schema(
            Code::Schema,
            Some(Position::START),
            "the value's schema is no record, so it has no columns",
            Some("make it a record with a field for each column"),
        );
        return;
    };
    walk.record(&contract.columns, record, Some(Vec::new()), "");
    event_time(&mut walk);
    keys(&mut walk, record, key);
}

struct Walk<'a> {
    contract: &'a Contract,
    file: &'a SourceFile,
    schema: &'a Schema,
    places: JsonPlaces<'a>,
    json: serde_json::Value,
    findings: &'a mut Findings,
}

impl<'a> Walk<'a> {
    fn in_contract(
        &mut self,
        code: Code,
        at: Position,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        let mut finding = Finding::error(code, &self.contract.file, Some(at), message);
        finding.help = help.map(str::to_owned);
        self.findings.push(finding);
    }

    fn in_schema(
        &mut self,
        code: Code,
        at: Option<Position>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        let mut finding = Finding::error(code, &self.file.path, at, message);
        finding.help = help.map(str::to_owned);
        self.findings.push(finding);
    }

    /// `path` leads to the record in the file's JSON, where it is defined in place. The recursion is
    /// bounded by the depth of the contract's columns.
    fn record(
        &mut self,
        columns: &[Column],
        record: &'a Record,
        path: Option<Vec<Step>>,
        above: &str,
    ) {
        let fields_path = path.map(|mut path| {
            path.push(Step::Member("fields".to_owned()));
            path
        });
        let places: std::collections::HashMap<String, Position> = fields_path
            .as_deref()
            .map(|path| self.places.named_elements(path))
            .unwrap_or_default()
            .into_iter()
            .collect();
        for column in columns {
            let name = dotted(above, &column.field);
            match record.fields.iter().position(|f| f.name == column.field) {
                None => {
                    let near =
                        nearest(&column.field, record.fields.iter().map(|f| f.name.as_str()));
                    let help = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("add it to {}, or take it out here", self.file.path),
                    };
                    self.in_contract(
                        Code::MissingField,
                        column.at,
                        format!("column `{name}` is no field of the schema"),
                        Some(&help),
                    );
                }
                Some(index) => {
                    let Some(field) = record.fields.get(index) else {
                        continue;
                    };
                    let type_path = fields_path.clone().map(|mut path| {
                        path.push(Step::Element(index));
                        path.push(Step::Member("type".to_owned()));
                        path
                    });
                    self.column(column, field.node, type_path, &name);
                }
            }
        }
        for field in &record.fields {
            if columns.iter().any(|c| c.field == field.name) {
                if !is_plain(&field.name) {
                    let name = dotted(above, &field.name);
                    let finding = Finding::error(
                        Code::Name,
                        &self.file.path,
                        places.get(&field.name).copied(),
                        format!("field `{name}` is not in lower_snake_case"),
                    )
                    .at_level(Level::Warning)
                    .help("the names of columns end up in SQL, where case is lost");
                    self.findings.push(finding);
                }
                continue;
            }
            let name = dotted(above, &field.name);
            self.in_schema(
                Code::UndeclaredField,
                places.get(&field.name).copied(),
                format!("field `{name}` is no column of the contract"),
                Some(&format!("declare it in {}", self.contract.file)),
            );
        }
    }

    fn column(&mut self, column: &Column, node: NodeId, path: Option<Vec<Step>>, name: &str) {
        let (node, nullable, path) = self.without_null(node, path);
        if nullable && column.required {
            self.in_contract(
                Code::Nullability,
                column.required_at,
                format!("column `{name}` is required, but the schema lets it be null"),
                Some("take null out of the schema's union, or say `required: false`"),
            );
        } else if !nullable && !column.required {
            self.in_contract(
                Code::Nullability,
                column.required_at,
                format!("column `{name}` is not required, but the schema always has it"),
                Some("say `required: true`, or make the type [\"null\", …] with default null"),
            );
        }
        let shape = Shape::of(self.schema, node);
        if let Some((logical, at)) = &column.logical_type
            && !shape.logical_types().contains(&logical.as_str())
        {
            let wanted = shape.logical_types().join(" or ");
            self.in_contract(
                Code::TypeMismatch,
                *at,
                format!(
                    "column `{name}` has logicalType {logical}, but the schema has {}",
                    shape.words()
                ),
                Some(&format!("for {} write {wanted}", shape.words())),
            );
        } else if let Some((physical, at)) = &column.physical_type
            && !shape.is_called(physical)
        {
            self.in_contract(
                Code::TypeMismatch,
                *at,
                format!(
                    "column `{name}` has physicalType {physical}, but the schema has {}",
                    shape.words()
                ),
                Some(&format!("write {}", shape.physical())),
            );
        }
        match &self.schema.node(node).kind {
            Kind::Record(record) if !column.properties.is_empty() => {
                let path = path.filter(|path| self.is_object(path));
                self.record(&column.properties, record, path, name);
            }
            Kind::Array(items) => {
                if let Some(column) = &column.items {
                    let path = path.map(|mut path| {
                        path.push(Step::Member("items".to_owned()));
                        path
                    });
                    // Whether an item may be null, ODCS does not say of items.
                    let (_, nullable, _) = self.without_null(*items, None);
                    let mut column = (**column).clone();
                    column.required = !nullable;
                    self.column(&column, *items, path, &format!("{name}[]"));
                }
            }
            _ => {}
        }
    }

    /// The one type beside null.
    fn without_null(
        &self,
        node: NodeId,
        path: Option<Vec<Step>>,
    ) -> (NodeId, bool, Option<Vec<Step>>) {
        let Kind::Union(branches) = &self.schema.node(node).kind else {
            let null = matches!(self.schema.node(node).kind, Kind::Null);
            return (node, null, path);
        };
        let is_null = |id: &NodeId| matches!(self.schema.node(*id).kind, Kind::Null);
        let nullable = branches.iter().any(is_null);
        let mut rest = branches.iter().enumerate().filter(|(_, id)| !is_null(id));
        match (rest.next(), rest.next()) {
            (Some((index, only)), None) => {
                let path = path.map(|mut path| {
                    path.push(Step::Element(index));
                    path
                });
                (*only, nullable, path)
            }
            _ => (node, nullable, path),
        }
    }

    /// Whether the file has an object at `path`, not the name of a type defined elsewhere.
    fn is_object(&self, path: &[Step]) -> bool {
        let mut value = &self.json;
        for step in path {
            let next = match step {
                Step::Member(name) => value.get(name),
                Step::Element(index) => value.get(index),
            };
            match next {
                Some(next) => value = next,
                None => return false,
            }
        }
        value.is_object()
    }
}

fn dotted(above: &str, name: &str) -> String {
    if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}.{name}")
    }
}

fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The event-time field must be there and hold a time.
fn event_time(walk: &mut Walk<'_>) {
    let Some((field, at)) = &walk.contract.settings.event_time else {
        return;
    };
    match Validator::compile(walk.schema, Some(field)) {
        Ok(_) => {
            if let Some(column) = walk.contract.column(field)
                && !column.required
            {
                let finding = Finding::error(
                    Code::EventTime,
                    &walk.contract.file,
                    Some(*at),
                    format!(
                        "event-time field `{field}` may be null: such records have no event time"
                    ),
                )
                .at_level(Level::Warning)
                .help("make it required");
                walk.findings.push(finding);
            }
        }
        // A column that the schema lacks is said already.
        Err(_) if walk.contract.column(field).is_some() && !has_field(walk.schema, field) => {}
        Err(error) => {
            let message = match error {
                meshwork_avro::CompileError::EventTime { .. } => {
                    format!("event-time field `{field}` can't hold an event time in the schema")
                }
                other => format!("the schema can't be used: {other}"),
            };
            walk.in_contract(
                Code::EventTime,
                *at,
                message,
                Some("its type must be a timestamp, a date, or a string in ISO 8601"),
            );
        }
    }
}

fn has_field(schema: &Schema, path: &str) -> bool {
    let mut node = schema.root();
    for step in path.split('.') {
        let Kind::Record(record) = &schema.node(node).kind else {
            return false;
        };
        match record.fields.iter().find(|f| f.name == step) {
            Some(field) => node = field.node,
            None => return false,
        }
    }
    true
}

/// One key column is UTF-8, so it must be text; several, or a key schema, are Avro.
fn keys(walk: &mut Walk<'_>, record: &Record, key: Option<&Schema>) {
    let contract = walk.contract;
    let at_column = |name: &str| {
        contract
            .column(name)
            .map_or(Position::START, |column| column.at)
    };
    if contract.settings.compacted && contract.key_columns.is_empty() {
        walk.in_contract(
            Code::Key,
            Position::START,
            "a compacted topic keeps the latest record of each key, but the contract has no key",
            Some("mark the key's columns with `primaryKey: true`"),
        );
    }
    let Some(key) = key else {
        if let [only] = contract.key_columns.as_slice()
            && let Some(field) = record.fields.iter().find(|f| &f.name == only)
        {
            let shape = Shape::of(walk.schema, field.node);
            if !matches!(shape, Shape::Text(_)) {
                walk.in_contract(
                    Code::Key,
                    at_column(only),
                    format!(
                        "key column `{only}` is {} in the schema, but a key of one column is its text",
                        shape.words()
                    ),
                    Some("make it a string, or write the key's schema into a file that ends in .key.avsc"),
                );
            }
        }
        return;
    };
    // A key schema holds just the key's columns, by name; where it is no record, it is the one.
    if let Kind::Record(key_record) = &key.node(key.root()).kind {
        for name in &contract.key_columns {
            if !key_record.fields.iter().any(|f| &f.name == name) {
                walk.in_contract(
                    Code::Key,
                    at_column(name),
                    format!("key column `{name}` is no field of the key's schema"),
                    None,
                );
            }
        }
        for field in &key_record.fields {
            if !contract.key_columns.contains(&field.name) {
                walk.in_contract(
                    Code::Key,
                    Position::START,
                    format!(
                        "field `{}` of the key's schema is no key column of the contract",
                        field.name
                    ),
                    Some("mark the column with `primaryKey: true`"),
                );
            }
        }
    } else if contract.key_columns.len() != 1 {
        walk.in_contract(
            Code::Key,
            Position::START,
            format!(
                "the key's schema is one value, but the contract has {} key columns",
                contract.key_columns.len()
            ),
            Some("make the key's schema a record of the key columns"),
        );
    }
}

/// What an Avro type is to a contract.
enum Shape {
    Text(&'static str),
    Enum(String),
    Integer(&'static str),
    Number(String, &'static str),
    Boolean,
    Bytes(String),
    Date,
    Time(&'static str),
    Timestamp(&'static str),
    Record(String),
    Array,
    Map,
    Union,
    Null,
}

impl Shape {
    fn of(schema: &Schema, id: NodeId) -> Self {
        let node = schema.node(id);
        match &node.logical {
            Some(LogicalType::Decimal { precision, scale }) => {
                return Self::Number(format!("decimal({precision},{scale})"), "decimal");
            }
            Some(LogicalType::BigDecimal) => {
                return Self::Number("big-decimal".to_owned(), "big-decimal");
            }
            Some(LogicalType::Uuid) => return Self::Text("uuid"),
            Some(LogicalType::Date) => return Self::Date,
            Some(logical @ (LogicalType::TimeMillis | LogicalType::TimeMicros)) => {
                return Self::Time(logical.as_str());
            }
            Some(LogicalType::Duration) => return Self::Bytes("duration".to_owned()),
            Some(logical) => return Self::Timestamp(logical.as_str()),
            None => {}
        }
        match &node.kind {
            Kind::Null => Self::Null,
            Kind::Boolean => Self::Boolean,
            Kind::Int => Self::Integer("int"),
            Kind::Long => Self::Integer("long"),
            Kind::Float => Self::Number("float".to_owned(), "float"),
            Kind::Double => Self::Number("double".to_owned(), "double"),
            Kind::Bytes => Self::Bytes("bytes".to_owned()),
            Kind::String => Self::Text("string"),
            Kind::Array(_) => Self::Array,
            Kind::Map(_) => Self::Map,
            Kind::Union(_) => Self::Union,
            Kind::Record(record) => Self::Record(record.name.full().to_owned()),
            Kind::Enum(symbols) => Self::Enum(symbols.name.full().to_owned()),
            Kind::Fixed(fixed) => Self::Bytes(format!("fixed {}", fixed.name.full())),
        }
    }

    /// Types of ODCS that mean the same.
    const fn logical_types(&self) -> &'static [&'static str] {
        match self {
            // Times may travel as ISO 8601 text.
            Self::Text(_) => &["string", "date", "timestamp", "time"],
            Self::Enum(_) | Self::Bytes(_) => &["string"],
            Self::Integer(_) => &["integer"],
            Self::Number(..) => &["number"],
            Self::Boolean => &["boolean"],
            Self::Date => &["date"],
            Self::Time(_) => &["time"],
            Self::Timestamp(_) => &["timestamp"],
            Self::Record(_) | Self::Union => &["object"],
            Self::Array => &["array"],
            Self::Map => &["map", "object"],
            Self::Null => &[],
        }
    }

    fn physical(&self) -> String {
        match self {
            Self::Text(name) | Self::Integer(name) | Self::Time(name) | Self::Timestamp(name) => {
                (*name).to_owned()
            }
            Self::Number(name, _) => name.clone(),
            Self::Enum(_) => "enum".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Bytes(name) => name.split(' ').next().unwrap_or_default().to_owned(),
            Self::Date => "date".to_owned(),
            Self::Record(_) => "record".to_owned(),
            Self::Array => "array".to_owned(),
            Self::Map => "map".to_owned(),
            Self::Union => "union".to_owned(),
            Self::Null => "null".to_owned(),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Enum(name) => format!("enum {name}"),
            Self::Record(name) => format!("record {name}"),
            Self::Bytes(name) => name.clone(),
            Self::Union => "a union of several types".to_owned(),
            Self::Null => "only null".to_owned(),
            other => other.physical(),
        }
    }

    /// Whether a contract's `physicalType` means this type: by its name, its full name, the type
    /// below the logical type, or with what it holds in brackets.
    fn is_called(&self, physical: &str) -> bool {
        let lower = physical.trim().to_ascii_lowercase();
        let plain: String = lower.chars().filter(|c| !c.is_whitespace()).collect();
        let below: &[&str] = match self {
            Self::Text(_) => &["string"],
            Self::Date | Self::Time("time-millis") => &["int"],
            Self::Time(_) | Self::Timestamp(_) => &["long"],
            Self::Number(_, base) => &[base, "bytes", "fixed"],
            Self::Bytes(_) => &["bytes", "fixed"],
            _ => &[],
        };
        let named = match self {
            Self::Enum(name) | Self::Record(name) => {
                physical == name || Some(physical) == name.rsplit('.').next()
            }
            _ => false,
        };
        let decimal = matches!(self, Self::Number(_, "decimal"));
        named
            || plain == self.physical()
            || (below.contains(&plain.as_str()) && !(decimal && plain.starts_with("float")))
            || matches!(self, Self::Array) && plain.starts_with("array<")
            || matches!(self, Self::Map) && plain.starts_with("map<")
            || matches!(self, Self::Union) && plain.starts_with("union")
    }
}
