//! The one writer: changes are decided and written one after another, and answered once their own
//! records have been read back. So an answer never says what the log does not, and an id is given
//! once, whatever fails in between.

mod log;

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_kafka::{KafkaConfig, KafkaError};
use tokio::sync::{mpsc, oneshot};

use crate::decide::Decision;
use crate::metrics::WriteOutcome;
use crate::record::{Key, ReadKey, Record, SchemaValue};
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use crate::state::State;
use crate::subject::Subject;
use crate::texts::Texts;
use log::Log;

/// Ids by context that a write of unknown fate may have used.
#[derive(Debug, Default)]
pub(crate) struct Taken(HashMap<String, i32>);

impl Taken {
    /// The greatest of them; 0 if none.
    pub(crate) fn of(&self, context: &str) -> i32 {
        self.0.get(context).copied().unwrap_or(0)
    }

    fn note(&mut self, records: &[Record]) {
        for record in records {
            let (Ok(key), Some(value)) = (ReadKey::parse(&record.key), &record.value) else {
                continue;
            };
            let (Key::Schema { subject, .. }, Ok(value)) =
                (key.key, serde_json::from_slice::<SchemaValue>(value))
            else {
                continue;
            };
            let id = i32::try_from(value.id).unwrap_or(0);
            let taken = self
                .0
                .entry(Subject::new(&subject).context().to_owned())
                .or_default();
            *taken = id.max(*taken);
        }
    }
}

/// What a job comes to once decided.
struct Decided {
    records: Vec<Record>,
    /// Tells the client, with a refusal where writing failed.
    answer: Box<dyn FnOnce(Result<(), Refusal>) + Send>,
}

type Job = Box<dyn FnOnce(&State<'_>, &Texts, &Taken) -> Decided + Send>;

/// Hands changes to the writer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// Takes the changes, one by one.
pub(crate) struct Worker {
    jobs: mpsc::Receiver<Job>,
    shared: Arc<Shared>,
    log: Log,
    taken: Taken,
    /// The fate of the last write is unknown.
    unsettled: bool,
}

/// A writer and its worker, which must be run.
///
/// # Errors
/// librdkafka refuses the configuration.
pub(crate) fn new(
    kafka: &KafkaConfig,
    shared: &Arc<Shared>,
) -> Result<(Writer, Worker), KafkaError> {
    let (sender, jobs) = mpsc::channel(shared.config.max_waiting_writes.max(1));
    let worker = Worker {
        jobs,
        log: Log::new(kafka, &shared.config)?,
        shared: Arc::clone(shared),
        taken: Taken::default(),
        unsettled: false,
    };
    let writer = Writer {
        jobs: sender,
        shared: Arc::clone(shared),
    };
    Ok((writer, worker))
}

impl Writer {
    /// Decides on a change and has it written. What needs no write, a refusal for one, is answered
    /// at once from what has been read.
    ///
    /// # Errors
    /// The refusal, or that the log could not be written.
    pub(crate) async fn submit<T, F>(&self, decide: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: Fn(&State<'_>, &Texts, &Taken) -> Result<Decision<T>, Refusal> + Send + 'static,
    {
        let first = self
            .shared
            .read(|state| decide(state, &self.shared.texts, &Taken::default()));
        match first {
            Ok(decision) if decision.records.is_empty() => {
                self.shared.metrics.write(WriteOutcome::Unchanged);
                return Ok(decision.answer);
            }
            Err(refusal) => {
                self.shared.metrics.write(WriteOutcome::Refused);
                return Err(refusal);
            }
            Ok(_) => {}
        }
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |state, texts, taken| {
            let (records, answer) = match decide(state, texts, taken) {
                Ok(decision) => (decision.records, Ok(decision.answer)),
                Err(refusal) => (Vec::new(), Err(refusal)),
            };
            Decided {
                records,
                // Whoever asked may be gone; what was decided is written all the same.
                answer: Box::new(move |written| drop(tell.send(written.and(answer)))),
            }
        });
        self.jobs.try_send(job).map_err(|error| {
            Refusal::new(
                Code::NoWriter,
                match error {
                    mpsc::error::TrySendError::Full(_) => {
                        "too many changes are waiting to be written (registry.max_waiting_writes)"
                    }
                    mpsc::error::TrySendError::Closed(_) => "the registry is shutting down",
                },
            )
        })?;
        told.await.unwrap_or_else(|_| {
            Err(Refusal::new(
                Code::NoWriter,
                "the registry is shutting down",
            ))
        })
    }
}

impl Worker {
    /// Works until all [`Writer`]s are gone.
    pub(crate) async fn run(mut self) {
        while let Some(job) = self.jobs.recv().await {
            if self.unsettled {
                match self.settle().await {
                    Ok(()) => self.unsettled = false,
                    Err(refusal) => {
                        self.shared.metrics.write(WriteOutcome::Failed);
                        if let Ok(decided) = self.decide(job) {
                            (decided.answer)(Err(refusal));
                        }
                        continue;
                    }
                }
            }
            // Without a store the job is dropped, and whoever asked is told that it is.
            let Ok(Decided { records, answer }) = self.decide(job) else {
                continue;
            };
            if records.is_empty() {
                self.shared.metrics.write(WriteOutcome::Unchanged);
                answer(Ok(()));
                continue;
            }
            let written = self.log.append(&self.shared, &records).await;
            if let Err(refusal) = &written {
                tracing::error!(reason = %refusal, "registry could not write to _schemas");
                self.taken.note(&records);
                self.unsettled = true;
                self.shared.metrics.write(WriteOutcome::Failed);
            } else {
                self.shared.metrics.write(WriteOutcome::Written);
            }
            answer(written);
        }
    }

    fn decide(&self, job: Job) -> Result<Decided, Refusal> {
        self.shared
            .read(|state| Ok(job(state, &self.shared.texts, &self.taken)))
    }

    /// After a write of unknown fate: a record behind it, read back, means that whatever became of
    /// the write has been read too.
    async fn settle(&mut self) -> Result<(), Refusal> {
        let barrier = Record {
            key: Key::Noop { subject: None }.to_bytes(),
            value: None,
        };
        self.log.append(&self.shared, &[barrier]).await
    }
}
