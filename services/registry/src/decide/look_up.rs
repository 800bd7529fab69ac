//! Finding versions: by number, and by what they hold.

use std::fmt;
use std::str::FromStr;

use meshwork_avro::Strictness;

use super::draft::{Draft, Normal, Parsed};
use crate::content::Content;
use crate::record::{Metadata, RuleSet, Settings};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError, SubjectState, Version, VersionRow};
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::texts::Texts;

/// Property that holds a version's own number.
pub(super) const VERSION_PROPERTY: &str = "confluent:version";

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
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        match trimmed.parse() {
            Ok(-1) => Ok(Self::Latest),
            Ok(number) if number >= 1 => Ok(Self::Number(number)),
            Ok(number) => Err(Refusal::invalid_version(number)),
            Err(_) => Err(Refusal::invalid_version(text)),
        }
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // As Java prints it.
            Self::Latest => f.write_str("-1"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A version that was found, and the subject that it is of.
pub type Found = (Subject, Version);

/// The versions of a subject that count, ascending.
fn counting(subject: &SubjectState, deleted: bool) -> impl DoubleEndedIterator<Item = &VersionRow> {
    subject
        .all()
        .filter(move |version| deleted || !version.deleted)
}

/// The namesakes, in the other contexts, of a name without one.
fn namesakes(state: &State<'_>, subject: &Subject) -> Result<Vec<Subject>, StateError> {
    if subject.context() != DEFAULT_CONTEXT {
        return Ok(Vec::new());
    }
    let contexts = state.contexts()?;
    let others = contexts.iter().filter(|name| *name != DEFAULT_CONTEXT);
    Ok(others
        .map(|context| Subject::new(&format!(":{context}:{subject}")))
        .collect())
}

/// What is answered where nothing was found: the subject is missing, or something in it.
fn missing(
    state: &State<'_>,
    subject: &Subject,
    deleted: bool,
    otherwise: Refusal,
) -> Result<Refusal, StateError> {
    let there = state
        .subject(subject)?
        .is_some_and(|versions| counting(&versions, deleted).next().is_some());
    Ok(if there {
        otherwise
    } else {
        Refusal::subject_not_found(subject)
    })
}

/// A version by its number. What a subject without context lacks is looked for in the other
/// contexts. The latest is always a live one.
///
/// # Errors
/// 40401 and 40402.
pub fn find_version(
    state: &State<'_>,
    subject: &Subject,
    version: VersionId,
    deleted: bool,
) -> Result<Found, Refusal> {
    let within = |name: &Subject| -> Result<Option<Found>, StateError> {
        let row = match version {
            VersionId::Latest => state
                .subject(name)?
                .and_then(|versions| versions.latest().cloned()),
            VersionId::Number(number) => state
                .version_row(name, number)?
                .filter(|version| deleted || !version.deleted),
        };
        row.map(|row| Ok((name.clone(), state.with_content(name, &row)?)))
            .transpose()
    };
    if let Some(found) = within(subject)? {
        return Ok(found);
    }
    for name in namesakes(state, subject)? {
        if let Some(found) = within(&name)? {
            return Ok(found);
        }
    }
    Err(missing(
        state,
        subject,
        deleted,
        Refusal::version_not_found(version),
    )?)
}

/// The version that holds a schema. What a subject without context lacks is looked for in the
/// other contexts.
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
    if let Some(found) = look_up_within(state, texts, subject, draft, normal, deleted)? {
        return Ok(found);
    }
    for name in namesakes(state, subject)? {
        if state.subject(&name)?.is_none() {
            continue;
        }
        match look_up_within(state, texts, &name, draft, normal, deleted) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            // What it refers to is not there in that context.
            Err(refusal) if refusal.code == Code::InvalidSchema => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Err(missing(state, subject, deleted, Refusal::no_such_schema())?)
}

/// First as it is, then with the metadata and rules that its registration would add.
fn look_up_within(
    state: &State<'_>,
    texts: &Texts,
    name: &Subject,
    draft: &Draft,
    normal: Normal,
    deleted: bool,
) -> Result<Option<Found>, Refusal> {
    let normal = normal.or_settings(state, name)?;
    let versions = state.subject(name)?.unwrap_or_default();
    let find = |draft: &Draft| -> Result<Option<Found>, Refusal> {
        let parsed = draft.read(state, texts, name, normal, Strictness::Stored)?;
        let Some(parsed) = parsed else {
            return Ok(None);
        };
        let row = match same(state, name, &versions, &parsed, deleted)? {
            Some(row) => Some(row),
            None => equivalent(state, texts, name, &versions, &parsed, deleted, None)?,
        };
        let found = row.map(|row| state.with_content(name, row)).transpose()?;
        Ok(found.map(|version| (name.clone(), version)))
    };
    if let Some(found) = find(draft)? {
        return Ok(Some(found));
    }
    let Some(latest) = versions.latest() else {
        return Ok(None);
    };
    let latest = state.content_of(name, latest)?;
    let settings = state.settings_of(name)?;
    let completed = completed(draft.clone(), Some(&latest), &settings);
    if completed == *draft {
        return Ok(None);
    }
    find(&completed)
}

/// The draft with the metadata and rules that it lacks from the latest version, and what settings
/// lay under and over them.
pub(super) fn completed(mut draft: Draft, latest: Option<&Content>, settings: &Settings) -> Draft {
    let metadata = draft
        .metadata
        .or_else(|| latest.and_then(|latest| latest.metadata.clone()));
    let metadata = Metadata::merged(settings.default_metadata.as_ref(), metadata.as_ref());
    draft.metadata = Metadata::merged(metadata.as_ref(), settings.override_metadata.as_ref());
    let rules = draft
        .rule_set
        .or_else(|| latest.and_then(|latest| latest.rule_set.clone()));
    let rules = RuleSet::merged(settings.default_rule_set.as_ref(), rules.as_ref());
    draft.rule_set = RuleSet::merged(rules.as_ref(), settings.override_rule_set.as_ref());
    draft
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
    state: &State<'_>,
    name: &Subject,
    subject: &'a SubjectState,
    parsed: &Parsed,
    deleted: bool,
) -> Result<Option<&'a VersionRow>, StateError> {
    for version in counting(subject, deleted).rev() {
        if version.guid == parsed.content.guid
            && state.content_of(name, version)?.means(&parsed.content)
        {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// The newest version that means the same: equal as parsed, or one whose references the text has
/// written out. Metadata and rules must be equal, a version's own number in them aside. With an id
/// only versions that hold it.
pub(super) fn equivalent<'a>(
    state: &State<'_>,
    texts: &Texts,
    name: &Subject,
    subject: &'a SubjectState,
    parsed: &Parsed,
    deleted: bool,
    id: Option<i32>,
) -> Result<Option<&'a VersionRow>, Refusal> {
    for version in counting(subject, deleted).rev() {
        if id.is_some_and(|id| id != version.id) {
            continue;
        }
        if is_equivalent(state, texts, name, version, parsed)? {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// Whether a version means the same as a draft: see [`equivalent`].
pub(super) fn is_equivalent(
    state: &State<'_>,
    texts: &Texts,
    name: &Subject,
    version: &VersionRow,
    parsed: &Parsed,
) -> Result<bool, Refusal> {
    let draft = &parsed.content;
    let stored = state.content_of(name, version)?;
    if stored.rule_set != draft.rule_set
        || !is_same_metadata(
            draft.metadata.as_ref(),
            stored.metadata.as_ref(),
            version.number,
        )
    {
        return Ok(false);
    }
    let same_references = stored.references == draft.references;
    let Some(read) = parsed.read() else {
        return Ok(same_references && stored.kind == draft.kind && stored.text == draft.text);
    };
    if !same_references && !draft.references.is_empty() {
        return Ok(false);
    }
    let other = match texts.digest(state, name, version) {
        Ok(other) => other,
        Err(refusal) if refusal.code == Code::InvalidSchema => return Ok(false),
        Err(refusal) => return Err(refusal),
    };
    let digest = read.digest();
    Ok(if same_references {
        other.by_name == digest.by_name
    } else {
        other.inlined == digest.inlined
    })
}

/// Whether metadata are equal but for a version's own number, which one of the two may lack.
fn is_same_metadata(draft: Option<&Metadata>, stored: Option<&Metadata>, version: i32) -> bool {
    let number = |metadata: Option<&Metadata>| -> Option<i32> {
        metadata?.properties.get(VERSION_PROPERTY)?.parse().ok()
    };
    let without = |metadata: Option<&Metadata>| {
        let mut metadata = metadata.cloned().unwrap_or_default();
        metadata.properties.remove(VERSION_PROPERTY);
        metadata
    };
    match (number(draft), number(stored)) {
        (None, Some(_)) => without(draft) == without(stored),
        (Some(number), None) => number == version && without(draft) == without(stored),
        _ => draft == stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_from_one_or_latest() {
        for text in ["latest", "Latest", "-1", " latest "] {
            assert_eq!(text.parse(), Ok(VersionId::Latest), "{text}");
        }
        assert_eq!(" 02".parse(), Ok(VersionId::Number(2)));
        assert_eq!("2147483647".parse(), Ok(VersionId::Number(i32::MAX)));
        for text in ["0", "-2", "2147483648", "x", "", "1.0", "late st"] {
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
