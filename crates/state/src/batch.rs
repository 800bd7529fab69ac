//! A batch of writes: data and the offsets that they follow from, all or nothing.

use std::sync::Arc;

use rocksdb::WriteBatch;

use crate::store::{Inner, META, offset_key};

/// Writes that are committed together by [`Store::commit`](crate::Store::commit). A family that the
/// store does not have makes the commit fail.
pub struct Batch {
    pub(crate) writes: WriteBatch,
    pub(crate) unknown: Option<String>,
    store: Arc<Inner>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.writes.len())
            .field("bytes", &self.writes.size_in_bytes())
            .finish_non_exhaustive()
    }
}

impl Batch {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self {
            writes: WriteBatch::default(),
            unknown: None,
            store,
        }
    }

    /// Sets `key` in `family`.
    pub fn put(&mut self, family: &str, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        match self.store.db.cf_handle(family) {
            Some(cf) => self.writes.put_cf(cf, key, value),
            None => self.unknown = Some(family.to_owned()),
        }
    }

    /// Removes `key` from `family`.
    pub fn delete(&mut self, family: &str, key: impl AsRef<[u8]>) {
        match self.store.db.cf_handle(family) {
            Some(cf) => self.writes.delete_cf(cf, key),
            None => self.unknown = Some(family.to_owned()),
        }
    }

    /// Removes the keys of `family` from `from` to before `until`.
    pub fn delete_range(&mut self, family: &str, from: impl AsRef<[u8]>, until: impl AsRef<[u8]>) {
        match self.store.db.cf_handle(family) {
            Some(cf) => self
                .writes
                .delete_range_cf(cf, from.as_ref(), until.as_ref()),
            None => self.unknown = Some(family.to_owned()),
        }
    }

    /// The topic-partition is folded in up to before offset `next`.
    pub fn set_offset(&mut self, topic: &str, partition: i32, next: i64) {
        self.put(META, offset_key(topic, partition), next.to_be_bytes());
    }

    /// Writes in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Size in bytes, to bound a batch by.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        self.writes.size_in_bytes()
    }
}
