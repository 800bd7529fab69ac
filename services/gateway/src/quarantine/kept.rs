//! What is remembered of one product's quarantine: how each producer's batches are numbered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use meshwork_model::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::verdict::Read;
use crate::produce::{Look, Numbering, Verdict};

/// How long a session is remembered after its last batch, at least: twice the brokers' default for
/// `producer.id.expiration.ms`, after which a broker takes any sequence of it for the first.
const REMEMBERED_FOR: Duration = Duration::from_secs(2 * 24 * 3600);
/// A session's count is written anew when the last word on it is as old as this, or a quarter of the
/// topic's retention: well before a gateway that starts could miss it.
const CARRY_AFTER_MS: i64 = 12 * 3600 * 1000;
/// Sessions with numbering of one product. A batch of one more is put off where it would be trimmed.
const SESSIONS_MAX: usize = 100_000;

/// A producer's epoch on a partition of the product's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) partition: i32,
}

/// What time it is: retention goes by the clock, and forgetting by time that passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) clock: Timestamp,
    pub(super) instant: Instant,
}

#[derive(Debug)]
struct Entry {
    numbering: Numbering,
    last_batch: Instant,
    /// When the log last spoke of it, in milliseconds since 1970.
    written_ms: i64,
    carrying: bool,
}

/// How long sessions are remembered; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    millis: Arc<AtomicU64>,
}

impl Default for Remembered {
    fn default() -> Self {
        let default = u64::try_from(REMEMBERED_FOR.as_millis()).unwrap_or(u64::MAX);
        Self {
            millis: Arc::new(AtomicU64::new(default)),
        }
    }
}

impl Remembered {
    /// A broker remembers a producer for so long (`producer.id.expiration.ms`). The longest counts:
    /// what a gateway has forgotten and a broker has not would be numbered wrongly.
    pub(super) fn expires_after(&self, millis: u64) {
        let twice = millis.saturating_mul(2);
        self.millis.fetch_max(twice, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

/// Whether a quarantine topic is there, and can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// As far as is known.
    There,
    /// It may not be read: the cluster's ACLs deny it to the gateway.
    Denied,
    /// It was not when it was read last: somebody has deleted it.
    Gone,
    /// It is not, and no product's mode wants it: nothing can have been written there since.
    Left,
}

/// A product's quarantine.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The product's topic.
    pub(crate) source: Arc<str>,
    /// The quarantine topic.
    pub(crate) topic: Arc<str>,
    /// Its partitions.
    pub(crate) partitions: i32,
    carry_after_ms: i64,
    remembered: Remembered,
    presence: Mutex<Presence>,
    sessions: Arc<Mutex<HashMap<SessionKey, Entry>>>,
    /// Up to where partition 0 has been read.
    pub(super) position: watch::Sender<i64>,
}

impl Kept {
    /// Of a topic with so many partitions, which keeps its records for `retention_ms` (none: for
    /// ever).
    pub(crate) fn new(
        source: Arc<str>,
        topic: Arc<str>,
        partitions: i32,
        retention_ms: Option<i64>,
    ) -> Self {
        Self {
            source,
            topic,
            partitions,
            carry_after_ms: retention_ms.map_or(CARRY_AFTER_MS, |ms| (ms / 4).min(CARRY_AFTER_MS)),
            remembered: Remembered::default(),
            presence: Mutex::new(Presence::There),
            sessions: Arc::default(),
            position: watch::Sender::new(0),
        }
    }

    /// With what the brokers say of how long it remembers.
    pub(super) fn remembering(self, remembered: Remembered) -> Self {
        Self { remembered, ..self }
    }

    /// The same one, whose topic was made anew: what was taken out before stays taken out.
    pub(super) fn anew(&self, partitions: i32, retention_ms: Option<i64>) -> Self {
        let (source, topic) = (Arc::clone(&self.source), Arc::clone(&self.topic));
        Self {
            sessions: Arc::clone(&self.sessions),
            remembered: self.remembered.clone(),
            ..Self::new(source, topic, partitions, retention_ms)
        }
    }

    /// Whether its topic is there.
    pub(super) fn presence(&self) -> Presence {
        *self.presence.lock()
    }

    /// Whether it is, and may be read.
    pub(crate) fn is_there(&self) -> bool {
        self.presence() == Presence::There
    }

    /// Whether it can take records, be it that nothing can be read of them.
    pub(crate) fn takes_records(&self) -> bool {
        matches!(self.presence(), Presence::There | Presence::Denied)
    }

    /// Whether it is not, and nobody wants it.
    pub(crate) fn is_left(&self) -> bool {
        self.presence() == Presence::Left
    }

    /// Notes whether its topic is there.
    pub(super) fn is(&self, presence: Presence) {
        *self.presence.lock() = presence;
    }

    /// What is known of a batch. Where the topic was left behind a verdict that was on its way is
    /// lost, and nobody waits for it.
    pub(crate) fn look(&self, key: SessionKey, first: i32, count: u32) -> Look {
        let mut sessions = self.sessions.lock();
        let look = match sessions.get_mut(&key) {
            Some(entry) => {
                entry.last_batch = Instant::now();
                entry.numbering.look(first, count)
            }
            None => Look::New {
                removed_before: 0,
                attempted: false,
            },
        };
        match look {
            Look::New { removed_before, .. } if self.is_left() => Look::New {
                removed_before,
                attempted: false,
            },
            look => look,
        }
    }

    /// Whether there is room for a verdict on these records: asked before they are written, since what
    /// is in quarantine is not to be refused.
    pub(crate) fn has_room(&self, key: SessionKey, first: i32, count: u32) -> bool {
        let sessions = self.sessions.lock();
        match sessions.get(&key) {
            Some(entry) => entry.numbering.may_attempt(first, count),
            None => sessions.len() < SESSIONS_MAX,
        }
    }

    /// Notes that a verdict is about to be sent off. `false`: there is no room for one more session, or
    /// for one more of this one.
    pub(crate) fn attempt(&self, key: SessionKey, first: i32, count: u32) -> bool {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= SESSIONS_MAX && !sessions.contains_key(&key) {
            return false;
        }
        sessions
            .entry(key)
            .or_insert_with(|| Entry::at(first, i64::MAX))
            .numbering
            .attempt(first, count)
    }

    /// The record that has to be written to carry a session's count on, if any; whoever takes it
    /// writes it, and says [`carried`](Self::carried). None where the topic is not followed: what is
    /// written would not be read back, and might make the topic anew.
    pub(crate) fn carry(&self, key: SessionKey, first: i32, now: Timestamp) -> Option<Verdict> {
        if !self.is_there() {
            return None;
        }
        let mut sessions = self.sessions.lock();
        let entry = sessions.get_mut(&key)?;
        if entry.carrying {
            return None;
        }
        let old = now.as_millis().saturating_sub(entry.written_ms) > self.carry_after_ms;
        let verdict = entry.numbering.carry(first, old)?;
        entry.carrying = true;
        Some(verdict)
    }

    /// The carrying record was written, or could not be.
    pub(crate) fn carried(&self, key: SessionKey) {
        if let Some(entry) = self.sessions.lock().get_mut(&key) {
            entry.carrying = false;
        }
    }

    /// Takes in what was read: a word on a session shows that its producer sends, be it by way of
    /// another gateway.
    pub(super) fn record(&self, read: &Read, written: Option<Timestamp>, now: Now) {
        let written_ms = written.map_or(0, Timestamp::as_millis);
        let mut sessions = self.sessions.lock();
        if !sessions.contains_key(&read.key) {
            let age = now.clock.as_millis().saturating_sub(written_ms);
            let remembered = self.remembered.get().as_millis();
            let remembered = i64::try_from(remembered).unwrap_or(i64::MAX);
            // Whoever still sends would have had its count written anew since.
            if age > remembered {
                return;
            }
        }
        let entry = sessions
            .entry(read.key)
            .or_insert_with(|| Entry::at(read.verdict.first, written_ms));
        entry.written_ms = written_ms;
        entry.last_batch = entry.last_batch.max(now.instant);
        entry.numbering.record(&read.verdict);
    }

    /// Forgets the sessions that have sent nothing for long.
    pub(super) fn expire(&self, now: Instant) {
        let remembered = self.remembered.get();
        self.sessions
            .lock()
            .retain(|_, entry| now.saturating_duration_since(entry.last_batch) < remembered);
    }

    /// Waits until partition 0 has been read up to `offset` and with it.
    pub(crate) async fn read_behind(&self, offset: i64) {
        let mut position = self.position.subscribe();
        // It is never closed while this is borrowed.
        let _ = position.wait_for(|position| *position > offset).await;
    }
}

impl Entry {
    fn at(first: i32, written_ms: i64) -> Self {
        Self {
            numbering: Numbering::at(first),
            last_batch: Instant::now(),
            written_ms,
            carrying: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SessionKey = SessionKey {
        producer_id: 7,
        epoch: 0,
        partition: 1,
    };

    fn kept(retention_ms: i64) -> Kept {
        Kept::new("a".into(), "a.quarantine".into(), 1, Some(retention_ms))
    }

    fn read(first: i32, removed_before: u64) -> Read {
        Read {
            key: KEY,
            verdict: Verdict {
                first,
                count: 2,
                removed_before,
                removed: vec![(1, 9)],
            },
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn now(millis: i64) -> Now {
        Now {
            clock: at(millis),
            instant: Instant::now(),
        }
    }

    fn removed_before(kept: &Kept, first: i32) -> u64 {
        match kept.look(KEY, first, 1) {
            Look::New { removed_before, .. } => removed_before,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_count_is_carried_on_before_its_last_word_is_deleted() {
        let kept = kept(4_000);
        kept.record(&read(10, 5), Some(at(0)), now(0));
        assert_eq!(kept.carry(KEY, 12, at(1_000)), None);
        let carried = kept.carry(KEY, 12, at(1_001)).unwrap();
        assert_eq!(
            (carried.first, carried.count, carried.removed_before),
            (12, 0, 6)
        );
        assert_eq!(kept.carry(KEY, 12, at(1_001)), None, "one at a time");
        kept.carried(KEY);
        let word = Read {
            key: KEY,
            verdict: carried,
        };
        kept.record(&word, Some(at(1_001)), now(1_001));
        assert_eq!(kept.carry(KEY, 14, at(2_000)), None);
        // Another gateway that reads only this knows the count.
        let other = super::Kept::new("a".into(), "a.quarantine".into(), 1, None);
        other.record(&word, Some(at(1_001)), now(2_000));
        assert_eq!(
            other.look(KEY, 12, 1),
            Look::New {
                removed_before: 6,
                attempted: false
            }
        );
    }

    #[test]
    fn sessions_end_by_their_last_batch_and_not_by_their_last_verdict() {
        let kept = kept(4_000);
        kept.record(&read(10, 0), Some(at(0)), now(0));
        let start = Instant::now();
        kept.expire(start + REMEMBERED_FOR / 2);
        assert_eq!(removed_before(&kept, 12), 1);
        kept.expire(start + REMEMBERED_FOR * 2);
        assert_eq!(removed_before(&kept, 12), 0);
    }

    #[test]
    fn sessions_are_remembered_for_twice_as_long_as_any_broker_remembers_them() {
        const DAY_MS: u64 = 24 * 3600 * 1000;
        let remembered = Remembered::default();
        let kept = kept(4_000).remembering(remembered.clone());
        let anew = kept.anew(1, None);
        for days in [7, 1, 2] {
            remembered.expires_after(days * DAY_MS);
        }
        let after = |days: i64| now(days * 24 * 3600 * 1000);
        anew.record(&read(10, 5), Some(at(0)), after(13));
        assert_eq!(removed_before(&kept, 12), 6, "13 days old, and read");
        let start = Instant::now();
        kept.expire(start + REMEMBERED_FOR * 6);
        assert_eq!(removed_before(&kept, 12), 6);
        kept.expire(start + REMEMBERED_FOR * 8);
        assert_eq!(removed_before(&kept, 12), 0);
        anew.record(&read(10, 5), Some(at(0)), after(15));
        assert_eq!(removed_before(&kept, 12), 0, "nobody goes on from there");
    }

    #[test]
    fn a_word_of_another_gateway_keeps_a_session_alive() {
        let kept = kept(4_000);
        let start = Instant::now();
        let after = |part: u32| Now {
            clock: at(0),
            instant: start + REMEMBERED_FOR / 4 * part,
        };
        // Its producer sends by way of another gateway, which carries the count on.
        for (part, first) in [(0, 10), (1, 12), (2, 14)] {
            kept.record(&read(first, 5 + u64::from(part)), Some(at(0)), after(part));
        }
        kept.expire(after(5).instant);
        assert_eq!(removed_before(&kept, 16), 8);
        kept.expire(after(7).instant);
        assert_eq!(removed_before(&kept, 16), 0);
    }

    #[test]
    fn there_is_room_for_so_many_sessions_and_for_those_that_are_known() {
        let kept = kept(4_000);
        let all = i64::try_from(SESSIONS_MAX).unwrap();
        let key = |producer_id| SessionKey { producer_id, ..KEY };
        for producer_id in 0..all {
            assert!(kept.has_room(key(producer_id), 0, 1));
            assert!(kept.attempt(key(producer_id), 0, 1));
        }
        assert!(kept.has_room(key(0), 1, 1));
        assert!(!kept.has_room(key(all), 0, 1));
        assert!(!kept.attempt(key(all), 0, 1));
    }

    #[test]
    fn to_a_topic_that_was_left_behind_nothing_is_written_and_nobody_waits_for_it() {
        let kept = kept(4_000);
        kept.record(&read(10, 5), Some(at(0)), now(0));
        assert!(kept.attempt(KEY, 12, 3));
        let next = |attempted| Look::New {
            removed_before: 6,
            attempted,
        };
        assert_eq!(kept.look(KEY, 12, 3), next(true));
        kept.is(Presence::Left);
        assert_eq!(kept.look(KEY, 12, 3), next(false));
        assert_eq!(kept.carry(KEY, 12, at(9_000)), None);
        let recorded = Look::Recorded {
            removed_before: 5,
            removed: vec![(1, 9)],
        };
        assert_eq!(kept.look(KEY, 10, 2), recorded);
        kept.is(Presence::There);
        assert!(kept.carry(KEY, 12, at(9_000)).is_some());
    }

    #[test]
    fn what_was_taken_out_is_known_although_the_topic_was_made_anew() {
        let kept = kept(4_000);
        kept.record(&read(10, 0), Some(at(0)), now(0));
        kept.position.send_replace(500);
        kept.is(Presence::Gone);
        let anew = kept.anew(3, None);
        assert_eq!((anew.presence(), anew.partitions), (Presence::There, 3));
        assert_eq!(removed_before(&anew, 12), 1);
        assert_eq!(*anew.position.borrow(), 0, "nothing of it was read yet");
    }
}
