//! The identity of a registered schema: Confluent's MD5 over all that makes up its content.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};
use thiserror::Error;

use crate::text::java_order;

/// A schema's GUID: 16 bytes, printed 8-4-4-4-12. Equal content has equal GUIDs, whatever
/// subject, id or schema language it is registered under.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct Guid([u8; 16]);

impl Guid {
    /// From its bytes, as record headers carry it.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// Text that is not a GUID.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("{0:?} is not a GUID, 32 hexadecimal digits in groups of 8-4-4-4-12")]
pub struct InvalidGuid(pub String);

impl FromStr for Guid {
    type Err = InvalidGuid;

    fn from_str(text: &str) -> Result<Self, InvalidGuid> {
        let invalid = || InvalidGuid(text.to_owned());
        let groups: Vec<&str> = text.split('-').collect();
        if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
            return Err(invalid());
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(groups.concat(), &mut bytes).map_err(|_| invalid())?;
        Ok(Self(bytes))
    }
}

/// A reference to another registered schema.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reference {
    /// The name by which the text uses it.
    pub name: String,
    /// The subject it is registered under.
    pub subject: String,
    /// Its version there.
    pub version: i32,
}

/// Metadata of a data contract.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata {
    /// Tags by path.
    pub tags: BTreeMap<String, Vec<String>>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Names of properties that are secret.
    pub sensitive: Vec<String>,
}

/// A rule of a data contract; what is absent or empty adds nothing to the GUID.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: Option<String>,
    /// Documentation.
    pub doc: Option<String>,
    /// `CONDITION`, `TRANSFORM`.
    pub kind: Option<String>,
    /// `WRITE`, `READ`, `WRITEREAD`, `UPGRADE`, …
    pub mode: Option<String>,
    /// The rule's language, `CEL` or so.
    pub rule_type: Option<String>,
    /// Tags that it applies to.
    pub tags: Vec<String>,
    /// Parameters.
    pub params: BTreeMap<String, String>,
    /// The rule itself.
    pub expr: Option<String>,
    /// What to do when it passes.
    pub on_success: Option<String>,
    /// What to do when it fails.
    pub on_failure: Option<String>,
    /// Switched off.
    pub disabled: bool,
}

/// The rules of a data contract.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleSet {
    /// Between versions.
    pub migration_rules: Vec<Rule>,
    /// On values.
    pub domain_rules: Vec<Rule>,
    /// On bytes.
    pub encoding_rules: Vec<Rule>,
    /// From when on they hold.
    pub enable_at: Option<String>,
}

/// The GUID of a stored text with its references, metadata and rules. `None` and an empty
/// metadata or rule set are different.
#[must_use]
pub fn guid(
    text: &str,
    references: &[Reference],
    metadata: Option<&Metadata>,
    rules: Option<&RuleSet>,
) -> Guid {
    let mut digest = Md5::new();
    digest.update(text);
    for reference in references {
        digest.update(&reference.name);
        digest.update(&reference.subject);
        digest.update(reference.version.to_be_bytes());
    }
    if let Some(metadata) = metadata {
        digest.update([1]);
        for (tag, values) in in_java_order(&metadata.tags) {
            digest.update(tag);
            for value in sorted(values) {
                digest.update(value);
            }
        }
        for (key, value) in in_java_order(&metadata.properties) {
            digest.update(key);
            digest.update(value);
        }
        for name in sorted(&metadata.sensitive) {
            digest.update(name);
        }
    }
    if let Some(rules) = rules {
        digest.update([1]);
        let lists = [
            &rules.migration_rules,
            &rules.domain_rules,
            &rules.encoding_rules,
        ];
        for rule in lists.into_iter().flatten() {
            update_rule(&mut digest, rule);
        }
        digest.update(rules.enable_at.as_deref().unwrap_or_default());
    }
    Guid(digest.finalize().into())
}

fn update_rule(digest: &mut Md5, rule: &Rule) {
    for text in [
        &rule.name,
        &rule.doc,
        &rule.kind,
        &rule.mode,
        &rule.rule_type,
    ] {
        digest.update(text.as_deref().unwrap_or_default());
    }
    for tag in sorted(&rule.tags) {
        digest.update(tag);
    }
    for (key, value) in in_java_order(&rule.params) {
        digest.update(key);
        digest.update(value);
    }
    for text in [&rule.expr, &rule.on_success, &rule.on_failure] {
        digest.update(text.as_deref().unwrap_or_default());
    }
    if rule.disabled {
        digest.update([1]);
    }
}

/// A set's members in Java's order of strings, each once.
fn sorted(values: &[String]) -> Vec<&str> {
    let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
    values.sort_by(|a, b| java_order(a, b));
    values.dedup();
    values
}

fn in_java_order<V>(map: &BTreeMap<String, V>) -> Vec<(&str, &V)> {
    let mut entries: Vec<(&str, &V)> = map
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    entries.sort_by(|(a, _), (b, _)| java_order(a, b));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references() -> Vec<Reference> {
        let reference = |name: &str, subject: &str, version| Reference {
            name: name.into(),
            subject: subject.into(),
            version,
        };
        vec![
            reference("com.acme.B", "b-value", 3),
            reference("com.acme.A", "a-value", 256),
        ]
    }

    fn metadata() -> Metadata {
        Metadata {
            tags: [("**.ssn".into(), vec!["PRIVATE".into(), "PII".into()])].into(),
            properties: [
                ("owner".into(), "Bob".into()),
                ("email".into(), "b@x".into()),
            ]
            .into(),
            sensitive: vec!["s2".into(), "s1".into()],
        }
    }

    fn rules() -> RuleSet {
        let some = |text: &str| Some(text.to_owned());
        RuleSet {
            domain_rules: vec![Rule {
                name: some("checkLen"),
                doc: some("d"),
                kind: some("CONDITION"),
                mode: some("WRITE"),
                rule_type: some("CEL"),
                tags: vec!["PII".into(), "A".into()],
                params: [("k2".into(), "v2".into()), ("k1".into(), "v1".into())].into(),
                expr: some("size(message)<10"),
                on_success: some("NONE"),
                on_failure: some("ERROR"),
                disabled: true,
            }],
            ..RuleSet::default()
        }
    }

    /// What a Confluent Schema Registry gives.
    #[test]
    fn guids_are_confluents() {
        let text = "\"string\"";
        let record = r#"{"type":"record","name":"myrecord","fields":[{"type":"string","default":null,"name":"f"}]}"#;
        let transform = RuleSet {
            domain_rules: vec![Rule {
                kind: Some("TRANSFORM".into()),
                mode: Some("WRITEREAD".into()),
                ..Rule::default()
            }],
            ..RuleSet::default()
        };
        let empty = Metadata::default();
        for (guid, expected) in [
            (
                guid(text, &[], None, None),
                "095d71cf-1255-6b9d-5e33-0ad575b3df5d",
            ),
            (
                guid(text, &references(), None, None),
                "8973b61b-4fb6-2902-b441-6bca49300031",
            ),
            (
                guid(text, &[], Some(&empty), None),
                "cecc02e2-232b-87f1-1b0c-aa0e70dbb74d",
            ),
            (
                guid(text, &[], Some(&metadata()), None),
                "5df41ac9-48a7-37b8-6c9d-3686140acad9",
            ),
            (
                guid(text, &[], None, Some(&rules())),
                "da7e8804-77e1-103c-6851-40b4e430a92d",
            ),
            (
                guid(text, &references(), Some(&metadata()), Some(&rules())),
                "74a338e7-e4bf-5c1f-1bc6-6cb85bd11691",
            ),
            (
                guid(record, &[], None, None),
                "1d20cbb9-e5e3-5e97-54e7-da170b6e5ddb",
            ),
            (
                guid(record, &[], Some(&empty), Some(&transform)),
                "16f1eca5-ebf9-22b3-da80-212f8fa7342e",
            ),
        ] {
            assert_eq!(guid.to_string(), expected);
            assert_eq!(expected.parse::<Guid>(), Ok(guid));
        }
    }

    #[test]
    fn other_texts_are_no_guids() {
        for text in [
            "",
            "095d71cf12556b9d5e330ad575b3df5d",
            "095d71cf-1255-6b9d-5e33-0ad575b3df5",
            "é-1-2-3-4",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }
}
