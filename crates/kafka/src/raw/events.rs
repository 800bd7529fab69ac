//! Events of a client's queue.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshwork_model::time::Timestamp;
use rdkafka::bindings as c;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{IsError, RDKafkaErrorCode};
use rdkafka::types::RDKafka;

use super::{Owned, text};
use crate::context::Context;
use crate::record::{Header, InRecord};

/// What a queue had to say.
pub(crate) enum Event {
    /// A record.
    Record(InRecord),
    /// A partition was read to its end; its next offset is `offset`, past transaction markers.
    End {
        topic: String,
        partition: i32,
        offset: i64,
    },
    /// Something failed. librdkafka goes on unless `fatal`.
    Error {
        code: RDKafkaErrorCode,
        said: String,
        fatal: bool,
        /// Where it is about a partition: topic, partition, offset.
        at: Option<(String, i32, i64)>,
    },
}

/// A queue of a client. Must not outlive the client (it borrows it).
pub(crate) struct Queue<'c> {
    queue: Owned<c::rd_kafka_queue_t>,
    client: &'c Client<Context>,
    /// The topic last seen: records of one topic share its name.
    topic: Option<(*mut c::rd_kafka_topic_t, Arc<str>)>,
}

impl<'c> Queue<'c> {
    /// The queue that records of a consumer with a group id arrive at.
    pub(crate) fn consumer(client: &'c Client<Context>) -> Option<Self> {
        // SAFETY: the client is alive for 'c; the queue is ours to destroy.
        let queue = unsafe {
            Owned::new(
                c::rd_kafka_queue_get_consumer(client.native_ptr()),
                c::rd_kafka_queue_destroy,
            )
        }?;
        Some(Self {
            queue,
            client,
            topic: None,
        })
    }

    /// The queue that log lines and errors of a client arrive at.
    pub(crate) fn main(client: &'c Client<Context>) -> Option<Self> {
        // SAFETY: the client is alive for 'c; the queue is ours to destroy.
        let queue = unsafe {
            Owned::new(
                c::rd_kafka_queue_get_main(client.native_ptr()),
                c::rd_kafka_queue_destroy,
            )
        }?;
        Some(Self {
            queue,
            client,
            topic: None,
        })
    }

    /// Hands what is there to the client's context, and waits for nothing. A client whose queue
    /// nobody drains would keep every log line.
    pub(crate) fn drain(&mut self) {
        // Bounded: what arrives while draining is for the next time.
        for _ in 0..10_000 {
            // SAFETY: the queue is alive; the event is ours to destroy.
            let event = unsafe {
                Owned::new(
                    c::rd_kafka_queue_poll(self.queue.ptr(), 0),
                    c::rd_kafka_event_destroy,
                )
            };
            let Some(event) = event else { return };
            self.read(&event);
        }
    }

    /// Waits at most `timeout` for the next event.
    pub(crate) fn poll(&mut self, timeout: Duration) -> Option<Event> {
        let ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; the event is ours to destroy.
        let event = unsafe {
            Owned::new(
                c::rd_kafka_queue_poll(self.queue.ptr(), ms),
                c::rd_kafka_event_destroy,
            )
        }?;
        self.read(&event)
    }

    fn read(&mut self, event: &Owned<c::rd_kafka_event_t>) -> Option<Event> {
        // SAFETY: the event is alive.
        match unsafe { c::rd_kafka_event_type(event.ptr()) } {
            c::RD_KAFKA_EVENT_FETCH => {
                // SAFETY: a fetch event holds one message, valid as long as the event.
                let message = unsafe { c::rd_kafka_event_message_next(event.ptr()).as_ref() }?;
                Some(Event::Record(self.record(message)))
            }
            c::RD_KAFKA_EVENT_ERROR => self.error(event),
            c::RD_KAFKA_EVENT_LOG => {
                self.log(event);
                None
            }
            _ => None,
        }
    }

    fn error(&self, event: &Owned<c::rd_kafka_event_t>) -> Option<Event> {
        // SAFETY: the event is alive; the strings are valid as long as it is, and copied.
        let (error, said, fatal) = unsafe {
            (
                c::rd_kafka_event_error(event.ptr()),
                text(c::rd_kafka_event_error_string(event.ptr())),
                c::rd_kafka_event_error_is_fatal(event.ptr()) != 0,
            )
        };
        if !error.is_error() {
            return None;
        }
        // SAFETY: the event is alive; the partition is ours to destroy.
        let at = unsafe {
            Owned::new(
                c::rd_kafka_event_topic_partition(event.ptr()),
                c::rd_kafka_topic_partition_destroy,
            )
        }
        .map(|at| {
            // SAFETY: not null, with a valid topic name.
            let at = unsafe { &*at.ptr() };
            // SAFETY: as above; it is copied.
            (unsafe { text(at.topic) }, at.partition, at.offset)
        });
        let code = RDKafkaErrorCode::from(error);
        if code == RDKafkaErrorCode::PartitionEOF {
            let (topic, partition, offset) = at?;
            return Some(Event::End {
                topic,
                partition,
                offset,
            });
        }
        self.client.context().note(&said);
        Some(Event::Error {
            code,
            said,
            fatal,
            at,
        })
    }

    fn log(&self, event: &Owned<c::rd_kafka_event_t>) {
        use rdkafka::ClientContext;
        let (mut facility, mut line, mut level) = (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: the event is alive; the strings are valid as long as it is, and copied.
        let (facility, line) = unsafe {
            if c::rd_kafka_event_log(
                event.ptr(),
                &raw mut facility,
                &raw mut line,
                &raw mut level,
            ) != 0
            {
                return;
            }
            (text(facility), text(line))
        };
        let level = match level {
            ..=2 => RDKafkaLogLevel::Critical,
            3 => RDKafkaLogLevel::Error,
            4 => RDKafkaLogLevel::Warning,
            5 | 6 => RDKafkaLogLevel::Info,
            _ => RDKafkaLogLevel::Debug,
        };
        self.client
            .context()
            .log(level, facility.trim(), line.trim());
    }

    fn record(&mut self, message: &c::rd_kafka_message_t) -> InRecord {
        let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let ms = unsafe { c::rd_kafka_message_timestamp(message, &raw mut kind) };
        let timestamp = (kind != c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
            .then(|| Timestamp::from_millis(ms));
        // SAFETY: the message's key and payload are null or valid for their lengths.
        let (key, value) = unsafe {
            (
                bytes(message.key.cast(), message.key_len),
                bytes(message.payload.cast(), message.len),
            )
        };
        InRecord {
            topic: self.topic(message.rkt),
            partition: message.partition,
            offset: message.offset,
            timestamp,
            key,
            value,
            headers: headers(message),
        }
    }

    fn topic(&mut self, topic: *mut c::rd_kafka_topic_t) -> Arc<str> {
        match &self.topic {
            Some((last, name)) if *last == topic => Arc::clone(name),
            _ => {
                // SAFETY: the message's topic is alive, and its name is copied. It stays alive as
                // long as the client has it assigned, so the pointer can't come to mean another.
                let name: Arc<str> = unsafe { text(c::rd_kafka_topic_name(topic)) }.into();
                self.topic = Some((topic, Arc::clone(&name)));
                name
            }
        }
    }
}

/// # Safety
/// `ptr` is null or points to `len` bytes.
unsafe fn bytes(ptr: *const u8, len: usize) -> Option<Bytes> {
    if ptr.is_null() {
        return None;
    }
    // SAFETY: not null, and valid by the caller's word.
    Some(Bytes::copy_from_slice(unsafe {
        std::slice::from_raw_parts(ptr, len)
    }))
}

fn headers(message: &c::rd_kafka_message_t) -> Vec<Header> {
    let mut native = std::ptr::null_mut();
    // SAFETY: the message is alive and owns the headers.
    let error = unsafe { c::rd_kafka_message_headers(message, &raw mut native) };
    if error.is_error() || native.is_null() {
        return Vec::new();
    }
    // SAFETY: the headers are alive.
    let count = unsafe { c::rd_kafka_header_cnt(native) };
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        let (mut name, mut value, mut len) = (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: the headers are alive, the index is below their count, and what is given is
        // valid as long as the message and copied.
        unsafe {
            let error = c::rd_kafka_header_get_all(
                native,
                index,
                &raw mut name,
                &raw mut value,
                &raw mut len,
            );
            if error.is_error() {
                break;
            }
            all.push(Header {
                name: text(name).into(),
                value: bytes(value.cast(), len),
            });
        }
    }
    all
}

/// The client's pointer, for admin requests.
pub(super) fn native(client: &Client<Context>) -> *mut RDKafka {
    client.native_ptr()
}
