//! Reads `_schemas` from its first record on, for as long as the process lives, and applies it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use meshwork_kafka::{Assigned, From, KafkaConfig, KafkaError, LogReader, ReaderOptions};
use meshwork_model::time::Timestamp;
use meshwork_telemetry::Latch;

use crate::shared::Shared;
use crate::state::LogRecord;

/// Longest wait for the next batch; only how soon trouble is seen depends on it.
const WAIT: Duration = Duration::from_secs(1);

/// Records applied under one hold of the lock, so that requests get in between.
const AT_ONCE: usize = 256;

pub(crate) fn start(kafka: &KafkaConfig, topic: &str) -> Result<LogReader, KafkaError> {
    let log = Assigned {
        topic: topic.to_owned(),
        partition: 0,
        from: From::Beginning,
    };
    LogReader::start(kafka, vec![log], ReaderOptions::default())
}

/// Applies the log. `latch` is released once the end is reached.
///
/// # Errors
/// What the reader can't mend by itself, such as a log that was truncated.
pub(crate) async fn follow(
    mut reader: LogReader,
    shared: Arc<Shared>,
    latch: Latch,
) -> Result<(), KafkaError> {
    let mut latch = Some(latch);
    let mut in_trouble = false;
    loop {
        let batch = reader.next(WAIT).await?;
        match (&batch.trouble, in_trouble) {
            (Some(trouble), false) => {
                tracing::warn!(said = %trouble.said, "registry can't read _schemas for now");
            }
            (None, true) => tracing::info!("registry reads _schemas again"),
            _ => {}
        }
        in_trouble = batch.trouble.is_some();
        for records in batch.records.chunks(AT_ONCE) {
            let mut state = shared.state.write();
            for record in records {
                let applied = state.apply(&LogRecord {
                    offset: record.offset,
                    timestamp: record.timestamp.map_or(-1, Timestamp::as_millis),
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                });
                match applied {
                    Ok(()) => shared.metrics.applied(),
                    Err(oddity) => shared.metrics.skipped(record.offset, oddity),
                }
            }
        }
        if let Some((_, next)) = batch.positions.last() {
            shared.applied.send_replace(*next);
        }
        if batch.caught_up
            && let Some(latch) = latch.take()
        {
            shared.caught_up.store(true, Ordering::Release);
            let state = shared.state.read();
            tracing::info!(
                subjects = state.subjects().count(),
                schemas = state.schemas(),
                "registry has read _schemas to its end"
            );
            latch.release();
        }
    }
}
