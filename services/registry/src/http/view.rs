//! How schemas are shown: `format`, `referenceFormat`, `findTags`.

use super::parameters::Parameters;
use crate::answers::SchemaAnswer;
use crate::content::{AVRO, Content};
use crate::decide::{SchemaTags, find_tags};
use crate::record::Reference;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::state::State;
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// What a request asks to be shown otherwise than it is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The text with its references inlined.
    resolved: bool,
    /// Subjects of references with their context.
    qualified: bool,
    /// Inline tags to be told.
    tags: Vec<String>,
}

/// A schema's members that are shown otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    text: Option<String>,
    references: Option<Vec<Reference>>,
    tags: Vec<SchemaTags>,
}

impl View {
    pub(super) fn of(parameters: &Parameters) -> Self {
        Self {
            resolved: parameters
                .text("format")
                .is_some_and(|format| format.eq_ignore_ascii_case("resolved")),
            qualified: parameters.text("referenceFormat") == Some("qualified"),
            tags: parameters.texts("findTags").map(str::to_owned).collect(),
        }
    }

    /// With the text only.
    pub(super) fn of_text(parameters: &Parameters) -> Self {
        Self {
            resolved: Self::of(parameters).resolved,
            ..Self::default()
        }
    }

    /// Whether everything is shown as it is.
    pub(super) fn is_plain(&self) -> bool {
        !self.resolved && !self.qualified && self.tags.is_empty()
    }

    /// The content of a version of `subject`, as it is to be shown. Kinds that are not read are
    /// shown as they are.
    ///
    /// # Errors
    /// 42201: the text must be read for this, and today's parser refuses it.
    pub(super) fn show(
        &self,
        shared: &Shared,
        state: &State<'_>,
        subject: &Subject,
        content: &Content,
    ) -> Result<Shown, Refusal> {
        let mut shown = Shown::default();
        if self.qualified && subject.context() != DEFAULT_CONTEXT && !content.references.is_empty()
        {
            let qualified = |reference: &Reference| Reference {
                subject: subject.sibling(&reference.subject).as_str().to_owned(),
                ..reference.clone()
            };
            shown.references = Some(content.references.iter().map(qualified).collect());
        }
        let resolved = self.resolved && !content.references.is_empty();
        if &*content.kind != AVRO || (!resolved && self.tags.is_empty()) {
            return Ok(shown);
        }
        let schema = shared.texts.of_content(state, subject, content)?;
        if resolved {
            shown.text = Some(schema.resolved_text());
        }
        if !self.tags.is_empty() {
            let wanted: Vec<&str> = self.tags.iter().map(String::as_str).collect();
            shown.tags = find_tags(&schema, &wanted);
        }
        Ok(shown)
    }
}

impl Shown {
    /// The text, where it is another one.
    pub(super) fn into_text(self) -> Option<String> {
        self.text
    }

    /// The answer with these members.
    pub(super) fn over<'a>(&'a self, mut answer: SchemaAnswer<'a>) -> SchemaAnswer<'a> {
        if let Some(text) = &self.text {
            answer.schema = Some(text);
        }
        if let Some(references) = &self.references {
            answer.references = references;
        }
        answer.schema_tags = &self.tags;
        answer
    }
}
