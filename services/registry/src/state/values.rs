//! Values of rows: numbers of seven bits a byte, texts and bytes after their lengths. What changes
//! here changes the store's format number.

use meshwork_avro::Guid;

use super::rows::StateError;
use super::subjects::{Extra, VersionRow};
use crate::content::Content;
use crate::record::Reference;

/// A value in the making.
#[derive(Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn number(&mut self, mut n: u64) {
        loop {
            let [low, ..] = n.to_le_bytes();
            if n < 0x80 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
            n >>= 7;
        }
    }

    /// Small ones, of either sign, are short.
    pub(super) fn signed(&mut self, n: i64) {
        self.number((n.wrapping_shl(1) ^ (n >> 63)).cast_unsigned());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn option(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.number(1);
                self.bytes(bytes);
            }
            None => self.number(0),
        }
    }

    fn json<T: serde::Serialize>(&mut self, value: Option<&T>) {
        // Cannot fail: string keys only.
        let json = value.and_then(|value| serde_json::to_vec(value).ok());
        self.option(json.as_deref());
    }
}

/// Reads a value.
pub(super) struct In<'v>(pub(super) &'v [u8]);

impl<'v> In<'v> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let n = self.number()?;
        Some((n >> 1).cast_signed() ^ (n & 1).cast_signed().wrapping_neg())
    }

    fn small(&mut self) -> Option<i32> {
        i32::try_from(self.signed()?).ok()
    }

    fn bytes(&mut self) -> Option<&'v [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<&'v str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn option(&mut self) -> Option<Option<&'v [u8]>> {
        match self.number()? {
            0 => Some(None),
            1 => Some(Some(self.bytes()?)),
            _ => None,
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self) -> Option<Option<T>> {
        match self.option()? {
            None => Some(None),
            Some(json) => serde_json::from_slice(json).ok().map(Some),
        }
    }

    fn guid(&mut self) -> Option<Guid> {
        let (bytes, rest) = self.0.split_first_chunk::<16>()?;
        self.0 = rest;
        Some(Guid::from_bytes(*bytes))
    }
}

pub(super) fn garbled<T>(what: &'static str, value: Option<T>) -> Result<T, StateError> {
    value.ok_or(StateError::Garbled { what })
}

const DELETED: u64 = 1;
const EXTRA: u64 = 2;

/// Versions of one chunk, ascending.
pub(super) fn put_versions(versions: &[VersionRow]) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(versions.len() * 32));
    let (mut number, mut timestamp) = (0, 0);
    for version in versions {
        out.signed(i64::from(version.number).wrapping_sub(number));
        out.number(
            if version.deleted { DELETED } else { 0 }
                | if version.extra.is_some() { EXTRA } else { 0 },
        );
        out.signed(i64::from(version.id));
        out.signed(version.timestamp.wrapping_sub(timestamp));
        out.0.extend_from_slice(version.guid.as_bytes());
        if let Some(extra) = &version.extra {
            out.option(extra.md5.as_deref().map(str::as_bytes));
            for n in [extra.offset, extra.ts] {
                out.number(u64::from(n.is_some()));
                out.signed(n.unwrap_or(0));
            }
        }
        (number, timestamp) = (i64::from(version.number), version.timestamp);
    }
    out.0
}

/// Appends the versions of a chunk.
pub(super) fn take_versions(value: &[u8], into: &mut Vec<VersionRow>) -> Result<(), StateError> {
    let mut input = In(value);
    let (mut number, mut timestamp) = (0_i64, 0_i64);
    while !input.0.is_empty() {
        let mut read = || {
            number = number.checked_add(input.signed()?)?;
            let flags = input.number()?;
            let id = input.small()?;
            timestamp = timestamp.wrapping_add(input.signed()?);
            let guid = input.guid()?;
            let mut extra = None;
            if flags & EXTRA != 0 {
                let md5 = match input.option()? {
                    Some(bytes) => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
                    None => None,
                };
                let mut optional = || {
                    let there = input.number()? == 1;
                    let n = input.signed()?;
                    Some(there.then_some(n))
                };
                extra = Some(Box::new(Extra {
                    md5,
                    offset: optional()?,
                    ts: optional()?,
                }));
            }
            Some(VersionRow {
                number: i32::try_from(number).ok()?,
                id,
                guid,
                deleted: flags & DELETED != 0,
                timestamp,
                extra,
            })
        };
        into.push(garbled("versions", read())?);
    }
    Ok(())
}

/// What is known of an id apart from its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdRow {
    /// Of its content, or of what it was.
    pub(super) guid: Guid,
    /// Whether its content refers to others.
    pub(super) refers: bool,
    /// Versions that hold it, and soft-deleted ones.
    pub(super) live: u64,
    pub(super) deleted: u64,
}

impl IdRow {
    pub(super) const fn is_held(&self) -> bool {
        self.live > 0 || self.deleted > 0
    }

    pub(super) fn count(&mut self, deleted: bool) -> &mut u64 {
        if deleted {
            &mut self.deleted
        } else {
            &mut self.live
        }
    }

    pub(super) fn put(&self) -> Vec<u8> {
        let mut out = Out(self.guid.as_bytes().to_vec());
        out.number(u64::from(self.refers));
        out.number(self.live);
        out.number(self.deleted);
        out.0
    }

    pub(super) fn take(value: &[u8]) -> Result<Self, StateError> {
        let mut input = In(value);
        let mut read = || {
            Some(Self {
                guid: input.guid()?,
                refers: input.number()? == 1,
                live: input.number()?,
                deleted: input.number()?,
            })
        };
        garbled("id", read())
    }
}

pub(super) fn put_content(content: &Content) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(content.text.len() + 64));
    out.0.extend_from_slice(content.guid.as_bytes());
    out.bytes(content.kind.as_bytes());
    out.bytes(content.text.as_bytes());
    out.number(content.references.len() as u64);
    for reference in &content.references {
        out.bytes(reference.name.as_bytes());
        out.bytes(reference.subject.as_bytes());
        out.signed(i64::from(reference.version));
    }
    out.json(content.metadata.as_ref());
    out.json(content.rule_set.as_ref());
    out.0
}

pub(super) fn take_content(value: &[u8]) -> Result<Content, StateError> {
    let mut input = In(value);
    let mut read = || {
        let guid = input.guid()?;
        let kind = input.text()?.into();
        let text = input.text()?.into();
        let mut references = Vec::new();
        for _ in 0..input.number()? {
            references.push(Reference {
                name: input.text()?.to_owned(),
                subject: input.text()?.to_owned(),
                version: input.small()?,
            });
        }
        Some(Content {
            guid,
            kind,
            text,
            references,
            metadata: input.json()?,
            rule_set: input.json()?,
        })
    };
    garbled("content", read())
}

pub(super) fn put_number(n: i64) -> Vec<u8> {
    let mut out = Out::default();
    out.signed(n);
    out.0
}

pub(super) fn take_number(value: &[u8]) -> Result<i64, StateError> {
    garbled("number", In(value).signed())
}

pub(super) fn take_small(value: &[u8]) -> Result<i32, StateError> {
    garbled("number", In(value).small())
}

/// A content that no version holds any more.
pub(super) struct Forgotten {
    /// The id that it had.
    pub(super) id: i32,
    /// See [`Content::meaning`].
    pub(super) meaning: Guid,
}

impl Forgotten {
    pub(super) fn put(&self) -> Vec<u8> {
        let mut out = Out(self.meaning.as_bytes().to_vec());
        out.signed(i64::from(self.id));
        out.0
    }

    pub(super) fn take(value: &[u8]) -> Result<Self, StateError> {
        let mut input = In(value);
        let mut read = || {
            Some(Self {
                meaning: input.guid()?,
                id: input.small()?,
            })
        };
        garbled("forgotten content", read())
    }
}

/// A context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContextRow {
    /// The greatest id seen, whether its record had an effect or not.
    pub(super) greatest: i32,
    /// Whether it is one of the contexts: not once it was deleted.
    pub(super) listed: bool,
}

impl ContextRow {
    pub(super) fn put(self) -> Vec<u8> {
        let mut out = Out::default();
        out.signed(i64::from(self.greatest));
        out.number(u64::from(self.listed));
        out.0
    }

    pub(super) fn take(value: &[u8]) -> Result<Self, StateError> {
        let mut input = In(value);
        let mut read = || {
            Some(Self {
                greatest: input.small()?,
                listed: input.number()? == 1,
            })
        };
        garbled("context", read())
    }
}
