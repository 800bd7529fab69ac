//! Records of the log, and what they say whatever the state is.

use base64::Engine as _;
use meshwork_avro::Guid;
use serde::de::DeserializeOwned;

use super::subjects::Extra;
use crate::content::{AVRO, Content};
use crate::record::{Key, Oddity, ReadKey, SchemaValue, from_json};

/// A record as it was read from the log.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, milliseconds since 1970.
    pub timestamp: i64,
    /// Key; none where the record has none.
    pub key: Option<&'a [u8]>,
    /// Value; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Whether a registry of our own wrote it: it has the header that says so.
    pub own: bool,
}

/// What a record says, whatever the state is. To be had before its turn comes.
#[derive(Clone, Debug)]
pub(crate) struct ReadRecord {
    pub(super) key: Result<ReadKey, Oddity>,
    /// Of a record of a schema that has a value.
    pub(super) schema: Option<Result<ReadSchema, Oddity>>,
}

#[derive(Clone, Debug)]
pub(super) struct ReadSchema {
    pub(super) id: i64,
    pub(super) content: Content,
    pub(super) deleted: bool,
    pub(super) extra: Extra,
}

impl LogRecord<'_> {
    /// Reads it.
    pub(crate) fn read(&self) -> ReadRecord {
        let key = self.key.ok_or(Oddity::NullKey).and_then(ReadKey::parse);
        let schema = match (&key, self.value()) {
            (Ok(key), Some(value)) if matches!(key.key, Key::Schema { .. }) => {
                Some(read(value).map(ReadSchema::of))
            }
            _ => None,
        };
        ReadRecord { key, schema }
    }

    /// Karapace writes a zero-length value where others write none.
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.value.filter(|value| !value.is_empty())
    }
}

impl ReadSchema {
    fn of(value: SchemaValue) -> Self {
        // Where values of the metadata are encrypted, the digest of the plain ones is written
        // beside.
        let encrypted = value
            .metadata
            .as_ref()
            .is_some_and(|m| m.properties.get("__enc__").is_some_and(|v| v == "true"));
        let mut content = Content::new(
            value.schema_type.as_deref().unwrap_or(AVRO),
            value.schema,
            value.references,
            value.metadata,
            value.rule_set,
        );
        if encrypted
            && let Some(md5) = &value.md5
            && let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(md5)
            && let Ok(bytes) = <[u8; 16]>::try_from(bytes)
        {
            content.guid = Guid::from_bytes(bytes);
        }
        Self {
            id: value.id,
            content,
            deleted: value.deleted,
            extra: Extra {
                md5: value.md5,
                offset: value.offset,
                ts: value.ts,
            },
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Oddity> {
    from_json(bytes).ok_or(Oddity::UnreadableValue)
}
