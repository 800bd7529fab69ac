//! Verdicts under a subject's level.

use std::str::FromStr as _;
use std::sync::Arc;

use meshwork_avro::compatibility::{Existing, Verdict as AvroVerdict, check};
use meshwork_avro::{CompatibilityLevel, Schema, Strictness};

use super::draft::{Draft, Normal, Parsed};
use super::look_up::VersionId;
use crate::content::{AVRO, Content};
use crate::record::Settings;
use crate::refusal::{Code, Refusal};
use crate::state::{State, SubjectState, Version};
use crate::subject::Subject;
use crate::texts::Texts;

/// Whether a schema fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It does.
    pub compatible: bool,
    /// Every reason why it does not, in Confluent's words.
    pub messages: Vec<String>,
}

impl Verdict {
    const COMPATIBLE: Self = Self {
        compatible: true,
        messages: Vec::new(),
    };
}

/// Compares a draft with all live versions of a subject, as its level says. A subject that is not
/// there takes anything.
///
/// # Errors
/// 42201: the draft does not parse.
pub fn compare_all(
    state: &State,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    normal: Normal,
) -> Result<Verdict, Refusal> {
    let parsed = read(state, texts, subject, draft, normal)?;
    let versions: Vec<_> = state
        .subject(subject)
        .map(|versions| versions.live().rev().collect())
        .unwrap_or_default();
    let settings = state.settings_of(subject);
    verdict(state, texts, subject, &settings, &parsed, &versions)
}

/// Compares a draft with one live version. `latest` of a subject that is not there takes anything.
///
/// # Errors
/// 42201: the draft does not parse; 40402.
pub fn compare_one(
    state: &State,
    texts: &Texts,
    subject: &Subject,
    version: VersionId,
    draft: &Draft,
    normal: Normal,
) -> Result<Verdict, Refusal> {
    let parsed = read(state, texts, subject, draft, normal)?;
    let versions = state.subject(subject);
    let found = match version {
        VersionId::Latest => match versions.and_then(SubjectState::latest) {
            Some(latest) => latest,
            None => return Ok(Verdict::COMPATIBLE),
        },
        VersionId::Number(number) => versions
            .and_then(|versions| versions.version(number))
            .filter(|version| !version.deleted)
            .map(|version| (number, version))
            .ok_or_else(|| Refusal::version_not_found(version))?,
    };
    let settings = state.settings_of(subject);
    verdict(state, texts, subject, &settings, &parsed, &[found])
}

/// A draft to be compared: metadata and rules that it lacks come from the latest version, as they
/// would when it is registered.
fn read(
    state: &State,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    normal: Normal,
) -> Result<Parsed, Refusal> {
    let latest = state.subject(subject).and_then(SubjectState::latest);
    let mut draft = draft.clone();
    if draft.metadata.is_none() {
        draft.metadata = latest.and_then(|(_, latest)| latest.content.metadata.clone());
    }
    let normal = normal.or_settings(state, subject);
    draft.read(state, texts, subject, normal, Strictness::Strict)
}

/// What a registration needs.
///
/// # Errors
/// 40901, with every reason.
pub(super) fn require_compatible(
    state: &State,
    texts: &Texts,
    subject: &Subject,
    versions: &SubjectState,
    settings: &Settings,
    parsed: &Parsed,
) -> Result<(), Refusal> {
    let live: Vec<_> = versions.live().rev().collect();
    let verdict = verdict(state, texts, subject, settings, parsed, &live)?;
    if verdict.compatible {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Incompatible,
        format!(
            "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
            verdict.messages.join(", ")
        ),
    ))
}

/// Versions are newest first.
fn verdict(
    state: &State,
    texts: &Texts,
    subject: &Subject,
    settings: &Settings,
    parsed: &Parsed,
    versions: &[(i32, &Version)],
) -> Result<Verdict, Refusal> {
    let level = settings
        .compatibility_level
        .as_deref()
        .and_then(|level| CompatibilityLevel::from_str(level).ok())
        .unwrap_or_default();
    if level == CompatibilityLevel::None {
        return Ok(Verdict::COMPATIBLE);
    }
    let group = settings.compatibility_group.as_deref();
    let mut compared = versions
        .iter()
        .filter(|(_, version)| {
            group.is_none_or(|group| {
                property(&version.content, group) == property(&parsed.content, group)
            })
        })
        .peekable();
    let count = if level.is_transitive() { usize::MAX } else { 1 };
    if let Some((number, other)) = compared
        .peek()
        .filter(|(_, version)| &*version.content.kind != AVRO)
    {
        return Ok(of_another_kind(level, *number, &other.content));
    }
    let mut graphs: Vec<(i32, Arc<Schema>)> = Vec::new();
    for (number, version) in compared.take(count) {
        graphs.push((
            *number,
            texts.stored(state, subject, version.id, &version.content)?,
        ));
    }
    let existing: Vec<Existing<'_>> = graphs
        .iter()
        .map(|(number, schema)| Existing {
            version: Some(*number),
            schema,
        })
        .collect();
    let verdict = check(level, &parsed.schema, &existing);
    Ok(Verdict {
        compatible: verdict.is_compatible(),
        messages: verdict.messages(settings.validate_fields == Some(true)),
    })
}

fn property<'a>(content: &'a Content, name: &str) -> Option<&'a String> {
    content.metadata.as_ref()?.properties.get(name)
}

fn of_another_kind(level: CompatibilityLevel, number: i32, content: &Content) -> Verdict {
    Verdict {
        compatible: false,
        messages: vec![
            AvroVerdict::DIFFERENT_TYPE.to_owned(),
            format!("{{oldSchemaVersion: {number}}}"),
            format!("{{oldSchema: '{}'}}", content.text),
            format!("{{validateFields: 'false', compatibility: '{level}'}}"),
        ],
    }
}
