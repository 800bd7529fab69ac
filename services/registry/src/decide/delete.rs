//! Deleting: first softly, which hides, then for good.

use super::look_up::VersionId;
use super::mode::writable;
use super::register::soft_deleted;
use super::{Decision, context_key, mark, write};
use crate::record::{Key, Record, SubjectValue, to_json};
use crate::refusal::{Code, Refusal};
use crate::state::{Place, State, StateError};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// Deletes a subject; the answer is the list of deleted versions.
///
/// # Errors
/// 40401, 40404, 40405, 42205 and 42206.
pub fn delete_subject(
    state: &State<'_>,
    subject: &Subject,
    permanent: bool,
) -> Result<Decision<Vec<i32>>, Refusal> {
    let versions = state
        .subject(subject)?
        .ok_or_else(|| Refusal::subject_not_found(subject))?;
    if !permanent && versions.latest().is_none() {
        return Err(Refusal::new(
            Code::SubjectSoftDeleted,
            format!(
                "Subject '{subject}' was soft deleted.Set permanent=true to delete permanently"
            ),
        ));
    }
    writable(state, Some(subject))?;
    // A subject's references to itself go with it.
    let foreign = |place: &Place| place.0 != *subject;
    if !permanent {
        let live: Vec<i32> = versions.live().map(|version| version.number).collect();
        for number in &live {
            unreferenced(state, subject, *number, |place| {
                Ok(foreign(place) && is_live(state, place)?)
            })?;
        }
        let key = Key::DeleteSubject {
            subject: subject.as_str().to_owned(),
        };
        // Up to the last version of all, not of those that are hidden now: this record takes the
        // place of the one before, which may have hidden later ones.
        let value = SubjectValue {
            subject: subject.as_str().to_owned(),
            version: versions.all().map(|version| version.number).max(),
        };
        let mut records = Vec::new();
        write(state, &mut records, &key, Some(to_json(&value)))?;
        return Ok(Decision {
            records,
            answer: live,
        });
    }
    let mut all = Vec::new();
    for version in versions.all() {
        unreferenced(state, subject, version.number, |place| Ok(foreign(place)))?;
        if !version.deleted {
            return Err(Refusal::new(
                Code::SubjectNotSoftDeleted,
                format!(
                    "Subject '{subject}' was not deleted first before being permanently deleted"
                ),
            ));
        }
        all.push(version.number);
    }
    let mut records = Vec::new();
    mark(state, &mut records, subject.context())?;
    for number in &all {
        bury(state, &mut records, subject, *number)?;
    }
    bury_settings(state, &mut records, subject)?;
    Ok(Decision {
        records,
        answer: all,
    })
}

/// Deletes a context. One that is not there is deleted already.
///
/// # Errors
/// 42211: it has subjects, soft-deleted ones included.
pub fn delete_context(state: &State<'_>, context: &Subject) -> Result<Decision<()>, Refusal> {
    if state
        .subjects(context.as_str())
        .next()
        .transpose()?
        .is_some()
    {
        return Err(Refusal::new(
            Code::ContextNotEmpty,
            format!("The specified context '{context}' is not empty."),
        ));
    }
    let mut records = Vec::new();
    let name = context.context();
    if name != DEFAULT_CONTEXT && state.has_context(name)? {
        mark(state, &mut records, name)?;
        write(state, &mut records, &context_key(name), None)?;
    }
    Ok(Decision {
        records,
        answer: (),
    })
}

/// Deletes one version; the answer is its number.
///
/// # Errors
/// 40401, 40402, 40406, 40407, 42205 and 42206.
pub fn delete_version(
    state: &State<'_>,
    subject: &Subject,
    version: VersionId,
    permanent: bool,
) -> Result<Decision<i32>, Refusal> {
    let versions = state
        .subject(subject)?
        .ok_or_else(|| Refusal::subject_not_found(subject))?;
    let found = match version {
        VersionId::Latest => versions.latest(),
        VersionId::Number(number) => versions.version(number),
    }
    .ok_or_else(|| Refusal::version_not_found(version))?;
    let number = found.number;
    if found.deleted && !permanent {
        return Err(Refusal::new(
            Code::VersionSoftDeleted,
            format!(
                "Subject '{subject}' Version {number} was soft deleted.Set permanent=true to delete permanently"
            ),
        ));
    }
    writable(state, Some(subject))?;
    unreferenced(state, subject, number, |place| {
        Ok(permanent || is_live(state, place)?)
    })?;
    if !found.deleted && permanent {
        return Err(Refusal::new(
            Code::VersionNotSoftDeleted,
            format!(
                "Subject '{subject}' Version {number} was not deleted first before being permanently deleted"
            ),
        ));
    }
    let mut records = Vec::new();
    if permanent {
        mark(state, &mut records, subject.context())?;
        bury(state, &mut records, subject, number)?;
        if versions.all().count() == 1 {
            bury_settings(state, &mut records, subject)?;
        }
    } else {
        let (key, value) = soft_deleted(subject, &state.with_content(subject, found)?);
        write(state, &mut records, &key, Some(value))?;
    }
    Ok(Decision {
        records,
        answer: number,
    })
}

fn is_live(state: &State<'_>, (subject, version): &Place) -> Result<bool, StateError> {
    Ok(state
        .version_row(subject, *version)?
        .is_some_and(|version| !version.deleted))
}

pub(super) fn unreferenced(
    state: &State<'_>,
    subject: &Subject,
    version: i32,
    counts: impl Fn(&Place) -> Result<bool, StateError>,
) -> Result<(), Refusal> {
    let place = (subject.clone(), version);
    for referrer in state.referrers(&place) {
        if counts(&referrer?)? {
            return Err(Refusal::new(
                Code::Referenced,
                format!(
                    "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
                ),
            ));
        }
    }
    Ok(())
}

/// A tombstone for one version.
pub(super) fn bury(
    state: &State<'_>,
    records: &mut Vec<Record>,
    subject: &Subject,
    version: i32,
) -> Result<(), StateError> {
    let key = Key::Schema {
        subject: subject.as_str().to_owned(),
        version,
    };
    write(state, records, &key, None)
}

/// Tombstones for the mode and the settings of a subject that is no more.
fn bury_settings(
    state: &State<'_>,
    records: &mut Vec<Record>,
    subject: &Subject,
) -> Result<(), StateError> {
    let name = Some(subject.as_str().to_owned());
    if state.own_mode(Some(subject))?.is_some() {
        write(
            state,
            records,
            &Key::Mode {
                subject: name.clone(),
            },
            None,
        )?;
    }
    if state.own_settings(Some(subject))?.is_some() {
        write(state, records, &Key::Config { subject: name }, None)?;
    }
    Ok(())
}
