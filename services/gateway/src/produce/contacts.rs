//! Whose numbering has been read to its end since the connection began.

use std::collections::HashMap;

use super::guard::Session;

/// Sessions remembered on one connection. All are forgotten beyond that, and read anew.
const KEPT: usize = 10_000;

/// The sessions of one connection. A client that went to another gateway and comes back does so on
/// a new connection.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    epochs: HashMap<Session, i16>,
}

impl Contacts {
    pub(super) fn contains(&self, session: &Session, epoch: i16) -> bool {
        self.epochs.get(session) == Some(&epoch)
    }

    pub(super) fn insert(&mut self, session: &Session, epoch: i16) {
        if self.epochs.len() >= KEPT && !self.epochs.contains_key(session) {
            self.epochs.clear();
        }
        self.epochs.insert(session.clone(), epoch);
    }

    pub(super) fn remove(&mut self, session: &Session) {
        self.epochs.remove(session);
    }
}
