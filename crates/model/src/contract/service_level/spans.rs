//! `value` and `unit` of an SLA as a length of time.

use super::Kind;
use crate::contract::Reader;
use crate::contract::duration::{ShortM, decimal_ms, iso_ms, unit_ms};
use crate::contract::tree::{Node, Value};
use crate::finding::{Code, Level};

/// `value` and `unit` in milliseconds. Errors are in the findings.
pub(super) fn span(reader: &mut Reader<'_>, node: &Node, m: ShortM) -> Option<i64> {
    let property = node.text_of("property").unwrap_or_default();
    let value = node.get("value")?;
    let text = match &value.value {
        Value::Number(_) | Value::Text(_) => value.scalar()?,
        _ => {
            reader.error(
                Code::ServiceLevel,
                value.at,
                format!("`{property}` needs a length of time as its value"),
                "write `value: 30` with `unit: min`, or `value: PT30M`",
            );
            return None;
        }
    };
    let text = text.trim().to_owned();
    if text.starts_with('P') {
        let ms = iso_ms(&text);
        if ms.is_none() {
            reader.error(
                Code::ServiceLevel,
                value.at,
                format!("`{property}`: `{text}` is no ISO 8601 duration"),
                "PT90M is 90 minutes, P30D is 30 days",
            );
        }
        return ms;
    }
    let unit_node = node.get("unit");
    let unit = match unit_node.and_then(Node::text) {
        Some(unit) => unit.to_owned(),
        None => {
            reader.remark(
                Level::Warning,
                Code::ServiceLevel,
                node.at,
                format!("`{property}` has no `unit`: it is read as days"),
                "add `unit`",
            );
            "d".to_owned()
        }
    };
    let Some(unit_ms) = unit_ms(&unit, m) else {
        reader.error(
            Code::ServiceLevel,
            unit_node.map_or(node.at, |n| n.at),
            format!("`{property}`: unit `{unit}` is not known"),
            "units are s, min, h, d, and for retention also mo and y",
        );
        return None;
    };
    let ms = decimal_ms(&text, unit_ms);
    if ms.is_none() {
        reader.error(
            Code::ServiceLevel,
            value.at,
            format!("`{property}`: `{text}` {unit} is no length of time that can be read"),
            "write a whole number with its unit, or ISO 8601 such as PT90M",
        );
    }
    ms
}

/// None: kept for ever.
pub(super) fn retention(reader: &mut Reader<'_>, node: &Node) -> Option<i64> {
    let value = node.get("value")?;
    let for_ever = match &value.value {
        Value::Null => true,
        Value::Number(n) => n.as_i64() == Some(-1),
        Value::Text(t) => matches!(
            t.to_ascii_lowercase().as_str(),
            "unlimited" | "forever" | "indefinite" | "-1"
        ),
        _ => false,
    };
    if for_ever {
        return None;
    }
    let ms = span(reader, node, ShortM::Months)?;
    if ms == 0 {
        reader.error(
            Code::ServiceLevel,
            value.at,
            "`retention` of 0 would delete every record at once",
            "leave it out, or write `value: null`, to keep records for ever",
        );
    }
    if node.text_of("unit") == Some("m") {
        reader.remark(
            Level::Note,
            Code::ServiceLevel,
            node.get("unit").map_or(node.at, |n| n.at),
            "`m` is months in retention and minutes in freshness",
            "write `mo` or `min`",
        );
    }
    Some(ms)
}

pub(super) fn within(
    reader: &mut Reader<'_>,
    node: &Node,
    property: &str,
    kind: Kind,
) -> Option<i64> {
    let within_ms = span(reader, node, ShortM::Minutes)?;
    let value = node.get("value")?;
    if within_ms == 0 {
        reader.error(
            Code::ServiceLevel,
            value.at,
            format!("`{property}` of 0 can't be kept by anybody"),
            "",
        );
        return None;
    }
    if kind == Kind::Freshness {
        let cut = matches!(&value.value, Value::Number(n) if !n.is_i64() && !n.is_u64());
        let unit = node.text_of("unit").unwrap_or("d").to_ascii_lowercase();
        let seconds = matches!(
            unit.as_str(),
            "s" | "sec" | "second" | "seconds" | "ms" | "w" | "mo" | "y"
        );
        if (cut || seconds) && !value.scalar().unwrap_or_default().starts_with('P') {
            reader.remark(
                Level::Warning,
                Code::ServiceLevel,
                value.at,
                format!(
                    "`datacontract test` can't judge {} {unit}: it takes whole d, h and min",
                    value.scalar().unwrap_or_default()
                ),
                "write whole minutes, or ISO 8601 such as PT90S",
            );
        }
    }
    Some(within_ms)
}
