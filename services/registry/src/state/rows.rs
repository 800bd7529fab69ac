//! What the state is made of: rows, keys and values of bytes in key order. The service keeps them
//! in RocksDB, tests in memory.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::iter::Peekable;

/// The state could not be read. Nothing of the record or request at hand has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store refused.
    #[error("the registry's state can't be read: {reason}")]
    Unreadable {
        /// The store's words.
        reason: String,
        /// Whether bytes on disk were changed by something else, so that the store is of no use.
        damaged: bool,
    },
    /// A row is not one that this version writes.
    #[error("a row of the registry's state is not what this version writes ({what})")]
    Garbled {
        /// What kind of row.
        what: &'static str,
    },
}

impl StateError {
    /// Whether only a store filled anew from the log helps.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Garbled { .. } | Self::Unreadable { damaged: true, .. }
        )
    }
}

/// A key and its value.
pub type Row = (Box<[u8]>, Box<[u8]>);

/// Rows, read one after another when they are asked for.
pub type Scanned<'r> = Box<dyn Iterator<Item = Result<Row, StateError>> + 'r>;

/// Keys from one to before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first.
    pub from: Vec<u8>,
    /// Before this one.
    pub until: Vec<u8>,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// In key order.
    Forward,
    /// Against key order.
    Backward,
}

/// Rows of one moment, whatever is written meanwhile.
pub trait Rows {
    /// The value of `key`.
    ///
    /// # Errors
    /// It can't be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// The rows of `range`.
    fn scan<'r>(&'r self, range: &KeyRange, direction: Direction) -> Scanned<'r>;
}

/// What applied records change, to be written in one piece with the offset behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By key; none removes it.
    pub rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Contexts and ids whose answers may be others now.
    pub touched: BTreeSet<(String, i32)>,
    /// Contexts and ids that no version holds any more, or that came to mean something else.
    pub released: BTreeSet<(String, i32)>,
    /// Whether a version that others refer to is gone, so that their graphs may be others now.
    pub referenced_gone: bool,
}

/// Rows in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryRows(BTreeMap<Vec<u8>, Vec<u8>>);

impl MemoryRows {
    /// Takes changes over.
    pub fn commit(&mut self, changes: Changes) {
        for (key, value) in changes.rows {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }

    /// All rows, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl Rows for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan<'r>(&'r self, range: &KeyRange, direction: Direction) -> Scanned<'r> {
        if range.from >= range.until {
            return Box::new(std::iter::empty());
        }
        let row = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            Ok((
                key.clone().into_boxed_slice(),
                value.clone().into_boxed_slice(),
            ))
        };
        let hits = self.0.range(range.from.clone()..range.until.clone());
        match direction {
            Direction::Forward => Box::new(hits.map(row)),
            Direction::Backward => Box::new(hits.rev().map(row)),
        }
    }
}

/// `rows` with `changes` laid over them.
pub(super) fn scan_over<'r>(
    rows: &'r dyn Rows,
    changes: &'r BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    range: &KeyRange,
    direction: Direction,
) -> Scanned<'r> {
    let below = rows.scan(range, direction);
    if range.from >= range.until {
        return below;
    }
    let mut over = changes
        .range(range.from.clone()..range.until.clone())
        .peekable();
    if over.peek().is_none() {
        return below;
    }
    let below = below.peekable();
    match direction {
        Direction::Forward => Box::new(Laid {
            below,
            over,
            direction,
        }),
        Direction::Backward => Box::new(Laid {
            below,
            over: changes
                .range(range.from.clone()..range.until.clone())
                .rev()
                .peekable(),
            direction,
        }),
    }
}

/// Two ordered sequences as one; where both have a key, the one over the other counts.
struct Laid<'r, I: Iterator<Item = Changed<'r>>> {
    below: Peekable<Scanned<'r>>,
    over: Peekable<I>,
    direction: Direction,
}

type Changed<'r> = <btree_map::Range<'r, Vec<u8>, Option<Vec<u8>>> as Iterator>::Item;

impl<'r, I: Iterator<Item = Changed<'r>>> Iterator for Laid<'r, I> {
    type Item = Result<Row, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((changed, _)) = self.over.peek() else {
                return self.below.next();
            };
            let order = match self.below.peek() {
                Some(Ok((key, _))) => match self.direction {
                    Direction::Forward => (**key).cmp(changed.as_slice()),
                    Direction::Backward => changed.as_slice().cmp(key),
                },
                Some(Err(_)) => return self.below.next(),
                None => std::cmp::Ordering::Greater,
            };
            match order {
                std::cmp::Ordering::Less => return self.below.next(),
                std::cmp::Ordering::Equal => drop(self.below.next()),
                std::cmp::Ordering::Greater => {}
            }
            if let Some((key, Some(value))) = self.over.next() {
                return Some(Ok((
                    key.clone().into_boxed_slice(),
                    value.clone().into_boxed_slice(),
                )));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(&str, &str)]) -> MemoryRows {
        let mut rows = MemoryRows::default();
        let mut changes = Changes::default();
        for (key, value) in pairs {
            changes
                .rows
                .insert(key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()));
        }
        rows.commit(changes);
        rows
    }

    #[test]
    fn changes_lie_over_rows_both_ways() {
        let below = rows(&[("a", "1"), ("b", "1"), ("d", "1"), ("f", "1"), ("z", "1")]);
        let over: BTreeMap<Vec<u8>, Option<Vec<u8>>> = [
            ("a", None),
            ("b", Some("2")),
            ("c", Some("2")),
            ("e", None),
            ("g", Some("2")),
            ("zz", Some("2")),
        ]
        .map(|(key, value)| {
            (
                key.as_bytes().to_vec(),
                value.map(|value: &str| value.as_bytes().to_vec()),
            )
        })
        .into();
        let seen = |from: &str, until: &str, direction| -> Vec<String> {
            let range = KeyRange {
                from: from.into(),
                until: until.into(),
            };
            scan_over(&below, &over, &range, direction)
                .map(|row| {
                    let (key, value) = row.unwrap();
                    String::from_utf8([key, value].concat()).unwrap()
                })
                .collect()
        };
        let mut all = vec!["b2", "c2", "d1", "f1", "g2"];
        assert_eq!(seen("a", "z", Direction::Forward), all);
        all.reverse();
        assert_eq!(seen("a", "z", Direction::Backward), all);
        assert_eq!(seen("c", "f", Direction::Backward), ["d1", "c2"]);
        assert!(seen("h", "h", Direction::Forward).is_empty());
    }
}
