//! Modes of a subject, a context, or all contexts. None is the scope of the default context.

use std::collections::BTreeSet;

use super::delete::{bury, unreferenced};
use super::{Decision, mark, write};
use crate::record::{Key, Mode, ModeValue, Record, SubjectValue, to_json};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError, SubjectState};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// The mode that a request asks for.
///
/// # Errors
/// 40409: the scope has none of its own, and the request does not ask for what holds instead.
pub fn read_mode(
    state: &State<'_>,
    scope: Option<&Subject>,
    or_what_holds: bool,
) -> Result<Mode, Refusal> {
    if or_what_holds {
        return Ok(state.mode_in(scope)?);
    }
    state.mode_at(scope)?.ok_or_else(|| {
        Refusal::new(
            Code::NoSubjectMode,
            format!(
                "Subject '{}' does not have subject-level mode configured",
                named(scope)
            ),
        )
    })
}

/// What a request asks for is no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMode;

/// Sets a mode, or removes it. IMPORT, unless forced, takes a place without live versions, and
/// forgets the soft-deleted ones.
///
/// # Errors
/// 42208; 42204: no mode, or FORWARD for less than all contexts; 42205: IMPORT where live versions are; 42206:
/// where something refers to a soft-deleted one.
pub fn put_mode(
    state: &State<'_>,
    scope: Option<&Subject>,
    mode: Result<Option<Mode>, NotAMode>,
    force: bool,
) -> Result<Decision<()>, Refusal> {
    if let Some(subject) = scope
        && !subject.is_valid_scope()
    {
        return Err(Refusal::invalid_subject(subject));
    }
    let mode = mode.map_err(|NotAMode| {
        Refusal::new(
            Code::InvalidMode,
            "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.",
        )
    })?;
    let of_all = scope.is_some_and(|scope| scope.is_of_all_contexts() && scope.is_context());
    if mode == Some(Mode::Forward) && !of_all {
        return Err(Refusal::new(
            Code::InvalidMode,
            "Forward mode only supported on global level",
        ));
    }
    let mut records = Vec::new();
    if mode == Some(Mode::Import) && !force && state.mode_in(scope)? != Mode::Import {
        clear(state, &mut records, scope)?;
    }
    let own = state.own_mode(scope)?;
    if mode != own {
        let value = mode.map(|mode| {
            to_json(&ModeValue {
                subject: scope.map(|scope| scope.as_str().to_owned()),
                mode,
            })
        });
        write(state, &mut records, &key(scope), value)?;
    }
    Ok(Decision {
        records,
        answer: (),
    })
}

/// Removes a mode; the answer is what it was. Recursively, those of all subjects of a context too.
///
/// # Errors
/// 40401: the scope has none of its own, and the request is not recursive.
pub fn delete_mode(
    state: &State<'_>,
    scope: Option<&Subject>,
    recursive: bool,
) -> Result<Decision<Option<Mode>>, Refusal> {
    let answer = state.mode_at(scope)?;
    if answer.is_none() && !recursive {
        return Err(Refusal::subject_not_found(named(scope)));
    }
    let mut records = Vec::new();
    if state.own_mode(scope)?.is_some() {
        write(state, &mut records, &key(scope), None)?;
    }
    if recursive && scope.is_none_or(Subject::is_context) {
        let context = scope.map_or(DEFAULT_CONTEXT, Subject::context);
        for subject in state.with_mode(scope.map_or("", Subject::as_str))? {
            if subject.context() == context && Some(&subject) != scope {
                write(state, &mut records, &key(Some(&subject)), None)?;
            }
        }
    }
    Ok(Decision { records, answer })
}

fn key(scope: Option<&Subject>) -> Key {
    Key::Mode {
        subject: scope.map(|scope| scope.as_str().to_owned()),
    }
}

/// A scope as Java prints it.
fn named(scope: Option<&Subject>) -> &str {
    scope.map_or("null", Subject::as_str)
}

/// What begins a refusal by mode. The default context prints as nothing.
pub(super) fn in_context(scope: Option<&Subject>) -> String {
    let context = scope.and_then(Subject::context_scope);
    format!(
        "Subject {} in context {}",
        named(scope),
        context.as_ref().map_or("", Subject::as_str)
    )
}

/// # Errors
/// 42205: the mode that holds for the scope is READONLY.
pub(super) fn writable(state: &State<'_>, scope: Option<&Subject>) -> Result<(), Refusal> {
    match state.mode_in(scope)? {
        Mode::ReadOnly | Mode::ReadOnlyOverride => Err(Refusal::not_permitted(format!(
            "{} is in read-only mode",
            in_context(scope)
        ))),
        _ => Ok(()),
    }
}

/// Subjects of a scope: all of them, for that of the default context too, as in Confluent's
/// registry.
fn subjects_of<'s>(
    state: &'s State<'_>,
    scope: Option<&'s Subject>,
) -> Box<dyn Iterator<Item = Result<(Subject, SubjectState), StateError>> + 's> {
    match scope {
        Some(subject) if !subject.is_context() => Box::new(
            state
                .subject(subject)
                .map(|found| found.map(|versions| (subject.clone(), versions)))
                .transpose()
                .into_iter(),
        ),
        Some(context) if !context.is_of_all_contexts() => {
            Box::new(state.subjects(context.as_str()))
        }
        _ => Box::new(state.subjects("")),
    }
}

/// Deletes for good what is soft-deleted in a scope without live versions.
fn clear(
    state: &State<'_>,
    records: &mut Vec<Record>,
    scope: Option<&Subject>,
) -> Result<(), Refusal> {
    let mut left = Vec::new();
    for found in subjects_of(state, scope) {
        let (subject, versions) = found?;
        if versions.latest().is_some() {
            return Err(Refusal::not_permitted(
                "Cannot import since found existing subjects",
            ));
        }
        left.extend(
            versions
                .all()
                .map(|version| (subject.clone(), version.number)),
        );
    }
    for (subject, number) in &left {
        unreferenced(state, subject, *number, |_| Ok(true))?;
    }
    let contexts: BTreeSet<&str> = left.iter().map(|(subject, _)| subject.context()).collect();
    for context in contexts {
        mark(state, records, context)?;
    }
    for (subject, number) in &left {
        bury(state, records, subject, *number)?;
    }
    // For what others remember besides. Without a subject it is a record that not all know.
    if let Some(scope) = scope {
        let key = Key::ClearSubject {
            subject: scope.as_str().to_owned(),
        };
        let value = SubjectValue {
            subject: scope.as_str().to_owned(),
            version: None,
        };
        write(state, records, &key, Some(to_json(&value)))?;
    }
    Ok(())
}
