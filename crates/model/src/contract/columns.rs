//! The columns that a contract declares.

use super::tree::Node;
use super::{Reader, tags};
use crate::finding::{Code, Position};

/// One column, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Name of the field in the Avro schema: `physicalName` if there is one.
    pub field: String,
    /// Where it is declared.
    pub at: Position,
    /// `string`, `integer` …
    pub logical_type: Option<(String, Position)>,
    /// `timestamp-millis` …
    pub physical_type: Option<(String, Position)>,
    /// Whether a value must be there, and where that is said.
    pub required: bool,
    /// Where `required` is said; the column's own place if it isn't.
    pub required_at: Position,
    /// Position in the key from 1; 0: in the key, no position given.
    pub key_position: Option<u32>,
    /// `public`, `internal`, `confidential` …
    pub classification: Option<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// What it means.
    pub description: Option<String>,
    /// Parts of an object.
    pub properties: Vec<Self>,
    /// What an array holds.
    pub items: Option<Box<Self>>,
}

/// The columns of a schema object.
pub(super) fn read(reader: &mut Reader<'_>, object: &Node) -> Vec<Column> {
    let mut columns = Vec::new();
    let Some(properties) = object.get("properties") else {
        reader.error(
            Code::Object,
            object.at,
            "the schema object has no `properties`, so no columns",
            "declare each column with `name`, `logicalType` and `required`",
        );
        return columns;
    };
    read_into(reader, properties, &mut columns);
    columns
}

/// Bounded by the depth of the tree.
fn read_into(reader: &mut Reader<'_>, properties: &Node, columns: &mut Vec<Column>) {
    let mut seen = std::collections::BTreeSet::new();
    for node in properties.elements() {
        // Where the name is missing the standard's schema has said so.
        let Some(name) = node.text_of("name") else {
            continue;
        };
        let column = read_one(reader, node, name);
        if !seen.insert(column.field.clone()) {
            reader.error(
                Code::Column,
                node.at,
                format!("column `{}` is declared twice", column.field),
                "",
            );
            continue;
        }
        columns.push(column);
    }
}

fn read_one(reader: &mut Reader<'_>, node: &Node, name: &str) -> Column {
    let placed = |key: &str| {
        let node = node.get(key)?;
        Some((node.text()?.to_owned(), node.at))
    };
    let flag = |key: &str| node.get(key).and_then(Node::flag).unwrap_or(false);
    let key_position = if flag("primaryKey") {
        let position = node
            .get("primaryKeyPosition")
            .and_then(Node::scalar)
            .and_then(|t| t.parse::<i64>().ok());
        match position {
            None | Some(-1) => Some(0),
            Some(n) => match u32::try_from(n).ok().filter(|n| *n > 0) {
                Some(n) => Some(n),
                None => {
                    reader.error(
                        Code::Key,
                        node.at,
                        format!("column `{name}`: primaryKeyPosition {n} is not 1 or more"),
                        "",
                    );
                    Some(0)
                }
            },
        }
    } else {
        None
    };
    let mut properties = Vec::new();
    if let Some(inner) = node.get("properties") {
        read_into(reader, inner, &mut properties);
    }
    let items = node.get("items").map(|items| {
        Box::new(read_one(
            reader,
            items,
            items.text_of("name").unwrap_or("items"),
        ))
    });
    Column {
        name: name.to_owned(),
        field: node.text_of("physicalName").unwrap_or(name).to_owned(),
        at: node.at,
        logical_type: placed("logicalType"),
        physical_type: placed("physicalType"),
        required: flag("required"),
        required_at: node.get("required").map_or(node.at, |n| n.at),
        key_position,
        classification: node.text_of("classification").map(str::to_owned),
        tags: tags(node),
        description: node.text_of("description").map(str::to_owned),
        properties,
        items,
    }
}

/// The fields of the key by position.
pub(super) fn keys(reader: &mut Reader<'_>, columns: &[Column]) -> Vec<String> {
    let mut keys: Vec<(u32, &Column)> = columns
        .iter()
        .filter_map(|c| Some((c.key_position?, c)))
        .collect();
    // Columns without a position come last, in the order of the file.
    keys.sort_by_key(|(position, _)| if *position == 0 { u32::MAX } else { *position });
    for pair in keys.windows(2) {
        if let [(a, first), (b, second)] = pair
            && a == b
            && *a != 0
        {
            reader.error(
                Code::Key,
                second.at,
                format!(
                    "columns `{}` and `{}` both have primaryKeyPosition {a}",
                    first.name, second.name
                ),
                "count them from 1",
            );
        }
    }
    for (_, column) in &keys {
        if !column.required {
            reader.error(
                Code::Key,
                column.required_at,
                format!("key column `{}` is not required", column.name),
                "a key is always there: add `required: true`",
            );
        }
    }
    keys.into_iter().map(|(_, c)| c.field.clone()).collect()
}

/// The column at a dotted path of field names.
pub(super) fn find<'a>(columns: &'a [Column], path: &str) -> Option<&'a Column> {
    let mut columns = columns;
    let mut found = None;
    for step in path.split('.') {
        let column = columns.iter().find(|c| c.field == step)?;
        columns = &column.properties;
        found = Some(column);
    }
    found
}
