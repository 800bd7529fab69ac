//! Configurations and modes of the file, where the target has none or is to have these.

use meshwork_registry_client::RegistryClient;
use serde_json::{Map, Value};

use super::super::graphs::context_of;
use super::portable::in_words;
use super::source::Source;
use super::survey::Survey;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// Scopes that were set, or would be.
    pub(super) set: u64,
    /// Scopes that differ and were left.
    pub(super) left: u64,
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Overwrites what is there.
    pub(super) force: bool,
    /// Only says what would be done.
    pub(super) dry_run: bool,
}

/// Whether the target had nothing of this scope before, so that it has no settings to lose.
fn is_new(scope: Option<&str>, source: &Source, survey: &Survey) -> bool {
    match scope {
        Some(subject) if source.by_subject.contains_key(subject) => survey
            .there
            .get(subject)
            .is_none_or(super::survey::There::is_empty),
        // A context, or what holds in all of them.
        Some(scope) => {
            let context = context_of(scope).map(ToOwned::to_owned);
            survey.empty.contains(&context)
        }
        None => survey.empty.contains(&None),
    }
}

/// Sets the file's configurations.
///
/// # Errors
/// The registry refuses one, or can't be asked.
pub(super) async fn configurations(
    registry: &RegistryClient,
    source: &Source,
    survey: &Survey,
    manner: Manner,
) -> anyhow::Result<Applied> {
    let mut applied = Applied::default();
    for line in &source.configurations {
        let scope = line.scope.as_deref();
        let there = registry.settings(scope).await?;
        let wanted = present(&line.config);
        let current = there.as_ref().map(present).unwrap_or_default();
        if wanted == current {
            continue;
        }
        if !manner.force && there.is_some() && !is_new(scope, source, survey) {
            eprintln!(
                "the configuration of {} stays {} and is {} in the file; --force overwrites it",
                in_words(scope),
                Value::Object(current),
                Value::Object(wanted)
            );
            applied.left += 1;
            continue;
        }
        if !manner.dry_run {
            registry.put_settings(scope, &wanted).await?;
        }
        applied.set += 1;
    }
    Ok(applied)
}

/// Sets the file's modes.
///
/// # Errors
/// The registry refuses one, or can't be asked.
pub(super) async fn modes(
    registry: &RegistryClient,
    source: &Source,
    survey: &Survey,
    manner: Manner,
) -> anyhow::Result<Applied> {
    let mut applied = Applied::default();
    for line in &source.modes {
        let scope = line.scope.as_deref();
        let there = registry.mode(scope).await?;
        if there.as_deref() == Some(&line.mode) {
            continue;
        }
        // Without one of its own, it can't be overwritten.
        if !manner.force && there.is_some() && !is_new(scope, source, survey) {
            eprintln!(
                "the mode of {} stays {} and is {} in the file; --force overwrites it",
                in_words(scope),
                there.as_deref().unwrap_or_default(),
                line.mode
            );
            applied.left += 1;
            continue;
        }
        if !manner.dry_run {
            registry.set_mode(scope, &line.mode, false).await?;
            if line.mode != "READWRITE" {
                eprintln!("{} is {} now, as in the file", in_words(scope), line.mode);
            }
        }
        applied.set += 1;
    }
    Ok(applied)
}

fn present(settings: &Map<String, Value>) -> Map<String, Value> {
    settings
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
