//! The idempotent producer: librdkafka's speed, bounded memory, one callback a record.
//!
//! Records of one partition are written in the order in which they were queued, each once. The
//! queue is bounded; when it is full the caller waits or is told, and nothing is reordered.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{
    DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use tokio::sync::{Notify, oneshot};

use crate::background::Background;
use crate::config::KafkaConfig;
use crate::context::Context;
use crate::error::{KafkaError, SendError};
use crate::record::{Delivered, OutRecord, base_record};

/// A waiting caller looks again after this, should a wake-up have been missed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What travels with a record and hears what became of it, on the producer's own thread: be quick.
pub trait Delivery: Send + 'static {
    /// The record was acknowledged, or not.
    fn delivered(self, result: Result<Delivered, SendError>);
}

/// The convenient [`Delivery`]: any closure.
pub type BoxedDelivery = Box<dyn FnOnce(Result<Delivered, SendError>) + Send>;

impl Delivery for BoxedDelivery {
    fn delivered(self, result: Result<Delivered, SendError>) {
        self(result);
    }
}

impl Delivery for oneshot::Sender<Result<Delivered, SendError>> {
    fn delivered(self, result: Result<Delivered, SendError>) {
        // Whoever asked may have stopped waiting.
        let _ = self.send(result);
    }
}

/// Nobody wants to hear.
impl Delivery for () {
    fn delivered(self, _: Result<Delivered, SendError>) {}
}

/// Limits and timing of a [`Producer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerOptions {
    /// Records that may wait or be on their way. 100,000: some seconds' worth at full speed.
    pub max_records: u32,
    /// Bytes that may wait or be on their way, in KiB. 64 MiB.
    pub max_kib: u32,
    /// How long a batch waits for more records. 5 ms: large batches at volume, no felt delay.
    pub linger: Duration,
    /// How long a record may take, retries included, before it fails. 2 min.
    pub delivery_timeout: Duration,
    /// Codec of batches: `none`, `gzip`, `snappy`, `lz4` or `zstd`. lz4: costs least.
    pub compression: &'static str,
    /// Largest batch, in bytes. 1 MB, as librdkafka's; a record may be no larger either.
    pub max_batch_bytes: u32,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            max_records: 100_000,
            max_kib: 64 * 1024,
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(120),
            compression: "lz4",
            max_batch_bytes: 1_000_000,
        }
    }
}

/// A record that was not queued; `done` is given back unheard.
#[derive(Debug)]
pub struct NotQueued<D> {
    /// What would have travelled with it.
    pub done: D,
    /// Why; `None`: the queue is full, wait and try again.
    pub error: Option<SendError>,
}

/// An idempotent producer (`acks=all`). Cheap to clone; clones share queue and connection.
///
/// `D` is what travels with each record. Dropping the last clone fails what was not acknowledged
/// with [`SendError::Closed`]: [`Producer::flush`] first.
pub struct Producer<D: Delivery = BoxedDelivery> {
    inner: Arc<Inner<D>>,
}

impl<D: Delivery> Clone for Producer<D> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<D: Delivery> std::fmt::Debug for Producer<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("bootstrap_servers", &self.inner.bootstrap_servers)
            .finish_non_exhaustive()
    }
}

struct Inner<D: Delivery> {
    producer: Background<ThreadedProducer<Deliver<D>>>,
    room: Arc<Room>,
    context: Context,
    bootstrap_servers: String,
}

/// Where those wait who met a full queue.
#[derive(Default)]
struct Room {
    waiting: AtomicUsize,
    lock: Mutex<()>,
    made: Condvar,
    notify: Notify,
}

impl Room {
    fn wake(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.made.notify_all();
            self.notify.notify_waiters();
        }
    }
}

/// Counts a waiter for as long as it lives.
struct Waiting<'a>(&'a Room);

impl<'a> Waiting<'a> {
    fn new(room: &'a Room) -> Self {
        room.waiting.fetch_add(1, Ordering::Relaxed);
        Self(room)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// rdkafka asks for `Sync` though only one thread at a time ever has it; a mutex that is never
/// locked gives that for a byte.
type Travels<D> = Mutex<D>;

/// rdkafka's callbacks, for deliveries of kind `D`.
struct Deliver<D> {
    context: Context,
    room: Arc<Room>,
    kind: PhantomData<fn(D)>,
}

impl<D: Delivery> ClientContext for Deliver<D> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: RdError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl<D: Delivery> ProducerContext<NoCustomPartitioner> for Deliver<D> {
    type DeliveryOpaque = Box<Travels<D>>;

    fn delivery(&self, result: &DeliveryResult<'_>, done: Box<Travels<D>>) {
        done.into_inner().delivered(match result {
            Ok(message) => Ok(Delivered {
                partition: message.partition(),
                offset: message.offset(),
            }),
            Err((error, _)) => Err(send_error(error)),
        });
        self.room.wake();
    }
}

/// What travels with a record that was not queued, and why it was not.
type Back<D> = (Box<Travels<D>>, Option<SendError>);

fn not_queued<D>((done, error): Back<D>) -> NotQueued<D> {
    NotQueued {
        done: done.into_inner(),
        error,
    }
}

pub(crate) fn send_error(error: &RdError) -> SendError {
    match error.rdkafka_error_code() {
        Some(code) => SendError::of(code),
        None => SendError::Fatal(error.to_string()),
    }
}

impl<D: Delivery> Producer<D> {
    /// Makes a producer. Talks to nobody yet.
    ///
    /// # Errors
    /// [`KafkaError::Config`].
    pub fn new(config: &KafkaConfig, options: &ProducerOptions) -> Result<Self, KafkaError> {
        let records = options.max_records.to_string();
        let kib = options.max_kib.to_string();
        let linger = options.linger.as_millis().to_string();
        let timeout = options.delivery_timeout.as_millis().to_string();
        let batch = options.max_batch_bytes.to_string();
        let client = config.client(
            &[
                ("linger.ms", &linger),
                ("delivery.timeout.ms", &timeout),
                ("compression.type", options.compression),
                ("batch.size", &batch),
                ("message.max.bytes", &batch),
                ("batch.num.messages", "100000"),
            ],
            &[
                ("enable.idempotence", "true"),
                ("acks", "all"),
                // As the Java client places keys, so that all producers agree.
                ("partitioner", "murmur2_random"),
                ("queue.buffering.max.messages", &records),
                ("queue.buffering.max.kbytes", &kib),
            ],
        );
        let context = Context::default();
        let room = Arc::new(Room::default());
        let deliver = Deliver {
            context: context.clone(),
            room: Arc::clone(&room),
            kind: PhantomData,
        };
        let producer = ThreadedProducer::from_config_and_context(&client, deliver)
            .map_err(|e| KafkaError::config(&e))?;
        Ok(Self {
            inner: Arc::new(Inner {
                producer: Background::new(producer),
                room,
                context,
                bootstrap_servers: config.bootstrap_servers.clone(),
            }),
        })
    }

    /// Queues a record; never blocks. `done` hears what becomes of it, exactly once.
    ///
    /// # Errors
    /// [`NotQueued`] when the queue is full or the record can't be sent at all.
    pub fn send(&self, record: &OutRecord<'_>, done: D) -> Result<(), NotQueued<D>> {
        self.try_queue(record, Box::new(Mutex::new(done)))
            .map_err(not_queued)
    }

    /// Queues a record, and waits for room where there is none. Not for async threads.
    ///
    /// # Errors
    /// [`NotQueued`] when the record can't be sent at all.
    pub fn send_blocking(&self, record: &OutRecord<'_>, done: D) -> Result<(), NotQueued<D>> {
        let mut done = Box::new(Mutex::new(done));
        loop {
            match self.try_queue(record, done) {
                Ok(()) => return Ok(()),
                Err((back, None)) => {
                    done = back;
                    let room = &self.inner.room;
                    let _waiting = Waiting::new(room);
                    let mut lock = room.lock.lock();
                    room.made.wait_for(&mut lock, LOOK_AGAIN);
                }
                Err(failed) => return Err(not_queued(failed)),
            }
        }
    }

    /// Queues a record, and waits for room where there is none. Records that one task queues one
    /// after another keep their order.
    ///
    /// # Errors
    /// [`NotQueued`] when the record can't be sent at all.
    pub async fn queue(&self, record: &OutRecord<'_>, done: D) -> Result<(), NotQueued<D>> {
        let mut done = Box::new(Mutex::new(done));
        loop {
            match self.try_queue(record, done) {
                Ok(()) => return Ok(()),
                Err((back, None)) => {
                    done = back;
                    let _waiting = Waiting::new(&self.inner.room);
                    let made = self.inner.room.notify.notified();
                    let _ = tokio::time::timeout(LOOK_AGAIN, made).await;
                }
                Err(failed) => return Err(not_queued(failed)),
            }
        }
    }

    fn try_queue(&self, record: &OutRecord<'_>, done: Box<Travels<D>>) -> Result<(), Back<D>> {
        match self.inner.producer.send(base_record(record, done)) {
            Ok(()) => Ok(()),
            Err((error, back)) => {
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                Err((back.delivery_opaque, (!full).then(|| send_error(&error))))
            }
        }
    }

    /// Records that are not acknowledged yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.inner.producer.in_flight_count()).unwrap_or(0)
    }

    /// Waits until everything queued so far is acknowledged or has failed.
    ///
    /// # Errors
    /// [`KafkaError::Unreachable`] if that takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.flush_blocking(timeout))
            .await
            .unwrap_or_else(|joined| {
                Err(KafkaError::Ended {
                    what: "producing".to_owned(),
                    said: Some(joined.to_string()),
                })
            })
    }

    /// [`Producer::flush`] for threads that may block.
    ///
    /// # Errors
    /// [`KafkaError::Unreachable`] if that takes longer than `timeout`.
    pub fn flush_blocking(&self, timeout: Duration) -> Result<(), KafkaError> {
        let started = Instant::now();
        self.inner
            .producer
            .flush(timeout)
            .map_err(|error| KafkaError::Unreachable {
                what: "write what was queued".to_owned(),
                bootstrap_servers: self.inner.bootstrap_servers.clone(),
                waited: started.elapsed(),
                said: self
                    .inner
                    .context
                    .last_error()
                    .unwrap_or_else(|| error.to_string()),
            })
    }

    /// The last that librdkafka complained of, such as a broker that can't be reached.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.inner.context.last_error()
    }
}

impl Producer<BoxedDelivery> {
    /// Writes one record and waits for its acknowledgement.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn deliver(&self, record: &OutRecord<'_>) -> Result<Delivered, SendError> {
        let (tell, told) = oneshot::channel();
        let done: BoxedDelivery = Box::new(move |result| {
            let _ = tell.send(result);
        });
        if let Err(NotQueued { error, .. }) = self.queue(record, done).await {
            return Err(error.unwrap_or(SendError::Closed));
        }
        told.await.unwrap_or(Err(SendError::Closed))
    }
}
