//! Meshwork's own properties on the contract.

use super::Reader;
use super::tree::{Node, Value};
use crate::finding::{Code, Level, Position, nearest};
use crate::mesh::announcement::{EnforcementMode, TagMode};
use crate::product::Compatibility;

/// Most partitions of a topic that a contract may ask for.
pub const MOST_PARTITIONS: i32 = 10_000;
/// Most inputs that a contract may declare.
const MOST_INPUTS: usize = 256;
/// The names, as in 3.2 with `vendor: meshwork`. In 3.1 they begin with `meshwork`.
const NAMES: [&str; 7] = [
    "compatibility",
    "partitions",
    "enforcement",
    "eventTime",
    "tag",
    "inputs",
    "cleanup",
];

/// What ODCS has no field for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Compatibility level of the value's subject; `BACKWARD` by default, as in the registry.
    pub compatibility: Compatibility,
    /// Partitions of the topic; 1 by default.
    pub partitions: i32,
    /// What happens to a record that breaks the contract; it is rejected by default.
    pub enforcement: EnforcementMode,
    /// Which records carry lineage headers; each by default.
    pub tag: TagMode,
    /// Field that holds the event time, and where that is said. By default the one that all service
    /// levels name as their `element`.
    pub event_time: Option<(String, Position)>,
    /// URNs or topics that the product is made from.
    pub inputs: Vec<String>,
    /// Whether the topic keeps the latest record of each key only (`cleanup: compact`).
    pub compacted: bool,
}

/// A property of Meshwork's among `customProperties`.
pub(super) struct Own<'a> {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) value: &'a Node,
}

/// Meshwork's own among the `customProperties` of `node`; others are let alone.
pub(super) fn own<'a>(reader: &mut Reader<'_>, node: &'a Node, known: &[&str]) -> Vec<Own<'a>> {
    let mut found: Vec<Own<'a>> = Vec::new();
    for entry in node.get("customProperties").map_or(&[][..], Node::elements) {
        let (Some(property), Some(value)) = (entry.get("property"), entry.get("value")) else {
            continue;
        };
        let Some(text) = property.text() else {
            continue;
        };
        let name = match entry.text_of("vendor") {
            Some("meshwork") => text.to_owned(),
            Some(_) => continue,
            None => match prefixed(text) {
                Some(name) => name,
                None => {
                    if known.contains(&text) {
                        reader.remark(
                            Level::Warning,
                            Code::UnknownSetting,
                            property.at,
                            format!("`{text}` has no vendor, so Meshwork does not read it"),
                            "add `vendor: meshwork`",
                        );
                    }
                    continue;
                }
            },
        };
        if !known.contains(&name.as_str()) {
            let help = match nearest(&name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            reader.error(
                Code::UnknownSetting,
                property.at,
                format!("Meshwork has no property `{name}`"),
                &help,
            );
            continue;
        }
        if found.iter().any(|o| o.name == name) {
            reader.error(
                Code::Setting,
                property.at,
                format!("`{name}` is given twice"),
                "",
            );
            continue;
        }
        found.push(Own {
            name,
            at: property.at,
            value,
        });
    }
    found
}

/// `meshworkEventTime` as `eventTime`.
fn prefixed(text: &str) -> Option<String> {
    let rest = text.strip_prefix("meshwork")?;
    let first = rest.chars().next().filter(char::is_ascii_uppercase)?;
    Some(format!(
        "{}{}",
        first.to_ascii_lowercase(),
        rest.get(1..).unwrap_or_default()
    ))
}

/// None if a value is wrong; then the findings say so.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Settings> {
    let tree = reader.tree;
    let mut known = NAMES.to_vec();
    known.push("slo");
    let own = own(reader, tree, &known);
    let mut settings = Settings {
        compatibility: Compatibility::Backward,
        partitions: 1,
        enforcement: EnforcementMode::Reject,
        tag: TagMode::Record,
        event_time: None,
        inputs: Vec::new(),
        compacted: false,
    };
    let mut sound = true;
    for Own { name, value, .. } in own {
        let text = word(value);
        let wrong = match name.as_str() {
            "compatibility" => match text.parse() {
                Ok(level) => {
                    settings.compatibility = level;
                    None
                }
                Err(()) => Some(
                    "one of NONE, BACKWARD, BACKWARD_TRANSITIVE, FORWARD, FORWARD_TRANSITIVE, \
                     FULL, FULL_TRANSITIVE"
                        .to_owned(),
                ),
            },
            "partitions" => match text
                .parse()
                .ok()
                .filter(|p| (1..=MOST_PARTITIONS).contains(p))
            {
                Some(partitions) => {
                    settings.partitions = partitions;
                    None
                }
                None => Some(format!("a whole number from 1 to {MOST_PARTITIONS}")),
            },
            "enforcement" => match text.to_ascii_lowercase().as_str() {
                "reject" => set(&mut settings.enforcement, EnforcementMode::Reject),
                "quarantine" => set(&mut settings.enforcement, EnforcementMode::Quarantine),
                "mark" => set(&mut settings.enforcement, EnforcementMode::Mark),
                "off" => set(&mut settings.enforcement, EnforcementMode::Off),
                _ => Some("one of reject, quarantine, mark, off".to_owned()),
            },
            "tag" => match text.to_ascii_lowercase().as_str() {
                "record" => set(&mut settings.tag, TagMode::Record),
                "batch" => set(&mut settings.tag, TagMode::Batch),
                "off" => set(&mut settings.tag, TagMode::Off),
                _ => Some("one of record, batch, off".to_owned()),
            },
            "cleanup" => match text.to_ascii_lowercase().as_str() {
                "compact" => set(&mut settings.compacted, true),
                "delete" => set(&mut settings.compacted, false),
                _ => Some("compact or delete".to_owned()),
            },
            "eventTime" => match value.text().filter(|t| !t.trim().is_empty()) {
                Some(field) => {
                    settings.event_time = Some((field.to_owned(), value.at));
                    None
                }
                None => Some("the name of a field".to_owned()),
            },
            "inputs" => match inputs(value) {
                Some(inputs) => {
                    settings.inputs = inputs;
                    None
                }
                None => Some(format!(
                    "a list of at most {MOST_INPUTS} URNs or topic names"
                )),
            },
            // `slo` is read with the service levels.
            _ => None,
        };
        if let Some(wanted) = wrong {
            sound = false;
            reader.error(
                Code::Setting,
                value.at,
                format!("`{name}` is `{text}`, but must be {wanted}"),
                "",
            );
        }
    }
    sound.then_some(settings)
}

/// Reads as an arm beside those that say what was wanted.
fn set<T>(place: &mut T, value: T) -> Option<String> {
    *place = value;
    None
}

/// A scalar as written, or what is there instead.
pub(super) fn word(node: &Node) -> String {
    node.scalar().unwrap_or_else(|| match node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        _ => "nothing".to_owned(),
    })
}

fn inputs(value: &Node) -> Option<Vec<String>> {
    let Value::List(elements) = &value.value else {
        return None;
    };
    if elements.len() > MOST_INPUTS {
        return None;
    }
    elements
        .iter()
        .map(|e| {
            e.text()
                .filter(|t| !t.is_empty() && t.len() <= 500 && !t.contains(char::is_whitespace))
                .map(str::to_owned)
        })
        .collect()
}
