//! What `_schemas` says, as a fold over its records in offset order. Pure: the shell brings the rows
//! that earlier records left, and keeps what the next ones change.
//!
//! Nothing that grows with the log is held here. A record or a question reads the rows that it
//! needs, and no operation reads more of them for an id that many versions hold.

mod fold;
mod hold;
mod ids;
mod keys;
mod read;
mod rows;
mod scope;
mod subjects;
mod values;
mod writers;

pub use fold::Applied;

pub use ids::{Contents, Holder, Holders, IdEntry};
pub use read::LogRecord;
pub(crate) use read::ReadRecord;
pub use rows::{Changes, Direction, KeyRange, MemoryRows, Row, Rows, Scanned, StateError};
pub use subjects::{SubjectState, Version, VersionRow};
pub use writers::{Foreign, LogWriter};

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use keys::Parts;
use rows::scan_over;
use values::ContextRow;

use crate::content::Content;
use crate::record::{Key, Reference};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// A version of a subject.
pub type Place = (Subject, i32);

/// Settings and modes that one state remembers: a group of changes asks for few, most of them the
/// same for all.
const MOST_SCOPES: usize = 1_024;

/// A content is shared by all that hold it.
pub(crate) type Shared = Arc<Content>;

/// The state of the registry: rows, and over them what has been applied since they were read.
pub struct State<'a> {
    rows: &'a dyn Rows,
    contents: Option<Contents<'a>>,
    changes: Changes,
    /// Read when the first record is applied.
    foreign: Option<Foreign>,
    /// Rows of settings and modes that were read, or were not there.
    scopes: RefCell<HashMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl std::fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("changes", &self.changes.rows.len())
            .finish_non_exhaustive()
    }
}

impl<'a> State<'a> {
    /// The state that rows hold; no rows are that of an empty log.
    #[must_use]
    pub fn new(rows: &'a dyn Rows) -> Self {
        Self {
            rows,
            contents: None,
            changes: Changes::default(),
            foreign: None,
            scopes: RefCell::default(),
        }
    }

    /// With contents that were read lately.
    #[must_use]
    pub fn with_contents(mut self, contents: Contents<'a>) -> Self {
        self.contents = Some(contents);
        self
    }

    /// What the applied records change.
    #[must_use]
    pub fn into_changes(mut self) -> Changes {
        if let Some(foreign) = self.foreign {
            self.put(keys::foreign(), foreign.put());
        }
        self.changes
    }

    /// Names of the contexts, the default one first.
    ///
    /// # Errors
    /// They can't be read.
    pub fn contexts(&self) -> Result<Vec<String>, StateError> {
        // `.` sorts before every longer name that starts with it.
        let mut names = vec![DEFAULT_CONTEXT.to_owned()];
        for row in self.scan(&keys::contexts().range(), Direction::Forward) {
            let (key, value) = row?;
            let name = name_of(&key)?;
            if name != DEFAULT_CONTEXT && ContextRow::take(&value)?.listed {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Whether there is such a context.
    ///
    /// # Errors
    /// It can't be read.
    pub fn has_context(&self, name: &str) -> Result<bool, StateError> {
        Ok(name == DEFAULT_CONTEXT || self.context_row(name)?.listed)
    }

    /// The greatest id that the log has ever given in `context`; 0 if none.
    ///
    /// # Errors
    /// It can't be read.
    pub fn greatest_id(&self, context: &str) -> Result<i32, StateError> {
        let seen = self.context_row(context)?.greatest;
        Ok(seen.max(self.marked_id(context)?))
    }

    /// The greatest id of `context` that is written down apart from the schemas themselves.
    pub(crate) fn marked_id(&self, context: &str) -> Result<i32, StateError> {
        self.get(keys::mark(context))?
            .map_or(Ok(0), |value| values::take_small(&value))
    }

    /// The versions that refer to `place`, in order, read one after another.
    pub fn referrers(
        &self,
        place: &Place,
    ) -> impl Iterator<Item = Result<Place, StateError>> + use<'_> {
        let range = keys::referrers(place).range();
        let prefix = range.from.len();
        self.scan(&range, Direction::Forward).map(move |row| {
            let (key, _) = row?;
            Parts::of(key.get(prefix.saturating_sub(1)..).unwrap_or_default())
                .place()
                .ok_or(StateError::Garbled {
                    what: "key of a referrer",
                })
        })
    }

    /// Byte forms of `key` that live in the log beside the one we write. They must be tombstoned
    /// when the key is written, or compaction would keep both.
    pub(crate) fn other_forms(&self, key: &Key) -> Result<Vec<Vec<u8>>, StateError> {
        let range = keys::forms(&key.to_bytes()).range();
        self.scan(&range, Direction::Forward)
            .map(|row| {
                let (key, _) = row?;
                Ok(key.get(range.from.len()..).unwrap_or_default().to_vec())
            })
            .collect()
    }

    /// Versions whose newest record was ignored, because another schema has its id.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = Result<Place, StateError>> {
        self.scan(&keys::all_ignored().range(), Direction::Forward)
            .map(|row| {
                let (key, _) = row?;
                values::garbled("ignored record", Parts::of(&key).place())
            })
    }

    /// The version that a reference names, as seen from `referrer`.
    ///
    /// # Errors
    /// It can't be read.
    pub fn referenced(
        &self,
        referrer: &Subject,
        reference: &Reference,
    ) -> Result<Option<VersionRow>, StateError> {
        self.version_row(&referrer.sibling(&reference.subject), reference.version)
    }

    /// Who writes, as the newest record of our own says.
    ///
    /// # Errors
    /// It can't be read.
    pub fn writer(&self) -> Result<Option<LogWriter>, StateError> {
        self.get(keys::writer())?
            .map(|value| LogWriter::take(&value))
            .transpose()
    }

    /// Records that others wrote.
    ///
    /// # Errors
    /// They can't be read.
    pub fn foreign(&self) -> Result<Foreign, StateError> {
        if let Some(foreign) = self.foreign {
            return Ok(foreign);
        }
        self.get(keys::foreign())?
            .map_or(Ok(Foreign::default()), |value| Foreign::take(&value))
    }

    fn context_row(&self, name: &str) -> Result<ContextRow, StateError> {
        self.get(keys::context(name))?
            .map_or(Ok(ContextRow::default()), |value| ContextRow::take(&value))
    }

    fn get(&self, key: keys::Key) -> Result<Option<Vec<u8>>, StateError> {
        let key = key.bytes();
        match self.changes.rows.get(&key) {
            Some(changed) => Ok(changed.clone()),
            None => self.rows.get(&key),
        }
    }

    /// As [`Self::get`], for what is asked for again and again.
    fn get_scope(&self, key: keys::Key) -> Result<Option<Vec<u8>>, StateError> {
        let key = key.bytes();
        if let Some(changed) = self.changes.rows.get(&key) {
            return Ok(changed.clone());
        }
        if let Some(read) = self.scopes.borrow().get(&key) {
            return Ok(read.clone());
        }
        let value = self.rows.get(&key)?;
        let mut scopes = self.scopes.borrow_mut();
        if scopes.len() < MOST_SCOPES {
            scopes.insert(key, value.clone());
        }
        Ok(value)
    }

    fn scan(&self, range: &KeyRange, direction: Direction) -> Scanned<'_> {
        scan_over(self.rows, &self.changes.rows, range, direction)
    }

    fn put(&mut self, key: keys::Key, value: Vec<u8>) {
        self.changes.rows.insert(key.bytes(), Some(value));
    }

    fn delete(&mut self, key: keys::Key) {
        self.changes.rows.insert(key.bytes(), None);
    }
}

fn name_of(key: &[u8]) -> Result<String, StateError> {
    Parts::of(key).text().ok_or(StateError::Garbled {
        what: "key of a context",
    })
}
