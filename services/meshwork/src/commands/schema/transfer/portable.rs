//! The form in which schemas travel: JSON, one object a line. First a header, then versions, each
//! after those that it refers to and after the subject's earlier ones, then configurations and
//! modes, then an end by which a file that was cut short is known.

use meshwork_registry_client::StoredVersion;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The form's number; a reader refuses what is newer than it.
pub(super) const FORMAT: u32 = 1;

/// Longest line read: a schema takes as much as a Kafka record, and JSON within JSON doubles it.
pub(super) const MAX_LINE: usize = 32 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Line {
    /// The first.
    Header(Header),
    /// A version of a subject.
    Version(StoredVersion),
    /// The configuration of a scope, as GET gives it.
    Config(ConfigLine),
    /// The mode of a scope.
    Mode(ModeLine),
    /// The last.
    End(Counts),
}

/// Where the lines are from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The form's number.
    pub(super) format: u32,
    /// The registry that they were read from, without credentials.
    pub(super) source: String,
    /// When, in UTC.
    pub(super) at: String,
    /// Whether soft-deleted versions are among them.
    pub(super) deleted: bool,
}

/// The configuration of a scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ConfigLine {
    /// A subject or a context (`:.ctx:`); none is the whole registry.
    pub(super) scope: Option<String>,
    /// As GET gives it.
    pub(super) config: Map<String, Value>,
}

/// The mode of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ModeLine {
    /// A subject or a context (`:.ctx:`); none is the whole registry.
    pub(super) scope: Option<String>,
    /// `READWRITE`, `READONLY`, …
    pub(super) mode: String,
}

/// How many lines of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Versions.
    pub(super) versions: u64,
    /// Configurations.
    pub(super) configurations: u64,
    /// Modes.
    pub(super) modes: u64,
}

/// A scope in words.
pub(super) fn in_words(scope: Option<&str>) -> &str {
    scope.unwrap_or("the whole registry")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was exported once must be read for ever.
    #[test]
    fn lines_are_written_and_read_as_they_always_were() {
        let frozen = [
            r#"{"kind":"header","format":1,"source":"http://r:8081","at":"2026-01-02T03:04:05Z","deleted":true}"#,
            r#"{"kind":"version","subject":":.c:s","version":2,"id":7,"guid":"g","schemaType":"JSON","references":[{"name":"n","subject":"t","version":1}],"metadata":{"properties":{"k":"v"}},"ruleSet":{"domainRules":[]},"schema":"{}","deleted":true}"#,
            r#"{"kind":"version","subject":"s","version":1,"id":1,"schema":"\"int\""}"#,
            r#"{"kind":"config","scope":null,"config":{"compatibilityLevel":"FULL"}}"#,
            r#"{"kind":"mode","scope":"s","mode":"READONLY"}"#,
            r#"{"kind":"end","versions":2,"configurations":1,"modes":1}"#,
        ];
        for text in frozen {
            let line: Line = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
        }
    }
}
