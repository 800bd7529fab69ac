//! What a request means: the state and a request in, an answer and the records to write out. Plain
//! functions; nothing here waits, writes or asks the time.

mod compatibility;
mod configure;
mod delete;
mod draft;
mod look_up;
mod mend;
mod mode;
mod register;
mod retag;
mod rules;
mod tags;

pub use compatibility::{Verdict, compare_all, compare_one};
pub use configure::{SettingsChange, delete_settings, put_settings, read_settings};
pub use delete::{delete_context, delete_subject, delete_version};
pub use draft::reads::Reads;
pub use draft::{Draft, Normal};
pub use look_up::{Found, VersionId, find_version, look_up};
pub(crate) use mend::mend;
pub use mode::{NotAMode, delete_mode, put_mode, read_mode};
pub use register::{Registration, Terms, register};
pub use retag::{Retag, retag};
pub(crate) use tags::find as find_tags;
pub use tags::{Entity, EntityType, SchemaTags};

use crate::record::{Key, OWN_NOOP, OwnValue, Record, to_json};
use crate::state::{LogWriter, State, StateError};
use crate::subject::DEFAULT_CONTEXT;

/// What is to be done for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<T> {
    /// To be written, in this order, before the answer is given. None: nothing changes.
    pub records: Vec<Record>,
    /// The answer.
    pub answer: T,
}

impl<T> Decision<T> {
    pub(crate) fn nothing(answer: T) -> Self {
        Self {
            records: Vec::new(),
            answer,
        }
    }
}

/// The tenant of all contexts but in Confluent's cloud.
const TENANT: &str = "default";

fn context_key(name: &str) -> Key {
    Key::Context {
        tenant: TENANT.to_owned(),
        context: name.to_owned(),
    }
}

/// Appends a write of `key`, after tombstones of its other byte forms: compaction compares bytes,
/// and one that stayed would bring its value back.
pub(crate) fn write(
    state: &State<'_>,
    records: &mut Vec<Record>,
    key: &Key,
    value: Option<Vec<u8>>,
) -> Result<(), StateError> {
    for form in state.other_forms(key)? {
        records.push(Record {
            key: form,
            value: None,
        });
    }
    records.push(Record {
        key: key.to_bytes(),
        value,
    });
    Ok(())
}

/// Appends the mark of the greatest ids where the log does not hold it yet. Goes before any hard
/// delete, so that an id is not given again once compaction has removed its records.
pub(crate) fn mark(
    state: &State<'_>,
    records: &mut Vec<Record>,
    context: &str,
) -> Result<(), StateError> {
    if state.marked_id(context)? >= state.greatest_id(context)? {
        return Ok(());
    }
    let (key, value) = own_record(context, state.greatest_id(context)?, state.writer()?);
    write(state, records, &key, Some(value))
}

/// The record that holds the greatest id of a context. That of the default context says who writes,
/// too: `writer` stays what it was.
pub(crate) fn own_record(
    context: &str,
    greatest: i32,
    writer: Option<LogWriter>,
) -> (Key, Vec<u8>) {
    let mut value = OwnValue::default();
    if greatest > 0 {
        value.greatest_ids.insert(context.to_owned(), greatest);
    }
    let subject = if context == DEFAULT_CONTEXT {
        let writer = writer.unwrap_or_default();
        value.url = writer.url;
        value.instance = writer.instance;
        value.scanned_to = writer.scanned_to;
        OWN_NOOP.to_owned()
    } else {
        format!(":{context}:{OWN_NOOP}")
    };
    let key = Key::Noop {
        subject: Some(subject),
    };
    (key, to_json(&value))
}
