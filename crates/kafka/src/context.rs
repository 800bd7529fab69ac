//! What every client shares: where librdkafka's log and errors go, and the last thing it said.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError as RdError;

/// Takes librdkafka's log lines and errors. Cloning shares what was last said.
#[derive(Clone, Default)]
pub(crate) struct Context {
    last: Arc<Mutex<Option<String>>>,
    logged: Arc<Mutex<Repeated>>,
}

/// While a broker is down librdkafka says so many times a second.
const ONCE_IN: Duration = Duration::from_secs(10);

/// The line that was logged last, and how often it came again since.
#[derive(Default)]
struct Repeated {
    line: String,
    at: Option<Instant>,
    again: u64,
}

impl Repeated {
    /// Whether a line is to be logged now, and how often it was left out before.
    fn take(&mut self, line: &str, now: Instant) -> Option<u64> {
        let recent = self.at.is_some_and(|at| now - at < ONCE_IN);
        if recent && self.line == line {
            self.again += 1;
            return None;
        }
        let left_out = if self.line == line { self.again } else { 0 };
        line.clone_into(&mut self.line);
        (self.at, self.again) = (Some(now), 0);
        Some(left_out)
    }
}

impl Context {
    /// The last error that librdkafka spoke of.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last.lock().clone()
    }

    /// Forgets it: something has worked since.
    pub(crate) fn clear(&self) {
        *self.last.lock() = None;
    }

    pub(crate) fn note(&self, said: &str) {
        *self.last.lock() = Some(said.to_owned());
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

impl ClientContext for Context {
    /// librdkafka retries by itself, and what it gives up on comes back as an error of ours; so its
    /// own lines are for those who look for them.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                match self.logged.lock().take(message, Instant::now()) {
                    None => {}
                    Some(0) => tracing::info!(target: "librdkafka", facility, "{message}"),
                    Some(again) => {
                        tracing::info!(target: "librdkafka", facility, again, "{message}");
                    }
                }
            }
            _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: RdError, reason: &str) {
        if matches!(error, RdError::PartitionEOF(_)) {
            return;
        }
        self.note(reason);
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_and_again_is_logged_now_and_then() {
        let mut repeated = Repeated::default();
        let start = Instant::now();
        assert_eq!(repeated.take("down", start), Some(0));
        for ms in 1..100 {
            assert_eq!(
                repeated.take("down", start + Duration::from_millis(ms)),
                None
            );
        }
        assert_eq!(repeated.take("down", start + ONCE_IN), Some(99));
        assert_eq!(repeated.take("up", start + ONCE_IN), Some(0));
        assert_eq!(repeated.take("down", start + ONCE_IN), Some(0));
    }
}
