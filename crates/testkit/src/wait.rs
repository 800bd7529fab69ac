//! Waiting for what must come, and names that no other test has.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for what must come. Never asserted against from below: a slow machine is
/// no failure.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often is looked.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until there is something to see, and gives that.
///
/// # Panics
/// After [`DEADLINE`], naming `what` it waited for.
#[track_caller]
pub fn wait_for<T, F, L>(what: &str, look: L) -> impl Future<Output = T>
where
    L: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let from = std::panic::Location::caller();
    let what = what.to_owned();
    let mut look = look;
    async move {
        let started = Instant::now();
        loop {
            // A look that hangs must not hang the test.
            match tokio::time::timeout(DEADLINE, look()).await {
                Ok(Some(seen)) => return seen,
                Ok(None) if started.elapsed() < DEADLINE => tokio::time::sleep(PAUSE).await,
                _ => panic!(
                    "{from}: waited {} s for {what}",
                    started.elapsed().as_secs()
                ),
            }
        }
    }
}

/// Looks until it holds.
///
/// # Panics
/// After [`DEADLINE`], naming `what` it waited for.
#[track_caller]
pub fn wait_until<F, L>(what: &str, look: L) -> impl Future<Output = ()>
where
    L: FnMut() -> F,
    F: Future<Output = bool>,
{
    let mut look = look;
    wait_for(what, move || {
        let holds = look();
        async move { holds.await.then_some(()) }
    })
}

/// `prefix` with an ending that no other test, and no other run, has: for topics and groups.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{prefix}-{:x}-{:04x}-{}",
        std::process::id(),
        fastrand::u16(..),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        assert_ne!(unique("t"), unique("t"));
        assert!(unique("orders").starts_with("orders-"));
    }

    #[tokio::test]
    async fn waits_until_there_is_something() {
        let mut looks = 0;
        let seen = wait_for("the third look", || {
            looks += 1;
            let now = looks;
            async move { (now == 3).then_some(now) }
        })
        .await;
        assert_eq!(seen, 3);
    }
}
