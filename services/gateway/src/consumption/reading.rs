//! What one connection reads: the set of its fetch session (KIP-227), which requests only change,
//! and positions that were not told yet. Pure: time is an argument.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Partitions remembered of one connection; of further ones only changes are told.
pub(super) const SET_MAX: usize = 4_096;
/// How long positions are gathered.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How often it is told that a partition is still read although nothing new comes in it.
const TELL_ALL_EVERY: Duration = Duration::from_secs(60);

/// A partition of a topic.
pub(super) type Place = (Arc<str>, i32);

/// Who keeps the set of what is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Session {
    /// Nobody: each request names all.
    #[default]
    None,
    /// The broker is asked for one.
    Opening,
    /// The broker, under this id.
    Open(i32),
}

#[derive(Clone, Copy, Debug)]
struct Held {
    offset: i64,
    /// Number of the request that named all and it among them.
    named: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reading {
    session: Session,
    set: HashMap<Place, Held>,
    requests: u64,
    changed: HashMap<Place, i64>,
    told: Option<Instant>,
    told_all: Option<Instant>,
}

impl Reading {
    /// A Fetch begins. With epoch 0 or −1 it names all that is read, else what is new or moved.
    pub(super) fn begin(&mut self, session_id: i32, epoch: i32) -> Fetch<'_> {
        let all = epoch <= 0;
        if all {
            self.session = if epoch == 0 {
                Session::Opening
            } else {
                Session::None
            };
        } else if self.session != Session::Open(session_id) {
            // Of a session that was not seen to be opened, only the changes are known.
            self.set.clear();
            self.session = Session::Open(session_id);
        }
        self.requests += 1;
        Fetch { reading: self, all }
    }

    /// The broker has answered a Fetch: which session it keeps, 0 for none.
    pub(super) fn answered(&mut self, error_code: i16, session_id: i32) {
        match self.session {
            Session::Opening if error_code == 0 && session_id != 0 => {
                self.session = Session::Open(session_id);
            }
            // An error of the whole (70, 71: the session is gone) is followed by a new one.
            Session::Open(_) if error_code == 0 => {}
            _ if error_code == 0 => self.session = Session::None,
            _ => {
                self.session = Session::None;
                self.set.clear();
            }
        }
    }

    /// Partitions that are remembered.
    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// Positions that are to be told by now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(Place, i64)> {
        let past = |since: Option<Instant>, wait: Duration| {
            since.is_none_or(|since| now.saturating_duration_since(since) >= wait)
        };
        if past(self.told_all, TELL_ALL_EVERY) {
            self.told_all = Some(now);
            for (place, held) in &self.set {
                self.changed.entry(place.clone()).or_insert(held.offset);
            }
        } else if self.changed.is_empty() || !past(self.told, TELL_EVERY) {
            return Vec::new();
        }
        self.told = Some(now);
        self.rest()
    }

    /// Positions that were not told yet.
    pub(super) fn rest(&mut self) -> Vec<(Place, i64)> {
        self.changed.drain().collect()
    }
}

/// A Fetch request as it is walked over.
#[derive(Debug)]
pub(super) struct Fetch<'r> {
    reading: &'r mut Reading,
    all: bool,
}

impl Fetch<'_> {
    /// It asks for a partition from `offset` on. `room`: whether another one may be remembered.
    pub(super) fn asks(&mut self, place: Place, offset: i64, room: bool) {
        let reading = &mut *self.reading;
        let now = Held {
            offset,
            named: reading.requests,
        };
        if let Some(held) = reading.set.get_mut(&place) {
            let moved = held.offset != offset;
            *held = now;
            if !moved {
                return;
            }
        } else if room && reading.set.len() < SET_MAX {
            reading.set.insert(place.clone(), now);
        }
        if reading.changed.len() < SET_MAX || reading.changed.contains_key(&place) {
            reading.changed.insert(place, offset);
        }
    }

    /// It no longer reads a partition.
    pub(super) fn forgets(&mut self, place: &Place) {
        self.reading.set.remove(place);
    }

    /// Behind the last partition.
    pub(super) fn end(self) {
        if self.all {
            let named = self.reading.requests;
            self.reading.set.retain(|_, held| held.named == named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32) -> Place {
        ("a.b.v1".into(), partition)
    }

    fn fetch(reading: &mut Reading, session: (i32, i32), asks: &[(i32, i64)], forgets: &[i32]) {
        let mut fetch = reading.begin(session.0, session.1);
        for (partition, offset) in asks {
            fetch.asks(place(*partition), *offset, true);
        }
        for partition in forgets {
            fetch.forgets(&place(*partition));
        }
        fetch.end();
    }

    fn due(reading: &mut Reading, at: Instant) -> Vec<(i32, i64)> {
        let mut due: Vec<(i32, i64)> = reading
            .due(at)
            .into_iter()
            .map(|((_, partition), offset)| (partition, offset))
            .collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn a_session_holds_what_is_read_and_requests_only_change_it() {
        let (mut reading, start) = (Reading::default(), Instant::now());
        let later = |ms| start + Duration::from_millis(ms);
        fetch(&mut reading, (0, 0), &[(0, 5), (1, 7), (2, 9)], &[]);
        reading.answered(0, 77);
        assert_eq!(due(&mut reading, start), [(0, 5), (1, 7), (2, 9)]);
        fetch(&mut reading, (77, 1), &[(1, 10)], &[2]);
        reading.answered(0, 77);
        assert_eq!(due(&mut reading, later(100)), [], "gathered");
        fetch(&mut reading, (77, 2), &[(1, 12)], &[]);
        assert_eq!(due(&mut reading, later(600)), [(1, 12)], "the latest");
        fetch(&mut reading, (77, 3), &[], &[]);
        assert_eq!(due(&mut reading, later(2_000)), [], "nothing moved");
        // Once a minute: what is read still, the forgotten one not.
        fetch(&mut reading, (77, 4), &[], &[]);
        assert_eq!(due(&mut reading, later(60_000)), [(0, 5), (1, 12)]);
        assert_eq!(reading.len(), 2);
    }

    #[test]
    fn without_a_session_each_request_names_all() {
        let (mut reading, start) = (Reading::default(), Instant::now());
        fetch(&mut reading, (0, -1), &[(0, 5), (1, 7)], &[]);
        reading.answered(0, 0);
        assert_eq!(due(&mut reading, start), [(0, 5), (1, 7)]);
        fetch(&mut reading, (0, -1), &[(1, 7)], &[]);
        assert_eq!(reading.len(), 1);
        let at = start + Duration::from_secs(1);
        assert_eq!(due(&mut reading, at), [], "the same position");
    }

    #[test]
    fn of_a_session_that_is_lost_or_not_known_only_changes_are_known() {
        let (mut reading, start) = (Reading::default(), Instant::now());
        fetch(&mut reading, (0, 0), &[(0, 5)], &[]);
        reading.answered(0, 77);
        fetch(&mut reading, (77, 1), &[], &[]);
        reading.answered(71, 0);
        assert_eq!(reading.len(), 0);
        // Continued from another connection.
        fetch(&mut reading, (78, 9), &[(3, 1)], &[]);
        assert_eq!(reading.len(), 1);
        assert_eq!(due(&mut reading, start), [(0, 5), (3, 1)]);
        // The broker has no room for another session.
        fetch(&mut reading, (0, 0), &[(4, 1)], &[]);
        reading.answered(0, 0);
        fetch(&mut reading, (0, 0), &[(5, 1)], &[]);
        assert_eq!(reading.len(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut reading = Reading::default();
        let mut fetch = reading.begin(0, 0);
        for partition in 0..10_000 {
            fetch.asks(place(partition), 0, partition != 3);
        }
        fetch.end();
        assert_eq!(reading.len(), SET_MAX);
        assert!(!reading.set.contains_key(&place(3)), "there was no room");
        assert_eq!(reading.rest().len(), SET_MAX);
        assert!(reading.rest().is_empty());
    }
}
