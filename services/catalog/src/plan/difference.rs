//! Differences in words, a line each: `+` came, `-` went, `~` changed.

use std::fmt::Display;

use meshwork_avro::{Kind, NodeId, Schema};
use meshwork_model::contract::duration::in_words;
use meshwork_model::mesh::announcement::{ProductAnnouncement, SloDeclaration};

/// Most lines about one schema.
const MOST: usize = 200;
/// Deepest that two schemas are compared.
const MAX_DEPTH: usize = 16;

/// What differs between two announcements of a product.
#[must_use]
pub fn announcements(old: &ProductAnnouncement, new: &ProductAnnouncement) -> Vec<String> {
    let mut lines = Vec::new();
    let mut changed = |what: &str, from: &dyn Display, to: &dyn Display| {
        let (from, to) = (from.to_string(), to.to_string());
        if from != to {
            lines.push(format!("~ {what}: {from} → {to}"));
        }
    };
    changed("version", &old.version, &new.version);
    changed("status", &word(&old.status), &word(&new.status));
    changed("owner", &old.owner, &new.owner);
    changed(
        "description",
        &quoted(old.description.as_deref()),
        &quoted(new.description.as_deref()),
    );
    changed("compatibility", &old.compatibility, &new.compatibility);
    changed("partitions", &old.partitions, &new.partitions);
    changed(
        "retention",
        &retention(old.retention_ms),
        &retention(new.retention_ms),
    );
    changed("compacted", &old.compacted, &new.compacted);
    changed(
        "enforcement",
        &word(&old.enforcement),
        &word(&new.enforcement),
    );
    changed("tag", &word(&old.tag), &word(&new.tag));
    changed(
        "event time",
        &old.event_time.as_deref().unwrap_or("none"),
        &new.event_time.as_deref().unwrap_or("none"),
    );
    changed(
        "key",
        &old.key_columns.join(", "),
        &new.key_columns.join(", "),
    );
    if old.value_schema.schema != new.value_schema.schema {
        lines.push("~ value schema".to_owned());
    } else if old.value_schema.id != new.value_schema.id && new.value_schema.id != 0 {
        lines.push(format!(
            "~ value schema id: {} → {}",
            old.value_schema.id, new.value_schema.id
        ));
    }
    if old.key_schema.as_ref().map(|s| &s.schema) != new.key_schema.as_ref().map(|s| &s.schema) {
        lines.push("~ key schema".to_owned());
    }
    words("tag", &old.tags, &new.tags, &mut lines);
    words("input", &old.inputs, &new.inputs, &mut lines);
    slos(&old.slos, &new.slos, &mut lines);
    if old.contract_digest != new.contract_digest && lines.is_empty() {
        lines.push("~ contract text".to_owned());
    }
    if lines.is_empty() {
        lines.push("~ announcement".to_owned());
    }
    lines
}

/// An enum as the contract writes it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text.to_lowercase(),
        _ => String::new(),
    }
}

fn quoted(text: Option<&str>) -> String {
    match text {
        Some(text) => format!("\"{text}\""),
        None => "none".to_owned(),
    }
}

/// Retention in words.
#[must_use]
pub fn retention(ms: Option<i64>) -> String {
    match ms {
        None | Some(-1) => "for ever".to_owned(),
        Some(ms) => in_words(ms),
    }
}

fn words(what: &str, old: &[String], new: &[String], lines: &mut Vec<String>) {
    for gone in old.iter().filter(|o| !new.contains(o)) {
        lines.push(format!("- {what} {gone}"));
    }
    for came in new.iter().filter(|n| !old.contains(n)) {
        lines.push(format!("+ {what} {came}"));
    }
}

fn slos(old: &[SloDeclaration], new: &[SloDeclaration], lines: &mut Vec<String>) {
    for gone in old.iter().filter(|o| !new.iter().any(|n| n.id == o.id)) {
        lines.push(format!("- slo {}: {}", gone.id, slo(gone)));
    }
    for now in new {
        match old.iter().find(|o| o.id == now.id) {
            None => lines.push(format!("+ slo {}: {}", now.id, slo(now))),
            Some(was) if was != now => {
                lines.push(format!("~ slo {}: {} → {}", now.id, slo(was), slo(now)));
            }
            Some(_) => {}
        }
    }
}

/// An SLO in a line.
#[must_use]
pub fn slo(slo: &SloDeclaration) -> String {
    let cadence = match slo.every_ms {
        Some(period) => format!("every {}", in_words(period)),
        None => word(&slo.cadence),
    };
    let hours = slo
        .hours
        .as_ref()
        .map(|h| {
            format!(
                ", {:02}:{:02}-{:02}:{:02} {}",
                h.from_minute / 60,
                h.from_minute % 60,
                h.until_minute / 60,
                h.until_minute % 60,
                h.zone
            )
        })
        .unwrap_or_default();
    let percent = format!("{}.{:04}", slo.objective / 10_000, slo.objective % 10_000);
    format!(
        "{} within {}, {} % over {}, {cadence}{hours}, {}",
        word(&slo.indicator),
        in_words(slo.within_ms),
        percent.trim_end_matches('0').trim_end_matches('.'),
        in_words(slo.window_ms),
        word(&slo.severity)
    )
}

/// What differs between two schemas, field by field; at most 200 lines.
#[must_use]
pub fn schemas(old: &Schema, new: &Schema) -> Vec<String> {
    let mut lines = Vec::new();
    compare(old, old.root(), new, new.root(), "", 0, &mut lines);
    if lines.is_empty() && old.to_text() != new.to_text() {
        lines.push("~ docs, defaults or other attributes".to_owned());
    }
    lines.truncate(MOST);
    lines
}

fn compare(
    old: &Schema,
    old_id: NodeId,
    new: &Schema,
    new_id: NodeId,
    path: &str,
    depth: usize,
    lines: &mut Vec<String>,
) {
    if depth > MAX_DEPTH || lines.len() > MOST {
        return;
    }
    match (&old.node(old_id).kind, &new.node(new_id).kind) {
        (Kind::Record(was), Kind::Record(now)) => {
            for gone in &was.fields {
                if !now.fields.iter().any(|f| f.name == gone.name) {
                    lines.push(format!("- field {path}{}", gone.name));
                }
            }
            for field in &now.fields {
                let name = format!("{path}{}", field.name);
                match was.fields.iter().find(|f| f.name == field.name) {
                    None => lines.push(format!(
                        "+ field {name}: {}",
                        type_words(new, field.node, 0)
                    )),
                    Some(before) => {
                        let (from, to) = (
                            type_words(old, before.node, 0),
                            type_words(new, field.node, 0),
                        );
                        if from != to {
                            lines.push(format!("~ field {name}: {from} → {to}"));
                        }
                        compare(
                            old,
                            before.node,
                            new,
                            field.node,
                            &format!("{name}."),
                            depth + 1,
                            lines,
                        );
                    }
                }
            }
        }
        (Kind::Enum(was), Kind::Enum(now)) => {
            let at = path.trim_end_matches('.');
            for gone in was.symbols.iter().filter(|s| !now.symbols.contains(s)) {
                lines.push(format!("- symbol {gone} of {at}"));
            }
            for came in now.symbols.iter().filter(|s| !was.symbols.contains(s)) {
                lines.push(format!("+ symbol {came} of {at}"));
            }
        }
        (Kind::Array(was), Kind::Array(now)) | (Kind::Map(was), Kind::Map(now)) => {
            compare(old, *was, new, *now, path, depth + 1, lines);
        }
        (Kind::Union(was), Kind::Union(now)) => {
            for (was, now) in was.iter().zip(now) {
                compare(old, *was, new, *now, path, depth + 1, lines);
            }
        }
        _ => {}
    }
}

/// A type in a few words.
fn type_words(schema: &Schema, id: NodeId, depth: usize) -> String {
    let node = schema.node(id);
    if let Some(logical) = &node.logical {
        return logical.as_str().to_owned();
    }
    if depth > MAX_DEPTH {
        return "…".to_owned();
    }
    match &node.kind {
        Kind::Array(items) => format!("array of {}", type_words(schema, *items, depth + 1)),
        Kind::Map(values) => format!("map of {}", type_words(schema, *values, depth + 1)),
        Kind::Union(branches) => branches
            .iter()
            .map(|b| type_words(schema, *b, depth + 1))
            .collect::<Vec<_>>()
            .join(" | "),
        kind => match kind.name() {
            Some(name) => name.unqualified().to_owned(),
            None => kind.type_name().to_owned(),
        },
    }
}
