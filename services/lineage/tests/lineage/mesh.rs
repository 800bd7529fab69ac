//! A mesh for tests: real Kafka, the real registry, and what producers and domains would write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meshwork_kafka::{KafkaConfig, OutRecord, Producer};
use meshwork_lineage::{Config, Context, Handle, Service};
use meshwork_model::mesh::announcement::{
    EnforcementMode, ProductStatus, RegisteredSchema, TagMode,
};
use meshwork_model::mesh::observation::{
    ObservationFact, ObservationSource, OffsetRange, PartitionObservation, ProducerCount,
    SourceKind, Trust,
};
use meshwork_model::mesh::{ProductAnnouncement, StreamObservation};
use meshwork_model::name::Urn;
use meshwork_model::time::{Timestamp, WallClock};
use meshwork_model::topic::ControlTopic;
use meshwork_model::units::HumanDuration;
use meshwork_registry_client::{MeshWriter, RegistryClient};
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_testkit::{kafka, mesh_writer, registry, unique, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2013-01-15T12:00:00Z: when observations of tests begin.
pub(crate) const NOON: i64 = 1_358_251_200_000;

/// Polls and writes often, so that tests wait little.
fn quick() -> Config {
    Config {
        poll_groups_every: HumanDuration::from_millis(200),
        write_every: HumanDuration::from_millis(50),
        ..Config::default()
    }
}

/// A running lineage role.
pub(crate) struct Lineage {
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), meshwork_lineage::Error>>,
}

impl Lineage {
    /// Starts it and waits until it has read its topics.
    pub(crate) async fn start(dir: &Path) -> Self {
        let lineage = Self::start_on(kafka().config(), registry(), dir.to_owned());
        let handle = lineage.handle.clone();
        wait_until("lineage to have read its topics", || {
            let handle = handle.clone();
            async move { handle.caught_up() }
        })
        .await;
        lineage
    }

    pub(crate) fn start_on(kafka: KafkaConfig, registry: RegistryClient, dir: PathBuf) -> Self {
        let readiness = Readiness::new();
        let context = Context {
            kafka,
            registry,
            clock: Arc::new(WallClock),
            data_dir: dir,
            readiness,
            metrics: Metrics::new(),
        };
        let (service, handle) = Service::new(quick(), context).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(service.run(shutdown.clone()));
        Self {
            handle,
            shutdown,
            running,
        }
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// A product name that no other test has.
pub(crate) fn product(name: &str) -> Urn {
    format!("urn:meshwork:lineage-test:{}:v1", unique(name))
        .parse()
        .unwrap()
}

/// Who writes to the mesh's topics in tests.
pub(crate) struct Mesh {
    producer: Producer,
    announcements: MeshWriter<ProductAnnouncement>,
    observations: MeshWriter<StreamObservation>,
}

impl Mesh {
    pub(crate) async fn new() -> Self {
        Self {
            producer: kafka().producer(),
            announcements: mesh_writer(ControlTopic::Catalog).await,
            observations: mesh_writer(ControlTopic::Observations).await,
        }
    }

    /// Announces a product made from `inputs`.
    pub(crate) async fn announce(&self, urn: &Urn, inputs: &[String], at: i64) {
        let value = self
            .announcements
            .encode(&announcement(urn, inputs, at))
            .unwrap();
        self.write(ControlTopic::Catalog, &urn.to_string(), &value)
            .await;
    }

    /// Says that `producer` wrote the offsets `from..until` of a product's partition 0.
    pub(crate) async fn observe(&self, urn: &Urn, producer: &str, from: i64, until: i64) {
        let observation = StreamObservation {
            source: ObservationSource {
                kind: SourceKind::Produce,
                instance: "test-host".into(),
                epoch: 1,
                sequence: from,
            },
            observed_at: Timestamp::from_millis(NOON + 1000 * from),
            fact: ObservationFact::PartitionObservation(PartitionObservation {
                topic: urn.topic(),
                partition: 0,
                offsets: vec![OffsetRange { from, until }],
                records: until - from,
                producers: vec![ProducerCount {
                    name: producer.to_owned(),
                    trust: Trust::Configured,
                    records: until - from,
                }],
                ..PartitionObservation::default()
            }),
        };
        let value = self.observations.encode(&observation).unwrap();
        self.write(ControlTopic::Observations, &observation.key(), &value)
            .await;
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&self, topic: ControlTopic, key: &str, value: &[u8]) {
        let record = OutRecord {
            topic: topic.name(),
            key: Some(key.as_bytes()),
            value: Some(value),
            ..OutRecord::default()
        };
        self.producer.deliver(&record).await.unwrap();
    }
}

fn announcement(urn: &Urn, inputs: &[String], at: i64) -> ProductAnnouncement {
    ProductAnnouncement {
        urn: urn.clone(),
        domain: urn.name().domain().to_owned(),
        product: urn.name().product().to_owned(),
        version: "1.0.0".into(),
        status: ProductStatus::Active,
        topic: urn.topic(),
        announced_at: Timestamp::from_millis(at),
        changed_at: Timestamp::from_millis(at),
        owner: "lineage-test-team".into(),
        description: None,
        tags: Vec::new(),
        contract: "apiVersion: v3.1.0\n".into(),
        contract_digest: String::new(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: 1,
            guid: String::new(),
            schema: "\"string\"".into(),
        },
        key_schema: None,
        key_columns: vec!["id".into()],
        compatibility: "BACKWARD".into(),
        partitions: 1,
        retention_ms: None,
        compacted: false,
        enforcement: EnforcementMode::Reject,
        tag: TagMode::Record,
        event_time: None,
        inputs: inputs.to_vec(),
        slos: Vec::new(),
    }
}
