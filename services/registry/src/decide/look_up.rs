//! Finding versions: by number, and by what they hold.

use std::fmt;
use std::str::FromStr;

use meshwork_avro::Strictness;

use super::draft::{Draft, Normal, Parsed};
use crate::refusal::Refusal;
use crate::state::{State, SubjectState, Version};
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::texts::Texts;

/// Which version of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionId {
    /// The greatest one.
    Latest,
    /// One by number.
    Number(i32),
}

impl FromStr for VersionId {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if matches!(text, "latest" | "-1") {
            return Ok(Self::Latest);
        }
        text.parse()
            .ok()
            .filter(|number| *number >= 1)
            .map(Self::Number)
            .ok_or_else(|| Refusal::invalid_version(text))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A version that was found, with the name and number that it has.
pub type Found<'a> = (Subject, i32, &'a Version);

/// The versions of a subject that count, ascending.
fn counting(
    subject: &SubjectState,
    deleted: bool,
) -> impl DoubleEndedIterator<Item = (i32, &Version)> {
    subject
        .all()
        .filter(move |(_, version)| deleted || !version.deleted)
}

/// The name itself, then, for one without context, its namesakes in the other contexts.
fn namesakes(state: &State, subject: &Subject) -> Vec<Subject> {
    let mut names = vec![subject.clone()];
    if subject.context() == DEFAULT_CONTEXT {
        names.extend(
            state
                .contexts()
                .filter(|context| *context != DEFAULT_CONTEXT)
                .map(|context| Subject::new(&format!(":{context}:{subject}"))),
        );
    }
    names
}

/// The first namesake of `subject` that has a version that counts.
fn first_with_versions<'a>(
    state: &'a State,
    subject: &Subject,
    deleted: bool,
) -> Result<(Subject, &'a SubjectState), Refusal> {
    namesakes(state, subject)
        .into_iter()
        .find_map(|name| {
            let found = state.subject(&name)?;
            counting(found, deleted).next()?;
            Some((name, found))
        })
        .ok_or_else(|| Refusal::subject_not_found(subject))
}

/// A version by its number.
///
/// # Errors
/// 40401 and 40402.
pub fn find_version<'a>(
    state: &'a State,
    subject: &Subject,
    version: VersionId,
    deleted: bool,
) -> Result<Found<'a>, Refusal> {
    let (name, found) = first_with_versions(state, subject, deleted)?;
    let hit = match version {
        VersionId::Latest => counting(found, deleted).next_back(),
        VersionId::Number(number) => found
            .version(number)
            .filter(|version| deleted || !version.deleted)
            .map(|version| (number, version)),
    };
    hit.map(|(number, version)| (name, number, version))
        .ok_or_else(|| Refusal::version_not_found(version))
}

/// The version that holds a schema.
///
/// # Errors
/// 40401, 40403, and 42201 for a text that does not parse.
pub fn look_up<'a>(
    state: &'a State,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    normal: Normal,
    deleted: bool,
) -> Result<Found<'a>, Refusal> {
    let (name, found) = first_with_versions(state, subject, deleted)?;
    let normal = normal.or_settings(state, &name);
    let parsed = draft.read(state, texts, &name, normal, Strictness::Stored)?;
    let hit = same(found, &parsed, deleted)
        .or_else(|| same_text(found, draft, &parsed, deleted))
        .or_else(|| equivalent(state, texts, &name, found, &parsed, deleted));
    hit.map(|(number, version)| (name, number, version))
        .ok_or_else(Refusal::no_such_schema)
}

impl Normal {
    /// Normalized where the subject's settings say so, whatever the request says.
    pub(super) fn or_settings(self, state: &State, subject: &Subject) -> Self {
        if state.settings_of(subject).normalize == Some(true) {
            Self::Normalized
        } else {
            self
        }
    }
}

/// The newest version with exactly this content.
pub(super) fn same<'a>(
    subject: &'a SubjectState,
    parsed: &Parsed,
    deleted: bool,
) -> Option<(i32, &'a Version)> {
    counting(subject, deleted)
        .rev()
        .find(|(_, version)| version.content.guid == parsed.content.guid)
}

/// For a draft without metadata and rules: the newest version with this text, whatever its own are.
fn same_text<'a>(
    subject: &'a SubjectState,
    draft: &Draft,
    parsed: &Parsed,
    deleted: bool,
) -> Option<(i32, &'a Version)> {
    if draft.metadata.is_some() || draft.rule_set.is_some() {
        return None;
    }
    counting(subject, deleted).rev().find(|(_, version)| {
        version.content.text == parsed.content.text
            && version.content.references == parsed.content.references
    })
}

/// The newest version that means the same: equal as parsed, or one of the two has in its text what
/// the other refers to. Metadata and rules must be equal.
pub(super) fn equivalent<'a>(
    state: &State,
    texts: &Texts,
    name: &Subject,
    subject: &'a SubjectState,
    parsed: &Parsed,
    deleted: bool,
) -> Option<(i32, &'a Version)> {
    let draft = &parsed.content;
    let digest = Texts::digest_of(&parsed.schema);
    counting(subject, deleted).rev().find(|(_, version)| {
        let stored = &version.content;
        if stored.metadata != draft.metadata || stored.rule_set != draft.rule_set {
            return false;
        }
        let Ok(other) = texts.digest(state, name, version.id, stored) else {
            return false;
        };
        if stored.references == draft.references {
            other.by_name == digest.by_name
        } else {
            draft.references.is_empty() && other.inlined == digest.inlined
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_from_one_or_latest() {
        assert_eq!("latest".parse(), Ok(VersionId::Latest));
        assert_eq!("-1".parse(), Ok(VersionId::Latest));
        assert_eq!("2147483647".parse(), Ok(VersionId::Number(i32::MAX)));
        for text in ["0", "-2", "2147483648", "x", "", "1.0", "LATEST"] {
            let refusal = text.parse::<VersionId>().unwrap_err();
            assert_eq!(
                refusal.message,
                format!(
                    "The specified version '{text}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
                )
            );
        }
    }
}
