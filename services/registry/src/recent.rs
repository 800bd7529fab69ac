//! What was made of an id lately, bounded by bytes. Sound against readers of older states: what is
//! given is never older than what has been published.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

/// What an entry costs besides its own bytes: key, counters, links.
const OVERHEAD: usize = 160;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    context: Box<str>,
    id: i32,
}

#[derive(Hash)]
struct Asked<'a> {
    context: &'a str,
    id: i32,
}

impl Equivalent<Place> for Asked<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.id == place.id && *self.context == *place.context
    }
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    /// Whether nothing had changed since the state that it was made from, when it could be seen.
    /// Not given before.
    sound: AtomicBool,
}

#[derive(Clone, Debug)]
struct Bytes;

impl<V> Weighter<Place, Arc<Entry<V>>> for Bytes {
    fn weight(&self, place: &Place, entry: &Arc<Entry<V>>) -> u64 {
        (entry.bytes + place.context.len() + OVERHEAD) as u64
    }
}

/// Values by context and id.
///
/// Whoever applies the log calls [`Self::changed`] after a commit and before the new offset is
/// published. Whoever makes a value hands in the offset that was published before the state was
/// read. A value is then either removed by the former, or seen to be old by the latter, which
/// marks it as sound only afterwards.
#[derive(Debug)]
pub struct Recent<V> {
    kept: Cache<Place, Arc<Entry<V>>, Bytes>,
    /// Offset behind the last change.
    changed: AtomicI64,
}

impl<V: Clone> Recent<V> {
    /// Keeps at most so many bytes.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let items = usize::try_from(max_bytes / 1024).unwrap_or(usize::MAX);
        Self {
            kept: Cache::with_weighter(items.clamp(16, 1 << 20), max_bytes, Bytes),
            changed: AtomicI64::new(-1),
        }
    }

    /// What is kept.
    pub fn get(&self, context: &str, id: i32) -> Option<V> {
        let entry = self.kept.get(&Asked { context, id })?;
        entry
            .sound
            .load(Ordering::SeqCst)
            .then(|| entry.value.clone())
    }

    /// Keeps a value of `bytes` bytes, made from a state read after `published` had become the
    /// published offset.
    pub fn keep(&self, context: &str, id: i32, value: V, bytes: usize, published: i64) {
        if self.changed.load(Ordering::SeqCst) > published {
            return;
        }
        let entry = Arc::new(Entry {
            value,
            bytes,
            sound: AtomicBool::new(false),
        });
        let place = Place {
            context: context.into(),
            id,
        };
        self.kept.insert(place, Arc::clone(&entry));
        if self.changed.load(Ordering::SeqCst) > published {
            self.kept.remove(&Asked { context, id });
        } else {
            entry.sound.store(true, Ordering::SeqCst);
        }
    }

    /// Forgets what may be another now. `next` is the offset behind the records that changed it,
    /// not published yet.
    pub fn changed<'i>(&self, ids: impl Iterator<Item = &'i (String, i32)>, next: i64) {
        let mut ids = ids.peekable();
        if ids.peek().is_none() {
            return;
        }
        self.changed.fetch_max(next, Ordering::SeqCst);
        for (context, id) in ids {
            self.kept.remove(&Asked { context, id: *id });
        }
    }

    /// Forgets everything, and that anything changed: the state is made anew. Not while anyone
    /// makes a value from the former one.
    pub fn clear(&self) {
        self.changed.store(-1, Ordering::SeqCst);
        self.kept.clear();
    }

    /// Bytes kept.
    pub fn bytes(&self) -> u64 {
        self.kept.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_before_a_change_is_not_given_after_it() {
        let recent: Recent<u32> = Recent::new(1 << 20);
        recent.keep(".", 1, 10, 4, 5);
        assert_eq!(recent.get(".", 1), Some(10));
        assert_eq!(recent.get(".ctx", 1), None);
        let changed = [(".".to_owned(), 1)];
        recent.changed(changed.iter(), 6);
        assert_eq!(recent.get(".", 1), None);
        // Made from a state before the change, and kept too late.
        recent.keep(".", 1, 10, 4, 5);
        assert_eq!(recent.get(".", 1), None);
        recent.keep(".", 1, 11, 4, 6);
        assert_eq!(recent.get(".", 1), Some(11));
        // Nothing changed: nothing is refused.
        recent.changed([].iter(), 9);
        recent.keep(".", 2, 12, 4, 6);
        assert_eq!(recent.get(".", 2), Some(12));
        // Made anew, offsets begin anew.
        recent.clear();
        assert_eq!((recent.get(".", 1), recent.get(".", 2)), (None, None));
        recent.keep(".", 1, 13, 4, 0);
        assert_eq!(recent.get(".", 1), Some(13));
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let recent: Recent<u32> = Recent::new(100_000);
        for id in 1..10_000 {
            recent.keep(".", id, 1, 1_000, 0);
        }
        assert!(recent.bytes() <= 100_000, "{}", recent.bytes());
        assert!(recent.bytes() > 10_000, "{}", recent.bytes());
    }

    /// Makers and the one who changes, all at once: after a value was published, no older one.
    #[test]
    fn racing_makers_never_bring_back_the_past() {
        let recent: Recent<i64> = Recent::new(1 << 20);
        let (state, published) = (AtomicI64::new(0), AtomicI64::new(0));
        let ids = [(".".to_owned(), 1)];
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while published.load(Ordering::SeqCst) < 20_000 {
                        let seen = published.load(Ordering::SeqCst);
                        if let Some(value) = recent.get(".", 1) {
                            assert!(value >= seen, "{value} after {seen}");
                        }
                        let seen = published.load(Ordering::SeqCst);
                        let value = state.load(Ordering::SeqCst);
                        recent.keep(".", 1, value, 8, seen);
                    }
                });
            }
            for next in 1..=20_000 {
                state.store(next, Ordering::SeqCst);
                recent.changed(ids.iter(), next);
                published.store(next, Ordering::SeqCst);
            }
        });
    }
}
