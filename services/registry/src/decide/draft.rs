//! A schema as a request brings it, and what it is once read.

use std::sync::Arc;

use meshwork_avro::{Schema, Strictness};
use serde::Deserialize;

use crate::content::{AVRO, Content};
use crate::record::{Metadata, Reference, RuleSet};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError};
use crate::subject::Subject;
use crate::texts::Texts;

/// Body of a registration, a look-up or a compatibility check. Unknown members are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Draft {
    /// Asked-for version; −1: the next.
    pub version: Option<i32>,
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
}

/// Whether texts are brought into Confluent's normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normal {
    /// Stored as Avro's `Schema.toString()` prints them.
    AsWritten,
    /// In normal form.
    Normalized,
}

impl Draft {
    /// The text; empty where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.schema.as_deref().unwrap_or_default()
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

    /// Reads the text, with the metadata and rules given.
    ///
    /// # Errors
    /// 42201: empty, of a kind that is not supported, or it does not parse.
    pub(super) fn read(
        &self,
        state: &State<'_>,
        texts: &Texts,
        subject: &Subject,
        normal: Normal,
        strictness: Strictness,
    ) -> Result<Parsed, Refusal> {
        let kind = self.schema_type.as_deref().unwrap_or(AVRO);
        if kind != AVRO {
            return Err(Refusal::invalid_schema(format_args!(
                "schema type {kind} is not supported; this registry takes AVRO"
            )));
        }
        if self.text().trim().is_empty() {
            return Err(Refusal::new(Code::InvalidSchema, "Empty schema"));
        }
        let mut references = self.resolved_references(state, subject)?;
        if strictness == Strictness::Strict {
            live_only(state, subject, &references)?;
        }
        let schema = texts.parse_new(state, subject, self.text(), &references, strictness)?;
        let text = match normal {
            Normal::AsWritten => schema.to_text(),
            Normal::Normalized => {
                references.sort();
                references.dedup();
                schema.normal_form()
            }
        };
        Ok(Parsed {
            content: Content::new(
                AVRO,
                &text,
                references,
                self.metadata.clone(),
                self.rule_set.clone(),
            ),
            schema,
        })
    }
}

/// A draft that was read.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) content: Content,
    pub(super) schema: Arc<Schema>,
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
                "no schema reference found for subject \"{}\" and version {}",
                reference.subject, reference.version
            )));
        }
    }
    Ok(())
}
