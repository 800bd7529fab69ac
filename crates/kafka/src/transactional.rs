//! A producer whose records are written all together or not at all, and that a newer one with the
//! same transactional id shuts out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{
    DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use tokio::sync::{mpsc, oneshot};

use crate::config::KafkaConfig;
use crate::context::Context;
use crate::error::{ErrorCode, KafkaError, SendError, TransactionError};
use crate::producer::send_error;
use crate::record::{Delivered, OutRecord, OwnedOutRecord, base_record};

/// Calls that may wait for the producer's thread; each holds its records.
const WAITING_MAX: usize = 16;
/// How often a call that librdkafka says may be repeated is repeated within its time.
const PAUSE: Duration = Duration::from_millis(100);

/// Timing of a [`TransactionalProducer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionalOptions {
    /// How long opening may take: finding the coordinator, and ending what an older producer left
    /// open. 60 s; on a fresh broker it takes 1 to 2 s.
    pub open_within: Duration,
    /// How long one commit may take, retries included. 60 s.
    pub commit_within: Duration,
    /// When the broker aborts a transaction whose producer is silent
    /// (`transaction.timeout.ms`). 60 s.
    pub transaction_timeout: Duration,
}

impl Default for TransactionalOptions {
    fn default() -> Self {
        Self {
            open_within: Duration::from_secs(60),
            commit_within: Duration::from_secs(60),
            transaction_timeout: Duration::from_secs(60),
        }
    }
}

type Answer = oneshot::Sender<Result<Vec<Delivered>, TransactionError>>;

struct Call {
    records: Vec<OwnedOutRecord>,
    answer: Answer,
}

/// A producer with a transactional id. It lives on a thread of its own; calls queue up for it.
///
/// On one node about 46 transactions a second are to be had: put many records into one.
#[derive(Debug)]
pub struct TransactionalProducer {
    calls: mpsc::Sender<Call>,
    transactional_id: Arc<str>,
}

impl TransactionalProducer {
    /// Opens it, which fences every older producer with this id: those can never write again.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub async fn open(
        config: &KafkaConfig,
        transactional_id: &str,
        options: TransactionalOptions,
    ) -> Result<Self, TransactionError> {
        let transaction_timeout = options.transaction_timeout.as_millis().to_string();
        let client = config.client(
            &[("linger.ms", "2"), ("compression.type", "lz4")],
            &[
                ("transactional.id", transactional_id),
                ("transaction.timeout.ms", &transaction_timeout),
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("partitioner", "murmur2_random"),
            ],
        );
        let id: Arc<str> = transactional_id.into();
        let (opened, is_open) = oneshot::channel();
        let (calls, called) = mpsc::channel(WAITING_MAX);
        let worker = Worker {
            id: Arc::clone(&id),
            bootstrap_servers: config.bootstrap_servers.clone(),
            options,
            dead: None,
        };
        std::thread::Builder::new()
            .name("kafka-transactions".to_owned())
            .spawn(move || worker.run(&client, opened, called))
            .map_err(|e| ended(transactional_id, Some(e.to_string())))?;
        is_open.await.map_err(|_| ended(transactional_id, None))??;
        Ok(Self {
            calls,
            transactional_id: id,
        })
    }

    /// Writes all of `records` in one transaction, or none of them; gives where each one is.
    ///
    /// # Errors
    /// See [`TransactionError`]; only after [`TransactionError::Unknown`] may they be written.
    pub async fn commit_all(
        &self,
        records: Vec<OwnedOutRecord>,
    ) -> Result<Vec<Delivered>, TransactionError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        let call = Call { records, answer };
        if self.calls.send(call).await.is_err() {
            return Err(ended(&self.transactional_id, None));
        }
        answered
            .await
            .unwrap_or_else(|_| Err(ended(&self.transactional_id, None)))
    }

    /// Its transactional id.
    #[must_use]
    pub fn transactional_id(&self) -> &str {
        &self.transactional_id
    }
}

fn ended(id: &str, said: Option<String>) -> TransactionError {
    TransactionError::Kafka(KafkaError::Ended {
        what: format!("transactional id {id}"),
        said,
    })
}

/// Where each record of the running transaction went.
type Outcomes = Arc<Mutex<Vec<Option<Result<Delivered, SendError>>>>>;

struct Deliver {
    context: Context,
    outcomes: Outcomes,
}

impl ClientContext for Deliver {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: RdError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliver {
    /// Index of the record in its transaction.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let outcome = match result {
            Ok(message) => Ok(Delivered {
                partition: message.partition(),
                offset: message.offset(),
            }),
            Err((error, _)) => Err(send_error(error)),
        };
        if let Some(slot) = self.outcomes.lock().get_mut(index) {
            *slot = Some(outcome);
        }
    }
}

struct Worker {
    id: Arc<str>,
    bootstrap_servers: String,
    options: TransactionalOptions,
    /// Set once it can never write again.
    dead: Option<TransactionError>,
}

/// Threaded, because an abort waits for delivery reports that somebody else must fetch.
type Native = ThreadedProducer<Deliver>;

impl Worker {
    fn run(
        mut self,
        client: &rdkafka::ClientConfig,
        opened: oneshot::Sender<Result<(), TransactionError>>,
        mut called: mpsc::Receiver<Call>,
    ) {
        let context = Context::default();
        let outcomes = Outcomes::default();
        let deliver = Deliver {
            context: context.clone(),
            outcomes: Arc::clone(&outcomes),
        };
        let producer = match Native::from_config_and_context(client, deliver) {
            Ok(producer) => producer,
            Err(e) => {
                let _ = opened.send(Err(KafkaError::config(&e).into()));
                return;
            }
        };
        let open = self.open(&producer, &context);
        let failed = open.is_err();
        if opened.send(open).is_err() || failed {
            return;
        }
        while let Some(call) = called.blocking_recv() {
            let done = match &self.dead {
                Some(error) => Err(error.clone()),
                None => self.commit(&producer, &context, &outcomes, &call.records),
            };
            match &done {
                Err(error @ (TransactionError::Fenced { .. } | TransactionError::Fatal { .. })) => {
                    self.dead = Some(error.clone());
                }
                // librdkafka still holds that commit; the next open settles it.
                Err(TransactionError::Unknown { said, .. }) => {
                    self.dead = Some(TransactionError::Fatal {
                        said: format!("an earlier commit was not answered: {said}; open it anew"),
                    });
                }
                _ => {}
            }
            let _ = call.answer.send(done);
        }
    }

    fn open(&self, producer: &Native, context: &Context) -> Result<(), TransactionError> {
        let started = Instant::now();
        loop {
            let left = self.options.open_within.saturating_sub(started.elapsed());
            let Err(error) = producer.init_transactions(left) else {
                context.clear();
                return Ok(());
            };
            // Log lines and connection errors wait in its queue.
            producer.poll(Duration::ZERO);
            if !retriable(&error) {
                return Err(self.broken(&error));
            }
            if started.elapsed() >= self.options.open_within {
                return Err(KafkaError::Unreachable {
                    what: format!("open transactional id {}", self.id),
                    bootstrap_servers: self.bootstrap_servers.clone(),
                    waited: started.elapsed(),
                    said: context.last_error().unwrap_or_else(|| error.to_string()),
                }
                .into());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn commit(
        &self,
        producer: &Native,
        context: &Context,
        outcomes: &Outcomes,
        records: &[OwnedOutRecord],
    ) -> Result<Vec<Delivered>, TransactionError> {
        let started = Instant::now();
        *outcomes.lock() = vec![None; records.len()];
        // Connection errors of a quiet time are none of this transaction.
        producer.poll(Duration::ZERO);
        context.clear();
        if let Err(error) = producer.begin_transaction() {
            return Err(self.broken(&error));
        }
        for (index, record) in records.iter().enumerate() {
            if let Err(said) = self.queue(producer, record, index, started) {
                return Err(self.abort(producer, context, &said));
            }
        }
        let left = self.options.commit_within.saturating_sub(started.elapsed());
        if producer.flush(left).is_err() {
            let said = context.last_error().unwrap_or_else(|| {
                format!(
                    "records not acknowledged within {} s",
                    self.options.commit_within.as_secs()
                )
            });
            return Err(self.abort(producer, context, &said));
        }
        if let Some(said) = first_failure(&outcomes.lock()) {
            return Err(self.abort(producer, context, &said));
        }
        self.finish(producer, context, started)?;
        let delivered: Vec<Delivered> = outcomes
            .lock()
            .drain(..)
            .filter_map(|outcome| outcome?.ok())
            .collect();
        Ok(delivered)
    }

    fn queue(
        &self,
        producer: &Native,
        record: &OwnedOutRecord,
        index: usize,
        started: Instant,
    ) -> Result<(), String> {
        let headers: Vec<(&str, &[u8])> = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), &**value))
            .collect();
        let out = OutRecord {
            topic: &record.topic,
            partition: record.partition,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp: record.timestamp,
        };
        loop {
            match producer.send(base_record(&out, index)) {
                Ok(()) => return Ok(()),
                Err((error, _))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                        && started.elapsed() < self.options.commit_within =>
                {
                    producer.poll(PAUSE);
                }
                Err((error, _)) => {
                    return Err(format!("record {index} for {}: {error}", record.topic));
                }
            }
        }
    }

    /// Sends the commit, and repeats it while librdkafka says that this is safe.
    fn finish(
        &self,
        producer: &Native,
        context: &Context,
        started: Instant,
    ) -> Result<(), TransactionError> {
        loop {
            let left = self
                .options
                .commit_within
                .saturating_sub(started.elapsed())
                .max(Duration::from_secs(1));
            let Err(error) = producer.commit_transaction(left) else {
                return Ok(());
            };
            if let RdError::Transaction(e) = &error
                && e.txn_requires_abort()
            {
                return Err(self.abort(producer, context, &e.to_string()));
            }
            if !retriable(&error) {
                return Err(self.broken(&error));
            }
            if started.elapsed() >= self.options.commit_within {
                return Err(TransactionError::Unknown {
                    waited: started.elapsed(),
                    said: context.last_error().unwrap_or_else(|| error.to_string()),
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn abort(&self, producer: &Native, context: &Context, said: &str) -> TransactionError {
        let started = Instant::now();
        if let Some((code, fatal)) = producer.client().fatal_error() {
            return self.fatal(code, fatal);
        }
        loop {
            let left = self.options.commit_within.saturating_sub(started.elapsed());
            match producer.abort_transaction(left) {
                Ok(()) => {
                    return TransactionError::Aborted {
                        said: said.to_owned(),
                    };
                }
                Err(error)
                    if retriable(&error) && started.elapsed() < self.options.commit_within =>
                {
                    producer.poll(Duration::ZERO);
                    std::thread::sleep(PAUSE);
                }
                Err(error) if retriable(&error) => {
                    return TransactionError::Fatal {
                        said: format!(
                            "{said}; and it could not be aborted either: {}",
                            context.last_error().unwrap_or_else(|| error.to_string())
                        ),
                    };
                }
                Err(error) => return self.broken(&error),
            }
        }
    }

    fn broken(&self, error: &RdError) -> TransactionError {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        self.fatal(code, error.to_string())
    }

    fn fatal(&self, code: RDKafkaErrorCode, said: String) -> TransactionError {
        if ErrorCode(code).is_fenced() {
            TransactionError::Fenced {
                transactional_id: self.id.to_string(),
            }
        } else {
            TransactionError::Fatal { said }
        }
    }
}

fn retriable(error: &RdError) -> bool {
    match error {
        RdError::Transaction(e) => e.is_retriable(),
        RdError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

fn first_failure(outcomes: &[Option<Result<Delivered, SendError>>]) -> Option<String> {
    outcomes
        .iter()
        .enumerate()
        .find_map(|(index, outcome)| match outcome {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(format!("record {index}: {error}")),
            None => Some(format!("record {index} was not acknowledged")),
        })
}
