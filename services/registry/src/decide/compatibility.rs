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
use crate::state::{State, SubjectState, VersionRow};
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
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    normal: Normal,
) -> Result<Verdict, Refusal> {
    let parsed = read(state, texts, subject, draft, normal)?;
    let versions = state.subject(subject)?.unwrap_or_default();
    let live: Vec<_> = versions.live().rev().collect();
    let settings = state.settings_of(subject)?;
    verdict(state, texts, subject, &settings, &parsed, &live)
}

/// Compares a draft with one live version. `latest` of a subject that is not there takes anything.
///
/// # Errors
/// 42201: the draft does not parse; 40402.
pub fn compare_one(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    version: VersionId,
    draft: &Draft,
    normal: Normal,
) -> Result<Verdict, Refusal> {
    let parsed = read(state, texts, subject, draft, normal)?;
    let versions = state.subject(subject)?.unwrap_or_default();
    let found = match version {
        VersionId::Latest => match versions.latest() {
            Some(latest) => latest,
            None => return Ok(Verdict::COMPATIBLE),
        },
        VersionId::Number(number) => versions
            .version(number)
            .filter(|version| !version.deleted)
            .ok_or_else(|| Refusal::version_not_found(version))?,
    };
    let settings = state.settings_of(subject)?;
    verdict(state, texts, subject, &settings, &parsed, &[found])
}

/// A draft to be compared: metadata and rules that it lacks come from the latest version, as they
/// would when it is registered.
fn read(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    normal: Normal,
) -> Result<Parsed, Refusal> {
    let mut draft = draft.clone();
    if draft.metadata.is_none()
        && let Some(versions) = state.subject(subject)?
        && let Some(latest) = versions.latest()
    {
        draft.metadata = state.content_of(subject, latest)?.metadata.clone();
    }
    let normal = normal.or_settings(state, subject)?;
    draft.read(state, texts, subject, normal, Strictness::Strict)
}

/// What a registration needs.
///
/// # Errors
/// 40901, with every reason.
pub(super) fn require_compatible(
    state: &State<'_>,
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
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    settings: &Settings,
    parsed: &Parsed,
    versions: &[&VersionRow],
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
    let count = if level.is_transitive() { usize::MAX } else { 1 };
    let mut graphs: Vec<(i32, Arc<Schema>)> = Vec::new();
    for version in versions {
        if graphs.len() >= count {
            break;
        }
        if graphs.is_empty() || group.is_some() {
            let content = state.content_of(subject, version)?;
            if group
                .is_some_and(|group| property(&content, group) != property(&parsed.content, group))
            {
                continue;
            }
            if graphs.is_empty() && &*content.kind != AVRO {
                return Ok(of_another_kind(level, version.number, &content));
            }
        }
        graphs.push((version.number, texts.stored(state, subject, version)?));
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
