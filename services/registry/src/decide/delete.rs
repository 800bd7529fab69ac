//! Deleting: first softly, which hides, then for good.

use super::look_up::VersionId;
use super::register::{in_context, soft_deleted};
use super::{Decision, mark, write};
use crate::record::{Key, Mode, Record, SubjectValue, to_json};
use crate::refusal::{Code, Refusal};
use crate::state::{Place, State, StateError};
use crate::subject::Subject;

/// Deletes a subject; the answer is the list of deleted versions.
///
/// # Errors
/// 40401, 40404, 40405, 42205 and 42206.
pub fn delete_subject(
    state: &State<'_>,
    subject: &Subject,
    permanent: bool,
) -> Result<Decision<Vec<i32>>, Refusal> {
    check_writable(state, subject)?;
    let versions = state
        .subject(subject)?
        .ok_or_else(|| Refusal::subject_not_found(subject))?;
    let live: Vec<i32> = versions.live().map(|version| version.number).collect();
    // A subject's references to itself go with it.
    let foreign = |place: &Place| place.0 != *subject;
    if !permanent {
        let Some(last) = live.last().copied() else {
            return Err(Refusal::new(
                Code::SubjectSoftDeleted,
                format!(
                    "Subject '{subject}' was soft deleted.Set permanent=true to delete permanently"
                ),
            ));
        };
        for number in &live {
            unreferenced(state, subject, *number, |place| {
                Ok(foreign(place) && is_live(state, place)?)
            })?;
        }
        let key = Key::DeleteSubject {
            subject: subject.as_str().to_owned(),
        };
        let value = SubjectValue {
            subject: subject.as_str().to_owned(),
            version: Some(last),
        };
        let mut records = Vec::new();
        write(state, &mut records, &key, Some(to_json(&value)))?;
        return Ok(Decision {
            records,
            answer: live,
        });
    }
    if !live.is_empty() {
        return Err(Refusal::new(
            Code::SubjectNotSoftDeleted,
            format!("Subject '{subject}' was not deleted first before being permanently deleted"),
        ));
    }
    let all: Vec<i32> = versions.all().map(|version| version.number).collect();
    for number in &all {
        unreferenced(state, subject, *number, |place| Ok(foreign(place)))?;
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
    check_writable(state, subject)?;
    let versions = state
        .subject(subject)?
        .ok_or_else(|| Refusal::subject_not_found(subject))?;
    let found = match version {
        VersionId::Latest => versions.latest(),
        VersionId::Number(number) => versions.version(number),
    }
    .ok_or_else(|| Refusal::version_not_found(version))?;
    let number = found.number;
    let what = || format!("Subject '{subject}' Version {number}");
    match (permanent, found.deleted) {
        (false, true) => {
            return Err(Refusal::new(
                Code::VersionSoftDeleted,
                format!(
                    "{} was soft deleted.Set permanent=true to delete permanently",
                    what()
                ),
            ));
        }
        (true, false) => {
            return Err(Refusal::new(
                Code::VersionNotSoftDeleted,
                format!(
                    "{} was not deleted first before being permanently deleted",
                    what()
                ),
            ));
        }
        _ => {}
    }
    let mut records = Vec::new();
    if permanent {
        unreferenced(state, subject, number, |_| Ok(true))?;
        mark(state, &mut records, subject.context())?;
        bury(state, &mut records, subject, number)?;
        if versions.all().count() == 1 {
            bury_settings(state, &mut records, subject)?;
        }
    } else {
        unreferenced(state, subject, number, |place| is_live(state, place))?;
        let (key, value) = soft_deleted(subject, &state.with_content(subject, found)?);
        write(state, &mut records, &key, Some(value))?;
    }
    Ok(Decision {
        records,
        answer: number,
    })
}

pub(super) fn check_writable(state: &State<'_>, subject: &Subject) -> Result<(), Refusal> {
    match state.mode_of(subject)? {
        Mode::ReadOnly | Mode::ReadOnlyOverride => Err(Refusal::not_permitted(format!(
            "{} is in read-only mode",
            in_context(subject)
        ))),
        _ => Ok(()),
    }
}

fn is_live(state: &State<'_>, (subject, version): &Place) -> Result<bool, StateError> {
    Ok(state
        .version_row(subject, *version)?
        .is_some_and(|version| !version.deleted))
}

fn unreferenced(
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
fn bury(
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
