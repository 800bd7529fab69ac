//! Versions of subjects.

use meshwork_avro::Guid;

use super::keys::{self, Parts};
use super::rows::{Direction, StateError};
use super::{Shared, State, values};
use crate::subject::Subject;

/// A subject's versions, soft-deleted ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectState {
    /// Ascending.
    pub(super) versions: Vec<VersionRow>,
}

/// One version, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// From 1.
    pub number: i32,
    /// Schema id.
    pub id: i32,
    /// Of its content.
    pub guid: Guid,
    /// Whether it is soft-deleted.
    pub deleted: bool,
    /// Kafka timestamp of its record, milliseconds since 1970.
    pub timestamp: i64,
    /// What other registries wrote in its record besides; none for our own.
    pub(crate) extra: Option<Box<Extra>>,
}

/// One version with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// From 1.
    pub number: i32,
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
    pub fn version(&self, number: i32) -> Option<&VersionRow> {
        self.versions.get(self.at(number).ok()?)
    }

    /// All versions, ascending, soft-deleted ones included.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &VersionRow> {
        self.versions.iter()
    }

    /// The live versions, ascending.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &VersionRow> {
        self.all().filter(|version| !version.deleted)
    }

    /// The greatest live version.
    #[must_use]
    pub fn latest(&self) -> Option<&VersionRow> {
        self.live().next_back()
    }

    /// Adds a version, or replaces the one with its number.
    pub(super) fn set(&mut self, version: VersionRow) {
        match self.at(version.number) {
            Ok(at) => {
                if let Some(former) = self.versions.get_mut(at) {
                    *former = version;
                }
            }
            Err(at) => self.versions.insert(at, version),
        }
    }

    /// Takes a version out.
    pub(super) fn take(&mut self, number: i32) -> Option<VersionRow> {
        Some(self.versions.remove(self.at(number).ok()?))
    }

    fn at(&self, number: i32) -> Result<usize, usize> {
        self.versions
            .binary_search_by_key(&number, |version| version.number)
    }

    /// The version that comes next; none when numbers have run out.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        match self.versions.last() {
            Some(greatest) => greatest.number.checked_add(1),
            None => Some(1),
        }
    }
}

impl State<'_> {
    /// The subjects whose full names begin with `prefix`, in the order of their names, with their
    /// versions. Read one after another.
    pub fn subjects(
        &self,
        prefix: &str,
    ) -> impl Iterator<Item = Result<(Subject, SubjectState), StateError>> + use<'_> {
        let range = keys::subjects_with(prefix).range();
        let mut rows = self.scan(&range, Direction::Forward).peekable();
        std::iter::from_fn(move || {
            let (key, value) = match rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            let mut read = || {
                let name = Parts::of(&key).text().ok_or(StateError::Garbled {
                    what: "key of versions",
                })?;
                let mut state = SubjectState::default();
                values::take_versions(&value, &mut state.versions)?;
                // All but the number of the chunk.
                let whose = key.get(..key.len().saturating_sub(4)).unwrap_or_default();
                while let Some(row) =
                    rows.next_if(|row| row.as_ref().is_ok_and(|(key, _)| key.starts_with(whose)))
                {
                    values::take_versions(&row?.1, &mut state.versions)?;
                }
                Ok((Subject::from_full(&name), state))
            };
            Some(read())
        })
    }

    /// One subject, if it has any version, soft-deleted ones included.
    ///
    /// # Errors
    /// It can't be read.
    pub fn subject(&self, subject: &Subject) -> Result<Option<SubjectState>, StateError> {
        let mut state = SubjectState::default();
        let range = keys::versions_of(subject).range();
        for row in self.scan(&range, Direction::Forward) {
            values::take_versions(&row?.1, &mut state.versions)?;
        }
        Ok((!state.versions.is_empty()).then_some(state))
    }

    /// One version without its content, soft-deleted or not.
    ///
    /// # Errors
    /// It can't be read.
    pub fn version_row(
        &self,
        subject: &Subject,
        number: i32,
    ) -> Result<Option<VersionRow>, StateError> {
        let chunk = self.chunk(subject, keys::chunk_of(number))?;
        Ok(chunk.version(number).cloned())
    }

    /// One version with its content, soft-deleted or not.
    ///
    /// # Errors
    /// It can't be read.
    pub fn version(&self, subject: &Subject, number: i32) -> Result<Option<Version>, StateError> {
        self.version_row(subject, number)?
            .map(|row| self.with_content(subject, &row))
            .transpose()
    }

    /// A version with its content.
    ///
    /// # Errors
    /// It can't be read.
    pub fn with_content(&self, subject: &Subject, row: &VersionRow) -> Result<Version, StateError> {
        Ok(Version {
            number: row.number,
            id: row.id,
            content: self.content_of(subject, row)?,
            deleted: row.deleted,
            timestamp: row.timestamp,
            extra: row.extra.clone(),
        })
    }

    pub(super) fn chunk(&self, subject: &Subject, chunk: i32) -> Result<SubjectState, StateError> {
        let mut state = SubjectState::default();
        if let Some(value) = self.get(keys::versions(subject, chunk))? {
            values::take_versions(&value, &mut state.versions)?;
        }
        Ok(state)
    }
}
