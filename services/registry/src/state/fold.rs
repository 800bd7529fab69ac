//! One record applied to the state. Whatever a record holds, it has an effect or is an oddity: no
//! bytes can stop the registry.

use super::read::{LogRecord, ReadRecord, ReadSchema, read};
use super::rows::StateError;
use super::subjects::{Extra, SubjectState, VersionRow};
use super::values::ContextRow;
use super::writers::LogWriter;
use super::{Place, State, keys, values};
use crate::record::{Key, ModeValue, OWN_NOOP, Oddity, OwnValue, ReadKey, Settings, SubjectValue};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// That a record was understood, or why it has no effect.
pub type Applied = Result<(), Oddity>;

/// Why applying stops.
enum Stop {
    Oddity(Oddity),
    State(StateError),
}

impl From<Oddity> for Stop {
    fn from(oddity: Oddity) -> Self {
        Self::Oddity(oddity)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl State<'_> {
    /// Applies the next record of the log.
    ///
    /// # Errors
    /// The state can't be read. What has been applied so far is of no use then.
    pub fn apply(&mut self, record: &LogRecord<'_>) -> Result<Applied, StateError> {
        self.apply_read(record, &record.read())
    }

    /// As [`Self::apply`], for a record that was read already.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub(crate) fn apply_read(
        &mut self,
        record: &LogRecord<'_>,
        read: &ReadRecord,
    ) -> Result<Applied, StateError> {
        let mut foreign = self.foreign()?;
        if record.own {
            foreign.own = true;
        } else {
            foreign.newest = record.offset;
            if foreign.own {
                foreign.after_own = foreign.after_own.saturating_add(1);
            }
        }
        self.foreign = Some(foreign);
        match self.apply_any(record, read) {
            Ok(()) => Ok(Ok(())),
            Err(Stop::Oddity(oddity)) => Ok(Err(oddity)),
            Err(Stop::State(error)) => Err(error),
        }
    }

    fn apply_any(&mut self, record: &LogRecord<'_>, read: &ReadRecord) -> Result<(), Stop> {
        let bytes = record.key.ok_or(Oddity::NullKey)?;
        let ReadKey {
            key,
            canonical,
            seq,
        } = read.key.as_ref().map_err(|oddity| *oddity)?;
        let value = record.value();
        if value.is_some() && seq.is_some_and(|seq| seq != record.offset) {
            return Err(Oddity::LostRace.into());
        }
        if !*canonical {
            let form = keys::form(&key.to_bytes(), bytes);
            match value {
                Some(_) => self.put(form, Vec::new()),
                None => self.delete(form),
            }
        }
        match key {
            Key::Schema { subject, version } => self.apply_schema(
                record,
                &(Subject::new(subject), *version),
                read.schema.as_ref(),
            ),
            Key::Config { subject } => self.apply_settings(subject.as_deref(), value),
            Key::Mode { subject } => self.apply_mode(subject.as_deref(), value),
            Key::Noop { subject } => self.apply_noop(record, subject.as_deref(), value),
            Key::DeleteSubject { subject } => self.apply_delete(&Subject::new(subject), value),
            Key::ClearSubject { subject } => {
                if value.is_some() {
                    self.clear(&Subject::new(subject))?;
                }
                Ok(())
            }
            Key::Context { context, .. } => Ok(self.apply_context(context, value.is_some())?),
        }
    }

    fn apply_context(&mut self, name: &str, there: bool) -> Result<(), StateError> {
        let row = self.context_row(name)?;
        let in_use = || {
            let scope = format!(":{name}:");
            self.subjects(&scope).next().transpose()
        };
        // One with subjects in it is there, whatever is said of it.
        if row.listed == there || (!there && in_use()?.is_some()) {
            return Ok(());
        }
        self.put_context(
            name,
            ContextRow {
                listed: there,
                ..row
            },
        );
        Ok(())
    }

    fn put_context(&mut self, name: &str, row: ContextRow) {
        self.put(keys::context(name), row.put());
    }

    fn apply_schema(
        &mut self,
        record: &LogRecord<'_>,
        place: &Place,
        value: Option<&Result<ReadSchema, Oddity>>,
    ) -> Result<(), Stop> {
        let (subject, number) = place;
        // Ours mend what was ignored; others' leave a mark that is mended for nothing, once.
        if record.own && self.get(keys::ignored(place))?.is_some() {
            self.delete(keys::ignored(place));
        }
        let Some(value) = value else {
            let mut chunk = self.chunk(subject, keys::chunk_of(*number))?;
            return Ok(self.remove(place, &mut chunk)?);
        };
        let ReadSchema {
            id,
            content,
            deleted,
            extra,
        } = value.as_ref().map_err(|oddity| *oddity)?;
        let deleted = *deleted;
        let id = i32::try_from(*id)
            .ok()
            .filter(|id| *id >= 1)
            .ok_or(Oddity::OutOfRange)?;
        let context = subject.context();
        let seen = self.context_row(context)?;
        // An id above all that were seen is not held: the usual case is spared a look.
        let mut row = match id > seen.greatest {
            true => None,
            false => self.id_row(context, id)?,
        };
        let noted = ContextRow {
            // Even a record that is ignored uses its id up.
            greatest: seen.greatest.max(id),
            listed: true,
        };
        if noted != seen {
            self.put_context(context, noted);
        }
        if let Some(row) = row.filter(|row| row.is_held() && row.guid != content.guid) {
            let held = self.content_of_id(context, id, &row)?;
            if held.text != content.text {
                // Compaction will keep this one, and may drop the one that it contradicts.
                self.put(keys::ignored(place), Vec::new());
                return Err(Oddity::IdTaken.into());
            }
        }
        let mut chunk = self.chunk(subject, keys::chunk_of(*number))?;
        let former = chunk.version(*number).cloned();
        let same = former
            .as_ref()
            .filter(|former| former.id == id && former.guid == content.guid);
        if let Some(former) = same {
            self.hold_on(place, former, deleted, record.timestamp)?;
        } else {
            if former.is_some() {
                self.remove(place, &mut chunk)?;
                row = self.id_row(context, id)?;
            }
            // A GUID's parts have no separators, and some are only told: another content may have
            // this one. Then it is the one that is held.
            let held = self.held_as(context, id, row.as_ref(), content)?;
            let content = held.as_deref().unwrap_or(content);
            for reference in &content.references {
                let referenced = (subject.sibling(&reference.subject), reference.version);
                self.put(keys::referrer(&referenced, place), Vec::new());
            }
            self.hold(place, id, content, deleted, record.timestamp, row);
        }
        chunk.set(VersionRow {
            number: *number,
            id,
            guid: content.guid,
            deleted,
            timestamp: record.timestamp,
            extra: (*extra != Extra::default()).then(|| Box::new(extra.clone())),
        });
        self.put_chunk(subject, keys::chunk_of(*number), &chunk);
        Ok(())
    }

    fn put_chunk(&mut self, subject: &Subject, number: i32, chunk: &SubjectState) {
        let key = keys::versions(subject, number);
        if chunk.versions.is_empty() {
            self.delete(key);
        } else {
            self.put(key, values::put_versions(&chunk.versions));
        }
    }

    /// Hard-deletes one version, which is in `chunk` if it is there.
    fn remove(&mut self, place: &Place, chunk: &mut SubjectState) -> Result<(), StateError> {
        let (subject, number) = place;
        let Some(removed) = chunk.take(*number) else {
            return Ok(());
        };
        let content = self.content_of(subject, &removed)?;
        for reference in &content.references {
            let referenced = (subject.sibling(&reference.subject), reference.version);
            self.delete(keys::referrer(&referenced, place));
        }
        let referrer = self.referrers(place).next().transpose()?;
        self.changes.referenced_gone |= referrer.is_some();
        self.release(place, &removed)?;
        self.put_chunk(subject, keys::chunk_of(*number), chunk);
        Ok(())
    }

    fn apply_settings(&mut self, subject: Option<&str>, value: Option<&[u8]>) -> Result<(), Stop> {
        let scope = subject.map(Subject::new);
        let key = keys::settings(scope.as_ref());
        match value {
            Some(bytes) => {
                let mut settings: Settings = read(bytes)?;
                settings.subject = None;
                let json = serde_json::to_vec(&settings).map_err(|_| Oddity::UnreadableValue)?;
                self.put(key, json);
            }
            None => self.delete(key),
        }
        Ok(())
    }

    fn apply_mode(&mut self, subject: Option<&str>, value: Option<&[u8]>) -> Result<(), Stop> {
        let scope = subject.map(Subject::new);
        let key = keys::mode(scope.as_ref());
        match value {
            Some(bytes) => {
                let value: ModeValue = read(bytes)?;
                self.put(key, value.mode.to_string().into_bytes());
            }
            None => self.delete(key),
        }
        Ok(())
    }

    fn apply_noop(
        &mut self,
        record: &LogRecord<'_>,
        subject: Option<&str>,
        value: Option<&[u8]>,
    ) -> Result<(), Stop> {
        let (Some(subject), Some(bytes)) = (subject.map(Subject::new), value) else {
            return Ok(());
        };
        if subject.plain() != OWN_NOOP {
            return Ok(());
        }
        let own: OwnValue = read(bytes)?;
        for (context, greatest) in own.greatest_ids {
            if greatest > self.marked_id(&context)? {
                self.put(
                    keys::mark(&context),
                    values::put_number(i64::from(greatest)),
                );
            }
        }
        if subject.context() != DEFAULT_CONTEXT {
            return Ok(());
        }
        let writer = LogWriter {
            url: own.url,
            instance: own.instance,
            scanned_to: own.scanned_to,
            offset: record.offset,
        };
        self.put(keys::writer(), writer.put());
        Ok(())
    }

    /// Soft-deletes the versions that are there, up to one.
    fn apply_delete(&mut self, subject: &Subject, value: Option<&[u8]>) -> Result<(), Stop> {
        let Some(bytes) = value else { return Ok(()) };
        let value: SubjectValue = read(bytes)?;
        let last = value.version.ok_or(Oddity::UnreadableValue)?;
        let Some(state) = self.subject(subject)? else {
            return Ok(());
        };
        let live: Vec<&VersionRow> = state
            .live()
            .filter(|version| version.number <= last)
            .collect();
        for version in &live {
            let place = (subject.clone(), version.number);
            self.hold_on(&place, version, true, version.timestamp)?;
        }
        let chunk_of = |version: &&VersionRow| keys::chunk_of(version.number);
        for versions in live.chunk_by(|a, b| chunk_of(a) == chunk_of(b)) {
            let Some(number) = versions.first().map(chunk_of) else {
                continue;
            };
            let mut chunk = self.chunk(subject, number)?;
            for version in versions {
                chunk.set(VersionRow {
                    deleted: true,
                    ..(*version).clone()
                });
            }
            self.put_chunk(subject, number, &chunk);
        }
        Ok(())
    }

    /// Forgets the soft-deleted versions of a subject, or of a whole context.
    fn clear(&mut self, scope: &Subject) -> Result<(), StateError> {
        let mut places: Vec<Place> = Vec::new();
        let mut note = |subject: &Subject, state: &SubjectState| {
            let deleted = state.all().filter(|version| version.deleted);
            places.extend(deleted.map(|version| (subject.clone(), version.number)));
        };
        if scope.plain().is_empty() {
            let prefix = match scope.context() {
                DEFAULT_CONTEXT => "",
                _ => scope.as_str(),
            };
            for subject in self.subjects(prefix) {
                let (subject, state) = subject?;
                if subject.context() == scope.context() {
                    note(&subject, &state);
                }
            }
        } else if let Some(state) = self.subject(scope)? {
            note(scope, &state);
        }
        for place in &places {
            let mut chunk = self.chunk(&place.0, keys::chunk_of(place.1))?;
            self.remove(place, &mut chunk)?;
        }
        Ok(())
    }
}
