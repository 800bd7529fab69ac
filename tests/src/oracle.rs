//! Judges what clients of a registry were told by what its log and its instances hold afterwards.
//! Pure: it is given all that was seen, and trusts no count of the registry's own.
//!
//! - `ids`: the whole log, aborted records included. An id means one text for ever, a text has one
//!   id at a time, and a new id is above every id that any earlier record holds.
//! - `subjects`: per subject, every answer must be explained by one place in the order of the log.
//!   Writes are linearizable, refused ones too; a read sees at least what its `Meshwork-Min-Offset`
//!   names, at least what the same instance has shown before, and nothing that was not so; and every
//!   change has a request that caused it. A registration that finds its text there is a read. The log is the order, so nothing is searched for and any number of
//!   requests can be judged, those of unknown fate included. What that can't see: an order of which
//!   the log itself knows nothing, such as what two instances showed between changes.
//! - `served`: what every instance serves at the end, against the log.

mod ids;
mod log;
mod place;
mod served;
mod subjects;
#[cfg(test)]
mod tests;
mod violation;

pub use log::{Election, LogRecord, context_of, elections};
pub use served::{Served, ServedVersion};
pub use violation::Violation;

use std::collections::BTreeSet;

use crate::history::Op;
use log::Change;

/// All that was seen.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What clients asked and were told.
    pub history: Vec<Op>,
    /// The whole log as read_committed shows it, by offset.
    pub committed: Vec<LogRecord>,
    /// The whole log as read_uncommitted shows it, by offset.
    pub uncommitted: Vec<LogRecord>,
    /// What each instance serves after a quiet time.
    pub served: Vec<Served>,
}

/// All that is wrong, none if nothing is.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Violation> {
    let committed = log::changes(&evidence.committed);
    let uncommitted = log::changes(&evidence.uncommitted);
    let held = ids::Held::of(&committed);
    let mut found = ids::check(&evidence.history, &committed, &uncommitted, &held);
    found.extend(subjects::check(&evidence.history, &committed));
    found.extend(served::check(&evidence.served, &committed, &held));
    found
}

/// Ids by context that only aborted records hold.
#[must_use]
pub fn aborted_ids(evidence: &Evidence) -> BTreeSet<(String, i32)> {
    let ids = |records: &[LogRecord]| -> BTreeSet<(String, i32)> {
        log::changes(records)
            .into_iter()
            .filter_map(|at| match at.change {
                Change::Schema { subject, id, .. } => {
                    Some((log::context_of(&subject).to_owned(), id))
                }
                _ => None,
            })
            .collect()
    };
    &ids(&evidence.uncommitted) - &ids(&evidence.committed)
}
