//! A producer whose records are written all together or not at all, and that a newer one with the
//! same transactional id shuts out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{
    DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
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
/// How often it is looked whether somebody still waits for the producer to be opened.
const OPEN_SLICE: Duration = Duration::from_millis(500);
/// How often it is looked whether the last delivery report has been handed over.
const GLANCE: Duration = Duration::from_micros(50);

/// Properties that only a producer takes.
const PRODUCERS_OWN: [&str; 7] = [
    "transactional.id",
    "transaction.timeout.ms",
    "enable.idempotence",
    "acks",
    "partitioner",
    "linger.ms",
    "compression.type",
];

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

/// How far a program that turns one topic into another has read, for the transaction in which it
/// writes (KIP-98, `TxnOffsetCommit`): both hold, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Consumer group that the offsets are kept under. It has no members: that two programs don't
    /// go on from them at once is the transactional id's work.
    pub group: String,
    /// Topic, partition, and the next offset to read.
    pub next: Vec<(String, i32, i64)>,
}

struct Call {
    records: Vec<OwnedOutRecord>,
    progress: Option<Progress>,
    answer: Answer,
}

/// A producer with a transactional id. It lives on a thread of its own; calls queue up for it.
///
/// A transaction of a few records takes 3 to 5 ms on one node, 35 ms on three: put many records into
/// one, and begin the next one when this one can be read. Begun sooner, it finds the last one's
/// markers unwritten, and librdkafka comes back after 20 ms (`CONCURRENT_TRANSACTIONS`).
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
            &[("linger.ms", "0"), ("compression.type", "lz4")],
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
            reader: None,
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
        self.call(records, None).await
    }

    /// As [`Self::commit_all`], with how far the input has been read. There may be no records.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub async fn commit_with_progress(
        &self,
        records: Vec<OwnedOutRecord>,
        progress: Progress,
    ) -> Result<Vec<Delivered>, TransactionError> {
        self.call(records, Some(progress)).await
    }

    async fn call(
        &self,
        records: Vec<OwnedOutRecord>,
        progress: Option<Progress>,
    ) -> Result<Vec<Delivered>, TransactionError> {
        let (answer, answered) = oneshot::channel();
        let call = Call {
            records,
            progress,
            answer,
        };
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
#[derive(Clone, Default)]
struct Outcomes(Arc<(Mutex<Slots>, Condvar)>);

#[derive(Default)]
struct Slots {
    of: Vec<Option<Result<Delivered, SendError>>>,
    open: usize,
}

impl Outcomes {
    fn expect(&self, records: usize) {
        *self.0.0.lock() = Slots {
            of: vec![None; records],
            open: records,
        };
    }

    fn settle(&self, index: usize, outcome: Result<Delivered, SendError>) {
        let (slots, settled) = &*self.0;
        let mut slots = slots.lock();
        let Some(slot @ None) = slots.of.get_mut(index) else {
            return;
        };
        *slot = Some(outcome);
        slots.open -= 1;
        if slots.open == 0 {
            settled.notify_all();
        }
    }

    /// Waits until every record's fate is known; whether it is. rdkafka's own `flush` sleeps a tenth
    /// of a second at a time, which would be most of a transaction.
    fn wait(&self, limit: Duration) -> bool {
        let (slots, settled) = &*self.0;
        let mut slots = slots.lock();
        !settled
            .wait_while_for(&mut slots, |slots| slots.open > 0, limit)
            .timed_out()
    }

    fn first_failure(&self) -> Option<String> {
        let outcomes = self.0.0.lock().of.clone();
        outcomes
            .iter()
            .enumerate()
            .find_map(|(index, outcome)| match outcome {
                Some(Ok(_)) => None,
                Some(Err(error)) => Some(format!("record {index}: {error}")),
                None => Some(format!("record {index} was not acknowledged")),
            })
    }

    fn take(&self) -> Vec<Delivered> {
        let mut slots = self.0.0.lock();
        slots
            .of
            .drain(..)
            .filter_map(|outcome| outcome?.ok())
            .collect()
    }
}

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
        self.outcomes.settle(index, outcome);
    }
}

struct Worker {
    id: Arc<str>,
    bootstrap_servers: String,
    options: TransactionalOptions,
    /// Stands for the group whose offsets were written last; it reads nothing.
    reader: Option<(String, BaseConsumer)>,
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
            outcomes: outcomes.clone(),
        };
        let producer = match Native::from_config_and_context(client, deliver) {
            Ok(producer) => producer,
            Err(e) => {
                let _ = opened.send(Err(KafkaError::config(&e).into()));
                return;
            }
        };
        let open = self.open(&producer, &context, || opened.is_closed());
        let failed = open.is_err();
        if opened.send(open).is_err() || failed {
            return;
        }
        while let Some(call) = called.blocking_recv() {
            let done = match &self.dead {
                Some(error) => Err(error.clone()),
                None => self.commit(client, &producer, &context, &outcomes, &call),
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

    fn open(
        &self,
        producer: &Native,
        context: &Context,
        given_up: impl Fn() -> bool,
    ) -> Result<(), TransactionError> {
        let started = Instant::now();
        loop {
            let left = self.options.open_within.saturating_sub(started.elapsed());
            let Err(error) = producer.init_transactions(left.min(OPEN_SLICE)) else {
                context.clear();
                return Ok(());
            };
            // Log lines and connection errors wait in its queue.
            producer.poll(Duration::ZERO);
            if !retriable(&error) {
                return Err(self.broken(&error));
            }
            if given_up() {
                // One that nobody waits for must not fence whoever writes by now.
                return Err(ended(&self.id, None));
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
        &mut self,
        client: &rdkafka::ClientConfig,
        producer: &Native,
        context: &Context,
        outcomes: &Outcomes,
        call: &Call,
    ) -> Result<Vec<Delivered>, TransactionError> {
        let started = Instant::now();
        let records = &call.records;
        outcomes.expect(records.len());
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
        if !outcomes.wait(left) {
            let said = context.last_error().unwrap_or_else(|| {
                format!(
                    "records not acknowledged within {} s",
                    self.options.commit_within.as_secs()
                )
            });
            return Err(self.abort(producer, context, &said));
        }
        if let Some(said) = outcomes.first_failure() {
            return Err(self.abort(producer, context, &said));
        }
        if let Some(progress) = &call.progress
            && let Err(said) = self.send_progress(client, producer, progress, started)
        {
            return Err(self.abort(producer, context, &said));
        }
        self.finish(producer, context, started)?;
        Ok(outcomes.take())
    }

    fn send_progress(
        &mut self,
        client: &rdkafka::ClientConfig,
        producer: &Native,
        progress: &Progress,
        started: Instant,
    ) -> Result<(), String> {
        let said = |e: RdError| format!("offsets of group {}: {e}", progress.group);
        if self.reader.as_ref().map(|(group, _)| group) != Some(&progress.group) {
            let mut of_group = rdkafka::ClientConfig::new();
            for (key, value) in client.config_map() {
                if !PRODUCERS_OWN.contains(&key) {
                    of_group.set(key, value);
                }
            }
            of_group.set("group.id", &progress.group);
            let reader: BaseConsumer = of_group.create().map_err(said)?;
            self.reader = Some((progress.group.clone(), reader));
        }
        let metadata = self
            .reader
            .as_ref()
            .and_then(|(_, reader)| reader.group_metadata())
            .ok_or_else(|| format!("group {} has no metadata", progress.group))?;
        let mut list = TopicPartitionList::new();
        for (topic, partition, next) in &progress.next {
            list.add_partition_offset(topic, *partition, Offset::Offset(*next))
                .map_err(said)?;
        }
        loop {
            let left = self.options.commit_within.saturating_sub(started.elapsed());
            match producer.send_offsets_to_transaction(&list, &metadata, left) {
                Ok(()) => return Ok(()),
                Err(error)
                    if retriable(&error) && started.elapsed() < self.options.commit_within =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(said(error)),
            }
        }
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
        // The last report is still being handed over for a moment; rdkafka's commit would sleep on
        // that as its `flush` does.
        while producer.in_flight_count() > 0 && started.elapsed() < self.options.commit_within {
            std::thread::sleep(GLANCE);
        }
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
