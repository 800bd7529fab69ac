//! `slaProperties`: retention, and the service levels that Meshwork measures.

mod alerts;
mod spans;
mod values;

use super::Reader;
use super::columns::{Column, find};
use super::duration::{DAY_MS, ShortM};
use super::settings::{Own, Settings, own};
use super::tree::{Node, Value};
use crate::finding::{Code, Level, Position, nearest};
use crate::slo::{Cadence, Indicator, Severity, Slo};
use crate::time::MINUTE_MS;
use spans::{retention, span, within};

/// The names on an SLA, as in 3.2 with `vendor: meshwork`.
const NAMES: [&str; 5] = ["objective", "window", "cadence", "hours", "severity"];

/// A service level and where it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSlo {
    /// The service level.
    pub slo: Slo,
    /// Where.
    pub at: Position,
}

pub(super) struct ServiceLevels {
    pub(super) slos: Vec<DeclaredSlo>,
    pub(super) retention_ms: Option<i64>,
}

/// What a `property` of `slaProperties` means to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Freshness,
    Latency,
    Retention,
    Frequency,
    /// Known to the standard, measured by nobody here.
    Other,
}

/// Case does not matter; two letters are those of the standard's periodic table.
fn kind(property: &str) -> Kind {
    match property.to_ascii_lowercase().as_str() {
        "freshness" => Kind::Freshness,
        "latency" | "ly" => Kind::Latency,
        "retention" | "re" => Kind::Retention,
        "frequency" | "fy" => Kind::Frequency,
        _ => Kind::Other,
    }
}

fn entries<'a>(reader: &Reader<'a>) -> Vec<(&'a Node, Kind)> {
    reader
        .tree
        .get("slaProperties")
        .map_or(&[][..], Node::elements)
        .iter()
        .filter_map(|node| Some((node, kind(node.text_of("property")?))))
        .collect()
}

fn element<'a>(reader: &Reader<'a>, node: &'a Node) -> Option<&'a Node> {
    node.get("element")
        .or_else(|| reader.tree.get("slaDefaultElement"))
        .filter(|n| n.text().is_some())
}

/// Where `eventTime` isn't given, the one field that all service levels name is it.
pub(super) fn with_event_time_of_elements(
    reader: &Reader<'_>,
    mut settings: Settings,
    object: Option<&str>,
) -> Settings {
    if settings.event_time.is_some() {
        return settings;
    }
    let mut fields: Vec<(String, Position)> = entries(reader)
        .into_iter()
        .filter(|(_, kind)| matches!(kind, Kind::Freshness | Kind::Latency))
        .filter_map(|(node, _)| {
            let element = element(reader, node)?;
            let (of, field) = element.text()?.split_once('.')?;
            (Some(of) == object).then(|| (field.to_owned(), element.at))
        })
        .collect();
    fields.dedup_by(|a, b| a.0 == b.0);
    if let [_] = fields.as_slice() {
        settings.event_time = fields.pop();
    }
    settings
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    settings: Option<&Settings>,
    object: Option<&str>,
    columns: &[Column],
) -> ServiceLevels {
    let mut levels = ServiceLevels {
        slos: Vec::new(),
        retention_ms: None,
    };
    let entries = entries(reader);
    let on_contract = on_contract(reader, &entries);
    let usual_cadence = entries
        .iter()
        .find(|(_, kind)| *kind == Kind::Frequency)
        .and_then(|(node, _)| span(reader, node, ShortM::Minutes))
        .map(|period_ms| Cadence::Every { period_ms });
    let mut declared = 0usize;
    let mut has_retention = false;
    for (node, kind) in &entries {
        match kind {
            Kind::Retention if has_retention => reader.error(
                Code::ServiceLevel,
                node.at,
                "`retention` is given twice",
                "",
            ),
            Kind::Retention => {
                has_retention = true;
                levels.retention_ms = retention(reader, node);
            }
            Kind::Freshness | Kind::Latency => {
                declared += 1;
                let slo = service_level(reader, node, *kind, usual_cadence, &on_contract);
                check_element(reader, node, settings, object);
                if let Some(slo) = slo {
                    if levels.slos.iter().any(|other| other.slo.id == slo.id) {
                        reader.error(
                            Code::ServiceLevel,
                            node.at,
                            format!("two service levels have the id `{}`", slo.id),
                            "",
                        );
                    } else {
                        alerts::check(reader, node, &slo);
                        levels.slos.push(DeclaredSlo { slo, at: node.at });
                    }
                }
            }
            Kind::Frequency => {}
            Kind::Other => {
                let property = node.text_of("property").unwrap_or_default();
                reader.remark(
                    Level::Note,
                    Code::ServiceLevel,
                    node.at,
                    format!("`{property}` is kept, but Meshwork does not measure it"),
                    "",
                );
            }
        }
    }
    if declared == 0 {
        let at = reader
            .tree
            .get("slaProperties")
            .map_or(reader.tree.at, |n| n.at);
        reader.error(
            Code::NoServiceLevel,
            at,
            "the contract promises nothing: no `freshness` and no `latency` in `slaProperties`",
            "add `- {id: fresh, property: freshness, value: 30, unit: min, element: <object>.<event-time field>}`",
        );
    }
    check_event_time(reader, settings, columns, declared > 0);
    levels
}

/// The event-time field must be a column; its Avro type is checked with the schema.
fn check_event_time(
    reader: &mut Reader<'_>,
    settings: Option<&Settings>,
    columns: &[Column],
    needed: bool,
) {
    let Some(settings) = settings else {
        return;
    };
    match &settings.event_time {
        None if needed => {
            let at = reader.tree.at;
            reader.error(
                Code::EventTime,
                at,
                "the contract does not say which field holds the event time",
                "add `{property: eventTime, value: <field>, vendor: meshwork}` to `customProperties`, \
                 or name the same `element` in every service level",
            );
        }
        Some((field, at)) if !columns.is_empty() => match find(columns, field) {
            None => {
                let help = nearest(field, columns.iter().map(|c| c.field.as_str()))
                    .map(|n| format!("did you mean `{n}`?"))
                    .unwrap_or_default();
                reader.error(
                    Code::EventTime,
                    *at,
                    format!("event-time field `{field}` is no column of the contract"),
                    &help,
                );
            }
            Some(column) => {
                if let Some((logical, _)) = &column.logical_type
                    && matches!(
                        logical.as_str(),
                        "number"
                            | "integer"
                            | "boolean"
                            | "time"
                            | "object"
                            | "array"
                            | "map"
                            | "vector"
                    )
                {
                    reader.error(
                        Code::EventTime,
                        *at,
                        format!(
                            "event-time field `{field}` is declared `{logical}`, which holds no time"
                        ),
                        "an event time is a timestamp, a date, or ISO 8601 text",
                    );
                }
            }
        },
        _ => {}
    }
}

/// Other ODCS tools look at `element`, so it must say what is measured.
fn check_element(
    reader: &mut Reader<'_>,
    node: &Node,
    settings: Option<&Settings>,
    object: Option<&str>,
) {
    let Some(element) = node.get("element") else {
        return;
    };
    let (Some(text), Some(object)) = (element.text(), object) else {
        return;
    };
    let at = element.at;
    match text.split_once('.') {
        Some((of, field)) if of == object && !field.contains([',', '.']) => {
            if let Some((event_time, _)) = settings.and_then(|s| s.event_time.as_ref())
                && event_time != field
            {
                reader.error(
                    Code::ServiceLevel,
                    at,
                    format!(
                        "`element` is `{text}`, but the event time that is measured is `{event_time}`"
                    ),
                    "make `element` and `eventTime` the same",
                );
            }
        }
        _ => reader.remark(
            Level::Warning,
            Code::ServiceLevel,
            at,
            format!("`element` is `{text}`; other ODCS tools skip all but `{object}.<field>`"),
            "",
        ),
    }
}

/// In 3.1 an SLA has no custom properties: they are in the contract's `meshworkSlo`, a list with
/// the SLA's id.
fn on_contract<'a>(
    reader: &mut Reader<'a>,
    entries: &[(&'a Node, Kind)],
) -> Vec<(String, Vec<Own<'a>>)> {
    let tree = reader.tree;
    let mut found = Vec::new();
    let lists: Vec<&Node> = tree
        .get("customProperties")
        .map_or(&[][..], Node::elements)
        .iter()
        .filter(|entry| {
            entry.text_of("property") == Some("meshworkSlo")
                || (entry.text_of("property") == Some("slo")
                    && entry.text_of("vendor") == Some("meshwork"))
        })
        .filter_map(|entry| entry.get("value"))
        .collect();
    for list in lists {
        if !matches!(list.value, Value::List(_)) {
            reader.error(
                Code::Setting,
                list.at,
                "`meshworkSlo` must be a list of mappings with the `id` of an slaProperty",
                "",
            );
            continue;
        }
        for item in list.elements() {
            let Some(id) = item.text_of("id") else {
                reader.error(
                    Code::Setting,
                    item.at,
                    "an element of `meshworkSlo` has no `id`",
                    "name the slaProperty that it belongs to",
                );
                continue;
            };
            let exists = entries
                .iter()
                .any(|(node, _)| node.text_of("id") == Some(id));
            if !exists {
                reader.error(
                    Code::Setting,
                    item.get("id").map_or(item.at, |n| n.at),
                    format!("`meshworkSlo` names `{id}`, but no slaProperty has that id"),
                    "",
                );
            }
            let mut own = Vec::new();
            for (key, value) in item.entries() {
                if key.text == "id" {
                    continue;
                }
                if NAMES.contains(&key.text.as_str()) {
                    own.push(Own {
                        name: key.text.clone(),
                        at: key.at,
                        value,
                    });
                } else {
                    let help = match nearest(&key.text, NAMES) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("there are {}", NAMES.join(", ")),
                    };
                    reader.error(
                        Code::UnknownSetting,
                        key.at,
                        format!("Meshwork has no property `{}` of a service level", key.text),
                        &help,
                    );
                }
            }
            found.push((id.to_owned(), own));
        }
    }
    found
}

fn service_level(
    reader: &mut Reader<'_>,
    node: &Node,
    kind: Kind,
    usual_cadence: Option<Cadence>,
    on_contract: &[(String, Vec<Own<'_>>)],
) -> Option<Slo> {
    let property = node.text_of("property").unwrap_or_default().to_owned();
    let id = node.text_of("id").map(str::to_owned);
    if id.is_none() {
        reader.error(
            Code::ServiceLevel,
            node.at,
            format!("the `{property}` service level has no `id`"),
            "Meshwork names an SLO by it: add `id: fresh`",
        );
    }
    let within_ms = within(reader, node, &property, kind);
    let mut slo = Slo {
        id: id.clone().unwrap_or_default(),
        indicator: match kind {
            Kind::Latency => Indicator::Latency {
                within_ms: within_ms.unwrap_or(MINUTE_MS),
            },
            _ => Indicator::Freshness {
                within_ms: within_ms.unwrap_or(MINUTE_MS),
            },
        },
        objective_millionths: 990_000,
        window_ms: 30 * DAY_MS,
        cadence: usual_cadence.unwrap_or(Cadence::Continuous),
        hours: None,
        severity: Severity::Page,
    };
    let on_sla = own(reader, node, &NAMES);
    let mut sound = true;
    let mut seen: Vec<&str> = Vec::new();
    let elsewhere = on_contract
        .iter()
        .filter(|(of, _)| id.as_ref() == Some(of))
        .flat_map(|(_, own)| own);
    for Own { name, at, value } in on_sla.iter().chain(elsewhere) {
        if seen.contains(&name.as_str()) {
            reader.error(
                Code::Setting,
                *at,
                format!("`{name}` is given twice for this service level"),
                "",
            );
            continue;
        }
        seen.push(name);
        if let Err((is, wanted)) = values::set(&mut slo, name, value) {
            sound = false;
            reader.error(
                Code::Setting,
                value.at,
                format!("`{name}` is `{is}`, but must be {wanted}"),
                "",
            );
        }
    }
    id?;
    within_ms?;
    sound.then_some(slo)
}
