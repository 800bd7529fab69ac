//! Ids of one context.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use meshwork_avro::Guid;
use parking_lot::Mutex;

use super::{Place, Shared};

/// Ids are given per context.
#[derive(Debug, Default)]
pub struct ContextState {
    pub(super) ids: HashMap<i32, IdEntry>,
    /// The id of a content.
    pub(super) by_guid: HashMap<Guid, i32>,
    /// Ids of contents that no version holds any more, so that the same content, registered again,
    /// gets its id back.
    pub(super) forgotten: HashMap<Guid, i32>,
    /// The greatest id seen, whether its record had an effect or not.
    pub(super) greatest: i32,
}

/// What one id stands for.
#[derive(Debug)]
pub struct IdEntry {
    /// The schema.
    pub content: Shared,
    /// Versions that hold it, in the order of subject and version.
    pub holders: BTreeSet<Place>,
    /// The answer to "schema by id", made when first asked for.
    pub(crate) answer: Mutex<Option<Bytes>>,
}

impl IdEntry {
    pub(super) fn new(content: Shared) -> Self {
        Self {
            content,
            holders: BTreeSet::new(),
            answer: Mutex::new(None),
        }
    }
}

impl ContextState {
    /// The id that a content has here, live or soft-deleted.
    #[must_use]
    pub fn id_of(&self, guid: &Guid) -> Option<i32> {
        self.by_guid.get(guid).copied()
    }

    /// The id that a content had before its last version was hard-deleted, unless another
    /// registry has given it away since.
    #[must_use]
    pub fn former_id_of(&self, guid: &Guid) -> Option<i32> {
        self.forgotten
            .get(guid)
            .copied()
            .filter(|id| !self.ids.contains_key(id))
    }

    pub(super) fn hold(&mut self, id: i32, content: &Shared, place: Place) {
        let entry = self
            .ids
            .entry(id)
            .or_insert_with(|| IdEntry::new(content.clone()));
        entry.holders.insert(place);
        *entry.answer.get_mut() = None;
        self.by_guid.entry(content.guid).or_insert(id);
        self.forgotten.remove(&content.guid);
    }

    pub(super) fn touch(&mut self, id: i32) {
        if let Some(entry) = self.ids.get_mut(&id) {
            *entry.answer.get_mut() = None;
        }
    }

    pub(super) fn release(&mut self, id: i32, place: &Place) {
        let Some(entry) = self.ids.get_mut(&id) else {
            return;
        };
        entry.holders.remove(place);
        *entry.answer.get_mut() = None;
        if !entry.holders.is_empty() {
            return;
        }
        if let Some(entry) = self.ids.remove(&id) {
            let guid = entry.content.guid;
            if self.by_guid.get(&guid) == Some(&id) {
                self.by_guid.remove(&guid);
            }
            self.forgotten.entry(guid).or_insert(id);
        }
    }
}
