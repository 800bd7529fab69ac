//! Tags, metadata and rules of a version changed, which makes a new version.

use serde::Deserialize;

use super::draft::Draft;
use super::look_up::{VERSION_PROPERTY, VersionId, find_version};
use super::register::{Registration, Terms, register_new};
use super::tags::{self, SchemaTags};
use super::{Decision, rules};
use crate::record::{Metadata, Rule, RuleSet};
use crate::refusal::{Code, Refusal};
use crate::state::State;
use crate::subject::Subject;
use crate::texts::Texts;

/// Body of a change of tags. Unknown members are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Retag {
    /// The version that the changed schema is to be; the next.
    pub new_version: Option<i64>,
    /// Inline tags to be added.
    pub tags_to_add: Option<Vec<SchemaTags>>,
    /// Inline tags to be removed, after that.
    pub tags_to_remove: Option<Vec<SchemaTags>>,
    /// Metadata instead of the version's.
    pub metadata: Option<Metadata>,
    /// Rules instead of those before.
    pub rule_set: Option<RuleSet>,
    /// Rules laid over those before.
    pub rules_to_merge: Option<RuleSet>,
    /// Names of rules that are left out.
    pub rules_to_remove: Option<Vec<String>>,
}

/// Registers a version with other tags, metadata or rules as the next one.
///
/// # Errors
/// 42208, 42202, 40401, 40402, 42210, and those of a registration.
pub fn retag(
    state: &State<'_>,
    texts: &Texts,
    subject: &Subject,
    version: &str,
    change: &Retag,
    terms: &Terms,
) -> Result<Decision<Registration>, Refusal> {
    if !subject.is_valid() {
        return Err(Refusal::invalid_subject(subject));
    }
    let version: VersionId = version.parse()?;
    let (name, found) = find_version(state, subject, version, false)?;
    let rule_set = rules_of(state, subject, change)?;
    let schema = texts.of_content(state, &name, &found.content)?;
    let text = tags::changed(
        &schema.to_text(),
        change.tags_to_add.as_deref().unwrap_or_default(),
        change.tags_to_remove.as_deref().unwrap_or_default(),
    )?;
    let mut metadata = change
        .metadata
        .clone()
        .or_else(|| found.content.metadata.clone())
        .unwrap_or_default();
    // Its being there is what counts: it is set to the version that comes of it.
    metadata
        .properties
        .insert(VERSION_PROPERTY.to_owned(), "0".to_owned());
    let draft = Draft {
        version: change.new_version,
        schema: Some(text),
        references: Some(found.content.references.clone()),
        metadata: Some(metadata),
        rule_set,
        ..Draft::default()
    };
    let versions = state.subject(subject)?.unwrap_or_default();
    register_new(state, texts, subject, &versions, draft, terms)
}

/// The rules that are asked for; none: those of the latest version.
fn rules_of(
    state: &State<'_>,
    subject: &Subject,
    change: &Retag,
) -> Result<Option<RuleSet>, Refusal> {
    if change.rules_to_merge.is_none() && change.rules_to_remove.is_none() {
        return change.rule_set.clone().map(rules::checked).transpose();
    }
    if change.rule_set.is_some() {
        return Err(Refusal::new(
            Code::InvalidRuleSet,
            "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove",
        ));
    }
    let merged = change
        .rules_to_merge
        .clone()
        .map(rules::checked)
        .transpose()?;
    let versions = state.subject(subject)?.unwrap_or_default();
    let before = match change.new_version {
        Some(new) => versions
            .live()
            .find(|version| i64::from(version.number) + 1 == new),
        None => versions.latest(),
    };
    let before = match before {
        Some(version) => state.content_of(subject, version)?.rule_set.clone(),
        None => None,
    };
    let mut rule_set = RuleSet::merged(before.as_ref(), merged.as_ref());
    if let (Some(rule_set), Some(names)) = (&mut rule_set, &change.rules_to_remove) {
        let stays = |rule: &Rule| rule.name.as_ref().is_none_or(|name| !names.contains(name));
        rule_set.migration_rules.retain(stays);
        rule_set.domain_rules.retain(stays);
        rule_set.encoding_rules.retain(stays);
    }
    Ok(rule_set)
}
