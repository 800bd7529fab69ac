//! What is refused is counted always and said once per reason and minute, with how often it was
//! not said since.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a reason is not said again.
const QUIET: Duration = Duration::from_secs(60);
/// Reasons and places told apart; all are forgotten beyond that.
const REASONS_MAX: usize = 4_096;

/// Remembers what was said.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    said: Mutex<HashMap<Box<str>, Said>>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    since: u64,
}

impl Refusals {
    /// Calls `say` unless the same was said within a minute.
    pub(crate) fn say(&self, reason: &str, say: impl FnOnce()) {
        let now = Instant::now();
        let unsaid = {
            let mut said = self.said.lock();
            match said.get_mut(reason) {
                Some(last) if now.duration_since(last.at) < QUIET => {
                    last.since += 1;
                    return;
                }
                Some(last) => {
                    last.at = now;
                    std::mem::take(&mut last.since)
                }
                None => {
                    if said.len() >= REASONS_MAX {
                        said.clear();
                    }
                    said.insert(reason.into(), Said { at: now, since: 0 });
                    0
                }
            }
        };
        if unsaid > 0 {
            tracing::warn!(reason, times = unsaid, "said again after it came up unsaid");
        }
        say();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_said_once() {
        let refusals = Refusals::default();
        let mut said = Vec::new();
        for reason in ["a", "a", "b", "a"] {
            refusals.say(reason, || said.push(reason));
        }
        assert_eq!(said, ["a", "b"]);
    }
}
