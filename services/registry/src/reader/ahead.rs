//! Records are read, their JSON parsed and digested, while those before them are applied: that is a
//! third of the work of a start from the log.

use meshwork_kafka::{InRecord, KafkaError, LogReader, ReadBatch};
use meshwork_model::time::Timestamp;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{WAIT, blocking, done};
use crate::record::OWN_HEADER;
use crate::state::{LogRecord, ReadRecord};

/// Batches that wait, read, for the one before them.
const AHEAD: usize = 1;

/// Batches of fewer records are read where they are, without a thread of their own.
const FEW: usize = 64;

/// A batch of the log, each of its records read.
#[derive(Debug)]
pub(super) struct ReadAhead {
    pub(super) batch: ReadBatch,
    /// As many as there are records.
    pub(super) read: Vec<ReadRecord>,
}

impl ReadAhead {
    fn of(batch: ReadBatch) -> Self {
        let read = batch.records.iter().map(|record| given(record).read());
        Self {
            read: read.collect(),
            batch,
        }
    }
}

/// A record as the state takes it.
pub(super) fn given(record: &InRecord) -> LogRecord<'_> {
    LogRecord {
        offset: record.offset,
        timestamp: record.timestamp.map_or(-1, Timestamp::as_millis),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        own: record.headers.iter().any(|h| &*h.name == OWN_HEADER),
    }
}

/// The batches of a log. Dropping it ends the reader.
pub(super) struct Ahead {
    batches: mpsc::Receiver<Result<ReadAhead, KafkaError>>,
    task: AbortOnDropHandle<()>,
}

impl Ahead {
    pub(super) fn of(mut reader: LogReader) -> Self {
        let (tell, batches) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            loop {
                let read = match reader.next(WAIT).await {
                    Ok(batch) if batch.records.len() < FEW => Ok(ReadAhead::of(batch)),
                    Ok(batch) => Ok(blocking(move || ReadAhead::of(batch)).await),
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if tell.send(read).await.is_err() || failed {
                    return;
                }
            }
        });
        Self {
            batches,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// The next batch, which may be empty. Not to be called after an error.
    ///
    /// # Errors
    /// The reader's.
    pub(super) async fn next(&mut self) -> Result<ReadAhead, KafkaError> {
        match self.batches.recv().await {
            Some(read) => read,
            None => {
                // It panicked, or the runtime is at its end.
                done((&mut self.task).await).await;
                std::future::pending().await
            }
        }
    }
}
