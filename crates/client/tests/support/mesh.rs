//! A product on real Kafka, and what can be read back of it.

use std::collections::BTreeMap;

use meshwork_client::{MeshProducer, NewRecord, ProducerOptions, RecordPosition};
use meshwork_kafka::{InRecord, KafkaConfig};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::mesh::observation::{ObservationFact, PartitionObservation};
use meshwork_model::mesh::{ProductAnnouncement, StreamObservation};
use meshwork_model::name::Urn;
use meshwork_model::topic::partition_for_key;
use meshwork_registry_client::{MeshReader, RegistryClient};
use meshwork_testkit::{Cluster, announcement, unique};

use super::registry::Registry;

pub const FLIGHT: &str = r#"{"type":"record","name":"Flight","namespace":"test","fields":[
    {"name":"id","type":"string"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"delay","type":["null","int"],"default":null}]}"#;

pub struct Mesh {
    pub kafka: &'static Cluster,
    pub registry: Registry,
    pub product: ProductAnnouncement,
}

impl Mesh {
    /// A product with three partitions, its topic created and its schema registered.
    pub async fn with(enforcement: EnforcementMode) -> Self {
        Self::on(meshwork_testkit::kafka(), enforcement).await
    }

    /// On a cluster of one's own, to kill.
    pub async fn on(kafka: &'static Cluster, enforcement: EnforcementMode) -> Self {
        let registry = Registry::start().await;
        let urn: Urn = format!("urn:meshwork:test:{}:v1", unique("flights"))
            .parse()
            .unwrap();
        kafka
            .create_topic(&meshwork_kafka::NewTopic::new(urn.topic(), 3).with("retention.ms", "-1"))
            .await;
        let id = registry.add(&urn.value_subject(), FLIGHT);
        let product = ProductAnnouncement {
            partitions: 3,
            enforcement,
            ..announcement(urn, id, FLIGHT)
        };
        Self {
            kafka,
            registry,
            product,
        }
    }

    pub fn config(&self) -> KafkaConfig {
        self.kafka.config()
    }

    pub fn client(&self) -> RegistryClient {
        self.registry.client()
    }

    pub async fn producer(&self, options: ProducerOptions) -> MeshProducer {
        MeshProducer::open(&self.config(), self.client(), &self.product, options)
            .await
            .unwrap()
    }

    /// A flight, framed under the product's schema.
    pub fn flight(&self, id: &str, at: i64) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(self.product.value_schema.id.to_be_bytes());
        meshwork_wire::varint::write_i64(&mut bytes, i64::try_from(id.len()).unwrap());
        bytes.extend(id.as_bytes());
        meshwork_wire::varint::write_i64(&mut bytes, at);
        bytes.push(0);
        bytes
    }

    pub async fn topic(&self) -> Vec<InRecord> {
        self.kafka.read_all(&self.product.topic).await
    }

    pub async fn quarantine(&self) -> Vec<InRecord> {
        self.kafka
            .read_all(&self.product.urn.quarantine_topic())
            .await
    }

    /// The observations of the product, in order.
    pub async fn observations(&self) -> Vec<(StreamObservation, PartitionObservation)> {
        let reader = MeshReader::<StreamObservation>::new(self.client());
        let mut all = Vec::new();
        for record in self.kafka.read_all("mesh.observations").await {
            let key = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
            if !key.starts_with(&format!("{}:", self.product.topic)) {
                continue;
            }
            assert_eq!(
                record.partition,
                partition_for_key(self.product.topic.as_bytes(), 8),
                "all of a product is in one partition"
            );
            let value = record.value.clone().unwrap();
            let observation = reader.decode(&value).await.unwrap();
            assert_eq!(observation.key(), key);
            let ObservationFact::PartitionObservation(seen) = observation.fact.clone() else {
                panic!("a tick under a topic's key");
            };
            all.push((observation, seen));
        }
        all
    }
}

/// Asserts that the observations cover exactly the offsets of these records, each once, and count
/// them by partition.
pub fn assert_covers(
    observations: &[(StreamObservation, PartitionObservation)],
    records: &[InRecord],
) {
    let mut covered: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    let mut counted: BTreeMap<i32, i64> = BTreeMap::new();
    for (_, seen) in observations {
        let offsets = seen.offsets.iter().flat_map(|r| r.from..r.until);
        covered.entry(seen.partition).or_default().extend(offsets);
        *counted.entry(seen.partition).or_default() += seen.records;
    }
    let mut expected: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for record in records {
        expected
            .entry(record.partition)
            .or_default()
            .push(record.offset);
    }
    for offsets in covered.values_mut() {
        offsets.sort_unstable();
    }
    covered.retain(|_, offsets| !offsets.is_empty());
    counted.retain(|_, count| *count != 0);
    assert_eq!(covered, expected);
    let lengths: BTreeMap<i32, i64> = expected
        .iter()
        .map(|(p, o)| (*p, i64::try_from(o.len()).unwrap()))
        .collect();
    assert_eq!(counted, lengths);
    let bytes: i64 = observations.iter().map(|(_, seen)| seen.bytes).sum();
    let size: usize = records.iter().map(InRecord::bytes).sum();
    assert_eq!(
        bytes,
        i64::try_from(size).unwrap(),
        "bytes can be recomputed from the log"
    );
}

/// A record with key and value and nothing more.
pub fn record<'a>(key: &'a str, value: &'a [u8]) -> NewRecord<'a> {
    NewRecord {
        key: Some(key.as_bytes()),
        value: Some(value),
        ..NewRecord::default()
    }
}

pub fn line(n: u64) -> RecordPosition {
    RecordPosition::line(n)
}

/// Values of the headers of this name, in order.
pub fn header(record: &InRecord, name: &str) -> Vec<String> {
    record
        .headers
        .iter()
        .filter(|h| &*h.name == name)
        .map(|h| String::from_utf8(h.value.clone().unwrap().to_vec()).unwrap())
        .collect()
}
