//! Records on their way to Kafka and from it.

use std::sync::Arc;

use bytes::Bytes;
use meshwork_model::time::Timestamp;
use rdkafka::message::{Header as RdHeader, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;

/// A record to be written; its bytes are copied when it is queued.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; `None` leaves it to Kafka's default partitioner (murmur2 of the key).
    pub partition: Option<i32>,
    /// Key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is null (a tombstone in a compacted topic).
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Record timestamp; `None` takes the wall clock.
    pub timestamp: Option<Timestamp>,
}

/// A record to be written, with its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedOutRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition; `None` leaves it to Kafka's default partitioner (murmur2 of the key).
    pub partition: Option<i32>,
    /// Key; `None` is null.
    pub key: Option<Bytes>,
    /// Value; `None` is null (a tombstone in a compacted topic).
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, Bytes)>,
    /// Record timestamp; `None` takes the wall clock.
    pub timestamp: Option<Timestamp>,
}

impl OwnedOutRecord {
    /// A record for `topic` with a key and a value.
    #[must_use]
    pub fn new(
        topic: impl Into<Arc<str>>,
        key: impl Into<Option<Bytes>>,
        value: impl Into<Option<Bytes>>,
    ) -> Self {
        Self {
            topic: topic.into(),
            key: key.into(),
            value: value.into(),
            ..Self::default()
        }
    }
}

/// Where an acknowledged record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A header of a record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name.
    pub name: Box<str>,
    /// Value; `None` is null.
    pub value: Option<Bytes>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Record timestamp; `None` where the record has none.
    pub timestamp: Option<Timestamp>,
    /// Key; `None` is null.
    pub key: Option<Bytes>,
    /// Value; `None` is null (a tombstone in a compacted topic).
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<Header>,
}

impl InRecord {
    /// Value of the last header named `name`; `None` also where it is null.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .rev()
            .find(|h| &*h.name == name)
            .and_then(|h| h.value.as_deref())
    }

    /// Bytes of key, value and headers: what it costs to hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let part = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        part(&self.key)
            + part(&self.value)
            + self
                .headers
                .iter()
                .map(|h| h.name.len() + part(&h.value))
                .sum::<usize>()
    }
}

/// rdkafka's form of a record.
pub(crate) fn base_record<'a, D: IntoOpaque>(
    record: &OutRecord<'a>,
    opaque: D,
) -> BaseRecord<'a, [u8], [u8], D> {
    BaseRecord {
        topic: record.topic,
        partition: record.partition,
        payload: record.value,
        key: record.key,
        // 0 is librdkafka's word for "now"; a record of 1970-01-01T00:00Z can't be told from it.
        timestamp: record.timestamp.map(Timestamp::as_millis),
        headers: headers(
            record.headers.iter().map(|(name, value)| (*name, *value)),
            record.headers.len(),
        ),
        delivery_opaque: opaque,
    }
}

pub(crate) fn headers<'a>(
    all: impl Iterator<Item = (&'a str, &'a [u8])>,
    count: usize,
) -> Option<OwnedHeaders> {
    (count > 0).then(|| {
        all.fold(
            OwnedHeaders::new_with_capacity(count),
            |headers, (key, value)| {
                headers.insert(RdHeader {
                    key,
                    value: Some(value),
                })
            },
        )
    })
}
