//! Ids of contexts, and who holds them.

use std::iter::Peekable;
use std::sync::Arc;

use meshwork_avro::Guid;

use super::keys::{self, Parts};
use super::rows::{Direction, Row, Scanned, StateError};
use super::subjects::VersionRow;
use super::values::{self, Forgotten, IdRow};
use super::{Place, Shared, State};
use crate::content::Content;
use crate::recent::Recent;
use crate::subject::Subject;

/// What one id stands for.
#[derive(Clone, Debug)]
pub struct IdEntry {
    /// Its context.
    pub context: String,
    /// The id.
    pub id: i32,
    /// The schema.
    pub content: Shared,
    /// Versions that hold it and are live.
    pub live: u64,
    /// Soft-deleted versions that hold it.
    pub deleted: u64,
}

/// A version that holds an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which version.
    pub place: Place,
    /// Whether it is soft-deleted.
    pub deleted: bool,
    /// Kafka timestamp of its record, milliseconds since 1970.
    pub timestamp: i64,
}

/// Holders, read one after another.
pub type Holders<'s> = Box<dyn Iterator<Item = Result<Holder, StateError>> + 's>;

/// Contents by context and id, and the published offset behind which the state was read.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'c> {
    /// What was read lately.
    pub recent: &'c Recent<Shared>,
    /// The offset that had been published before the state was read.
    pub published: i64,
}

fn holder(deleted: bool, row: Result<Row, StateError>) -> Result<Holder, StateError> {
    let (key, value) = row?;
    let mut parts = Parts::of(&key);
    let place = parts
        .text()
        .and_then(|_| parts.number())
        .and_then(|_| parts.flag())
        .and_then(|_| parts.place())
        .ok_or(StateError::Garbled {
            what: "key of a holder",
        })?;
    Ok(Holder {
        place,
        deleted,
        timestamp: values::take_number(&value)?,
    })
}

/// Live and soft-deleted holders as one sequence, in the order of subject and version.
struct Both<'s> {
    live: Peekable<Holders<'s>>,
    deleted: Peekable<Holders<'s>>,
}

impl Iterator for Both<'_> {
    type Item = Result<Holder, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.live.peek(), self.deleted.peek()) {
            (Some(Ok(live)), Some(Ok(deleted))) if live.place > deleted.place => {
                self.deleted.next()
            }
            (Some(_), _) => self.live.next(),
            (None, _) => self.deleted.next(),
        }
    }
}

impl State<'_> {
    /// What `id` stands for in `context`.
    ///
    /// # Errors
    /// It can't be read.
    pub fn id(&self, context: &str, id: i32) -> Result<Option<IdEntry>, StateError> {
        let Some(row) = self.id_row(context, id)?.filter(IdRow::is_held) else {
            return Ok(None);
        };
        Ok(Some(IdEntry {
            context: context.to_owned(),
            id,
            content: self.content_of_id(context, id, &row)?,
            live: row.live,
            deleted: row.deleted,
        }))
    }

    /// The versions that hold an id, in the order of subject and version, read one after another;
    /// soft-deleted ones too if `deleted`, those of one subject only if one is given.
    #[must_use]
    pub fn holders(
        &self,
        context: &str,
        id: i32,
        deleted: bool,
        subject: Option<&Subject>,
    ) -> Holders<'_> {
        let live = self.holders_that(context, id, false, subject, Direction::Forward);
        if !deleted {
            return live;
        }
        Box::new(Both {
            live: live.peekable(),
            deleted: self
                .holders_that(context, id, true, subject, Direction::Forward)
                .peekable(),
        })
    }

    /// The first live version that holds an id, else the first one.
    ///
    /// # Errors
    /// It can't be read.
    pub fn first_holder(&self, context: &str, id: i32) -> Result<Option<Holder>, StateError> {
        self.either(context, id, None, Direction::Forward)
    }

    /// The last live version that holds an id, else the last one; of one subject only if one is
    /// given.
    ///
    /// # Errors
    /// It can't be read.
    pub fn last_holder(
        &self,
        context: &str,
        id: i32,
        subject: Option<&Subject>,
    ) -> Result<Option<Holder>, StateError> {
        self.either(context, id, subject, Direction::Backward)
    }

    /// A version that holds an id, of a subject whose full name begins with `prefix`: a live one
    /// if there is one.
    ///
    /// # Errors
    /// It can't be read.
    pub fn holder_under(
        &self,
        context: &str,
        id: i32,
        prefix: &str,
    ) -> Result<Option<Holder>, StateError> {
        for deleted in [false, true] {
            let range = keys::holders_under(context, id, deleted, prefix).range();
            if let Some(row) = self.scan(&range, Direction::Forward).next() {
                return holder(deleted, row).map(Some);
            }
        }
        Ok(None)
    }

    fn either(
        &self,
        context: &str,
        id: i32,
        subject: Option<&Subject>,
        direction: Direction,
    ) -> Result<Option<Holder>, StateError> {
        for deleted in [false, true] {
            let first = self
                .holders_that(context, id, deleted, subject, direction)
                .next();
            if let Some(holder) = first {
                return holder.map(Some);
            }
        }
        Ok(None)
    }

    fn holders_that(
        &self,
        context: &str,
        id: i32,
        deleted: bool,
        subject: Option<&Subject>,
        direction: Direction,
    ) -> Holders<'_> {
        let key = match subject {
            Some(subject) => keys::holders_of(context, id, deleted, subject),
            None => keys::holders(context, id, deleted),
        };
        let rows: Scanned<'_> = self.scan(&key.range(), direction);
        Box::new(rows.map(move |row| holder(deleted, row)))
    }

    /// The id that a content has in a context, live or soft-deleted; the least, where a foreign log
    /// gave it several.
    ///
    /// # Errors
    /// It can't be read.
    pub fn id_of(&self, context: &str, guid: &Guid) -> Result<Option<i32>, StateError> {
        let range = keys::guids_in(guid, context).range();
        let Some(row) = self.scan(&range, Direction::Forward).next() else {
            return Ok(None);
        };
        Ok(Some(guid_key(&row?.0)?.1))
    }

    /// The id that a content had in a context before its last version was hard-deleted, unless
    /// another content has had it since.
    ///
    /// # Errors
    /// It can't be read.
    pub fn former_id_of(
        &self,
        context: &str,
        content: &Content,
    ) -> Result<Option<i32>, StateError> {
        let Some(value) = self.get(keys::forgotten(context, &content.guid))? else {
            return Ok(None);
        };
        let Forgotten { id, meaning } = Forgotten::take(&value)?;
        let row = self.id_row(context, id)?;
        Ok(row
            .is_some_and(|row| !row.is_held() && row.guid == content.guid)
            .then_some(id)
            .filter(|_| meaning == content.meaning()))
    }

    /// Contexts and ids of a content, the default context first.
    ///
    /// # Errors
    /// They can't be read.
    pub fn ids_of(&self, guid: &Guid) -> Result<Vec<(String, i32)>, StateError> {
        let range = keys::guids(guid).range();
        let mut all: Vec<(String, i32)> = Vec::new();
        for row in self.scan(&range, Direction::Forward) {
            let (context, id) = guid_key(&row?.0)?;
            if all.last().is_none_or(|(last, _)| *last != context) {
                all.push((context, id));
            }
        }
        Ok(all)
    }

    /// The content of an id that is held, if its GUID is this one.
    fn content(&self, context: &str, id: i32, guid: &Guid) -> Result<Option<Shared>, StateError> {
        let key = keys::content(context, id).bytes();
        let changed = self.changes.rows.get(&key);
        let kept = self.contents.filter(|_| changed.is_none());
        // What is kept may be newer than the rows; then it is another one.
        if let Some(Contents { recent, .. }) = kept
            && let Some(content) = recent.get(context, id)
            && content.guid == *guid
        {
            return Ok(Some(content));
        }
        let read;
        let value = match changed {
            Some(changed) => changed.as_deref(),
            None => {
                read = self.rows.get(&key)?;
                read.as_deref()
            }
        };
        let value = value.ok_or(StateError::Garbled {
            what: "no content of an id",
        })?;
        let content = Arc::new(values::take_content(value)?);
        if let Some(Contents { recent, published }) = kept {
            let bytes = value.len().saturating_mul(2);
            recent.keep(context, id, Arc::clone(&content), bytes, published);
        }
        Ok((content.guid == *guid).then_some(content))
    }

    pub(super) fn content_of_id(
        &self,
        context: &str,
        id: i32,
        row: &IdRow,
    ) -> Result<Shared, StateError> {
        self.content(context, id, &row.guid)?
            .ok_or(StateError::Garbled {
                what: "another content of an id",
            })
    }

    /// The content of a version.
    ///
    /// # Errors
    /// It can't be read.
    pub fn content_of(&self, subject: &Subject, row: &VersionRow) -> Result<Shared, StateError> {
        let context = subject.context();
        if let Some(content) = self.content(context, row.id, &row.guid)? {
            return Ok(content);
        }
        let value =
            self.get(keys::variant(context, row.id, &row.guid))?
                .ok_or(StateError::Garbled {
                    what: "no content of a version",
                })?;
        values::take_content(&value).map(Arc::new)
    }

    pub(super) fn id_row(&self, context: &str, id: i32) -> Result<Option<IdRow>, StateError> {
        self.get(keys::id(context, id))?
            .map(|value| IdRow::take(&value))
            .transpose()
    }
}

/// Context and id of a row of a GUID.
fn guid_key(key: &[u8]) -> Result<(String, i32), StateError> {
    let mut parts = Parts::of(key);
    parts
        .guid()
        .and_then(|_| Some((parts.text()?, parts.number()?)))
        .ok_or(StateError::Garbled {
            what: "key of a GUID",
        })
}
