//! Versions take hold of ids, and let go of them.

use std::sync::Arc;

use super::rows::{Direction, StateError};
use super::subjects::VersionRow;
use super::values::{self, Forgotten, IdRow};
use super::{Place, Shared, State, keys};
use crate::content::Content;

impl State<'_> {
    /// What is held under an id with the GUID of `content`, where that may be another content.
    pub(super) fn held_as(
        &self,
        context: &str,
        id: i32,
        row: Option<&IdRow>,
        content: &Content,
    ) -> Result<Option<Shared>, StateError> {
        let Some(row) = row.filter(|row| row.is_held()) else {
            return Ok(None);
        };
        if row.guid != content.guid {
            return self
                .get(keys::variant(context, id, &content.guid))?
                .map(|value| values::take_content(&value).map(Arc::new))
                .transpose();
        }
        // The usual case is spared a look.
        if !row.refers && content.references.is_empty() {
            return Ok(None);
        }
        self.content_of_id(context, id, row).map(Some)
    }

    /// A version takes hold of an id. `row` is what is known of the id.
    pub(super) fn hold(
        &mut self,
        place: &Place,
        id: i32,
        content: &Content,
        deleted: bool,
        timestamp: i64,
        row: Option<IdRow>,
    ) {
        let context = place.0.context();
        let held = row.filter(IdRow::is_held);
        let mut row = held.unwrap_or(IdRow {
            guid: content.guid,
            refers: !content.references.is_empty(),
            live: 0,
            deleted: 0,
        });
        if held.is_none() {
            self.put(keys::content(context, id), values::put_content(content));
            self.changes.released.insert((context.to_owned(), id));
        } else if row.guid != content.guid {
            let key = keys::variant(context, id, &content.guid);
            self.put(key, values::put_content(content));
        }
        let count = row.count(deleted);
        *count = count.saturating_add(1);
        self.put(keys::id(context, id), row.put());
        self.put(keys::guid(&content.guid, context, id), Vec::new());
        self.put(
            keys::holder(context, id, deleted, place),
            values::put_number(timestamp),
        );
        self.touch(context, id);
    }

    /// A version goes on holding its id, with another timestamp, or deleted where it was not.
    pub(super) fn hold_on(
        &mut self,
        place: &Place,
        former: &VersionRow,
        deleted: bool,
        timestamp: i64,
    ) -> Result<(), StateError> {
        let (context, id) = (place.0.context(), former.id);
        if former.deleted != deleted {
            if let Some(mut row) = self.id_row(context, id)? {
                let count = row.count(former.deleted);
                *count = count.saturating_sub(1);
                let count = row.count(deleted);
                *count = count.saturating_add(1);
                self.put(keys::id(context, id), row.put());
            }
            self.delete(keys::holder(context, id, former.deleted, place));
        }
        self.put(
            keys::holder(context, id, deleted, place),
            values::put_number(timestamp),
        );
        self.touch(context, id);
        Ok(())
    }

    /// A version lets go of its id. Once nothing holds it, its content is forgotten but for the id
    /// that it had.
    pub(super) fn release(&mut self, place: &Place, former: &VersionRow) -> Result<(), StateError> {
        let (context, id) = (place.0.context(), former.id);
        self.delete(keys::holder(context, id, former.deleted, place));
        self.touch(context, id);
        let Some(mut row) = self.id_row(context, id)? else {
            return Ok(());
        };
        let count = row.count(former.deleted);
        *count = count.saturating_sub(1);
        self.put(keys::id(context, id), row.put());
        if row.is_held() {
            return Ok(());
        }
        let mut contents = vec![self.content_of_id(context, id, &row)?];
        let range = keys::variants(context, id).range();
        for variant in self.scan(&range, Direction::Forward) {
            contents.push(Arc::new(values::take_content(&variant?.1)?));
        }
        self.delete(keys::content(context, id));
        for content in contents {
            let guid = &content.guid;
            self.delete(keys::variant(context, id, guid));
            self.delete(keys::guid(guid, context, id));
            let forgotten = Forgotten {
                id,
                meaning: content.meaning(),
            };
            self.put(keys::forgotten(context, guid), forgotten.put());
        }
        self.changes.released.insert((context.to_owned(), id));
        Ok(())
    }

    fn touch(&mut self, context: &str, id: i32) {
        self.changes.touched.insert((context.to_owned(), id));
    }
}
