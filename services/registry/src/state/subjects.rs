//! Versions of one subject.

use std::collections::BTreeMap;

use super::Shared;

/// A subject's versions.
#[derive(Debug, Default)]
pub struct SubjectState {
    pub(super) versions: BTreeMap<i32, Version>,
}

/// One version.
#[derive(Clone, Debug)]
pub struct Version {
    /// Schema id.
    pub id: i32,
    /// The schema.
    pub content: Shared,
    /// Whether it is soft-deleted.
    pub deleted: bool,
    /// Kafka timestamp of its record, milliseconds since 1970.
    pub timestamp: i64,
    /// What other registries wrote in its record besides; none for our own.
    pub(crate) extra: Option<Box<Extra>>,
}

/// Members of a SCHEMA value that we keep and do not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) md5: Option<String>,
    pub(crate) offset: Option<i64>,
    pub(crate) ts: Option<i64>,
}

impl SubjectState {
    /// A version, soft-deleted or not.
    #[must_use]
    pub fn version(&self, version: i32) -> Option<&Version> {
        self.versions.get(&version)
    }

    /// All versions, ascending, soft-deleted ones included.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = (i32, &Version)> {
        self.versions.iter().map(|(n, version)| (*n, version))
    }

    /// The live versions, ascending.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = (i32, &Version)> {
        self.all().filter(|(_, version)| !version.deleted)
    }

    /// The greatest live version.
    #[must_use]
    pub fn latest(&self) -> Option<(i32, &Version)> {
        self.live().next_back()
    }

    /// The version that comes next; none when numbers have run out.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        match self.versions.last_key_value() {
            Some((greatest, _)) => greatest.checked_add(1),
            None => Some(1),
        }
    }
}
