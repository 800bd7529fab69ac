//! Answers as JSON: Confluent's members, in Confluent's order.

use bytes::Bytes;
use serde::Serialize;

use crate::content::Content;
use crate::decide::{Registration, SchemaTags};
use crate::record::{Metadata, Mode, Reference, RuleSet, to_json};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::state::{IdEntry, State, StateError, Version};
use crate::subject::Subject;

/// A schema, with as much of its place as the endpoint tells.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchemaAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema_type: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    pub(crate) references: &'a [Reference],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule_set: Option<&'a RuleSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<&'a str>,
    #[serde(skip_serializing_if = "<[SchemaTags]>::is_empty")]
    pub(crate) schema_tags: &'a [SchemaTags],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<bool>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) aliases: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subjects: Option<&'a [String]>,
}

/// A content's metadata, unless its values are encrypted: those are kept and not shown.
fn shown(content: &Content) -> Option<&Metadata> {
    content
        .metadata
        .as_ref()
        .filter(|metadata| !metadata.properties.contains_key("__enc__"))
}

impl<'a> SchemaAnswer<'a> {
    fn of(content: &'a Content) -> Self {
        Self {
            guid: Some(content.guid.to_string()),
            schema_type: Some(&content.kind),
            references: &content.references,
            metadata: shown(content),
            rule_set: content.rule_set.as_ref(),
            schema: Some(&content.text),
            ..Self::default()
        }
    }

    /// A version of a subject.
    pub(crate) fn of_version(subject: &'a Subject, version: &'a Version) -> Self {
        Self {
            subject: Some(subject.as_str()),
            version: Some(version.number),
            id: Some(version.id),
            ts: Some(version.timestamp),
            deleted: Some(version.deleted),
            ..Self::of(&version.content)
        }
    }

    /// What a registration answers.
    pub(crate) fn of_registration(registration: &'a Registration) -> Self {
        Self {
            version: Some(registration.version),
            id: Some(registration.id),
            ts: registration.since,
            deleted: registration.since.map(|_| false),
            ..Self::of(&registration.content)
        }
    }

    /// A schema by id, without its place. Timestamp and deletion are those of its first live
    /// version, else of its first.
    pub(crate) fn of_id(state: &State<'_>, entry: &'a IdEntry) -> Result<Self, StateError> {
        let holder = state.first_holder(&entry.context, entry.id)?;
        Ok(Self {
            ts: holder.as_ref().map(|holder| holder.timestamp),
            deleted: holder.as_ref().map(|holder| holder.deleted),
            ..Self::of(&entry.content)
        })
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        to_json(self).into()
    }
}

/// The plain answer to "schema by id", kept until a version that holds it changes.
///
/// # Errors
/// 40403.
pub(crate) fn by_id(shared: &Shared, context: &str, id: i32) -> Result<Bytes, Refusal> {
    if let Some(answer) = shared.kept_answer(context, id) {
        return Ok(answer);
    }
    shared.read_published(|state, published| {
        let entry = state
            .id(context, id)?
            .ok_or_else(|| Refusal::schema_not_found(id))?;
        let answer = SchemaAnswer::of_id(state, &entry)?.to_bytes();
        let bytes = answer.len();
        shared
            .answers
            .keep(context, id, answer.clone(), bytes, published);
        Ok(answer)
    })
}

/// One subject and version.
#[derive(Debug, Serialize)]
pub(crate) struct PlaceAnswer<'a> {
    pub(crate) subject: &'a str,
    pub(crate) version: i32,
}

/// One context and id.
#[derive(Debug, Serialize)]
pub(crate) struct ContextIdAnswer<'a> {
    pub(crate) context: &'a str,
    pub(crate) id: i32,
}

/// A verdict; messages only where they were asked for.
#[derive(Debug, Serialize)]
pub(crate) struct VerdictAnswer<'a> {
    pub(crate) is_compatible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<&'a [String]>,
}

/// A mode; none where there was none.
#[derive(Debug, Serialize)]
pub(crate) struct ModeAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
}

impl ModeAnswer {
    pub(crate) fn of(mode: Option<Mode>) -> Self {
        Self {
            mode: mode.map(|mode| mode.to_string()),
        }
    }
}

/// A refusal.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorAnswer<'a> {
    pub(crate) error_code: u32,
    pub(crate) message: &'a str,
}
