//! Writing over records that have no effect: compaction keeps the newest record of a key, so one that
//! was ignored, because another schema has its id, would come to have an effect once the record that
//! it contradicts is compacted away. Confluent's leader does the same.

use super::register::as_it_is;
use super::write;
use crate::record::{Key, Record};
use crate::state::{State, StateError};

/// Most versions mended at once; the rest waits for the next election.
const AT_ONCE: usize = 1_000;

/// No more are mended once their records have so many bytes.
const MAX_BYTES: usize = 8 << 20;

/// The records that say of each such key what holds.
///
/// # Errors
/// The state can't be read.
pub(crate) fn mend(state: &State<'_>) -> Result<Vec<Record>, StateError> {
    let mut records = Vec::new();
    for place in state.ignored().take(AT_ONCE) {
        let (subject, number) = place?;
        let size = |record: &Record| record.value.as_ref().map_or(0, Vec::len);
        if records.iter().map(size).sum::<usize>() >= MAX_BYTES {
            break;
        }
        match state.version(&subject, number)? {
            Some(version) => {
                let (key, value) = as_it_is(&subject, &version, version.deleted);
                write(state, &mut records, &key, Some(value))?;
            }
            None => {
                let key = Key::Schema {
                    subject: subject.as_str().to_owned(),
                    version: number,
                };
                write(state, &mut records, &key, None)?;
            }
        }
    }
    Ok(records)
}
