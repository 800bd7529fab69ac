//! A schema as it is kept: its text with all that makes it the one that it is.

use std::sync::Arc;

use meshwork_avro::Guid;

use crate::record::{Metadata, Reference, Rule, RuleSet};

/// Kind of a schema that has none written.
pub const AVRO: &str = "AVRO";

/// What an id stands for. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Digest of all the other fields but the kind.
    pub guid: Guid,
    /// `AVRO`, `JSON` or `PROTOBUF`.
    pub kind: Arc<str>,
    /// Text as stored.
    pub text: Arc<str>,
    /// What it refers to, subjects as written.
    pub references: Vec<Reference>,
    /// Metadata.
    pub metadata: Option<Metadata>,
    /// Rules.
    pub rule_set: Option<RuleSet>,
}

impl Content {
    /// Computes the GUID.
    #[must_use]
    pub fn new(
        kind: &str,
        text: impl Into<Arc<str>>,
        references: Vec<Reference>,
        metadata: Option<Metadata>,
        rule_set: Option<RuleSet>,
    ) -> Self {
        let text = text.into();
        Self {
            guid: guid(&text, &references, metadata.as_ref(), rule_set.as_ref()),
            kind: kind.into(),
            text,
            references,
            metadata,
            rule_set,
        }
    }

    /// Whether two contents of one GUID are the same schema. The GUID's parts have no separators,
    /// and the kind is none of them.
    pub(crate) fn means(&self, other: &Self) -> bool {
        self.kind == other.kind && self.text == other.text && self.references == other.references
    }

    /// Digest of what gives an id its meaning: all that [`Self::means`] compares. Unlike the GUID,
    /// whose parts have no separators, it tells apart references that run together as the same
    /// bytes.
    pub(crate) fn meaning(&self) -> Guid {
        let parts = (&*self.kind, &*self.text, &self.references);
        // Cannot fail: texts and numbers only.
        let parts = serde_json::to_string(&parts).unwrap_or_default();
        meshwork_avro::guid(&parts, &[], None, None)
    }
}

fn guid(
    text: &str,
    references: &[Reference],
    metadata: Option<&Metadata>,
    rule_set: Option<&RuleSet>,
) -> Guid {
    use meshwork_avro as avro;

    let references: Vec<avro::Reference> = references
        .iter()
        .map(|reference| avro::Reference {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: reference.version,
        })
        .collect();
    let metadata = metadata.map(|metadata| avro::Metadata {
        tags: metadata
            .tags
            .iter()
            .map(|(path, tags)| (path.clone(), tags.iter().cloned().collect()))
            .collect(),
        properties: metadata.properties.clone(),
        sensitive: metadata.sensitive.iter().cloned().collect(),
    });
    let rules = |rules: &[Rule]| rules.iter().map(rule).collect::<Vec<_>>();
    let rule_set = rule_set.map(|set| avro::RuleSet {
        migration_rules: rules(&set.migration_rules),
        domain_rules: rules(&set.domain_rules),
        encoding_rules: rules(&set.encoding_rules),
        enable_at: set.enable_at.clone(),
    });
    avro::guid(text, &references, metadata.as_ref(), rule_set.as_ref())
}

fn rule(rule: &Rule) -> meshwork_avro::Rule {
    let Rule {
        name,
        doc,
        kind,
        mode,
        rule_type,
        tags,
        params,
        expr,
        on_success,
        on_failure,
        disabled,
    } = rule.clone();
    meshwork_avro::Rule {
        name,
        doc,
        kind,
        mode,
        rule_type,
        tags: tags.into_iter().collect(),
        params,
        expr,
        on_success,
        on_failure,
        disabled,
    }
}
