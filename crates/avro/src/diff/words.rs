//! Types, values and changes in words.

use std::fmt::{self, Display};

use super::{Change, ChangeKind, Diff, MAX_VALUE};
use crate::json::Json;
use crate::schema::{Field, Kind, LogicalType, Node, NodeId, Schema};

/// Characters of a type in words.
const MAX_TYPE: usize = 200;

/// Types within types that are spelt out.
const TYPE_DEPTH: usize = 8;

/// The beginning of a text, with `…` where something is left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
            if most > 0 {
                short.push('…');
            }
            short
        }
    }
}

/// A JSON value, at most [`MAX_VALUE`] long.
pub(super) fn value(json: &Json) -> String {
    shortened(&json.to_text(), MAX_VALUE)
}

/// Text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    crate::json::write_string(&shortened(text, MAX_VALUE), &mut quoted);
    quoted
}

/// Names with commas between.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for name in names {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name);
        if text.len() > 4 * MAX_VALUE {
            break;
        }
    }
    shortened(&text, MAX_VALUE)
}

/// A logical type with its parameters.
pub(super) fn logical(logical: LogicalType) -> String {
    match logical {
        LogicalType::Decimal { precision, scale } => format!("decimal {precision}, {scale}"),
        other => other.as_str().to_owned(),
    }
}

/// A type: `long (timestamp-millis)`, `array of string`, `null | record com.acme.Address`.
pub(super) fn type_of(schema: &Schema, id: NodeId) -> String {
    let mut text = String::new();
    spell(schema, id, 0, &mut text);
    shortened(&text, MAX_TYPE)
}

fn spell(schema: &Schema, id: NodeId, depth: usize, text: &mut String) {
    if depth > TYPE_DEPTH {
        text.push('…');
        return;
    }
    let node = schema.node(id);
    match &node.kind {
        Kind::Array(items) => {
            text.push_str("array of ");
            spell_within(schema, *items, depth, text);
        }
        Kind::Map(values) => {
            text.push_str("map of ");
            spell_within(schema, *values, depth, text);
        }
        Kind::Union(branches) => {
            for (at, branch) in branches.iter().enumerate() {
                if at > 0 {
                    text.push_str(" | ");
                }
                spell(schema, *branch, depth + 1, text);
                if text.len() > 4 * MAX_TYPE {
                    return;
                }
            }
            if branches.is_empty() {
                text.push_str("empty union");
            }
        }
        _ => {
            text.push_str(word(node));
            if let Some(name) = node.kind.name() {
                text.push(' ');
                text.push_str(name.full());
            }
        }
    }
    if let Some(annotation) = node.logical {
        text.push_str(" (");
        text.push_str(&logical(annotation));
        text.push(')');
    }
}

/// A union within an array or map is set in parentheses.
fn spell_within(schema: &Schema, id: NodeId, depth: usize, text: &mut String) {
    let is_union = matches!(schema.node(id).kind, Kind::Union(_));
    if is_union {
        text.push('(');
    }
    spell(schema, id, depth + 1, text);
    if is_union {
        text.push(')');
    }
}

/// The word for a kind of type, as schemas write it.
pub(super) fn word(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Record(record) if record.is_error => "error",
        kind => kind.type_name(),
    }
}

/// A field's type and default.
pub(super) fn field(schema: &Schema, field: &Field) -> String {
    let kind = type_of(schema, field.node);
    match &field.default {
        None => format!("{kind} (no default)"),
        Some(default) => format!("{kind} (default {})", value(default)),
    }
}

impl Display for Change {
    /// One line: `+` came, `-` went, `~` changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, .. } = self;
        let old = self.old.as_deref().unwrap_or("none");
        let new = self.new.as_deref().unwrap_or("none");
        let what = match self.kind {
            ChangeKind::FieldAdded | ChangeKind::SymbolsAdded | ChangeKind::BranchAdded => {
                return write!(f, "+ {place}: {new}");
            }
            ChangeKind::FieldRemoved | ChangeKind::SymbolsRemoved | ChangeKind::BranchRemoved => {
                return write!(f, "- {place}: {old}");
            }
            ChangeKind::TypeChanged | ChangeKind::AttributeChanged => "",
            ChangeKind::FieldRenamed | ChangeKind::NameChanged => "name ",
            ChangeKind::FieldsReordered
            | ChangeKind::SymbolsReordered
            | ChangeKind::BranchesReordered => "order ",
            ChangeKind::LogicalTypeChanged => "logical type ",
            ChangeKind::DocChanged => "doc ",
            ChangeKind::DefaultChanged => "default ",
            ChangeKind::OrderChanged => "sort order ",
            ChangeKind::AliasesChanged => "aliases ",
            ChangeKind::SizeChanged => "size ",
        };
        write!(f, "~ {place}: {what}{old} → {new}")
    }
}

/// The changes on one line of at most `most` characters, as many as go in, with the number of
/// those left out: `+ field a: int (no default); ~ field b: int → long; and 3 more`.
#[must_use]
pub fn in_words(diff: &Diff, most: usize) -> String {
    let mut text = String::new();
    let mut length = 0;
    for (at, change) in diff.changes.iter().enumerate() {
        let left = diff.changes.len() - at;
        let line = change.to_string();
        let separator = if at == 0 { "" } else { "; " };
        let needed = separator.len() + line.chars().count();
        // Room is kept for what says that something is left out.
        let tail = rest(at + 1, left - 1, diff.complete);
        if length + needed + tail.chars().count() > most {
            text.push_str(&rest(at, left, diff.complete));
            return shortened(&text, most);
        }
        text.push_str(separator);
        text.push_str(&line);
        length += needed;
    }
    text.push_str(&match (diff.changes.is_empty(), diff.complete) {
        (true, true) => "no difference".to_owned(),
        (true, false) => "too large to compare".to_owned(),
        (false, complete) => rest(diff.changes.len(), 0, complete),
    });
    shortened(&text, most)
}

/// What stands for changes that are left out.
fn rest(shown: usize, left: usize, complete: bool) -> String {
    match (shown, left, complete) {
        (_, 0, true) => String::new(),
        (_, 0, false) => "; and more".to_owned(),
        (0, left, true) => format!("{left} changes"),
        (0, left, false) => format!("more than {left} changes"),
        (_, left, true) => format!("; and {left} more"),
        (_, left, false) => format!("; and more than {left} more"),
    }
}
