//! `slaProperties`: retention, and the service levels that Meshwork measures.

use super::Reader;
use super::columns::{Column, find};
use super::duration::{DAY_MS, ShortM, decimal_ms, in_words, iso_ms, millionths, text_ms, unit_ms};
use super::settings::{Own, Settings, own, word};
use super::tree::{Node, Value};
use crate::finding::{Code, Level, Position, nearest};
use crate::slo::firing::{self, Reach};
use crate::slo::{Cadence, DailyHours, Indicator, Severity, Slo};
use crate::time::MINUTE_MS;

/// Longest period of an objective; slices are kept for so long.
const LONGEST_WINDOW_MS: i64 = 90 * DAY_MS;
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
                        check_alerts(reader, node, &slo);
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

/// `value` and `unit` in milliseconds. Errors are in the findings.
fn span(reader: &mut Reader<'_>, node: &Node, m: ShortM) -> Option<i64> {
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
fn retention(reader: &mut Reader<'_>, node: &Node) -> Option<i64> {
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
        if let Err((is, wanted)) = set(&mut slo, name, value) {
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

fn within(reader: &mut Reader<'_>, node: &Node, property: &str, kind: Kind) -> Option<i64> {
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

/// What is there, and what it must be.
type Wrong = (String, String);

fn set(slo: &mut Slo, name: &str, value: &Node) -> Result<(), Wrong> {
    let text = word(value);
    let wrong = |wanted: &str| Err((text.clone(), wanted.to_owned()));
    match name {
        "objective" => match objective(&text) {
            Some(objective) => slo.objective_millionths = objective,
            None => {
                return wrong(
                    "a share above 0 and below 1 with at most six decimals, such as 0.99",
                );
            }
        },
        "window" => match text_ms(&text)
            .filter(|ms| (DAY_MS..=LONGEST_WINDOW_MS).contains(ms) && ms % MINUTE_MS == 0)
        {
            Some(ms) => slo.window_ms = ms,
            None => return wrong("from 1d to 90d, such as 30d"),
        },
        "cadence" => match cadence(&text) {
            Some(cadence) => slo.cadence = cadence,
            None => {
                return wrong(
                    "`continuous`, `event`, or `every` with a length of time, such as `every 1h`",
                );
            }
        },
        "hours" => match hours(value) {
            Some(hours) => slo.hours = Some(hours),
            None => {
                return wrong(
                    "daily hours with an IANA time zone, such as `06:30-21:00 America/New_York`",
                );
            }
        },
        "severity" => match text.to_ascii_lowercase().as_str() {
            "page" => slo.severity = Severity::Page,
            "ticket" => slo.severity = Severity::Ticket,
            _ => return wrong("page or ticket"),
        },
        _ => {}
    }
    Ok(())
}

/// `0.99` or `99%`.
fn objective(text: &str) -> Option<u32> {
    let millionths = match text.strip_suffix('%') {
        Some(percent) => {
            let hundredfold = millionths(percent.trim())?;
            (hundredfold % 100 == 0).then_some(hundredfold / 100)?
        }
        None => millionths(text)?,
    };
    u32::try_from(millionths)
        .ok()
        .filter(|m| (1..1_000_000).contains(m))
}

fn cadence(text: &str) -> Option<Cadence> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.as_str() {
        "continuous" => return Some(Cadence::Continuous),
        "event" => return Some(Cadence::Event),
        _ => {}
    }
    let period = lower.strip_prefix("every")?.trim();
    let period = text_ms(&period.to_ascii_uppercase())
        .or_else(|| text_ms(period))
        .filter(|ms| (MINUTE_MS..=366 * DAY_MS).contains(ms))?;
    Some(Cadence::Every { period_ms: period })
}

/// `06:30-21:00 America/New_York`, or a mapping of `from`, `until` and `zone`.
fn hours(value: &Node) -> Option<DailyHours> {
    let (from, until, zone) = match &value.value {
        Value::Text(text) => {
            let (hours, zone) = text.trim().split_once(char::is_whitespace)?;
            let (from, until) = hours.split_once(['-', '–'])?;
            (from.to_owned(), until.to_owned(), zone.trim().to_owned())
        }
        Value::Map(entries) if entries.len() == 3 => (
            value.text_of("from")?.to_owned(),
            value.text_of("until")?.to_owned(),
            value.text_of("zone")?.to_owned(),
        ),
        _ => return None,
    };
    let from_minute = minute(&from).filter(|m| *m < 1_440)?;
    let until_minute = minute(&until).filter(|m| *m > 0)?;
    // A time zone that doesn't exist must be found here, not at midnight.
    jiff::tz::TimeZone::get(&zone).ok()?;
    (from_minute != until_minute).then_some(DailyHours {
        from_minute,
        until_minute,
        zone,
    })
}

/// `HH:MM` up to 24:00 as minutes.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |t: &str| -> Option<u16> {
        ((1..=2).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit()))
            .then(|| t.parse().ok())
            .flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute).filter(|m| *m < 60)?);
    Some(hour * 60 + minute).filter(|m| *m <= 1_440)
}

fn percent(millionths: u32) -> String {
    let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Refuses what can never alert or never be kept, and shows what alerts on very little.
fn check_alerts(reader: &mut Reader<'_>, node: &Node, slo: &Slo) {
    let value_at = node.get("value").map_or(node.at, |n| n.at);
    if let (Indicator::Freshness { within_ms }, Cadence::Every { period_ms }) =
        (slo.indicator, slo.cadence)
        && within_ms < period_ms
    {
        reader.error(
            Code::NeverMet,
            value_at,
            format!(
                "`{}`: data that comes every {} can't always be fresh within {}",
                slo.id,
                in_words(period_ms),
                in_words(within_ms)
            ),
            "allow at least the period and the time that delivery takes",
        );
        return;
    }
    let reach = firing::reach(slo);
    if let Some(never) = reach.iter().find(|r| !r.can_fire()) {
        reader.error(
            Code::NeverFires,
            node.at,
            never_fires(slo, never),
            &match firing::least_objective(slo) {
                Some(least) => format!(
                    "an objective of {} or more can alert, and so can a shorter window",
                    percent(least)
                ),
                None => "no objective can: the daily hours are too short".to_owned(),
            },
        );
        return;
    }
    if firing::has_schedule(slo)
        && let Some(first) = reach.first()
        && first.by_least
    {
        reader.remark(
            Level::Note,
            Code::Touchy,
            node.at,
            format!(
                "`{}`: {} % of the budget is less than {} minutes, so {} bad minutes within {} alert",
                slo.id,
                first.rule.budget_percent,
                first.rule.least,
                first.needs_long,
                in_words(first.rule.long_minutes * MINUTE_MS)
            ),
            "",
        );
    }
}

fn never_fires(slo: &Slo, never: &Reach) -> String {
    let rule = never.rule;
    let (needs, most, window) = if never.needs_long > never.most_long {
        (never.needs_long, never.most_long, rule.long_minutes)
    } else {
        (never.needs_short, never.most_short, rule.short_minutes)
    };
    format!(
        "`{}` can never alert: at {} over {} the {}.{}× rule needs {needs} bad minutes within {}, \
         which has at most {most} that are due",
        slo.id,
        percent(slo.objective_millionths),
        in_words(slo.window_ms),
        rule.burn_tenths / 10,
        rule.burn_tenths % 10,
        in_words(window * MINUTE_MS)
    )
}
