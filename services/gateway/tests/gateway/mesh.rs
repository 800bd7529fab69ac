//! A mesh for tests: real Kafka, the real registry, gateways, and products.

use std::sync::Arc;

use meshwork_gateway::{Config, Context, Handle, Service};
use meshwork_kafka::{
    InRecord, KafkaConfig, NewTopic, OutRecord, Producer, ProducerOptions, control,
};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::mesh::observation::{ObservationFact, PartitionObservation};
use meshwork_model::mesh::{ProductAnnouncement, StreamObservation};
use meshwork_model::name::Urn;
use meshwork_model::time::WallClock;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshReader, RegistryClient};
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_testkit::{announcement, kafka, mesh_writer, registry, unique, wait_for, wait_until};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const FLIGHT: &str = r#"{"type":"record","name":"Flight","namespace":"test","fields":[
    {"name":"id","type":"string"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) address: String,
    pub(crate) metrics: Metrics,
    pub(crate) handle: Handle,
    readiness: Readiness,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), meshwork_gateway::Error>>,
}

impl Gateway {
    /// Starts one with quick observations and waits until it has read the catalog.
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, registry()).await
    }

    pub(crate) async fn start_with(config: Config, registry: RegistryClient) -> Self {
        Self::start_at(config, registry, kafka().config()).await
    }

    /// Starts one that reaches the brokers otherwise.
    pub(crate) async fn start_at(
        config: Config,
        registry: RegistryClient,
        brokers: KafkaConfig,
    ) -> Self {
        let gateway = Self::begin_at(config, registry, brokers).await;
        gateway.ready().await;
        gateway
    }

    /// Starts one and waits for nothing.
    pub(crate) async fn begin_at(
        config: Config,
        registry: RegistryClient,
        brokers: KafkaConfig,
    ) -> Self {
        // The registry answers once it has read its log.
        mesh_writer::<ProductAnnouncement>(ControlTopic::Catalog).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (readiness, metrics) = (Readiness::new(), Metrics::new());
        let context = Context {
            kafka: brokers,
            registry,
            clock: Arc::new(WallClock),
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            ports_are_fixed: false,
        };
        let config = Config {
            observe_every: meshwork_model::units::HumanDuration::from_millis(50),
            ..config
        };
        let service = Service::new(config, context, listener).unwrap();
        let shutdown = CancellationToken::new();
        let handle = service.handle();
        let running = tokio::spawn(service.run(shutdown.clone()));
        Self {
            address,
            metrics,
            handle,
            readiness,
            shutdown,
            running,
        }
    }

    /// Waits until it has read the catalog.
    pub(crate) async fn ready(&self) {
        self.readiness.ready().await;
    }

    /// How clients are configured that come through it.
    pub(crate) fn kafka(&self) -> KafkaConfig {
        KafkaConfig {
            client_id: "test-app".to_owned(),
            ..KafkaConfig::new(&self.address)
        }
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer::new(&self.kafka(), &ProducerOptions::default()).unwrap()
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }

    /// Value of a counter, by the beginning of its line.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = self.metrics.encode().unwrap();
        text.lines()
            .find_map(|l| l.strip_prefix(line)?.trim().parse().ok())
            .unwrap_or(0)
    }
}

/// A product with one partition, its topic created, its schema registered, and announced.
#[derive(Clone)]
pub(crate) struct Product {
    pub(crate) announcement: ProductAnnouncement,
}

impl Product {
    pub(crate) async fn new(enforcement: EnforcementMode) -> Self {
        Self::with(|product| product.enforcement = enforcement).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ProductAnnouncement)) -> Self {
        let product = Self::unannounced(change).await;
        product.announce().await;
        product
    }

    /// The same, and not announced yet.
    pub(crate) async fn unannounced(change: impl FnOnce(&mut ProductAnnouncement)) -> Self {
        // The registry is up once this is known.
        mesh_writer::<ProductAnnouncement>(ControlTopic::Catalog).await;
        let urn: Urn = format!("urn:meshwork:test:{}:v1", unique("flights"))
            .parse()
            .unwrap();
        let topic = NewTopic::new(urn.topic(), 1).with("retention.ms", "-1");
        kafka().create_topic(&topic).await;
        // Its writer may have lost its broker a moment ago.
        let registered = wait_for("the registry to take a schema", || async {
            let (registry, subject) = (registry(), urn.value_subject());
            registry.register(&subject, FLIGHT, &[], false).await.ok()
        })
        .await;
        let mut announcement = announcement(urn, registered.id.as_i32(), FLIGHT);
        change(&mut announcement);
        Self { announcement }
    }

    /// Writes the announcement to `mesh.catalog`, as it is now.
    pub(crate) async fn announce(&self) {
        self.announce_as(&self.announced().await).await;
    }

    /// The announcement as it is written.
    pub(crate) async fn announced(&self) -> Vec<u8> {
        let writer = mesh_writer::<ProductAnnouncement>(ControlTopic::Catalog).await;
        writer.encode(&self.announcement).unwrap()
    }

    /// Writes these bytes in its place.
    pub(crate) async fn announce_as(&self, value: &[u8]) {
        let key = self.announcement.urn.to_string();
        let record = OutRecord {
            topic: ControlTopic::Catalog.name(),
            key: Some(key.as_bytes()),
            value: Some(value),
            ..OutRecord::default()
        };
        kafka().producer().deliver(&record).await.unwrap();
    }

    pub(crate) fn topic(&self) -> &str {
        &self.announcement.topic
    }

    /// A flight, framed under the product's schema.
    pub(crate) fn flight(&self, id: &str) -> Vec<u8> {
        framed(self.announcement.value_schema.id, id)
    }

    /// Everything in its topic.
    pub(crate) async fn log(&self) -> Vec<InRecord> {
        kafka().read_all(self.topic()).await
    }

    /// What was observed of it so far.
    pub(crate) async fn observations(&self) -> Vec<PartitionObservation> {
        control::ensure(&kafka().admin(), ControlTopic::Observations)
            .await
            .unwrap();
        let reader = MeshReader::<StreamObservation>::new(registry());
        let mut all = Vec::new();
        for record in kafka().read_all(ControlTopic::Observations.name()).await {
            let value = record.value.clone().unwrap();
            let observation = reader.decode(&value).await.unwrap();
            if let ObservationFact::PartitionObservation(seen) = observation.fact
                && seen.topic == self.topic()
            {
                all.push(seen);
            }
        }
        all
    }

    /// Waits until this many records were observed, and gives the observations.
    pub(crate) async fn observed(&self, records: i64) -> Vec<PartitionObservation> {
        wait_until("the records to be observed", || async {
            let seen = self.observations().await;
            seen.iter().map(|o| o.records).sum::<i64>() >= records
        })
        .await;
        self.observations().await
    }
}

/// A flight, framed under a schema id.
pub(crate) fn framed(schema: i32, id: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(schema.to_be_bytes());
    meshwork_wire::varint::write_i64(&mut bytes, i64::try_from(id.len()).unwrap());
    bytes.extend(id.as_bytes());
    meshwork_wire::varint::write_i64(&mut bytes, 1_700_000_000_000);
    bytes
}

/// Waits until a gateway follows a product: until it refuses what the product forbids.
pub(crate) async fn followed(gateway: &Gateway, product: &Product) {
    let line = format!(
        "meshwork_gateway_products_followed{{topic=\"{}\"}}",
        product.topic()
    );
    wait_until("the gateway to follow the product", || async {
        gateway.metric(&line) > 0
    })
    .await;
}

/// Values of the headers of this name, in order.
pub(crate) fn header(record: &InRecord, name: &str) -> Vec<String> {
    record
        .headers
        .iter()
        .filter(|h| &*h.name == name)
        .map(|h| String::from_utf8(h.value.clone().unwrap().to_vec()).unwrap())
        .collect()
}
