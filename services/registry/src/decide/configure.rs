//! Settings of a subject, a context, or the whole registry.

use std::str::FromStr as _;

use meshwork_avro::CompatibilityLevel;
use serde_json::{Map, Value};

use super::delete::check_writable;
use super::register::in_context;
use super::{Decision, write};
use crate::record::{Key, Mode, Settings, to_json};
use crate::refusal::{Code, Refusal};
use crate::state::{DEFAULT_LEVEL, State};
use crate::subject::Subject;

/// A change of settings: what is absent stays, what is null is cleared.
pub type SettingsChange = Map<String, Value>;

/// The settings that a request asks for. `None` is global.
///
/// # Errors
/// 40408: the scope has none of its own, and the request does not ask for what holds instead.
pub fn read_settings(
    state: &State<'_>,
    scope: Option<&Subject>,
    or_what_holds: bool,
) -> Result<Settings, Refusal> {
    let Some(subject) = scope else {
        return Ok(state.global_settings()?);
    };
    if or_what_holds {
        return Ok(state.settings_of(subject)?);
    }
    state.own_settings(scope)?.map(with_level).ok_or_else(|| {
        Refusal::new(
            Code::NoSubjectLevel,
            format!("Subject '{subject}' does not have subject-level compatibility configured"),
        )
    })
}

fn with_level(mut settings: Settings) -> Settings {
    settings
        .compatibility_level
        .get_or_insert_with(|| DEFAULT_LEVEL.to_owned());
    settings
}

fn check(state: &State<'_>, scope: Option<&Subject>) -> Result<(), Refusal> {
    match scope {
        Some(subject) => {
            let context = subject.plain().is_empty() && subject.context_scope().is_some();
            if !context && !subject.is_valid() {
                return Err(Refusal::invalid_subject(subject));
            }
            check_writable(state, subject)
        }
        None => match state.own_mode(None)? {
            Some(Mode::ReadOnly | Mode::ReadOnlyOverride) => Err(Refusal::not_permitted(format!(
                "{} is in read-only mode",
                in_context(&Subject::new("null"))
            ))),
            _ => Ok(()),
        },
    }
}

fn key(scope: Option<&Subject>) -> Key {
    Key::Config {
        subject: scope.map(|subject| subject.as_str().to_owned()),
    }
}

/// Changes settings; the answer is all of them, the level named `compatibility`.
///
/// # Errors
/// 42203, 42208, 42205, and 422 for a member of the wrong type.
pub fn put_settings(
    state: &State<'_>,
    scope: Option<&Subject>,
    change: SettingsChange,
) -> Result<Decision<Settings>, Refusal> {
    check(state, scope)?;
    let own = state.own_settings(scope)?;
    let is_new = own.is_none();
    let now = own.unwrap_or_default();
    let mut members = match serde_json::to_value(&now) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    for (name, value) in change {
        let name = match name.as_str() {
            "compatibility" => "compatibilityLevel".to_owned(),
            "subject" => continue,
            _ => name,
        };
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    if let Some(level) = members.get_mut("compatibilityLevel") {
        *level = Value::String(level_of(level)?);
    }
    let settings: Settings = serde_json::from_value(Value::Object(members))
        .map_err(|error| Refusal::new(Code::Unprocessable, error.to_string()))?;
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

fn level_of(value: &Value) -> Result<String, Refusal> {
    value
        .as_str()
        .and_then(|text| CompatibilityLevel::from_str(&text.to_ascii_uppercase()).ok())
        .map(|level| level.to_string())
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
/// 40401: a subject without settings of its own; 42205.
pub fn delete_settings(
    state: &State<'_>,
    scope: Option<&Subject>,
) -> Result<Decision<Settings>, Refusal> {
    check(state, scope)?;
    let own = state.own_settings(scope)?;
    let answer = match (scope, own.clone()) {
        (Some(subject), None) => return Err(Refusal::subject_not_found(subject)),
        (None, _) => state.global_settings()?,
        (Some(_), Some(own)) => with_level(own),
    };
    let mut records = Vec::new();
    if own.is_some() {
        write(state, &mut records, &key(scope), None)?;
    }
    Ok(Decision { records, answer })
}
