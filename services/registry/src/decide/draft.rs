//! A schema as a request brings it, and what it is once read.

pub(super) mod reads;

use std::sync::Arc;

use meshwork_avro::{Schema, Strictness};
use serde::Deserialize;

use super::rules;
use super::tags::{self, SchemaTags};
use crate::content::{AVRO, Content};
use crate::record::{Metadata, Reference, RuleSet, Settings};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError};
use crate::subject::Subject;
use crate::texts::{NewText, Texts};
use reads::Reads;

/// Kinds that are kept and served as they are, and not read.
const UNREAD: [&str; 2] = ["JSON", "PROTOBUF"];

/// Body of a registration, a look-up or a compatibility check. Unknown members are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Draft {
    /// Asked-for version; −1: the next.
    pub version: Option<i64>,
    /// Asked-for id; only in IMPORT mode.
    pub id: Option<i64>,
    /// `AVRO` where absent.
    pub schema_type: Option<String>,
    /// The text; absent or empty takes the latest version's.
    pub schema: Option<String>,
    /// What it refers to.
    pub references: Option<Vec<Reference>>,
    /// Metadata.
    pub metadata: Option<Metadata>,
    /// Rules.
    pub rule_set: Option<RuleSet>,
    /// Inline tags to be written into the text.
    pub schema_tags_to_add: Option<Vec<SchemaTags>>,
    /// Inline tags to be taken out of it.
    pub schema_tags_to_remove: Option<Vec<SchemaTags>>,
    /// Whether inline tags of the latest version are to be carried on.
    pub propagate_schema_tags: Option<bool>,
    /// What was made of the text.
    #[serde(skip)]
    pub reads: Reads,
}

/// Whether texts are brought into Confluent's normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normal {
    /// Stored as Avro's `Schema.toString()` prints them.
    AsWritten,
    /// In normal form.
    Normalized,
}

/// How strictly a new schema is read: settings may let in what Avro's specification refuses.
pub(super) fn strictness(settings: &Settings) -> Strictness {
    if settings.validate_new_schemas == Some(false) {
        Strictness::Stored
    } else {
        Strictness::Strict
    }
}

/// The version that a draft asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// None: whichever holds the schema, or the next.
    Any,
    /// The latest if it is the same schema, or the next.
    Latest,
    /// The next; written into the metadata.
    Next,
    /// This one.
    Number(i32),
}

impl Draft {
    /// The text; empty where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.schema.as_deref().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text().trim().is_empty()
    }

    pub(super) fn kind(&self) -> &str {
        self.schema_type.as_deref().unwrap_or(AVRO)
    }

    /// # Errors
    /// 42202: beyond what versions are.
    pub(super) fn asked(&self) -> Result<Asked, Refusal> {
        Ok(match self.version {
            None | Some(0) => Asked::Any,
            Some(-1) => Asked::Latest,
            Some(other) if other < 0 => Asked::Next,
            Some(number) => {
                Asked::Number(i32::try_from(number).map_err(|_| Refusal::invalid_version(number))?)
            }
        })
    }

    /// The id that is asked for.
    ///
    /// # Errors
    /// 42201: beyond what ids are.
    pub(super) fn asked_id(&self) -> Result<Option<i32>, Refusal> {
        let Some(id) = self.id.filter(|id| *id >= 0) else {
            return Ok(None);
        };
        i32::try_from(id)
            .ok()
            .filter(|id| *id >= 1)
            .map(Some)
            .ok_or_else(|| {
                Refusal::invalid_schema(format_args!("the id {id} is not one of 1 to 2^31-1"))
            })
    }

    /// With its rules checked, and what they leave open filled in.
    ///
    /// # Errors
    /// 42210.
    pub(super) fn with_checked_rules(mut self) -> Result<Self, Refusal> {
        self.rule_set = self.rule_set.map(rules::checked).transpose()?;
        Ok(self)
    }

    /// Whether the text is changed by tags before it is registered.
    pub(super) fn changes_tags(&self) -> bool {
        let any = |tags: &Option<Vec<SchemaTags>>| tags.as_ref().is_some_and(|t| !t.is_empty());
        any(&self.schema_tags_to_add)
            || any(&self.schema_tags_to_remove)
            || self.propagate_schema_tags == Some(true)
    }

    /// The draft with its tags written into the text, so that its version goes into the metadata.
    ///
    /// # Errors
    /// 42201: the text does not parse, or a path leads nowhere.
    pub(super) fn with_tags(
        mut self,
        state: &State<'_>,
        texts: &Texts,
        subject: &Subject,
    ) -> Result<Self, Refusal> {
        let add = self.schema_tags_to_add.take().unwrap_or_default();
        let remove = self.schema_tags_to_remove.take().unwrap_or_default();
        if add.is_empty() && remove.is_empty() {
            return Ok(self);
        }
        let text = self.written(state, texts, subject)?;
        self.schema = Some(tags::changed(&text, &add, &remove)?);
        self.version = self.version.or(Some(-1));
        Ok(self)
    }

    /// The draft with the inline tags of an earlier version added.
    ///
    /// # Errors
    /// 42201: a text does not parse, or what was tagged is not there any more.
    pub(super) fn with_tags_of(
        mut self,
        state: &State<'_>,
        texts: &Texts,
        subject: &Subject,
        earlier: &Schema,
    ) -> Result<Self, Refusal> {
        let tags = tags::find(earlier, &["*"]);
        if !tags.is_empty() {
            let text = self.written(state, texts, subject)?;
            self.schema = Some(tags::changed(&text, &tags, &[])?);
        }
        Ok(self)
    }

    /// The text as Avro prints it.
    fn written(
        &self,
        state: &State<'_>,
        texts: &Texts,
        subject: &Subject,
    ) -> Result<String, Refusal> {
        let parsed = self
            .read(state, texts, subject, Normal::AsWritten, Strictness::Stored)?
            .ok_or_else(empty)?;
        parsed.avro()?;
        Ok(parsed.content.text.to_string())
    }

    /// With `−1` in references made into the latest version.
    pub(super) fn resolved_references(
        &self,
        state: &State<'_>,
        subject: &Subject,
    ) -> Result<Vec<Reference>, StateError> {
        let mut references = self.references.clone().unwrap_or_default();
        for reference in &mut references {
            if reference.version == -1
                && let Some(referenced) = state.subject(&subject.sibling(&reference.subject))?
                && let Some(latest) = referenced.latest()
            {
                reference.version = latest.number;
            }
        }
        Ok(references)
    }

    /// Reads the text, with the metadata and rules given; none where it is empty. Kinds that are
    /// not read are what they are.
    ///
    /// # Errors
    /// 42201: of an unknown kind, or it does not parse.
    pub(super) fn read(
        &self,
        state: &State<'_>,
        texts: &Texts,
        subject: &Subject,
        normal: Normal,
        strictness: Strictness,
    ) -> Result<Option<Parsed>, Refusal> {
        if self.is_empty() {
            return Ok(None);
        }
        let kind = self.kind();
        if kind != AVRO && !UNREAD.contains(&kind) {
            return Err(Refusal::new(
                Code::InvalidSchema,
                format!("Invalid schema type {kind}"),
            ));
        }
        let mut references = self.resolved_references(state, subject)?;
        let content = |text: Arc<str>, references| {
            let (metadata, rule_set) = (self.metadata.clone(), self.rule_set.clone());
            Content::new(kind, text, references, metadata, rule_set)
        };
        if kind != AVRO {
            return Ok(Some(Parsed {
                content: content(self.text().into(), references),
                read: None,
            }));
        }
        if strictness == Strictness::Strict {
            live_only(state, subject, &references)?;
        }
        let read = match self.reads.of(self.text(), strictness) {
            Some(read) if references.is_empty() => read,
            _ => {
                let text = self.text();
                let read = texts.parse_new(state, subject, text, &references, strictness)?;
                self.reads.keep(text, &references, strictness, &read);
                read
            }
        };
        let text = match normal {
            Normal::AsWritten => read.written(),
            Normal::Normalized => {
                references.sort();
                references.dedup();
                read.normal()
            }
        };
        Ok(Some(Parsed {
            content: content(text, references),
            read: Some(read),
        }))
    }
}

/// A draft that was read.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) content: Content,
    /// None for kinds that are not read.
    read: Option<Arc<NewText>>,
}

impl Parsed {
    pub(super) fn read(&self) -> Option<&NewText> {
        self.read.as_deref()
    }

    /// # Errors
    /// 42201: of a kind that is not read.
    pub(super) fn avro(&self) -> Result<&Schema, Refusal> {
        self.read().map(NewText::schema).ok_or_else(|| {
            Refusal::invalid_schema(format_args!(
                "{} schemas are kept and served as they are, and taken in mode IMPORT only; this registry reads AVRO",
                self.content.kind
            ))
        })
    }
}

pub(super) fn empty() -> Refusal {
    Refusal::new(Code::InvalidSchema, "Empty schema")
}

/// New schemas may not refer to soft-deleted versions.
fn live_only(
    state: &State<'_>,
    subject: &Subject,
    references: &[Reference],
) -> Result<(), Refusal> {
    for reference in references {
        let version = state.referenced(subject, reference)?;
        if version.is_none_or(|version| version.deleted) {
            return Err(Refusal::invalid_schema(format_args!(
                "No schema reference found for subject \"{}\" and version {}",
                reference.subject, reference.version
            )));
        }
    }
    Ok(())
}
