//! Registering, in the order that Confluent's registry has.

use std::sync::Arc;

use meshwork_avro::Strictness;

use super::compatibility::require_compatible;
use super::draft::{Draft, Normal};
use super::look_up::{equivalent, same};
use super::{Decision, mark, write};
use crate::content::Content;
use crate::record::{
    ContextValue, Key, Metadata, Mode, Record, RuleSet, SchemaValue, Settings, to_json,
};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError, SubjectState, Version, VersionRow};
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::texts::Texts;

/// Property that holds a version's own number.
const VERSION_PROPERTY: &str = "confluent:version";

/// How to register.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// As the request says; settings may ask for more.
    pub normal: Normal,
    /// Skip compatibility.
    pub force: bool,
    /// Ids up to this one are taken, whatever the state says: a write whose fate is unknown may
    /// hold them.
    pub ids_taken: i32,
    /// Limit for key and value of one record, bytes.
    pub max_record_bytes: usize,
}

/// A registered version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Subject.
    pub subject: Subject,
    /// Version.
    pub version: i32,
    /// Schema id.
    pub id: i32,
    /// The schema.
    pub content: Arc<Content>,
    /// Timestamp of its record where it was there already.
    pub since: Option<i64>,
}

impl Registration {
    fn existing(
        state: &State<'_>,
        subject: &Subject,
        version: &VersionRow,
    ) -> Result<Self, StateError> {
        Ok(Self {
            subject: subject.clone(),
            version: version.number,
            id: version.id,
            content: state.content_of(subject, version)?,
            since: Some(version.timestamp),
        })
    }
}

/// Registers a schema under a subject, or finds it there.
///
/// # Errors
/// 42208, 42205, 42201, 40901 and 42209.
pub fn register(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    terms: &Terms,
) -> Result<Decision<Registration>, Refusal> {
    if !subject.is_valid() {
        return Err(Refusal::invalid_subject(subject));
    }
    let settings = state.settings_of(subject)?;
    let normal = terms.normal.or_settings(state, subject)?;
    let versions = &state.subject(subject)?.unwrap_or_default();
    // What is there answers whatever the mode: a producer that registers at its start must not
    // fail because a registry is read-only.
    if !settings.adds_to_schemas()
        && let Ok(parsed) = draft.read(state, texts, subject, normal, Strictness::Stored)
        && let Some(hit) = same(versions, &parsed, false)
    {
        let existing = Registration::existing(state, subject, hit)?;
        return Ok(Decision::nothing(existing));
    }
    check_mode(state, subject, draft)?;
    let next = versions.next().ok_or_else(|| {
        Refusal::invalid_schema("the subject has as many versions as there are numbers")
    })?;
    let latest = match versions.latest() {
        Some(latest) => Some(state.content_of(subject, latest)?),
        None => None,
    };
    let draft = populate(draft, latest.as_deref(), &settings, next);
    let parsed = draft.read(state, texts, subject, normal, Strictness::Strict)?;
    let mut hit = same(versions, &parsed, false);
    if hit.is_none() {
        hit = equivalent(state, texts, subject, versions, &parsed, false)?;
    }
    if let Some(hit) = hit {
        let existing = Registration::existing(state, subject, hit)?;
        return Ok(Decision::nothing(existing));
    }
    if !terms.force {
        require_compatible(state, texts, subject, versions, &settings, &parsed)?;
    }
    if draft
        .version
        .is_some_and(|asked| asked > 0 && asked != next)
    {
        return Err(Refusal::new(
            Code::InvalidSchema,
            "Version is not one more than previous version",
        ));
    }
    let id = id_for(state, subject, &parsed.content, terms.ids_taken)?;
    let content = Arc::new(parsed.content);
    let records = records(state, subject, versions, next, id, &content)?;
    let largest = records
        .iter()
        .map(|record| record.key.len() + record.value.as_ref().map_or(0, Vec::len))
        .max();
    if largest.is_some_and(|bytes| bytes > terms.max_record_bytes) {
        return Err(Refusal::new(
            Code::SchemaTooLarge,
            "Register operation failed because schema is too large",
        ));
    }
    Ok(Decision {
        records,
        answer: Registration {
            subject: subject.clone(),
            version: next,
            id,
            content,
            since: None,
        },
    })
}

/// `s in context  is …`: the default context prints as nothing.
pub(super) fn in_context(subject: &Subject) -> String {
    let context = match subject.context() {
        DEFAULT_CONTEXT => "",
        other => other,
    };
    format!("Subject {} in context {context}", subject.plain())
}

fn check_mode(state: &State<'_>, subject: &Subject, draft: &Draft) -> Result<(), Refusal> {
    let mode = state.mode_of(subject)?;
    let with_id = draft.id.is_some_and(|id| id >= 0);
    let why = match mode {
        Mode::ReadOnly | Mode::ReadOnlyOverride => "is in read-only mode",
        Mode::ReadWrite if with_id => "is not in import mode",
        Mode::ReadWrite => return Ok(()),
        Mode::Import | Mode::Forward if with_id => {
            "is in import mode, and registering under a given id is not supported by this version"
        }
        Mode::Import | Mode::Forward => "is not in read-write mode",
    };
    Err(Refusal::not_permitted(format!(
        "{} {why}",
        in_context(subject)
    )))
}

/// The draft with what it leaves open: text, metadata and rules of the latest version, and what
/// the settings lay under and over them.
fn populate(draft: &Draft, latest: Option<&Content>, settings: &Settings, next: i32) -> Draft {
    let mut draft = draft.clone();
    if let Some(content) = latest {
        if draft.text().trim().is_empty() {
            draft.schema = Some(content.text.to_string());
            draft.schema_type = Some(content.kind.to_string());
            draft.references = Some(content.references.clone());
        }
        draft.metadata = draft.metadata.or_else(|| content.metadata.clone());
        draft.rule_set = draft.rule_set.or_else(|| content.rule_set.clone());
    }
    let metadata = Metadata::merged(settings.default_metadata.as_ref(), draft.metadata.as_ref());
    draft.metadata = Metadata::merged(metadata.as_ref(), settings.override_metadata.as_ref());
    let rules = RuleSet::merged(settings.default_rule_set.as_ref(), draft.rule_set.as_ref());
    draft.rule_set = RuleSet::merged(rules.as_ref(), settings.override_rule_set.as_ref());
    let asked = draft.version.is_some_and(|version| version != 0);
    let there = draft
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.properties.contains_key(VERSION_PROPERTY));
    if asked || there {
        draft
            .metadata
            .get_or_insert_default()
            .properties
            .insert(VERSION_PROPERTY.to_owned(), next.to_string());
    }
    draft
}

/// The id of this content in the context, also if nothing holds it any more; else a new one.
fn id_for(
    state: &State<'_>,
    subject: &Subject,
    content: &Content,
    taken: i32,
) -> Result<i32, Refusal> {
    let context = subject.context();
    if let Some(id) = state.id_of(context, &content.guid)? {
        return Ok(id);
    }
    if let Some(id) = state.former_id_of(context, &content.guid)? {
        return Ok(id);
    }
    state
        .greatest_id(context)?
        .max(taken)
        .checked_add(1)
        .ok_or_else(|| {
            Refusal::new(
                Code::StoreFailed,
                "All schema ids up to 2^31-1 have been given",
            )
        })
}

fn records(
    state: &State<'_>,
    subject: &Subject,
    versions: &SubjectState,
    version: i32,
    id: i32,
    content: &Content,
) -> Result<Vec<Record>, StateError> {
    let mut records = Vec::with_capacity(1);
    let context = subject.context();
    if !state.has_context(context)? {
        let value = ContextValue {
            tenant: "default".to_owned(),
            context: context.to_owned(),
        };
        let key = Key::Context {
            tenant: value.tenant.clone(),
            context: value.context.clone(),
        };
        write(state, &mut records, &key, Some(to_json(&value)))?;
    }
    // A soft-deleted version of the same schema gives way to the new one.
    let mut replaced: Vec<i32> = Vec::new();
    for former in versions.all() {
        if former.deleted && former.id == id {
            let place = (subject.clone(), former.number);
            if state.referrers(&place).next().transpose()?.is_none() {
                replaced.push(former.number);
            }
        }
    }
    if !replaced.is_empty() {
        mark(state, &mut records, context)?;
    }
    for number in replaced {
        let key = Key::Schema {
            subject: subject.as_str().to_owned(),
            version: number,
        };
        write(state, &mut records, &key, None)?;
    }
    let (key, value) = schema_record(subject, version, id, content);
    write(state, &mut records, &key, Some(to_json(&value)))?;
    Ok(records)
}

fn schema_record(
    subject: &Subject,
    version: i32,
    id: i32,
    content: &Content,
) -> (Key, SchemaValue) {
    let key = Key::Schema {
        subject: subject.as_str().to_owned(),
        version,
    };
    let value = SchemaValue {
        subject: subject.as_str().to_owned(),
        version,
        id: i64::from(id),
        md5: None,
        schema_type: Some(content.kind.to_string()),
        references: content.references.clone(),
        metadata: content.metadata.clone(),
        rule_set: content.rule_set.clone(),
        schema: content.text.to_string(),
        deleted: false,
        offset: None,
        ts: None,
    };
    (key, value)
}

/// The record of a version that is there, soft-deleted.
pub(super) fn soft_deleted(subject: &Subject, version: &Version) -> (Key, Vec<u8>) {
    as_it_is(subject, version, true)
}

/// The record of a version that is there.
pub(super) fn as_it_is(subject: &Subject, version: &Version, deleted: bool) -> (Key, Vec<u8>) {
    let (key, mut value) = schema_record(subject, version.number, version.id, &version.content);
    value.deleted = deleted;
    if let Some(extra) = version.extra.as_deref().cloned() {
        value.md5 = extra.md5;
        value.offset = extra.offset;
        value.ts = extra.ts;
    }
    (key, to_json(&value))
}
