//! Value of `mesh.observations`.

use serde::{Deserialize, Serialize};

use super::{MeshRecord, MeshSchema};
use crate::time::Timestamp;

/// Most entries in each list of a [`PartitionObservation`]; the rest is counted in `…_more`.
pub const LIST_MAX: usize = 64;

/// What was seen of one topic-partition in about a second, or the passing of time itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamObservation {
    /// Who saw it.
    pub source: ObservationSource,
    /// When, by the source's `Clock`. For a poll: read before the brokers were asked. For traffic:
    /// after the acknowledgement.
    pub observed_at: Timestamp,
    /// What was seen.
    pub fact: ObservationFact,
}

impl MeshRecord for StreamObservation {
    const SCHEMA: MeshSchema = MeshSchema::StreamObservation;
}

impl StreamObservation {
    /// The record's key: `topic:partition`, or `tick:<shard>`.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.fact {
            ObservationFact::PartitionObservation(p) => format!("{}:{}", p.topic, p.partition),
            ObservationFact::Tick(t) => format!("tick:{}", t.shard),
        }
    }
}

/// (instance, epoch, sequence) is unique, so that a repeat is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObservationSource {
    /// Which part of the mesh.
    pub kind: SourceKind,
    /// Stable name of the process's place.
    pub instance: String,
    /// Start of the process, ms since 1970 by its wall clock.
    pub epoch: i64,
    /// Counts from 0 within (instance, epoch).
    pub sequence: i64,
}

/// Which part of the mesh saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SourceKind {
    /// The gateway, on the wire.
    Gateway,
    /// `meshwork produce` and other users of the client crate.
    Produce,
    /// The observer in the freshness role.
    Observer,
}

/// What was seen.
#[expect(
    clippy::large_enum_variant,
    reason = "ticks are few, and a box would cost an allocation for each observation"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ObservationFact {
    /// A topic-partition's traffic or silence.
    #[serde(rename = "mesh.PartitionObservation")]
    PartitionObservation(PartitionObservation),
    /// The clock of the owner of this partition of `mesh.observations` had come to `observed_at`.
    #[serde(rename = "mesh.Tick")]
    Tick(Tick),
}

/// See [`ObservationFact::Tick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Partition of `mesh.observations`.
    pub shard: i32,
}

/// A topic-partition's traffic or silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionObservation {
    /// Topic.
    pub topic: String,
    /// UUID of the topic, where known.
    pub topic_id: Option<String>,
    /// Partition.
    pub partition: i32,
    /// Offset ranges that the counts cover, ascending and disjoint.
    pub offsets: Vec<OffsetRange>,
    /// Last stable offset by the broker's word, read at or after `observed_at`.
    pub end_offset: Option<i64>,
    /// Records acknowledged in the ranges.
    pub records: i64,
    /// Bytes of their keys, values and headers.
    pub bytes: i64,
    /// Records refused, by stable reason code.
    pub refused: Vec<RefusedCount>,
    /// Who produced.
    pub producers: Vec<ProducerCount>,
    /// Records of producers beyond [`LIST_MAX`].
    pub producers_more: i64,
    /// Under which schemas.
    pub schemas: Vec<SchemaCount>,
    /// Records of schemas beyond [`LIST_MAX`].
    pub schemas_more: i64,
    /// Event times; none where the product names no field, or no record had one.
    pub event_times: Option<EventTimes>,
    /// Arrival minus event time.
    pub lag: Option<LagSummary>,
    /// Topics that the records' `mesh-parents` name.
    pub parents: Vec<String>,
    /// Parents beyond [`LIST_MAX`].
    pub parents_more: i64,
    /// Only where offsets were read back afterwards: they came after this moment and by
    /// `observed_at`; when is not known. None: they came as observed.
    pub not_before: Option<Timestamp>,
    /// Of the records, those that were written in transactions: whether these were committed is not
    /// known.
    pub transactional: i64,
    /// Who read, or was seen to be reading still.
    pub readers: Vec<ReaderPosition>,
    /// Readers beyond [`LIST_MAX`]: at least so many.
    pub readers_more: i64,
    /// Jobs that read or wrote the partition in transactions.
    pub jobs: Vec<TransactionalJob>,
    /// Jobs beyond [`LIST_MAX`]: at least so many.
    pub jobs_more: i64,
}

/// Half-open range of offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OffsetRange {
    /// First offset.
    pub from: i64,
    /// One past the last.
    pub until: i64,
}

/// Records refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCount {
    /// Stable reason code.
    pub reason: String,
    /// How many.
    pub records: i64,
}

/// What a producer's name rests on, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Trust {
    /// SASL principal.
    Principal,
    /// Subject of a client certificate.
    Mtls,
    /// Set in a configuration.
    Configured,
    /// Kafka client id.
    ClientId,
    /// A `mesh-producer` header written without a gateway.
    Claimed,
}

/// Records of one producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerCount {
    /// Its name.
    pub name: String,
    /// What the name rests on.
    pub trust: Trust,
    /// How many.
    pub records: i64,
}

/// How far somebody has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderPosition {
    /// Its name.
    pub name: String,
    /// What the name rests on.
    pub trust: Trust,
    /// Its consumer group, where known: a Fetch names none.
    pub group: Option<String>,
    /// Whether the group is concluded from name, client id and address; no commit of this partition
    /// showed it.
    pub inferred: bool,
    /// Offset that it asked for last. None: it was seen to commit only.
    pub next_offset: Option<i64>,
    /// Offset that the group committed last. None: no commit was seen. Within a transaction its
    /// outcome is not known.
    pub committed: Option<i64>,
}

/// A group and a transactional id that are one job: offsets of the one were committed in a
/// transaction of the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionalJob {
    /// Consumer group.
    pub group: String,
    /// Transactional id.
    pub transactional_id: String,
    /// The producer's id, where known.
    pub producer_id: Option<i64>,
    /// What it does with the partition.
    pub side: JobSide,
}

/// What a job does with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobSide {
    /// It commits how far it has read.
    Reads,
    /// It writes.
    Writes,
}

/// Records under one schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaCount {
    /// Id in the registry.
    pub schema_id: i32,
    /// How many.
    pub records: i64,
}

/// Event times of the records in the ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimes {
    /// The least.
    pub least: Timestamp,
    /// The greatest that is not set aside.
    pub greatest: Timestamp,
    /// Records with an event time that counts.
    pub records: i64,
    /// Records set aside: event time more than 60 s in the future.
    pub ahead: i64,
}

/// Arrival minus event time, milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LagSummary {
    /// The least.
    pub least: i64,
    /// The greatest.
    pub greatest: i64,
    /// DDSketch, in the encoding of the crate sketches-ddsketch; empty if not kept.
    #[serde(with = "bytes")]
    pub sketch: Vec<u8>,
}

/// Avro `bytes`, not an array of ints.
mod bytes {
    use serde::{Deserializer, Serializer, de::Visitor};

    pub(super) fn serialize<S: Serializer>(b: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(b)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, b: &[u8]) -> Result<Vec<u8>, E> {
                Ok(b.to_vec())
            }
            fn visit_byte_buf<E>(self, b: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(b)
            }
        }
        d.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn sample(fact: ObservationFact) -> StreamObservation {
        StreamObservation {
            source: ObservationSource {
                kind: SourceKind::Produce,
                instance: "host-1".into(),
                epoch: 1_700_000_000_000,
                sequence: 3,
            },
            observed_at: Timestamp::from_millis(1_357_016_400_000),
            fact,
        }
    }

    #[test]
    fn survives_avro_and_back() {
        let schema: serde_avro_fast::Schema = StreamObservation::SCHEMA
            .text()
            .parse()
            .expect("schema parses");
        let config = &mut serde_avro_fast::ser::SerializerConfig::new(&schema);
        let full = PartitionObservation {
            topic: "operations.departures.v1".into(),
            topic_id: Some("id".into()),
            partition: 2,
            offsets: vec![OffsetRange {
                from: 10,
                until: 20,
            }],
            end_offset: Some(20),
            records: 10,
            bytes: 1000,
            refused: vec![RefusedCount {
                reason: "truncated".into(),
                records: 1,
            }],
            producers: vec![ProducerCount {
                name: "ops".into(),
                trust: Trust::ClientId,
                records: 10,
            }],
            schemas: vec![SchemaCount {
                schema_id: 4,
                records: 10,
            }],
            event_times: Some(EventTimes {
                least: Timestamp::from_millis(1),
                greatest: Timestamp::from_millis(2),
                records: 9,
                ahead: 1,
            }),
            lag: Some(LagSummary {
                least: 0,
                greatest: 5,
                sketch: vec![1, 2, 255],
            }),
            transactional: 4,
            readers: vec![
                ReaderPosition {
                    name: "board".into(),
                    trust: Trust::Principal,
                    group: Some("board".into()),
                    inferred: true,
                    next_offset: Some(20),
                    committed: None,
                },
                ReaderPosition {
                    name: "kcat".into(),
                    trust: Trust::ClientId,
                    group: None,
                    inferred: false,
                    next_offset: None,
                    committed: Some(3),
                },
            ],
            readers_more: 2,
            jobs: vec![TransactionalJob {
                group: "delays".into(),
                transactional_id: "delays-0".into(),
                producer_id: Some(4000),
                side: JobSide::Writes,
            }],
            jobs_more: 1,
            ..PartitionObservation::default()
        };
        for fact in [
            ObservationFact::PartitionObservation(full),
            ObservationFact::PartitionObservation(PartitionObservation::default()),
            ObservationFact::Tick(Tick { shard: 7 }),
        ] {
            let observation = sample(fact);
            let bytes = serde_avro_fast::to_datum_vec(&observation, config).expect("writes");
            let back: StreamObservation =
                serde_avro_fast::from_datum_slice(&bytes, &schema).expect("reads");
            assert_eq!(back, observation);
        }
    }
}
