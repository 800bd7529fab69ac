//! After the gateway itself refused a batch, no later one of the same producer may overtake it.
//!
//! A broker without state of a producer takes any first sequence: if the first batch was refused
//! here and the second passed on, both would count as delivered. So later batches of the epoch on
//! the connection are refused as well until one that covers the refused sequence has passed, or
//! the epoch rises. A client that comes back on another connection sends the refused batch first.
//!
//! The same on the way back: where an earlier batch failed, at the broker or here, a batch of which
//! nothing was left to send may not be called delivered. librdkafka takes the success of a later
//! batch for that of all earlier ones (`rd_kafka_dr_implicit_ack`).

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_wire::BatchHeader;

use super::errors::code;

/// Refusals remembered on one connection. A client that has more at a time is closed: nothing may
/// be forgotten here.
const KEPT: usize = 10_000;

/// A producer's session on a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) producer_id: i64,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// A batch, as far as its place in a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: i16,
    /// Sequence of its first record.
    pub(crate) first: i32,
    /// Sequence of its last record.
    pub(crate) last: i32,
}

/// The session and place of an idempotent producer's batch; none of another's.
pub(crate) fn place(
    header: &BatchHeader,
    topic: &Arc<str>,
    partition: i32,
) -> Option<(Session, Place)> {
    if header.producer_id < 0 || header.base_sequence < 0 {
        return None;
    }
    let session = Session {
        producer_id: header.producer_id,
        topic: Arc::clone(topic),
        partition,
    };
    let more = i64::from(header.last_offset_delta.max(0));
    let last = (i64::from(header.base_sequence) + more).rem_euclid(1 << 31);
    let place = Place {
        epoch: header.producer_epoch,
        first: header.base_sequence,
        last: i32::try_from(last).unwrap_or(header.base_sequence),
    };
    Some((session, place))
}

impl Place {
    fn covers(self, sequence: i32) -> bool {
        !is_after(self.first, sequence) && !is_after(sequence, self.last)
    }
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    epoch: i16,
    sequence: i32,
    code: i16,
}

/// Why a batch may not pass: an earlier one was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Sequence of that one.
    pub(crate) refused: i32,
    /// What the client is told: that one's own code where it says "try later", so that no epoch is
    /// given up for it.
    pub(crate) code: i16,
}

/// The sessions of one connection in which something failed and has not been made good.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    refused: HashMap<Session, Refused>,
}

impl Guard {
    /// Whether nothing was refused that has not been made good.
    pub(crate) fn is_empty(&self) -> bool {
        self.refused.is_empty()
    }

    /// Whether an earlier batch stands in the way.
    pub(crate) fn look(&mut self, session: &Session, place: Place) -> Option<Behind> {
        let found = self.refused.get(session).copied()?;
        if place.epoch != found.epoch {
            // A lower epoch is the broker's to refuse.
            if place.epoch < found.epoch {
                return None;
            }
            // A new epoch begins at 0, and a broker without state of the producer would take any
            // other sequence first: Java's client sends what comes next before what it numbers anew.
            if place.first != 0 {
                return Some(Behind {
                    refused: 0,
                    code: code::OUT_OF_ORDER_SEQUENCE_NUMBER,
                });
            }
            self.refused.remove(session);
            return None;
        }
        is_after(place.first, found.sequence).then_some(Behind {
            refused: found.sequence,
            code: if is_retriable(found.code) {
                found.code
            } else {
                code::OUT_OF_ORDER_SEQUENCE_NUMBER
            },
        })
    }

    /// Notes that a batch failed. The earliest one counts. `false`: there is no room, and the
    /// connection has to end.
    #[must_use]
    pub(crate) fn refuse(&mut self, session: Session, place: Place, code: i16) -> bool {
        let earlier = self.refused.get(&session).is_some_and(|r| {
            r.epoch > place.epoch || (r.epoch == place.epoch && is_after(place.first, r.sequence))
        });
        if earlier {
            return true;
        }
        if self.refused.len() >= KEPT && !self.refused.contains_key(&session) {
            return false;
        }
        self.refused.insert(
            session,
            Refused {
                epoch: place.epoch,
                sequence: place.first,
                code,
            },
        );
        true
    }

    /// Notes that a batch passed: if it covers the refused sequence, the way is free.
    pub(crate) fn pass(&mut self, session: &Session, place: Place) {
        let freed = self.refused.get(session).is_some_and(|r| {
            r.epoch < place.epoch || (r.epoch == place.epoch && place.covers(r.sequence))
        });
        if freed {
            self.refused.remove(session);
        }
    }
}

/// Codes of a broker and of ours that a producer answers by sending the batch again as it is
/// (`RetriableException` in Java's client), as far as they come in answers to Produce.
pub(crate) fn is_retriable(code: i16) -> bool {
    matches!(
        code,
        2 | 3 | 5 | 6 | 7 | 13 | 14 | 19 | 20 | 56 | 75 | 76 | 100
    )
}

/// Whether sequence `a` comes after `b`; they wrap from 2^31 − 1 to 0.
pub(crate) fn is_after(a: i32, b: i32) -> bool {
    let distance = (i64::from(a) - i64::from(b)).rem_euclid(1 << 31);
    distance != 0 && distance < 1 << 30
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session {
            producer_id: 7,
            topic: "a.b.v1".into(),
            partition: 0,
        }
    }

    fn at(epoch: i16, first: i32, last: i32) -> Place {
        Place { epoch, first, last }
    }

    #[test]
    fn later_batches_wait_until_one_that_covers_the_refused_passes() {
        let mut guard = Guard::default();
        let me = session();
        assert_eq!(guard.look(&me, at(0, 0, 4)), None);
        assert!(guard.refuse(me.clone(), at(0, 10, 14), code::INVALID_RECORD));
        assert!(guard.refuse(me.clone(), at(0, 20, 24), code::INVALID_RECORD));
        let behind = guard.look(&me, at(0, 15, 19)).unwrap();
        assert_eq!((behind.refused, behind.code), (10, 45));
        assert_eq!(
            guard.look(&me, at(0, 5, 9)),
            None,
            "a repeat of an earlier one"
        );
        guard.pass(&me, at(0, 5, 9));
        assert!(guard.look(&me, at(0, 15, 19)).is_some());
        // Split or put together otherwise, it is the same records.
        assert_eq!(guard.look(&me, at(0, 8, 11)), None);
        guard.pass(&me, at(0, 8, 11));
        assert_eq!(guard.look(&me, at(0, 15, 19)), None);
    }

    #[test]
    fn what_is_to_be_tried_later_is_said_so_to_all() {
        let mut guard = Guard::default();
        let me = session();
        assert!(guard.refuse(me.clone(), at(0, 0, 0), code::NOT_ENOUGH_REPLICAS));
        assert_eq!(
            guard.look(&me, at(0, 1, 1)).unwrap().code,
            code::NOT_ENOUGH_REPLICAS
        );
    }

    #[test]
    fn a_new_epoch_opens_and_an_old_one_is_the_brokers() {
        let mut guard = Guard::default();
        let me = session();
        assert!(guard.refuse(me.clone(), at(3, 10, 10), code::INVALID_RECORD));
        assert_eq!(guard.look(&me, at(2, 99, 99)), None);
        assert!(guard.look(&me, at(3, 99, 99)).is_some());
        let early = guard.look(&me, at(4, 1, 1)).unwrap();
        assert_eq!((early.refused, early.code), (0, 45), "not before its first");
        assert_eq!(guard.look(&me, at(4, 0, 0)), None);
        assert_eq!(guard.look(&me, at(4, 1, 1)), None, "after it");
        assert_eq!(guard.look(&me, at(3, 99, 99)), None, "forgotten by then");
    }

    #[test]
    fn sequences_wrap() {
        assert!(is_after(0, i32::MAX));
        assert!(!is_after(i32::MAX, 0));
        assert!(!is_after(4, 4));
        assert!(at(0, i32::MAX, 2).covers(0));
    }
}
