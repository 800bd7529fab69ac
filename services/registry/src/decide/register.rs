//! Registering, in the order that Confluent's registry has.

use std::sync::Arc;

use meshwork_avro::Strictness;

use super::compatibility::require_compatible;
use super::delete::bury;
use super::draft::{Asked, Draft, Normal, empty, strictness};
use super::look_up::{VERSION_PROPERTY, completed, equivalent, is_equivalent, same};
use super::mode::{in_context, writable};
use super::{Decision, TENANT, context_key, mark, write};
use crate::content::Content;
use crate::record::{ContextValue, Key, Mode, Record, SchemaValue, Settings, to_json};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError, SubjectState, Version, VersionRow};
use crate::subject::Subject;
use crate::texts::Texts;

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
    /// Whether new content may be registered: the subject is not kept for others than who asks.
    pub may_register: bool,
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
/// 42210, 42208, 42205, 42201, 42202, 40901 and 42209.
pub fn register(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    draft: &Draft,
    terms: &Terms,
) -> Result<Decision<Registration>, Refusal> {
    let draft = draft.clone().with_checked_rules()?;
    if !subject.is_valid() {
        return Err(Refusal::invalid_subject(subject));
    }
    let normal = terms.normal.or_settings(state, subject)?;
    let versions = state.subject(subject)?.unwrap_or_default();
    // What is there answers whatever the mode: a producer that registers at its start must not
    // fail because a registry is read-only.
    if !draft.changes_tags()
        && !state.settings_of(subject)?.adds_to_schemas()
        && let Some(version) = already_there(state, texts, subject, &versions, &draft, normal)?
    {
        let existing = Registration::existing(state, subject, &version)?;
        return Ok(Decision::nothing(existing));
    }
    let draft = draft.with_tags(state, texts, subject)?;
    let terms = Terms { normal, ..*terms };
    register_new(state, texts, subject, &versions, draft, &terms)
}

/// The live version that answers a draft as it is.
fn already_there(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    versions: &SubjectState,
    draft: &Draft,
    normal: Normal,
) -> Result<Option<VersionRow>, Refusal> {
    let parsed = draft.read(state, texts, subject, normal, Strictness::Stored)?;
    let Some(parsed) = parsed else {
        return Ok(None);
    };
    let (asked, asked_id) = (draft.asked()?, draft.asked_id()?);
    let found = if asked == Asked::Latest {
        match versions.latest() {
            Some(latest) if is_equivalent(state, texts, subject, latest, &parsed)? => Some(latest),
            _ => None,
        }
    } else {
        match same(state, subject, versions, &parsed, false)? {
            Some(version) => Some(version),
            None => equivalent(state, texts, subject, versions, &parsed, false, None)?,
        }
    };
    let Some(found) = found else {
        return Ok(None);
    };
    let answer = match asked {
        Asked::Any | Asked::Latest if asked_id.is_none_or(|id| id == found.id) => Some(found),
        // The same schema may have been brought under several versions.
        Asked::Number(number) if asked_id == Some(found.id) => versions
            .version(number)
            .filter(|other| !other.deleted && other.id == found.id && other.guid == found.guid),
        _ => None,
    };
    Ok(answer.cloned())
}

/// Registers what is not there as it is. `versions` are the subject's.
///
/// # Errors
/// As [`register`].
pub(super) fn register_new(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    versions: &SubjectState,
    draft: Draft,
    terms: &Terms,
) -> Result<Decision<Registration>, Refusal> {
    let asked_id = draft.asked_id()?;
    let imports = imports(state, subject, asked_id)?;
    let settings = state.settings_of(subject)?;
    let next = versions.next().ok_or_else(|| {
        Refusal::invalid_schema("the subject has as many versions as there are numbers")
    })?;
    let (draft, normal, strictness) = if imports {
        (draft, Normal::AsWritten, Strictness::Stored)
    } else {
        let draft = populate(state, texts, subject, draft, versions, &settings, next)?;
        (draft, terms.normal, strictness(&settings))
    };
    let parsed = draft
        .read(state, texts, subject, normal, strictness)?
        .ok_or_else(empty)?;
    let asked = draft.asked()?;
    // The same content has the same id, unless another one is asked for.
    let known = state.id_of(subject.context(), &parsed.content.guid)?;
    let id = asked_id.or(known);
    if asked == Asked::Any {
        let mut there =
            same(state, subject, versions, &parsed, false)?.filter(|there| id == Some(there.id));
        if there.is_none() {
            there = equivalent(state, texts, subject, versions, &parsed, false, id)?;
        }
        if let Some(there) = there {
            let existing = Registration::existing(state, subject, there)?;
            return Ok(Decision::nothing(existing));
        }
    }
    if !terms.may_register {
        return Err(Refusal::reserved(subject));
    }
    if !imports {
        parsed.avro()?;
        if !terms.force {
            require_compatible(state, texts, subject, versions, &settings, &parsed)?;
        }
    }
    let version = match asked {
        Asked::Number(number) if imports || number == next => number,
        Asked::Number(_) => {
            return Err(Refusal::new(
                Code::InvalidSchema,
                "Version is not one more than previous version",
            ));
        }
        _ => next,
    };
    let id = match id {
        Some(id) => {
            check_id(state, subject, id, &parsed.content)?;
            id
        }
        None => id_for(state, subject, &parsed.content, terms.ids_taken)?,
    };
    let content = Arc::new(parsed.content);
    let records = records(state, subject, versions, version, id, &content)?;
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
            version,
            id,
            content,
            since: None,
        },
    })
}

/// Whether the mode takes schemas under ids that they bring, as this one does.
///
/// # Errors
/// 42205: the mode takes none, or takes them in the other way.
fn imports(state: &State<'_>, subject: &Subject, id: Option<i32>) -> Result<bool, Refusal> {
    writable(state, Some(subject))?;
    let imports = matches!(state.mode_of(subject)?, Mode::Import | Mode::Forward);
    let why = match (imports, id.is_some()) {
        (true, true) | (false, false) => return Ok(imports),
        (false, true) => "is not in import mode",
        (true, false) => "is not in read-write mode",
    };
    Err(Refusal::not_permitted(format!(
        "{} {why}",
        in_context(Some(subject))
    )))
}

/// The draft with what it leaves open: text, tags, metadata and rules of the latest version, and
/// what the settings lay under and over them.
fn populate(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    mut draft: Draft,
    versions: &SubjectState,
    settings: &Settings,
    next: i32,
) -> Result<Draft, Refusal> {
    let latest = versions.latest();
    let content = match latest {
        Some(latest) => Some(state.content_of(subject, latest)?),
        None => None,
    };
    if draft.is_empty() {
        let content = content.as_ref().ok_or_else(empty)?;
        draft.schema = Some(content.text.to_string());
        draft.schema_type = Some(content.kind.to_string());
        draft.references = Some(content.references.clone());
    }
    if draft.propagate_schema_tags == Some(true)
        && let Some(latest) = latest
    {
        let earlier = texts.stored(state, subject, latest)?;
        draft = draft.with_tags_of(state, texts, subject, &earlier)?;
    }
    let mut draft = completed(draft, content.as_deref(), settings);
    let there = draft
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.properties.contains_key(VERSION_PROPERTY));
    if there || draft.asked()? != Asked::Any {
        draft
            .metadata
            .get_or_insert_default()
            .properties
            .insert(VERSION_PROPERTY.to_owned(), next.to_string());
    }
    Ok(draft)
}

/// # Errors
/// 42205: the id stands for another schema.
fn check_id(
    state: &State<'_>,
    subject: &Subject,
    id: i32,
    content: &Content,
) -> Result<(), Refusal> {
    let context = subject.context();
    match state.id(context, id)? {
        Some(entry) if entry.content.guid != content.guid || !entry.content.means(content) => {
            let context = subject.context_scope();
            Err(Refusal::not_permitted(format!(
                "Overwrite new schema with id {id} in context {} is not permitted.",
                context.as_ref().map_or("", Subject::as_str)
            )))
        }
        _ => Ok(()),
    }
}

/// The id that this content had in the context before it was deleted for good; else a new one.
fn id_for(
    state: &State<'_>,
    subject: &Subject,
    content: &Content,
    taken: i32,
) -> Result<i32, Refusal> {
    let context = subject.context();
    if let Some(id) = state.former_id_of(context, content)? {
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
            tenant: TENANT.to_owned(),
            context: context.to_owned(),
        };
        write(
            state,
            &mut records,
            &context_key(context),
            Some(to_json(&value)),
        )?;
    }
    // A soft-deleted version of the same schema gives way to the new one.
    let mut replaced: Vec<i32> = Vec::new();
    for former in versions.all() {
        if former.deleted && former.id == id && former.number < version {
            let place = (subject.clone(), former.number);
            if state.referrers(&place).next().transpose()?.is_none() {
                replaced.push(former.number);
            }
        }
    }
    // In mode IMPORT a version may take the place of another one.
    let overwrites = versions
        .version(version)
        .is_some_and(|former| former.id != id);
    if overwrites || !replaced.is_empty() {
        mark(state, &mut records, context)?;
    }
    for number in replaced {
        bury(state, &mut records, subject, number)?;
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
