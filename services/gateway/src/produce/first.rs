//! The first batches of each idempotent producer on a connection: they may be repeats of what another
//! gateway has counted, whose answer was lost with its connection. Each is observed by itself, with
//! exactly its offsets, so that whoever has counted these drops it whole.

use std::collections::HashMap;

use super::guard::Session;

/// How many batches a producer may have had in flight when its last connection ended: a broker takes
/// no more of an idempotent one.
const FIRST: u8 = 5;
/// Sessions remembered of one connection; batches of further ones are added up with others.
const SESSIONS_MAX: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct First {
    passed: HashMap<Session, u8>,
}

impl First {
    /// A batch passes: whether it is among the first.
    pub(crate) fn pass(&mut self, session: &Session) -> bool {
        if let Some(passed) = self.passed.get_mut(session) {
            *passed = passed.saturating_add(1);
            return *passed <= FIRST;
        }
        if self.passed.len() >= SESSIONS_MAX {
            return false;
        }
        self.passed.insert(session.clone(), 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_of_each_session_are_told_apart() {
        let mut first = First::default();
        let session = |producer_id| Session {
            producer_id,
            topic: "a.b.v1".into(),
            partition: 0,
        };
        let told: Vec<bool> = (0..7).map(|_| first.pass(&session(1))).collect();
        assert_eq!(told, [true, true, true, true, true, false, false]);
        assert!(first.pass(&session(2)));
        for producer_id in 3..2_000 {
            first.pass(&session(producer_id));
        }
        assert_eq!(first.passed.len(), SESSIONS_MAX);
        assert!(!first.pass(&session(5_000)));
    }
}
