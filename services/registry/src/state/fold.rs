//! One record applied to the state. Whatever a record holds, it has an effect or is an oddity: no
//! bytes can stop the registry.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use meshwork_avro::Guid;
use serde::de::DeserializeOwned;

use super::subjects::{Extra, Version};
use super::{Place, State};
use crate::content::{AVRO, Content};
use crate::record::{
    Key, ModeValue, OWN_NOOP, Oddity, OwnValue, ReadKey, SchemaValue, Settings, SubjectValue,
};
use crate::subject::Subject;

/// A record as it was read from the log.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, milliseconds since 1970.
    pub timestamp: i64,
    /// Key; none where the record has none.
    pub key: Option<&'a [u8]>,
    /// Value; none for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// That a record was understood.
pub type Applied = Result<(), Oddity>;

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Oddity> {
    // By way of a value: a repeated member is legal JSON, and its last value counts.
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|_| Oddity::UnreadableValue)?;
    serde_json::from_value(value).map_err(|_| Oddity::UnreadableValue)
}

impl State {
    /// Applies the next record of the log.
    ///
    /// # Errors
    /// The record has no effect, and why.
    pub fn apply(&mut self, record: &LogRecord<'_>) -> Applied {
        let bytes = record.key.ok_or(Oddity::NullKey)?;
        let ReadKey {
            key,
            canonical,
            seq,
        } = ReadKey::parse(bytes)?;
        // Karapace writes a zero-length value where others write none.
        let value = record.value.filter(|value| !value.is_empty());
        if value.is_some() && seq.is_some_and(|seq| seq != record.offset) {
            return Err(Oddity::LostRace);
        }
        if !canonical {
            self.note_form(&key, bytes, value.is_some());
        }
        match key {
            Key::Schema { subject, version } => {
                self.apply_schema(record, &(Subject::new(&subject), version), value)
            }
            Key::Config { subject } => self.apply_settings(subject.as_deref(), value),
            Key::Mode { subject } => self.apply_mode(subject.as_deref(), value),
            Key::Noop { subject } => self.apply_noop(subject.as_deref(), value),
            Key::DeleteSubject { subject } => self.apply_delete(&Subject::new(&subject), value),
            Key::ClearSubject { subject } => {
                if value.is_some() {
                    self.clear(&Subject::new(&subject));
                }
                Ok(())
            }
            Key::Context { context, .. } => {
                if value.is_some() {
                    self.contexts.entry(context).or_default();
                }
                Ok(())
            }
        }
    }

    fn note_form(&mut self, key: &Key, bytes: &[u8], live: bool) {
        if live {
            self.other_forms
                .entry(key.clone())
                .or_default()
                .insert(bytes.to_vec());
        } else if let Some(forms) = self.other_forms.get_mut(key) {
            forms.remove(bytes);
            if forms.is_empty() {
                self.other_forms.remove(key);
            }
        }
    }

    fn apply_schema(
        &mut self,
        record: &LogRecord<'_>,
        place: &Place,
        value: Option<&[u8]>,
    ) -> Applied {
        let Some(bytes) = value else {
            self.remove(place);
            return Ok(());
        };
        let value: SchemaValue = read(bytes)?;
        let id = i32::try_from(value.id)
            .ok()
            .filter(|id| *id >= 1)
            .ok_or(Oddity::OutOfRange)?;
        let content = content_of(&value);
        let (subject, version) = place;
        let context = self
            .contexts
            .entry(subject.context().to_owned())
            .or_default();
        // Even a record that is ignored uses its id up.
        context.greatest = context.greatest.max(id);
        let content = match context.ids.get(&id) {
            Some(entry) if entry.content.guid == content.guid => Arc::clone(&entry.content),
            Some(entry) if entry.content.text != content.text => return Err(Oddity::IdTaken),
            _ => Arc::new(content),
        };
        let another = self
            .version(subject, *version)
            .is_some_and(|former| former.id != id || former.content.guid != content.guid);
        if another {
            self.remove(place);
        }
        let extra = Extra {
            md5: value.md5,
            offset: value.offset,
            ts: value.ts,
        };
        for reference in &content.references {
            let referenced = (subject.sibling(&reference.subject), reference.version);
            self.referrers
                .entry(referenced)
                .or_default()
                .insert(place.clone());
        }
        if let Some(context) = self.contexts.get_mut(subject.context()) {
            context.hold(id, &content, place.clone());
        }
        self.subjects
            .entry(subject.clone())
            .or_default()
            .versions
            .insert(
                *version,
                Version {
                    id,
                    content,
                    deleted: value.deleted,
                    timestamp: record.timestamp,
                    extra: (extra != Extra::default()).then(|| Box::new(extra)),
                },
            );
        Ok(())
    }

    /// Hard-deletes one version.
    fn remove(&mut self, place: &Place) {
        let (subject, version) = place;
        let Some(state) = self.subjects.get_mut(subject) else {
            return;
        };
        let Some(removed) = state.versions.remove(version) else {
            return;
        };
        if state.versions.is_empty() {
            self.subjects.remove(subject);
        }
        if let Some(context) = self.contexts.get_mut(subject.context()) {
            context.release(removed.id, place);
        }
        for reference in &removed.content.references {
            let referenced = (subject.sibling(&reference.subject), reference.version);
            if let Some(referrers) = self.referrers.get_mut(&referenced) {
                referrers.remove(place);
                if referrers.is_empty() {
                    self.referrers.remove(&referenced);
                }
            }
        }
    }

    fn apply_settings(&mut self, subject: Option<&str>, value: Option<&[u8]>) -> Applied {
        let scope = subject.map(Subject::new);
        match value {
            Some(bytes) => {
                let mut settings: Settings = read(bytes)?;
                settings.subject = None;
                self.settings.insert(scope, settings);
            }
            None => {
                self.settings.remove(&scope);
            }
        }
        Ok(())
    }

    fn apply_mode(&mut self, subject: Option<&str>, value: Option<&[u8]>) -> Applied {
        let scope = subject.map(Subject::new);
        match value {
            Some(bytes) => {
                let value: ModeValue = read(bytes)?;
                self.modes.insert(scope, value.mode);
            }
            None => {
                self.modes.remove(&scope);
            }
        }
        Ok(())
    }

    fn apply_noop(&mut self, subject: Option<&str>, value: Option<&[u8]>) -> Applied {
        let (Some(OWN_NOOP), Some(bytes)) = (subject, value) else {
            return Ok(());
        };
        let own: OwnValue = read(bytes)?;
        for (context, greatest) in own.greatest_ids {
            let marked = self.marked.entry(context).or_default();
            *marked = greatest.max(*marked);
        }
        Ok(())
    }

    /// Soft-deletes the versions that are there, up to one.
    fn apply_delete(&mut self, subject: &Subject, value: Option<&[u8]>) -> Applied {
        let Some(bytes) = value else { return Ok(()) };
        let value: SubjectValue = read(bytes)?;
        let last = value.version.ok_or(Oddity::UnreadableValue)?;
        let Some(state) = self.subjects.get_mut(subject) else {
            return Ok(());
        };
        let mut ids = BTreeSet::new();
        for (number, version) in &mut state.versions {
            if *number <= last {
                version.deleted = true;
                ids.insert(version.id);
            }
        }
        if let Some(context) = self.contexts.get_mut(subject.context()) {
            for id in ids {
                context.touch(id);
            }
        }
        Ok(())
    }

    /// Forgets the soft-deleted versions of a subject, or of a whole context.
    fn clear(&mut self, scope: &Subject) {
        let whole_context = scope.plain().is_empty();
        let places: Vec<Place> = self
            .subjects
            .iter()
            .filter(|(subject, _)| {
                *subject == scope || (whole_context && subject.context() == scope.context())
            })
            .flat_map(|(subject, state)| {
                state
                    .all()
                    .filter(|(_, version)| version.deleted)
                    .map(|(number, _)| (subject.clone(), number))
            })
            .collect();
        for place in &places {
            self.remove(place);
        }
    }
}

fn content_of(value: &SchemaValue) -> Content {
    let mut content = Content::new(
        value.schema_type.as_deref().unwrap_or(AVRO),
        &value.schema,
        value.references.clone(),
        value.metadata.clone(),
        value.rule_set.clone(),
    );
    // Where values of the metadata are encrypted, the digest of the plain ones is written beside.
    let encrypted = value
        .metadata
        .as_ref()
        .is_some_and(|m| m.properties.get("__enc__").is_some_and(|v| v == "true"));
    if encrypted
        && let Some(md5) = &value.md5
        && let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(md5)
        && let Ok(bytes) = <[u8; 16]>::try_from(bytes)
    {
        content.guid = Guid::from_bytes(bytes);
    }
    content
}
