//! A mesh for tests: real Kafka, the real registry, and announcements as `apply` would write them.

use std::path::Path;
use std::sync::Arc;

use meshwork_catalog::{Config, Context, Handle, Service};
use meshwork_kafka::OutRecord;
use meshwork_model::mesh::announcement::{
    EnforcementMode, ProductStatus, RegisteredSchema, TagMode,
};
use meshwork_model::mesh::change::{Change, ContractChange};
use meshwork_model::mesh::{ProductAnnouncement, ProductChange};
use meshwork_model::name::Urn;
use meshwork_model::time::{Timestamp, WallClock};
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::MeshWriter;
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_testkit::{kafka, mesh_writer, registry, unique, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running catalog.
pub(crate) struct Catalog {
    pub(crate) handle: Handle,
    pub(crate) readiness: Readiness,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), meshwork_catalog::Error>>,
}

impl Catalog {
    /// Starts it and waits until it has read its topics.
    pub(crate) async fn start(dir: &Path) -> Self {
        let readiness = Readiness::new();
        let context = Context {
            kafka: kafka().config(),
            registry: registry(),
            clock: Arc::new(WallClock),
            data_dir: dir.to_owned(),
            readiness: readiness.clone(),
            metrics: Metrics::new(),
        };
        let (service, handle) = Service::new(Config::default(), context).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(service.run(shutdown.clone()));
        let waiting = handle.clone();
        wait_until("the catalog to have read its topics", || {
            let handle = waiting.clone();
            async move { handle.caught_up() }
        })
        .await;
        Self {
            handle,
            readiness,
            shutdown,
            running,
        }
    }

    /// Waits until the catalog has read up to `offset` of `mesh.catalog`.
    pub(crate) async fn reads(&self, offset: i64) {
        wait_until("the catalog to read what was announced", || {
            let handle = self.handle.clone();
            async move {
                let page = handle
                    .list(&meshwork_catalog::ListRequest::default())
                    .unwrap();
                page.as_of.catalog_offset > offset
            }
        })
        .await;
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }

    /// Ends it at once, as a crash would, but for what the operating system keeps.
    pub(crate) async fn abort(self) {
        self.running.abort();
        let _ = self.running.await;
    }
}

/// A domain that no other test has.
pub(crate) fn domain(name: &str) -> String {
    unique(name)
}

pub(crate) fn urn(domain: &str, product: &str, version: u32) -> Urn {
    format!("urn:meshwork:{domain}:{product}:v{version}")
        .parse()
        .unwrap()
}

/// Who announces in tests.
pub(crate) struct Mesh {
    announcements: MeshWriter<ProductAnnouncement>,
    changes: MeshWriter<ProductChange>,
}

impl Mesh {
    pub(crate) async fn new() -> Self {
        Self {
            announcements: mesh_writer(ControlTopic::Catalog).await,
            changes: mesh_writer(ControlTopic::CatalogChanges).await,
        }
    }

    /// Announces a product; gives the offset.
    pub(crate) async fn announce(&self, product: &ProductAnnouncement) -> i64 {
        let value = self.announcements.encode(product).unwrap();
        write(
            ControlTopic::Catalog,
            &product.urn.to_string(),
            Some(&value),
        )
        .await
    }

    /// Withdraws a product; gives the offset.
    pub(crate) async fn withdraw(&self, urn: &Urn) -> i64 {
        write(ControlTopic::Catalog, &urn.to_string(), None).await
    }

    /// Says that a product's contract changed; gives the offset.
    pub(crate) async fn change(&self, urn: &Urn, id: &str, words: &str) -> i64 {
        let change = ProductChange {
            id: id.to_owned(),
            at: Timestamp::from_millis(1_358_251_200_000),
            who: "test@host".into(),
            urn: Some(urn.clone()),
            consumers: vec!["board".into()],
            change: Change::ContractChange(ContractChange {
                from_digest: Some("sha256:0".into()),
                to_digest: "sha256:1".into(),
                in_words: vec![words.to_owned()],
            }),
        };
        let value = self.changes.encode(&change).unwrap();
        write(ControlTopic::CatalogChanges, &urn.to_string(), Some(&value)).await
    }
}

/// Writes bytes as they are; gives the offset.
pub(crate) async fn write(topic: ControlTopic, key: &str, value: Option<&[u8]>) -> i64 {
    let record = OutRecord {
        topic: topic.name(),
        key: Some(key.as_bytes()),
        value,
        ..OutRecord::default()
    };
    kafka().producer().deliver(&record).await.unwrap().offset
}

pub(crate) fn product(urn: &Urn, description: &str) -> ProductAnnouncement {
    ProductAnnouncement {
        urn: urn.clone(),
        domain: urn.name().domain().to_owned(),
        product: urn.name().product().to_owned(),
        version: format!("{}.0.0", urn.version().0),
        status: ProductStatus::Active,
        topic: urn.topic(),
        announced_at: Timestamp::from_millis(1_358_251_200_000),
        changed_at: Timestamp::from_millis(1_358_251_200_000),
        owner: format!("{}-team", urn.name().domain()),
        description: Some(description.to_owned()),
        tags: vec!["Test".into()],
        contract: format!("apiVersion: v3.1.0\nid: {urn}\n"),
        contract_digest: "sha256:1".into(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: 1,
            guid: "00000000-0000-0000-0000-000000000000".into(),
            schema: r#"{"type":"record","name":"R","fields":[{"name":"tailnum","type":"string"}]}"#
                .into(),
        },
        key_schema: None,
        key_columns: vec!["tailnum".into()],
        compatibility: "BACKWARD".into(),
        partitions: 3,
        retention_ms: None,
        compacted: false,
        enforcement: EnforcementMode::Quarantine,
        tag: TagMode::Record,
        event_time: None,
        inputs: Vec::new(),
        slos: Vec::new(),
    }
}
