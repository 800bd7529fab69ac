//! Finding versions: by number, and by what they hold.

use std::fmt;
use std::str::FromStr;

use meshwork_avro::Strictness;

use super::draft::{Draft, Normal, Parsed};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError, SubjectState, Version, VersionRow};
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
pub type Found = (Subject, i32, Version);

/// The versions of a subject that count, ascending.
fn counting(subject: &SubjectState, deleted: bool) -> impl DoubleEndedIterator<Item = &VersionRow> {
    subject
        .all()
        .filter(move |version| deleted || !version.deleted)
}

/// The name itself, or, for one without context, the first of its namesakes in the other contexts
/// that has a version that counts.
fn first_with_versions(
    state: &State<'_>,
    subject: &Subject,
    deleted: bool,
) -> Result<(Subject, SubjectState), Refusal> {
    let with_versions = |name: &Subject| -> Result<Option<SubjectState>, StateError> {
        Ok(state
            .subject(name)?
            .filter(|found| counting(found, deleted).next().is_some()))
    };
    if let Some(found) = with_versions(subject)? {
        return Ok((subject.clone(), found));
    }
    if subject.context() == DEFAULT_CONTEXT {
        for context in state.contexts()? {
            if context == DEFAULT_CONTEXT {
                continue;
            }
            let name = Subject::new(&format!(":{context}:{subject}"));
            if let Some(found) = with_versions(&name)? {
                return Ok((name, found));
            }
        }
    }
    Err(Refusal::subject_not_found(subject))
}

/// A version by its number.
///
/// # Errors
/// 40401 and 40402.
pub fn find_version(
    state: &State<'_>,
    subject: &Subject,
    version: VersionId,
    deleted: bool,
) -> Result<Found, Refusal> {
    let (name, found) = first_with_versions(state, subject, deleted)?;
    let hit = match version {
        VersionId::Latest => counting(&found, deleted).next_back(),
        VersionId::Number(number) => found
            .version(number)
            .filter(|version| deleted || !version.deleted),
    };
    let hit = hit.ok_or_else(|| Refusal::version_not_found(version))?;
    let version = state.with_content(&name, hit)?;
    Ok((name, version.number, version))
}

/// The version that holds a schema.
///
/// # Errors
/// 40401, 40403, and 42201 for a text that does not parse.
pub fn look_up(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    normal: Normal,
    deleted: bool,
) -> Result<Found, Refusal> {
    let (name, found) = first_with_versions(state, subject, deleted)?;
    let normal = normal.or_settings(state, &name)?;
    let parsed = draft.read(state, texts, &name, normal, Strictness::Stored)?;
    let mut hit = same(&found, &parsed, deleted);
    if hit.is_none() {
        hit = same_text(state, &name, &found, draft, &parsed, deleted)?;
    }
    if hit.is_none() {
        hit = equivalent(state, texts, &name, &found, &parsed, deleted)?;
    }
    let hit = hit.ok_or_else(Refusal::no_such_schema)?;
    let version = state.with_content(&name, hit)?;
    Ok((name, version.number, version))
}

impl Normal {
    /// Normalized where the subject's settings say so, whatever the request says.
    pub(super) fn or_settings(
        self,
        state: &State<'_>,
        subject: &Subject,
    ) -> Result<Self, StateError> {
        Ok(if state.settings_of(subject)?.normalize == Some(true) {
            Self::Normalized
        } else {
            self
        })
    }
}

/// The newest version with exactly this content.
pub(super) fn same<'a>(
    subject: &'a SubjectState,
    parsed: &Parsed,
    deleted: bool,
) -> Option<&'a VersionRow> {
    counting(subject, deleted)
        .rev()
        .find(|version| version.guid == parsed.content.guid)
}

/// For a draft without metadata and rules: the newest version with this text, whatever its own are.
fn same_text<'a>(
    state: &State<'_>,
    name: &Subject,
    subject: &'a SubjectState,
    draft: &Draft,
    parsed: &Parsed,
    deleted: bool,
) -> Result<Option<&'a VersionRow>, StateError> {
    if draft.metadata.is_some() || draft.rule_set.is_some() {
        return Ok(None);
    }
    for version in counting(subject, deleted).rev() {
        let content = state.content_of(name, version)?;
        if content.text == parsed.content.text && content.references == parsed.content.references {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// The newest version that means the same: equal as parsed, or one of the two has in its text what
/// the other refers to. Metadata and rules must be equal.
pub(super) fn equivalent<'a>(
    state: &State<'_>,
    texts: &Texts,
    name: &Subject,
    subject: &'a SubjectState,
    parsed: &Parsed,
    deleted: bool,
) -> Result<Option<&'a VersionRow>, Refusal> {
    let draft = &parsed.content;
    let digest = Texts::digest_of(&parsed.schema);
    for version in counting(subject, deleted).rev() {
        let stored = state.content_of(name, version)?;
        if stored.metadata != draft.metadata || stored.rule_set != draft.rule_set {
            continue;
        }
        let other = match texts.digest(state, name, version) {
            Ok(other) => other,
            Err(refusal) if refusal.code == Code::InvalidSchema => continue,
            Err(refusal) => return Err(refusal),
        };
        let equal = if stored.references == draft.references {
            other.by_name == digest.by_name
        } else {
            draft.references.is_empty() && other.inlined == digest.inlined
        };
        if equal {
            return Ok(Some(version));
        }
    }
    Ok(None)
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
