//! Differences in words, a line each: `+` came, `-` went, `~` changed.

use std::fmt::Display;

use meshwork_avro::Schema;
use meshwork_avro::diff::diff;
use meshwork_model::contract::duration::in_words;
use meshwork_model::mesh::announcement::{ProductAnnouncement, SloDeclaration};

/// Most lines about one schema.
const MOST: usize = 200;

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

/// What differs between two schemas; at most 200 lines.
#[must_use]
pub fn schemas(old: &Schema, new: &Schema) -> Vec<String> {
    let changes = diff(old, new).changes;
    changes.iter().take(MOST).map(ToString::to_string).collect()
}
