//! Keys of `_schemas`. The order of their members is fixed: a reordered key is another key to
//! compaction, and would bring back what was deleted under it.

use serde::{Deserialize, Serialize};

use super::Oddity;
use super::text::{from_json, to_json};

/// Subject of the NOOP record that holds what Meshwork must not forget. Other registries see a
/// NOOP and take no notice.
pub(crate) const OWN_NOOP: &str = "__meshwork";

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A version of a subject.
    Schema {
        /// Subject, with its context where that is not the default one.
        subject: String,
        /// From 1.
        version: i32,
    },
    /// Settings, global where there is no subject.
    Config {
        /// Subject or context.
        subject: Option<String>,
    },
    /// Mode, global where there is no subject.
    Mode {
        /// Subject or context.
        subject: Option<String>,
    },
    /// Nothing; or, with a subject, what a registry keeps for itself.
    Noop {
        /// Whose.
        subject: Option<String>,
    },
    /// Soft-deletes all versions up to one.
    DeleteSubject {
        /// Subject.
        subject: String,
    },
    /// Forgets soft-deleted versions.
    ClearSubject {
        /// Subject or context.
        subject: String,
    },
    /// A context is there.
    Context {
        /// Tenant; `default` everywhere but in Confluent's cloud.
        tenant: String,
        /// Context, such as `.ctx`.
        context: String,
    },
}

/// A key as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadKey {
    /// What it is about.
    pub key: Key,
    /// Whether its bytes are the ones that we write for it.
    pub canonical: bool,
    /// Redpanda's: the offset at which the writer meant the record to be.
    pub seq: Option<i64>,
}

#[derive(Deserialize)]
struct Wire {
    keytype: Option<String>,
    subject: Option<String>,
    version: Option<i64>,
    seq: Option<i64>,
    tenant: Option<String>,
    context: Option<String>,
}

#[derive(Serialize)]
struct Written<'a> {
    keytype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    magic: u8,
}

impl Key {
    /// The bytes that Confluent writes for this key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut written = Written {
            keytype: self.keytype(),
            tenant: None,
            context: None,
            subject: None,
            version: None,
            magic: 0,
        };
        match self {
            Self::Schema { subject, version } => {
                written.subject = Some(subject);
                written.version = Some(*version);
                written.magic = 1;
            }
            Self::Config { subject } | Self::Mode { subject } | Self::Noop { subject } => {
                written.subject = subject.as_deref();
            }
            Self::DeleteSubject { subject } | Self::ClearSubject { subject } => {
                written.subject = Some(subject);
            }
            Self::Context { tenant, context } => {
                written.tenant = Some(tenant);
                written.context = Some(context);
            }
        }
        to_json(&written)
    }

    const fn keytype(&self) -> &'static str {
        match self {
            Self::Schema { .. } => "SCHEMA",
            Self::Config { .. } => "CONFIG",
            Self::Mode { .. } => "MODE",
            Self::Noop { .. } => "NOOP",
            Self::DeleteSubject { .. } => "DELETE_SUBJECT",
            Self::ClearSubject { .. } => "CLEAR_SUBJECT",
            Self::Context { .. } => "CONTEXT",
        }
    }
}

impl ReadKey {
    /// Reads a key, whatever the order of its members and whatever its magic.
    ///
    /// # Errors
    /// Bytes that are no key, or of an unknown kind.
    pub fn parse(bytes: &[u8]) -> Result<Self, Oddity> {
        let wire: Wire = from_json(bytes).ok_or(Oddity::UnreadableKey)?;
        let needed = |text: Option<String>| text.ok_or(Oddity::UnreadableKey);
        let keytype = needed(wire.keytype)?;
        let key = match keytype.as_str() {
            "SCHEMA" => {
                let version = wire.version.ok_or(Oddity::UnreadableKey)?;
                Key::Schema {
                    subject: needed(wire.subject)?,
                    version: i32::try_from(version)
                        .ok()
                        .filter(|version| *version >= 1)
                        .ok_or(Oddity::OutOfRange)?,
                }
            }
            "CONFIG" => Key::Config {
                subject: wire.subject,
            },
            "MODE" => Key::Mode {
                subject: wire.subject,
            },
            "NOOP" => Key::Noop {
                subject: wire.subject,
            },
            "DELETE_SUBJECT" => Key::DeleteSubject {
                subject: needed(wire.subject)?,
            },
            "CLEAR_SUBJECT" => Key::ClearSubject {
                subject: needed(wire.subject)?,
            },
            "CONTEXT" => Key::Context {
                tenant: wire.tenant.unwrap_or_else(|| "default".to_owned()),
                context: needed(wire.context)?,
            },
            _ => return Err(Oddity::UnknownKeyType),
        };
        Ok(Self {
            canonical: key.to_bytes() == bytes,
            key,
            seq: wire.seq,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fixture = (&'static str, fn() -> Key);

    /// Frozen: what Confluent writes. Never to be changed.
    const FIXTURES: [Fixture; 10] = [
        (
            r#"{"keytype":"SCHEMA","subject":"t-value","version":1,"magic":1}"#,
            || Key::Schema {
                subject: "t-value".to_owned(),
                version: 1,
            },
        ),
        (r#"{"keytype":"CONFIG","magic":0}"#, || Key::Config {
            subject: None,
        }),
        (r#"{"keytype":"CONFIG","subject":"t","magic":0}"#, || {
            Key::Config {
                subject: Some("t".to_owned()),
            }
        }),
        (r#"{"keytype":"MODE","magic":0}"#, || Key::Mode {
            subject: None,
        }),
        (r#"{"keytype":"MODE","subject":"t","magic":0}"#, || {
            Key::Mode {
                subject: Some("t".to_owned()),
            }
        }),
        (r#"{"keytype":"NOOP","magic":0}"#, || Key::Noop {
            subject: None,
        }),
        (
            r#"{"keytype":"NOOP","subject":"__meshwork","magic":0}"#,
            || Key::Noop {
                subject: Some(OWN_NOOP.to_owned()),
            },
        ),
        (
            r#"{"keytype":"DELETE_SUBJECT","subject":"t","magic":0}"#,
            || Key::DeleteSubject {
                subject: "t".to_owned(),
            },
        ),
        (
            r#"{"keytype":"CLEAR_SUBJECT","subject":"t","magic":0}"#,
            || Key::ClearSubject {
                subject: "t".to_owned(),
            },
        ),
        (
            r#"{"keytype":"CONTEXT","tenant":"default","context":".ctx","magic":0}"#,
            || Key::Context {
                tenant: "default".to_owned(),
                context: ".ctx".to_owned(),
            },
        ),
    ];

    #[test]
    fn keys_are_confluents_byte_for_byte() {
        for (text, key) in FIXTURES {
            let read = ReadKey::parse(text.as_bytes()).unwrap();
            assert_eq!(read.key, key(), "{text}");
            assert!(read.canonical, "{text}");
            assert_eq!(String::from_utf8(read.key.to_bytes()).unwrap(), text);
        }
    }

    #[test]
    fn other_byte_forms_are_the_same_key() {
        for text in [
            r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":0}"#,
            r#"{"subject":"s","version":2,"magic":1,"keytype":"SCHEMA"}"#,
            r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":1,"seq":7,"node":0}"#,
        ] {
            let read = ReadKey::parse(text.as_bytes()).unwrap();
            assert_eq!(
                read.key,
                Key::Schema {
                    subject: "s".to_owned(),
                    version: 2
                }
            );
            assert!(!read.canonical, "{text}");
        }
        let repeated = ReadKey::parse(
            br#"{"keytype":"NOOP","subject":"a","version":2,"keytype":"SCHEMA","subject":"s"}"#,
        );
        assert_eq!(
            repeated.unwrap().key,
            Key::Schema {
                subject: "s".to_owned(),
                version: 2
            }
        );
        let global = ReadKey::parse(br#"{"subject":null,"magic":0,"keytype":"CONFIG"}"#).unwrap();
        assert_eq!(global.key, Key::Config { subject: None });
    }

    #[test]
    fn what_is_no_key_says_why() {
        for (bytes, oddity) in [
            (&b""[..], Oddity::UnreadableKey),
            (b"\xff\x00", Oddity::UnreadableKey),
            (b"[1]", Oddity::UnreadableKey),
            (br#"["NOOP","s",1,null,null,null]"#, Oddity::UnreadableKey),
            (b"{}", Oddity::UnreadableKey),
            (
                br#"{"keytype":"SCHEMA","subject":"s"}"#,
                Oddity::UnreadableKey,
            ),
            (
                br#"{"keytype":"SCHEMA","subject":"s","version":0}"#,
                Oddity::OutOfRange,
            ),
            (
                br#"{"keytype":"SCHEMA","subject":"s","version":4294967297}"#,
                Oddity::OutOfRange,
            ),
            (br#"{"keytype":"ASSOC"}"#, Oddity::UnknownKeyType),
        ] {
            assert_eq!(ReadKey::parse(bytes), Err(oddity), "{bytes:?}");
        }
    }
}
