//! A view of the store as it was at one moment, whatever is committed meanwhile.

use rocksdb::{DB, IteratorMode, ReadOptions, SnapshotWithThreadMode};

use crate::error::StateError;
use crate::store::{Entry, Store, after_prefix};

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// In key order.
    Forward,
    /// Against key order.
    Backward,
}

/// The keys that a scan goes over, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    from: Vec<u8>,
    until: Option<Vec<u8>>,
    direction: Direction,
    keep: bool,
}

impl Scan {
    /// Keys from `from` to before `until`; without one, to the end.
    #[must_use]
    pub fn range(from: impl Into<Vec<u8>>, until: Option<Vec<u8>>) -> Self {
        Self {
            from: from.into(),
            until,
            direction: Direction::Forward,
            keep: true,
        }
    }

    /// Keys that start with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into();
        let until = after_prefix(&prefix);
        Self::range(prefix, until)
    }

    /// Against key order, from the last key on.
    #[must_use]
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Without keeping the blocks read in the block cache: a long scan would push out what is
    /// asked for all the time.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.keep = false;
        self
    }
}

/// Reads of one moment. Holds back the removal of what was overwritten since, so it is not to be
/// kept for longer than one request takes.
pub struct Snapshot<'s> {
    store: &'s Store,
    view: SnapshotWithThreadMode<'s, DB>,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// A view of what is committed now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            store: self,
            view: self.inner.db.snapshot(),
        }
    }
}

impl Snapshot<'_> {
    /// The value of `key` in `family`.
    ///
    /// # Errors
    /// [`StateError::NoFamily`], [`StateError::Read`], [`StateError::Corrupt`].
    pub fn get(&self, family: &str, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StateError> {
        self.view
            .get_cf(self.store.family(family)?, key)
            .map_err(|e| self.store.read_error(family, e))
    }

    /// The entries of `family` that `scan` goes over. Nothing is read before it is asked for.
    ///
    /// # Errors
    /// [`StateError::NoFamily`]; each entry may be [`StateError::Read`] or [`StateError::Corrupt`].
    pub fn scan<'a>(
        &'a self,
        family: &'a str,
        scan: Scan,
    ) -> Result<impl Iterator<Item = Result<Entry, StateError>> + use<'a>, StateError> {
        let mut options = ReadOptions::default();
        options.fill_cache(scan.keep);
        if let Some(until) = scan.until {
            options.set_iterate_upper_bound(until);
        }
        let mode = match scan.direction {
            Direction::Forward => IteratorMode::From(&scan.from, rocksdb::Direction::Forward),
            Direction::Backward => {
                options.set_iterate_lower_bound(scan.from.clone());
                IteratorMode::End
            }
        };
        let family_handle = self.store.family(family)?;
        let entries = self.view.iterator_cf_opt(family_handle, options, mode);
        Ok(entries.map(move |e| e.map_err(|e| self.store.read_error(family, e))))
    }
}
