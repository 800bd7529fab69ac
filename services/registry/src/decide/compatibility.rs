//! Verdicts under a subject's level.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use meshwork_avro::compatibility::{Existing, Verdict as AvroVerdict, check};
use meshwork_avro::{CompatibilityLevel, Kind, Schema};

use super::draft::{Draft, Normal, Parsed, empty, strictness};
use super::look_up::VersionId;
use crate::content::{AVRO, Content};
use crate::record::Settings;
use crate::refusal::{Code, Refusal};
use crate::state::{State, SubjectState, VersionRow};
use crate::subject::Subject;
use crate::texts::Texts;

/// Metadata property with the names of fields that may not be used, a comma between them.
const RESERVED: &str = "confluent:reserved";

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

    const fn incompatible(messages: Vec<String>) -> Self {
        Self {
            compatible: false,
            messages,
        }
    }
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
    let settings = state.settings_of(subject)?;
    let parsed = read(state, texts, subject, &settings, draft, normal)?;
    let versions = state.subject(subject)?.unwrap_or_default();
    let live: Vec<_> = versions.live().rev().collect();
    verdict(state, texts, subject, &settings, &parsed, &live)
}

/// Compares a draft with one live version. `latest` of a subject that is not there takes anything.
///
/// # Errors
/// 40402; 42201: the draft does not parse.
pub fn compare_one(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    version: VersionId,
    draft: &Draft,
    normal: Normal,
) -> Result<Verdict, Refusal> {
    let versions = state.subject(subject)?.unwrap_or_default();
    let found = match version {
        VersionId::Latest => versions.latest(),
        VersionId::Number(number) => Some(
            versions
                .version(number)
                .filter(|version| !version.deleted)
                .ok_or_else(|| Refusal::version_not_found(version))?,
        ),
    };
    let settings = state.settings_of(subject)?;
    let parsed = read(state, texts, subject, &settings, draft, normal)?;
    let found: Vec<_> = found.into_iter().collect();
    verdict(state, texts, subject, &settings, &parsed, &found)
}

/// A draft to be compared, as strictly as it would be registered.
fn read(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    settings: &Settings,
    draft: &Draft,
    normal: Normal,
) -> Result<Parsed, Refusal> {
    let normal = normal.or_settings(state, subject)?;
    let draft = draft.clone().with_tags(state, texts, subject)?;
    let parsed = draft
        .read(state, texts, subject, normal, strictness(settings))?
        .ok_or_else(empty)?;
    parsed.avro()?;
    Ok(parsed)
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

/// Versions are newest first. They are compared one after another until one does not fit.
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
    let schema = parsed.avro()?;
    let validates = settings.validate_fields == Some(true);
    let mut messages = Vec::new();
    if validates {
        let latest = match versions.first() {
            Some(latest) => Some(state.content_of(subject, latest)?),
            None => None,
        };
        messages = reserved_fields(schema, &parsed.content, latest.as_deref());
    }
    let group = settings.compatibility_group.as_deref();
    let count = match level {
        CompatibilityLevel::None => 0,
        level if level.is_transitive() => usize::MAX,
        _ => 1,
    };
    let mut compared = 0;
    for version in versions {
        if compared >= count {
            break;
        }
        let content = state.content_of(subject, version)?;
        if group.is_some_and(|group| property(&content, group) != property(&parsed.content, group))
        {
            continue;
        }
        compared += 1;
        let found = if &*content.kind == AVRO {
            let earlier = texts.stored(state, subject, version)?;
            let existing = Existing {
                version: Some(version.number),
                schema: &earlier,
            };
            check(level, schema, &[existing]).messages(validates)
        } else {
            of_another_kind(level, validates, version.number, &content)
        };
        if !found.is_empty() {
            messages.extend(found);
            return Ok(Verdict::incompatible(messages));
        }
    }
    if messages.is_empty() {
        return Ok(Verdict::COMPATIBLE);
    }
    messages.push(last_line(level, validates));
    Ok(Verdict::incompatible(messages))
}

fn property<'a>(content: &'a Content, name: &str) -> Option<&'a String> {
    content.metadata.as_ref()?.properties.get(name)
}

fn last_line(level: CompatibilityLevel, validates: bool) -> String {
    format!("{{validateFields: '{validates}', compatibility: '{level}'}}")
}

fn of_another_kind(
    level: CompatibilityLevel,
    validates: bool,
    number: i32,
    content: &Content,
) -> Vec<String> {
    vec![
        AvroVerdict::DIFFERENT_TYPE.to_owned(),
        format!("{{oldSchemaVersion: {number}}}"),
        format!("{{oldSchema: '{}'}}", content.text),
        last_line(level, validates),
    ]
}

/// Names of fields that a schema's metadata keep from being used.
fn reserved(content: &Content) -> BTreeSet<&str> {
    property(content, RESERVED)
        .into_iter()
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// What is wrong with the reserved fields of a schema: none of the latest version's may be dropped,
/// and none may be there.
fn reserved_fields(schema: &Schema, content: &Content, latest: Option<&Content>) -> Vec<String> {
    let names = reserved(content);
    let dropped = latest.map(reserved).unwrap_or_default();
    let dropped = dropped.difference(&names).map(|name| {
        format!(
            "The new schema has reserved field {name} removed from its metadata which is present in the old schema's metadata."
        )
    });
    let fields = match &schema.node(schema.root()).kind {
        Kind::Record(record) => record.fields.as_slice(),
        _ => &[],
    };
    let used = names
        .iter()
        .filter(|name| fields.iter().any(|field| field.name == **name))
        .map(|name| {
            format!("The new schema has field that conflicts with the reserved field {name}.")
        });
    dropped.chain(used).collect()
}
