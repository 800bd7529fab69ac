//! The state on disk: its rows, and beside them of which topic they are and up to where. One write
//! holds rows and offset, so that after a kill neither is ahead of the other.

use std::path::Path;
use std::time::Duration;

use meshwork_state::{Opened, Scan, Snapshot, Store, StoreOptions};

use crate::config::Config;
use crate::state::{Changes, Direction, KeyRange, Rows, Scanned, StateError};

/// Version of keys and values of rows. A store of another one is filled anew from the log.
const FORMAT: u32 = 4;

const ROWS: &str = "rows";
const ABOUT: &str = "about";

/// Kafka's id of the topic that the rows are of.
const TOPIC_ID: &[u8] = b"topic-id";
/// When the end of the log had last been read, milliseconds since 1970.
const SEEN: &[u8] = b"seen";

pub(crate) fn options(config: &Config) -> StoreOptions {
    StoreOptions {
        block_cache_bytes: config.store_cache.as_usize(),
        // While a log of a million records is taken in, fewer and larger files.
        write_buffer_bytes: 64 << 20,
        ..StoreOptions::new("registry", FORMAT, &[ROWS, ABOUT])
    }
}

/// The topic that is to be followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Kafka's id of it; a topic made anew has another one.
    pub(crate) id: String,
    /// Offsets of its first record and behind its last one.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// How long tombstones stay (`delete.retention.ms`). A store that has not seen the end of the
    /// log for longer may have missed some.
    pub(crate) tombstones_stay: Duration,
}

/// Opens the store, or an empty one in the place of one that is of no use for this topic.
///
/// # Errors
/// Locked, or the file system refuses.
pub(crate) fn open(
    dir: &Path,
    config: &Config,
    topic: &Topic,
    now_millis: i64,
) -> Result<(Store, Opened), meshwork_state::StateError> {
    let options = options(config);
    let (store, opened) = Store::open(dir, &options)?;
    let Some(why) = unfit(&store, topic, now_millis)? else {
        return Ok((store, opened));
    };
    drop(store);
    Store::set_aside(dir, &options, &why)
}

/// Why a store can't be gone on from.
fn unfit(
    store: &Store,
    topic: &Topic,
    now_millis: i64,
) -> Result<Option<String>, meshwork_state::StateError> {
    for (name, partition, next) in store.offsets()? {
        if name != topic.name || partition != 0 {
            return Ok(Some(format!("it is of {name}:{partition}")));
        }
        if next < topic.start || next > topic.end {
            return Ok(Some(format!(
                "it is at offset {next}, and the log of {name} goes from {} to {}",
                topic.start, topic.end
            )));
        }
    }
    if let Some(id) = store.get(ABOUT, TOPIC_ID)?
        && id != topic.id.as_bytes()
    {
        return Ok(Some(format!(
            "topic {} was made anew since (topic id {}, now {})",
            topic.name,
            String::from_utf8_lossy(&id),
            topic.id
        )));
    }
    let seen = store.get(ABOUT, SEEN)?.and_then(|value| {
        let value = value.try_into().ok()?;
        Some(i64::from_be_bytes(value))
    });
    if let Some(seen) = seen {
        // Half of the time is left for reading what has come since.
        let limit = i64::try_from(topic.tombstones_stay.as_millis() / 2).unwrap_or(i64::MAX);
        let age = now_millis.saturating_sub(seen);
        if age > limit {
            return Ok(Some(format!(
                "it has not seen the end of {} for {} minutes, and what was deleted meanwhile may be gone from there (delete.retention.ms)",
                topic.name,
                age / 60_000
            )));
        }
    }
    Ok(None)
}

/// Writes changes with the offset behind them.
///
/// # Errors
/// The store refuses; nothing was written then.
pub(crate) fn commit(
    store: &Store,
    changes: &Changes,
    topic: &Topic,
    next: i64,
) -> Result<(), meshwork_state::StateError> {
    let mut batch = store.write();
    for (key, value) in &changes.rows {
        match value {
            Some(value) => batch.put(ROWS, key, value),
            None => batch.delete(ROWS, key),
        }
    }
    batch.put(ABOUT, TOPIC_ID, topic.id.as_bytes());
    batch.set_offset(&topic.name, 0, next);
    store.commit(batch)
}

/// Notes that the end of the log has been read.
///
/// # Errors
/// The store refuses.
pub(crate) fn note_seen(store: &Store, now_millis: i64) -> Result<(), meshwork_state::StateError> {
    let mut batch = store.write();
    batch.put(ABOUT, SEEN, now_millis.to_be_bytes());
    store.commit(batch)
}

/// Rows of one moment.
#[derive(Debug)]
pub(crate) struct StoredRows<'s>(Snapshot<'s>);

impl<'s> StoredRows<'s> {
    pub(crate) fn now(store: &'s Store) -> Self {
        Self(store.snapshot())
    }
}

fn unreadable(error: &meshwork_state::StateError) -> StateError {
    StateError::Unreadable {
        reason: error.to_string(),
        damaged: matches!(error, meshwork_state::StateError::Corrupt { .. }),
    }
}

impl Rows for StoredRows<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(ROWS, key).map_err(|error| unreadable(&error))
    }

    fn scan<'r>(&'r self, range: &KeyRange, direction: Direction) -> Scanned<'r> {
        let scan = Scan::range(range.from.clone(), Some(range.until.clone()));
        let scan = match direction {
            Direction::Forward => scan,
            Direction::Backward => scan.backward(),
        };
        match self.0.scan(ROWS, scan) {
            Ok(entries) => Box::new(entries.map(|entry| entry.map_err(|e| unreadable(&e)))),
            Err(error) => Box::new(std::iter::once(Err(unreadable(&error)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn topic() -> Topic {
        Topic {
            name: "_schemas".to_owned(),
            id: "one".to_owned(),
            start: 0,
            end: 100,
            tombstones_stay: Duration::from_secs(24 * 3_600),
        }
    }

    /// How a store that stands at offset 42 and saw the end at hour 1 is found.
    fn found(topic: &Topic, hour: i64) -> Opened {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("registry");
        let config = Config::default();
        let (store, opened) = open(&dir, &config, &self::topic(), 0).unwrap();
        assert_eq!(opened, Opened::Created);
        commit(&store, &Changes::default(), &self::topic(), 42).unwrap();
        note_seen(&store, HOUR).unwrap();
        drop(store);
        open(&dir, &config, topic, hour * HOUR).unwrap().1
    }

    #[test]
    fn a_store_is_gone_on_from_only_where_nothing_can_have_been_missed() {
        assert_eq!(found(&topic(), 1), Opened::Existing);
        assert_eq!(found(&topic(), 13), Opened::Existing);
        let cases = [
            (14, topic(), "for 780 minutes"),
            (
                1,
                Topic {
                    name: "other".to_owned(),
                    ..topic()
                },
                "it is of _schemas:0",
            ),
            (
                1,
                Topic {
                    id: "two".to_owned(),
                    ..topic()
                },
                "made anew since (topic id one, now two)",
            ),
            (
                1,
                Topic {
                    start: 43,
                    ..topic()
                },
                "from 43 to 100",
            ),
            (1, Topic { end: 41, ..topic() }, "from 0 to 41"),
        ];
        for (hour, topic, expected) in cases {
            match found(&topic, hour) {
                Opened::SetAside { why, .. } => assert!(why.contains(expected), "{why}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
        for topic in [
            Topic {
                start: 42,
                ..topic()
            },
            Topic { end: 42, ..topic() },
        ] {
            assert_eq!(found(&topic, 1), Opened::Existing);
        }
    }
}
