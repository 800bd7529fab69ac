//! What a request means: the state and a request in, an answer and the records to write out. Plain
//! functions; nothing here waits, writes or asks the time.

mod compatibility;
mod configure;
mod delete;
mod draft;
mod look_up;
mod register;

pub use compatibility::{Verdict, compare_all, compare_one};
pub use configure::{SettingsChange, delete_settings, put_settings, read_settings};
pub use delete::{delete_subject, delete_version};
pub use draft::{Draft, Normal};
pub use look_up::{Found, VersionId, find_version, look_up};
pub use register::{Registration, Terms, register};

use crate::record::{Key, OWN_NOOP, OwnValue, Record, to_json};
use crate::state::{State, StateError};

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
    let key = Key::Noop {
        subject: Some(OWN_NOOP.to_owned()),
    };
    // The same record says who writes: that stays.
    let writer = state.writer()?.unwrap_or_default();
    let value = to_json(&OwnValue {
        greatest_ids: state.marks()?,
        url: writer.url,
        instance: writer.instance,
    });
    write(state, records, &key, Some(value))
}
