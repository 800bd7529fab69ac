//! Records of `_schemas` as this oracle reads them, by itself: the registry's own code is what is
//! being judged.

use serde::Deserialize;

/// A record of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// Where it is.
    pub offset: i64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// The instance that says that it wrote it (header `meshwork-writer`).
    pub writer: Option<String>,
}

/// A writer that took office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Where it says so.
    pub offset: i64,
    /// Where it is reached.
    pub url: String,
}

/// A record's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A version, live or soft-deleted.
    Schema {
        subject: String,
        version: i32,
        id: i32,
        text: String,
        deleted: bool,
        /// It is more than its text: equal texts may have two ids.
        extras: bool,
    },
    /// A version is gone.
    Gone { subject: String, version: i32 },
    /// Versions up to this one are soft-deleted.
    SoftUpTo { subject: String, version: i32 },
    /// Soft-deleted versions are forgotten.
    Clear { subject: String },
    /// A writer took office, or said again that it is in office.
    Office { url: String },
    /// Nothing that is judged.
    Other,
}

impl Change {
    pub(super) fn subject(&self) -> Option<&str> {
        match self {
            Self::Schema { subject, .. }
            | Self::Gone { subject, .. }
            | Self::SoftUpTo { subject, .. }
            | Self::Clear { subject } => Some(subject),
            Self::Office { .. } | Self::Other => None,
        }
    }
}

/// A change and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) offset: i64,
    pub(super) change: Change,
}

#[derive(Deserialize)]
struct Key {
    keytype: String,
    subject: Option<String>,
    version: Option<i32>,
}

#[derive(Deserialize)]
struct Value {
    version: Option<i32>,
    id: Option<i32>,
    schema: Option<String>,
    #[serde(default)]
    deleted: bool,
    url: Option<String>,
    references: Option<serde_json::Value>,
    metadata: Option<serde_json::Value>,
    #[serde(rename = "ruleSet")]
    rule_set: Option<serde_json::Value>,
}

/// The context of a subject, `.` for the default one.
#[must_use]
pub fn context_of(subject: &str) -> &str {
    subject
        .strip_prefix(':')
        .filter(|rest| rest.starts_with('.'))
        .and_then(|rest| rest.split_once(':'))
        .map_or(".", |(context, _)| context)
}

pub(super) fn changes(records: &[LogRecord]) -> Vec<At> {
    records
        .iter()
        .map(|record| At {
            offset: record.offset,
            change: change(record).unwrap_or(Change::Other),
        })
        .collect()
}

fn change(record: &LogRecord) -> Option<Change> {
    let key: Key = serde_json::from_slice(record.key.as_deref()?).ok()?;
    let value: Option<Value> = match record.value.as_deref() {
        None | Some([]) => None,
        Some(value) => Some(serde_json::from_slice(value).ok()?),
    };
    let subject = key.subject;
    Some(match (key.keytype.as_str(), value) {
        ("SCHEMA", None) => Change::Gone {
            subject: subject?,
            version: key.version?,
        },
        ("SCHEMA", Some(value)) => Change::Schema {
            subject: subject?,
            version: key.version?,
            id: value.id?,
            text: value.schema?,
            deleted: value.deleted,
            extras: value.references.is_some()
                || value.metadata.is_some()
                || value.rule_set.is_some(),
        },
        ("DELETE_SUBJECT", Some(value)) => Change::SoftUpTo {
            subject: subject?,
            version: value.version?,
        },
        ("CLEAR_SUBJECT", Some(_)) => Change::Clear { subject: subject? },
        ("NOOP", Some(value)) if subject.as_deref() == Some("__meshwork") => {
            Change::Office { url: value.url? }
        }
        _ => Change::Other,
    })
}

/// Each time that somebody took office, or said again that it is in office (twice a day), in order.
#[must_use]
pub fn elections(records: &[LogRecord]) -> Vec<Election> {
    changes(records)
        .into_iter()
        .filter_map(|At { offset, change }| match change {
            Change::Office { url } => Some(Election { offset, url }),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: Option<&str>) -> LogRecord {
        LogRecord {
            offset: 4,
            key: Some(key.into()),
            value: value.map(Into::into),
            writer: None,
        }
    }

    #[test]
    fn records_are_read_as_the_page_on_the_log_has_them() {
        let schema = r#"{"keytype":"SCHEMA","subject":":.c:s","version":2,"magic":1}"#;
        let value = r#"{"subject":":.c:s","version":2,"id":7,"schemaType":"AVRO","schema":"\"int\"","deleted":true}"#;
        let cases = [
            (
                record(schema, Some(value)),
                Change::Schema {
                    subject: ":.c:s".to_owned(),
                    version: 2,
                    id: 7,
                    text: "\"int\"".to_owned(),
                    deleted: true,
                    extras: false,
                },
            ),
            (
                record(schema, None),
                Change::Gone {
                    subject: ":.c:s".to_owned(),
                    version: 2,
                },
            ),
            (
                record(
                    r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#,
                    Some(r#"{"subject":"s","version":3}"#),
                ),
                Change::SoftUpTo {
                    subject: "s".to_owned(),
                    version: 3,
                },
            ),
            (
                record(r#"{"keytype":"NOOP","magic":0}"#, None),
                Change::Other,
            ),
            (record("nonsense", Some("{}")), Change::Other),
        ];
        for (record, expected) in cases {
            let found = changes(std::slice::from_ref(&record));
            assert_eq!(found[0].change, expected);
        }
    }

    #[test]
    fn elections_name_who_writes() {
        let key = r#"{"keytype":"NOOP","subject":"__meshwork","magic":0}"#;
        let mut records: Vec<LogRecord> = ["a", "b", "a"]
            .iter()
            .map(|url| {
                record(
                    key,
                    Some(&format!(r#"{{"greatestIds":{{}},"url":"{url}"}}"#)),
                )
            })
            .collect();
        // Only the greatest ids, as in the transaction of a hard delete.
        records.push(record(key, Some(r#"{"greatestIds":{".":4}}"#)));
        let urls: Vec<String> = elections(&records).into_iter().map(|e| e.url).collect();
        assert_eq!(urls, ["a", "b", "a"]);
    }

    #[test]
    fn contexts_are_told_from_plain_names() {
        for (subject, context) in [("s", "."), (":.c:s", ".c"), (":x:s", "."), (":.:s", ".")] {
            assert_eq!(context_of(subject), context, "{subject}");
        }
    }
}
