//! Keys of rows. The first byte says what a row is of; what follows sorts as the parts do.
//!
//! | first | then | value |
//! | --- | --- | --- |
//! | `s` | subject, number of a chunk of versions | the versions |
//! | `i` | context, id | GUID, how many versions hold it |
//! | `c` | context, id | the content |
//! | `v` | context, id, GUID | a content with the text of `c` and other references, metadata or rules |
//! | `h` | context, id, whether soft-deleted, subject, version | timestamp |
//! | `g` | GUID, context, id | nothing |
//! | `f` | context, GUID | the id that it had, and what it meant |
//! | `r` | subject, version, and who refers to it: subject, version | nothing |
//! | `p` | settings: a subject or none | JSON |
//! | `m` | mode: a subject or none | its name |
//! | `k` | a key of the log as we write it, another form of it | nothing |
//! | `x` | context | the greatest id seen |
//! | `y` | context | the greatest id that the log's own mark holds |
//! | `q` | subject, version | nothing: the newest record of it was ignored |
//! | `w` | nothing | who writes |
//! | `n` | nothing | records that others wrote |

use meshwork_avro::Guid;

use super::Place;
use super::rows::KeyRange;
use crate::subject::Subject;

/// Versions of one subject in one row: a change rewrites no more of them.
pub(super) const CHUNK: i32 = 128;

/// A key in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

impl Key {
    fn of(kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(kind);
        Self(bytes)
    }

    /// A text and its end: `00 01`. A zero byte in it is `00 FF`, so that keys sort as texts do.
    fn text(mut self, text: &str) -> Self {
        self = self.start(text);
        self.0.extend_from_slice(&[0, 1]);
        self
    }

    /// A text whose end is open.
    fn start(mut self, text: &str) -> Self {
        for (n, part) in text.split('\0').enumerate() {
            if n > 0 {
                self.0.extend_from_slice(&[0, 0xFF]);
            }
            self.0.extend_from_slice(part.as_bytes());
        }
        self
    }

    fn number(mut self, number: i32) -> Self {
        self.0.extend_from_slice(&(number ^ i32::MIN).to_be_bytes());
        self
    }

    fn flag(mut self, flag: bool) -> Self {
        self.0.push(u8::from(flag));
        self
    }

    fn guid(mut self, guid: &Guid) -> Self {
        self.0.extend_from_slice(guid.as_bytes());
        self
    }

    fn place(self, subject: &Subject, version: i32) -> Self {
        self.text(subject.as_str()).number(version)
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// All keys that begin with this one.
    pub(super) fn range(self) -> KeyRange {
        let from = self.0;
        let mut until = from.clone();
        // Ends at the latest with the first byte, which is a letter.
        while let Some(last) = until.pop() {
            if last < u8::MAX {
                until.push(last + 1);
                break;
            }
        }
        KeyRange { from, until }
    }
}

/// The chunk that a version is in.
pub(super) const fn chunk_of(version: i32) -> i32 {
    (version - 1).div_euclid(CHUNK)
}

pub(super) fn versions(subject: &Subject, chunk: i32) -> Key {
    Key::of(b's').text(subject.as_str()).number(chunk)
}

pub(super) fn versions_of(subject: &Subject) -> Key {
    Key::of(b's').text(subject.as_str())
}

pub(super) fn subjects_with(prefix: &str) -> Key {
    Key::of(b's').start(prefix)
}

pub(super) fn id(context: &str, id: i32) -> Key {
    Key::of(b'i').text(context).number(id)
}

pub(super) fn content(context: &str, id: i32) -> Key {
    Key::of(b'c').text(context).number(id)
}

pub(super) fn variant(context: &str, id: i32, guid: &Guid) -> Key {
    variants(context, id).guid(guid)
}

pub(super) fn variants(context: &str, id: i32) -> Key {
    Key::of(b'v').text(context).number(id)
}

pub(super) fn holder(context: &str, id: i32, deleted: bool, (subject, version): &Place) -> Key {
    holders(context, id, deleted).place(subject, *version)
}

pub(super) fn holders(context: &str, id: i32, deleted: bool) -> Key {
    Key::of(b'h').text(context).number(id).flag(deleted)
}

pub(super) fn holders_of(context: &str, id: i32, deleted: bool, subject: &Subject) -> Key {
    holders(context, id, deleted).text(subject.as_str())
}

/// Those of subjects whose full names begin so.
pub(super) fn holders_under(context: &str, id: i32, deleted: bool, prefix: &str) -> Key {
    holders(context, id, deleted).start(prefix)
}

pub(super) fn guid(guid: &Guid, context: &str, id: i32) -> Key {
    guids_in(guid, context).number(id)
}

pub(super) fn guids(guid: &Guid) -> Key {
    Key::of(b'g').guid(guid)
}

pub(super) fn guids_in(guid: &Guid, context: &str) -> Key {
    guids(guid).text(context)
}

pub(super) fn forgotten(context: &str, guid: &Guid) -> Key {
    Key::of(b'f').text(context).guid(guid)
}

pub(super) fn referrer(to: &Place, (subject, version): &Place) -> Key {
    referrers(to).place(subject, *version)
}

pub(super) fn referrers((subject, version): &Place) -> Key {
    Key::of(b'r').place(subject, *version)
}

fn scope(kind: u8, subject: Option<&Subject>) -> Key {
    match subject {
        Some(subject) => Key::of(kind).text(subject.as_str()),
        None => Key::of(kind),
    }
}

pub(super) fn settings(subject: Option<&Subject>) -> Key {
    scope(b'p', subject)
}

pub(super) fn settings_with(prefix: &str) -> Key {
    Key::of(b'p').start(prefix)
}

pub(super) fn modes_with(prefix: &str) -> Key {
    Key::of(b'm').start(prefix)
}

pub(super) fn mode(subject: Option<&Subject>) -> Key {
    scope(b'm', subject)
}

pub(super) fn form(canonical: &[u8], form: &[u8]) -> Key {
    let mut key = forms(canonical);
    key.0.extend_from_slice(form);
    key
}

pub(super) fn forms(canonical: &[u8]) -> Key {
    let mut key = Key::of(b'k');
    // JSON without control characters: no zero byte to be escaped.
    key.0.extend_from_slice(canonical);
    key.0.extend_from_slice(&[0, 1]);
    key
}

pub(super) fn context(name: &str) -> Key {
    Key::of(b'x').text(name)
}

pub(super) fn contexts() -> Key {
    Key::of(b'x')
}

pub(super) fn mark(context: &str) -> Key {
    Key::of(b'y').text(context)
}

pub(super) fn ignored((subject, version): &Place) -> Key {
    all_ignored().place(subject, *version)
}

pub(super) fn all_ignored() -> Key {
    Key::of(b'q')
}

pub(super) fn writer() -> Key {
    Key::of(b'w')
}

pub(super) fn foreign() -> Key {
    Key::of(b'n')
}

/// Reads a key's parts, after its first byte.
pub(super) struct Parts<'k>(&'k [u8]);

impl<'k> Parts<'k> {
    pub(super) fn of(key: &'k [u8]) -> Self {
        Self(key.get(1..).unwrap_or_default())
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            if *byte != 0 {
                bytes.push(*byte);
                continue;
            }
            let (escaped, rest) = self.0.split_first()?;
            self.0 = rest;
            match *escaped {
                1 => return String::from_utf8(bytes).ok(),
                0xFF => bytes.push(0),
                _ => return None,
            }
        }
    }

    pub(super) fn number(&mut self) -> Option<i32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*bytes) ^ i32::MIN)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte != 0)
    }

    pub(super) fn guid(&mut self) -> Option<Guid> {
        let (bytes, rest) = self.0.split_first_chunk::<16>()?;
        self.0 = rest;
        Some(Guid::from_bytes(*bytes))
    }

    pub(super) fn place(&mut self) -> Option<Place> {
        Some((Subject::from_full(&self.text()?), self.number()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_parts_and_come_back() {
        let names = ["", "a", "a\0", "a\0b", "ab", "b", "\u{10ffff}"];
        let mut places = Vec::new();
        for name in names {
            for version in [i32::MIN, -1, 0, 1, 255, 256, i32::MAX] {
                places.push((Subject::new(name), version));
            }
        }
        let keys: Vec<Vec<u8>> = places
            .iter()
            .map(|place| holder(".", 7, true, place).bytes())
            .collect();
        assert!(keys.is_sorted());
        for (place, key) in places.iter().zip(&keys) {
            let mut parts = Parts::of(key);
            assert_eq!(parts.text().as_deref(), Some("."));
            assert_eq!(parts.number(), Some(7));
            assert_eq!(parts.flag(), Some(true));
            assert_eq!(parts.place().as_ref(), Some(place));
            assert!(parts.0.is_empty());
        }
    }

    #[test]
    fn a_range_has_what_begins_so_and_nothing_else() {
        let range = versions_of(&Subject::new("a")).range();
        for (name, within) in [("a", true), ("a\0", false), ("ab", false), ("", false)] {
            let key = versions(&Subject::new(name), 3).bytes();
            assert_eq!(range.from <= key && key < range.until, within, "{name:?}");
        }
        assert_eq!(chunk_of(1), 0);
        assert_eq!(chunk_of(128), 0);
        assert_eq!(chunk_of(129), 1);
        assert_eq!(chunk_of(i32::MAX), 16_777_215);
    }
}
