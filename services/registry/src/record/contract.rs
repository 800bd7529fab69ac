//! Metadata and rules of a schema: kept, returned and part of its identity; never acted upon.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Confluent's `Metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Tags by path.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Properties.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub properties: BTreeMap<String, String>,
    /// Names of properties whose values are secret.
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub sensitive: BTreeSet<String>,
}

impl Metadata {
    /// `over` laid over `under`, key by key; none only where both are none.
    #[must_use]
    pub fn merged(under: Option<&Self>, over: Option<&Self>) -> Option<Self> {
        let (under, over) = match (under, over) {
            (None, None) => return None,
            (Some(one), None) | (None, Some(one)) => return Some(one.clone()),
            (Some(under), Some(over)) => (under, over),
        };
        let mut merged = under.clone();
        merged.tags.extend(over.tags.clone());
        merged.properties.extend(over.properties.clone());
        merged.sensitive.extend(over.sensitive.iter().cloned());
        Some(merged)
    }
}

/// Confluent's `RuleSet`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSet {
    /// Rules between versions.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub migration_rules: Vec<Rule>,
    /// Rules on records.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub domain_rules: Vec<Rule>,
    /// Rules on encoded records.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub encoding_rules: Vec<Rule>,
    /// Since when they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_at: Option<String>,
}

impl RuleSet {
    /// `over` laid over `under`, rules by name; none only where both are none.
    #[must_use]
    pub fn merged(under: Option<&Self>, over: Option<&Self>) -> Option<Self> {
        let (under, over) = match (under, over) {
            (None, None) => return None,
            (Some(one), None) | (None, Some(one)) => return Some(one.clone()),
            (Some(under), Some(over)) => (under, over),
        };
        Some(Self {
            migration_rules: overlay(&under.migration_rules, &over.migration_rules),
            domain_rules: overlay(&under.domain_rules, &over.domain_rules),
            encoding_rules: overlay(&under.encoding_rules, &over.encoding_rules),
            enable_at: over.enable_at.clone().or_else(|| under.enable_at.clone()),
        })
    }
}

/// The rules of `under` whose names `over` does not have, then all of `over`.
fn overlay(under: &[Rule], over: &[Rule]) -> Vec<Rule> {
    under
        .iter()
        .filter(|rule| over.iter().all(|other| other.name != rule.name))
        .chain(over)
        .cloned()
        .collect()
}

/// Confluent's `Rule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the names are Confluent's own and we do not act on them"
)]
pub struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub rule_type: Option<String>,
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub tags: BTreeSet<String>,
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub params: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    pub disabled: bool,
}

/// Java writes `null` for what is not there.
pub(super) fn null_is_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}
