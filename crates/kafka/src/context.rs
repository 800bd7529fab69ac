//! What every client shares: where librdkafka's log and errors go, and the last thing it said.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError as RdError;

/// Takes librdkafka's log lines and errors. Cloning shares what was last said.
#[derive(Clone, Default)]
pub(crate) struct Context {
    last: Arc<Mutex<Option<String>>>,
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
                tracing::info!(target: "librdkafka", facility, "{message}");
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
