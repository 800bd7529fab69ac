//! Settings of a subject, a context, or all contexts. None is the scope of the default context.

use std::str::FromStr as _;

use meshwork_avro::CompatibilityLevel;
use serde_json::{Map, Value};

use super::mode::writable;
use super::{Decision, rules, write};
use crate::record::{Key, RuleSet, Settings, to_json};
use crate::refusal::{Code, Refusal};
use crate::state::State;
use crate::subject::Subject;

/// A change of settings: what is absent stays, what is null or empty is cleared. Unknown members
/// are ignored.
pub type SettingsChange = Map<String, Value>;

const POLICIES: [&str; 3] = ["STRICT", "LENIENT", "LOGICAL"];

/// The settings that a request asks for.
///
/// # Errors
/// 40408: the scope has none of its own, and the request does not ask for what holds instead.
pub fn read_settings(
    state: &State<'_>,
    scope: Option<&Subject>,
    or_what_holds: bool,
) -> Result<Settings, Refusal> {
    if or_what_holds {
        return Ok(state.settings_in(scope)?);
    }
    state.settings_at(scope)?.ok_or_else(|| {
        let subject = scope.map_or("null", Subject::as_str);
        Refusal::new(
            Code::NoSubjectLevel,
            format!("Subject '{subject}' does not have subject-level compatibility configured"),
        )
    })
}

fn key(scope: Option<&Subject>) -> Key {
    Key::Config {
        subject: scope.map(|subject| subject.as_str().to_owned()),
    }
}

/// Changes settings; the answer is all of them, the level named `compatibility`.
///
/// # Errors
/// 42203, 42210, 42208, 42205, and 400 for a member of the wrong type.
pub fn put_settings(
    state: &State<'_>,
    scope: Option<&Subject>,
    change: SettingsChange,
) -> Result<Decision<Settings>, Refusal> {
    let change = checked(change)?;
    if let Some(subject) = scope
        && !subject.is_valid_scope()
    {
        return Err(Refusal::invalid_subject(subject));
    }
    writable(state, scope)?;
    let own = state.own_settings(scope)?;
    let is_new = own.is_none();
    let now = own.unwrap_or_default();
    let mut members = match serde_json::to_value(&now) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    for (name, value) in change {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    let settings = read::<Settings>(Value::Object(members))?;
    let written = Settings {
        subject: scope.map(|subject| subject.as_str().to_owned()),
        ..settings.clone()
    };
    let mut records = Vec::new();
    if settings != now || is_new {
        write(state, &mut records, &key(scope), Some(to_json(&written)))?;
    }
    Ok(Decision {
        records,
        answer: Settings {
            compatibility: settings.compatibility_level.clone(),
            compatibility_level: None,
            ..settings
        },
    })
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))
}

/// The change under the names that settings are kept under, its values as they are kept; null where
/// one is cleared.
fn checked(change: SettingsChange) -> Result<SettingsChange, Refusal> {
    let mut checked = Map::new();
    for (name, value) in change {
        let name = match name.as_str() {
            "compatibility" => "compatibilityLevel".to_owned(),
            "subject" => continue,
            _ => name,
        };
        let is_empty = value.as_str().is_some_and(str::is_empty);
        let value = if name == "compatibilityLevel" && !value.is_null() {
            level(&value)?
        } else if is_empty {
            Value::Null
        } else {
            value
        };
        checked.insert(name, value);
    }
    if let Some(policy) = checked.get_mut("compatibilityPolicy") {
        // One that is not known is none.
        let text = policy.as_str().unwrap_or_default().to_ascii_uppercase();
        *policy = match POLICIES.contains(&text.as_str()) {
            true => text.into(),
            false => Value::Null,
        };
    }
    for name in ["defaultRuleSet", "overrideRuleSet"] {
        if let Some(rules) = checked.get_mut(name).filter(|rules| !rules.is_null()) {
            let rule_set = rules::checked(read::<RuleSet>(rules.take())?)?;
            *rules = serde_json::to_value(rule_set).unwrap_or_default();
        }
    }
    Ok(checked)
}

fn level(value: &Value) -> Result<Value, Refusal> {
    value
        .as_str()
        .and_then(|text| CompatibilityLevel::from_str(text).ok())
        .map(|level| level.to_string().into())
        .ok_or_else(|| {
            Refusal::new(
                Code::InvalidLevel,
                "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive",
            )
        })
}

/// Removes settings; the answer is what they were.
///
/// # Errors
/// 40401: a scope without settings of its own; 42205.
pub fn delete_settings(
    state: &State<'_>,
    scope: Option<&Subject>,
) -> Result<Decision<Settings>, Refusal> {
    let answer = state
        .settings_at(scope)?
        .ok_or_else(|| Refusal::subject_not_found(scope.map_or("null", Subject::as_str)))?;
    writable(state, scope)?;
    let mut records = Vec::new();
    if state.own_settings(scope)?.is_some() {
        write(state, &mut records, &key(scope), None)?;
    }
    Ok(Decision { records, answer })
}
