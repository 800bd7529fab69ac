//! A bounded cache whose entries may expire, with one look-up in flight per key: whoever asks
//! meanwhile waits for it, and shares its failure too.

use std::hash::Hash;
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, EntryAction, EntryResult};

use crate::error::RegistryClientError;

#[derive(Clone)]
struct Kept<V> {
    value: Result<V, RegistryClientError>,
    /// None: for ever.
    until: Option<Instant>,
}

impl<V> Kept<V> {
    fn fresh(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// How long answers are believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beliefs {
    /// A good answer; none: for ever.
    pub(crate) good: Option<Duration>,
    /// "No such thing", and whatever else the registry refused.
    pub(crate) missing: Duration,
    /// "Can't be reached".
    pub(crate) unavailable: Duration,
}

pub(crate) struct Shared<K, V> {
    cache: Cache<K, Kept<V>>,
    beliefs: Beliefs,
}

impl<K: Clone + Eq + Hash, V: Clone> Shared<K, V> {
    pub(crate) fn new(entries: usize, beliefs: Beliefs) -> Self {
        Self {
            cache: Cache::new(entries.max(1)),
            beliefs,
        }
    }

    /// The good answer kept for `key`, without any I/O.
    pub(crate) fn peek(&self, key: &K) -> Option<V> {
        let kept = self.cache.get(key).filter(Kept::fresh)?;
        kept.value.ok()
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        let kept = self.keep(Ok(value));
        self.cache.insert(key, kept);
    }

    pub(crate) async fn get(
        &self,
        key: &K,
        look_up: impl Future<Output = Result<V, RegistryClientError>>,
    ) -> Result<V, RegistryClientError> {
        if let Some(kept) = self.cache.get(key).filter(Kept::fresh) {
            return kept.value;
        }
        let entry = self
            .cache
            .entry_async(key, |_, kept: &mut Kept<V>| {
                if kept.fresh() {
                    EntryAction::Retain(kept.value.clone())
                } else {
                    EntryAction::ReplaceWithGuard
                }
            })
            .await;
        let guard = match entry {
            EntryResult::Retained(value) => return value,
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => guard,
            // The first never happens without `Remove`, the second never without a timeout.
            EntryResult::Removed(_, kept) => return kept.value,
            EntryResult::Timeout => return look_up.await,
        };
        let kept = self.keep(look_up.await);
        let value = kept.value.clone();
        // Fails only where another insertion overtook this one: that is kept then.
        let _ = guard.insert(kept);
        value
    }

    fn keep(&self, value: Result<V, RegistryClientError>) -> Kept<V> {
        let belief = match &value {
            Ok(_) => self.beliefs.good,
            Err(error) if error.is_unavailable() => Some(self.beliefs.unavailable),
            Err(_) => Some(self.beliefs.missing),
        };
        // Spread by ± half, so that what was learnt together does not expire together.
        let until = belief
            .and_then(|belief| Instant::now().checked_add(belief.mul_f64(0.5 + fastrand::f64())));
        Kept { value, until }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn cache(missing: Duration) -> Shared<u32, u32> {
        Shared::new(
            10,
            Beliefs {
                good: None,
                missing,
                unavailable: missing,
            },
        )
    }

    fn missing() -> RegistryClientError {
        RegistryClientError::NotFound {
            what: "x".to_owned(),
            code: 40403,
            message: String::new(),
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_share_one_look_up_and_its_failure() {
        let cache = cache(Duration::from_secs(3600));
        let asked = AtomicU32::new(0);
        let look_up = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err(missing())
        };
        let (a, b, c) = tokio::join!(
            cache.get(&1, look_up()),
            cache.get(&1, look_up()),
            cache.get(&1, look_up())
        );
        assert_eq!((a, b, c), (Err(missing()), Err(missing()), Err(missing())));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(cache.peek(&1), None);
    }

    #[test]
    fn what_is_learnt_together_does_not_expire_together() {
        let belief = Duration::from_secs(1_000);
        let cache = cache(belief);
        let before = Instant::now();
        let mut last: Vec<Duration> = (0..1_000)
            .map(|_| cache.keep(Err(missing())).until.unwrap() - before)
            .collect();
        last.sort_unstable();
        let (soonest, latest) = (last[0], last[999]);
        assert!(soonest >= belief / 2, "{soonest:?}");
        assert!(latest - soonest > belief / 2, "{soonest:?} to {latest:?}");
        // No tenth of the time has more than a fifth of them.
        for tenth in 0..10 {
            let from = belief / 2 + belief * tenth / 10;
            let within = |at: &&Duration| (from..from + belief / 10).contains(*at);
            let count = last.iter().filter(within).count();
            assert!(count < 200, "{count} from {from:?} on");
        }
    }

    #[tokio::test]
    async fn a_failure_expires_and_a_good_answer_stays() {
        let cache = cache(Duration::ZERO);
        assert_eq!(
            cache.get(&1, async { Err(missing()) }).await,
            Err(missing())
        );
        assert_eq!(cache.get(&1, async { Ok(7) }).await, Ok(7));
        assert_eq!(cache.get(&1, async { Err(missing()) }).await, Ok(7));
        assert_eq!(cache.peek(&1), Some(7));
    }
}
