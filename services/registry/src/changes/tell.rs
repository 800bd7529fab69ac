//! What a record of the log says to others: a change of a subject's schema, and that somebody did
//! something. Pure.

use std::collections::BTreeMap;

use meshwork_avro::Schema;
use meshwork_avro::diff::diff;
use meshwork_model::mesh::audit::{AuditAction, AuditEvent, AuditOutcome};
use meshwork_model::mesh::change::{Change, ProductChange, SchemaChange};
use meshwork_model::name::Urn;
use meshwork_model::time::Timestamp;

use crate::actor::Actor;
use crate::content::AVRO;
use crate::record::{Key, ModeValue, ReadKey, SchemaValue, Settings, SubjectValue};
use crate::refusal::Refusal;
use crate::state::State;
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::texts::Texts;

/// Most lines of one change's difference.
const MAX_LINES: usize = 50;

/// Prefix of the mesh's own subjects, which announce nothing: their readers are programs.
const OWN_SUBJECTS: &str = "mesh.";

/// A record of the log that one of our instances wrote.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnRecord<'a> {
    pub(super) topic: &'a str,
    pub(super) offset: i64,
    pub(super) at: Timestamp,
    pub(super) key: &'a [u8],
    pub(super) value: Option<&'a [u8]>,
    /// The instance that wrote it.
    pub(super) instance: &'a str,
}

/// What is to be told of one record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) change: Option<ProductChange>,
    pub(super) event: Option<AuditEvent>,
}

/// `state` is that of the record's offset or later.
///
/// # Errors
/// The state can't be read.
pub(super) fn tell(
    record: &OwnRecord<'_>,
    actor: &Actor,
    state: &State<'_>,
    texts: &Texts,
) -> Result<Told, Refusal> {
    // Tombstones of another byte form of a key only go with the change itself.
    let Ok(ReadKey {
        key,
        canonical: true,
        ..
    }) = ReadKey::parse(record.key)
    else {
        return Ok(Told::default());
    };
    let Some(done) = done(&key, record.value) else {
        return Ok(Told::default());
    };
    let change = match (&key, &done.schema) {
        (Key::Schema { subject, version }, Some(schema)) => announce(
            record,
            actor,
            &Subject::new(subject),
            *version,
            schema,
            state,
            texts,
        )?,
        _ => None,
    };
    Ok(Told {
        change,
        event: Some(event(
            record,
            actor,
            done.with("claimed", actor.claimed.as_deref()),
        )),
    })
}

/// What a record does.
struct Done {
    action: AuditAction,
    subject: Option<String>,
    version: Option<i32>,
    id: Option<i32>,
    details: BTreeMap<String, String>,
    /// Of a registration.
    schema: Option<SchemaValue>,
}

impl Done {
    fn new(action: AuditAction, subject: Option<&String>) -> Self {
        Self {
            action,
            subject: subject.cloned(),
            version: None,
            id: None,
            details: BTreeMap::new(),
            schema: None,
        }
    }

    fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.details.insert(name.to_owned(), value.to_string());
        }
        self
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

/// None where a record changes nothing that anybody could have asked for.
fn done(key: &Key, value: Option<&[u8]>) -> Option<Done> {
    Some(match (key, value) {
        (Key::Schema { subject, version }, value) => {
            let schema = value.and_then(read::<SchemaValue>);
            let action = match &schema {
                None => AuditAction::HardDelete,
                Some(schema) if schema.deleted => AuditAction::SoftDelete,
                Some(_) => AuditAction::Register,
            };
            Done {
                version: Some(*version),
                id: schema.as_ref().and_then(|s| i32::try_from(s.id).ok()),
                schema: schema.filter(|schema| !schema.deleted),
                ..Done::new(action, Some(subject))
            }
        }
        (Key::Config { subject }, Some(value)) => {
            let level = read::<Settings>(value).and_then(|s| s.compatibility_level);
            Done::new(AuditAction::SetConfig, subject.as_ref()).with("compatibility", level)
        }
        (Key::Config { subject }, None) => Done::new(AuditAction::DeleteConfig, subject.as_ref()),
        (Key::Mode { subject }, Some(value)) => {
            let mode = read::<ModeValue>(value).map(|value| value.mode);
            Done::new(AuditAction::SetMode, subject.as_ref()).with("mode", mode)
        }
        (Key::Mode { subject }, None) => Done::new(AuditAction::DeleteMode, subject.as_ref()),
        (Key::DeleteSubject { subject }, Some(value)) => {
            let last = read::<SubjectValue>(value).and_then(|value| value.version);
            Done::new(AuditAction::SoftDelete, Some(subject)).with("versions_up_to", last)
        }
        (Key::ClearSubject { subject }, Some(_)) => {
            Done::new(AuditAction::HardDelete, Some(subject)).with("what", Some("all soft-deleted"))
        }
        (Key::Context { context, .. }, None) => {
            Done::new(AuditAction::DeleteContext, Some(&format!(":{context}:")))
        }
        (Key::Context { .. }, Some(_))
        | (Key::DeleteSubject { .. } | Key::ClearSubject { .. }, None)
        | (Key::Noop { .. }, _) => return None,
    })
}

fn event(record: &OwnRecord<'_>, actor: &Actor, done: Done) -> AuditEvent {
    AuditEvent {
        id: AuditEvent::id_of_change(record.topic, 0, record.offset),
        at: record.at,
        actor: actor.name.to_string(),
        authenticated_by: actor.how,
        role: "registry".to_owned(),
        instance: record.instance.to_owned(),
        action: done.action,
        subject: done.subject,
        version: done.version,
        schema_id: done.id,
        outcome: AuditOutcome::Done,
        error_code: None,
        offset: Some(record.offset),
        client: None,
        suppressed: 0,
        details: done.details,
    }
}

fn announce(
    record: &OwnRecord<'_>,
    actor: &Actor,
    subject: &Subject,
    version: i32,
    schema: &SchemaValue,
    state: &State<'_>,
    texts: &Texts,
) -> Result<Option<ProductChange>, Refusal> {
    if subject.context() == DEFAULT_CONTEXT && subject.plain().starts_with(OWN_SUBJECTS) {
        return Ok(None);
    }
    let before = state.subject(subject)?.and_then(|versions| {
        versions
            .all()
            .rfind(|row| row.number < version)
            .map(|row| (row.number, row.id))
    });
    let in_words = match &before {
        None => Vec::new(),
        Some((_, id)) => words(subject, *id, schema, state, texts)?,
    };
    Ok(Some(ProductChange {
        id: AuditEvent::id_of_change(record.topic, 0, record.offset),
        at: record.at,
        who: actor.who().to_owned(),
        urn: urn_of(subject),
        consumers: Vec::new(),
        change: Change::SchemaChange(SchemaChange {
            subject: subject.as_str().to_owned(),
            from_version: before.map(|(number, _)| number),
            to_version: version,
            in_words,
        }),
    }))
}

/// The difference, a line each; none where it can't be told, because one of the two is not Avro or
/// does not parse.
fn words(
    subject: &Subject,
    before: i32,
    now: &SchemaValue,
    state: &State<'_>,
    texts: &Texts,
) -> Result<Vec<String>, Refusal> {
    if now.schema_type.as_deref().unwrap_or(AVRO) != AVRO {
        return Ok(Vec::new());
    }
    let Ok(id) = i32::try_from(now.id) else {
        return Ok(Vec::new());
    };
    let (Some(old), Some(new)) = (
        graph(subject, before, state, texts)?,
        graph(subject, id, state, texts)?,
    ) else {
        return Ok(Vec::new());
    };
    let diff = diff(&old, &new);
    let mut lines: Vec<String> = diff
        .changes
        .iter()
        .take(MAX_LINES)
        .map(ToString::to_string)
        .collect();
    if diff.changes.len() > MAX_LINES || !diff.complete {
        lines.push("… and more".to_owned());
    }
    Ok(lines)
}

fn graph(
    subject: &Subject,
    id: i32,
    state: &State<'_>,
    texts: &Texts,
) -> Result<Option<std::sync::Arc<Schema>>, Refusal> {
    let Some(entry) = state.id(subject.context(), id)? else {
        return Ok(None);
    };
    Ok(texts.of_content(state, subject, &entry.content).ok())
}

/// The product version whose topic's subject this is, by its name: `<domain>.<product>.v<major>-value`.
fn urn_of(subject: &Subject) -> Option<Urn> {
    if subject.context() != DEFAULT_CONTEXT {
        return None;
    }
    let plain = subject.plain();
    let topic = plain
        .strip_suffix("-value")
        .or_else(|| plain.strip_suffix("-key"))?;
    Urn::from_topic(topic)
}
