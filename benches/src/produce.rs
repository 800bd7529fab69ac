//! `meshwork produce` against what a team would write without it, on 1 KB records and one Kafka node
//! beside it: a plain rdkafka program for input that is Avro already, and one that parses JSON lines,
//! encodes with apache-avro and sends. All with the same librdkafka settings.

mod plain;
pub(crate) mod registry;

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use meshwork_avro::Schema;
use meshwork_client::{Feed, FeedKind, Input, JsonRows, MeshProducer, ProducerOptions, rows};
use meshwork_dev_kafka::{DevKafka, DevKafkaOptions};
use meshwork_kafka::{Admin, KafkaConfig, NewTopic};
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::{EnforcementMode, TagMode};
use meshwork_model::name::{SchemaId, Urn};
use meshwork_model::time::Timestamp;
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};

use crate::product::Product;
use crate::records;
use crate::table::{Line, Outcome, median};

/// Records a run: half a second or more of full speed.
const RECORDS: i64 = 150_000;
/// Runs of each program, in turn; the middle one counts.
const RUNS: usize = 5;
/// 2013-01-01T05:00Z.
const START_MS: i64 = 1_357_016_400_000;
const PARTITIONS: i32 = 4;
const URN: &str = "urn:meshwork:bench:orders:v1";

/// Measures both.
///
/// # Errors
/// No Kafka can be had, or a record is refused: the bench itself is broken.
pub fn run() -> Result<Vec<Line>> {
    let dir = tempfile::tempdir()?;
    let mut options = DevKafkaOptions::new(dir.path().join("kafka"));
    options.discard = true;
    let kafka = DevKafka::start(options).context("no Kafka for the bench")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let bench = runtime.block_on(Bench::prepare(&kafka))?;

    let framed: Arc<[u8]> = bench.framed()?.into();
    let lines: Arc<[u8]> = bench.lines().into();
    let mut rates: [Vec<f64>; 4] = Default::default();
    // One round to warm up, then in turn, so that a slow moment of the machine hits all alike.
    for round in 0..=RUNS {
        let measured = [
            plain::framed(&bench.kafka, &bench.plain_topic, &framed)?,
            runtime.block_on(bench.mesh(FeedKind::Framed, &framed))?,
            plain::lines(&bench.kafka, &bench.plain_topic, bench.id, &lines)?,
            runtime.block_on(bench.mesh_lines(&lines))?,
        ];
        if round > 0 {
            for (all, rate) in rates.iter_mut().zip(measured) {
                all.push(rate);
            }
        }
    }
    kafka.stop();
    let [plain_framed, mesh_framed, plain_lines, mesh_lines] = rates.map(median);
    let line = |what: &str, mesh: f64, plain: f64, than: &str, goal: f64| Line {
        name: format!("produce: 1 KB records, {what}"),
        figure: format!("{mesh:.0}/s, {:.2} of {plain:.0}/s", mesh / plain),
        goal: format!("at least {goal} of {than}"),
        outcome: Outcome::at_least(mesh, goal * plain),
    };
    Ok(vec![
        line(
            "already Avro",
            mesh_framed,
            plain_framed,
            "a plain rdkafka program",
            0.7,
        ),
        line(
            "JSON lines",
            mesh_lines,
            plain_lines,
            "serde_json + apache-avro + rdkafka",
            0.9,
        ),
    ])
}

struct Bench {
    kafka: KafkaConfig,
    registry: RegistryClient,
    product: ProductAnnouncement,
    plain_topic: String,
    id: SchemaId,
}

impl Bench {
    async fn prepare(kafka: &DevKafka) -> Result<Self> {
        let kafka = KafkaConfig::new(kafka.bootstrap_servers());
        let urn: Urn = URN.parse()?;
        let plain_topic = "bench.plain".to_owned();
        let admin = Admin::new(&kafka)?;
        for topic in [urn.topic(), plain_topic.clone()] {
            // Little is kept, so that many runs do not fill the disk.
            let new = NewTopic::new(topic, PARTITIONS)
                .with("retention.ms", "-1")
                .with("retention.bytes", "100000000")
                .with("segment.bytes", "50000000");
            admin.create_topic(&new).await?;
        }
        let url = registry::start(&[
            (urn.value_subject(), records::SCHEMA.to_owned()),
            (
                "mesh.observations-value".to_owned(),
                meshwork_model::mesh::MeshSchema::StreamObservation
                    .text()
                    .to_owned(),
            ),
        ])?;
        let id = SchemaId::new(1)?;
        let product = Product {
            urn: URN,
            schema: records::SCHEMA,
            id,
            partitions: PARTITIONS,
            enforcement: EnforcementMode::Quarantine,
            tag: TagMode::Record,
        };
        let product = product.announcement(Timestamp::from_millis(START_MS))?;
        Ok(Self {
            registry: RegistryClient::new(&RegistryClientConfig::new(url))?,
            kafka,
            product,
            plain_topic,
            id,
        })
    }

    fn framed(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for n in 0..RECORDS {
            let (key, value) = records::framed(self.id, n, START_MS + n);
            rows::write_framed(&mut out, Some(key.as_bytes()), Some(&value))?;
        }
        Ok(out)
    }

    #[expect(clippy::unused_self, reason = "beside framed")]
    fn lines(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 0..RECORDS {
            out.extend_from_slice(records::json(n, START_MS + n).as_bytes());
            out.push(b'\n');
        }
        out
    }

    async fn mesh_lines(&self, lines: &Arc<[u8]>) -> Result<f64> {
        let schema = Schema::parse(records::SCHEMA)?;
        let rows = JsonRows::new(self.id, &schema, None, &self.product.key_columns)?;
        self.mesh(FeedKind::Json(Box::new(rows)), lines).await
    }

    /// Records a second, from the first byte of input to the last acknowledgement, that of the
    /// observations included.
    async fn mesh(&self, kind: FeedKind, bytes: &Arc<[u8]>) -> Result<f64> {
        let options = ProducerOptions::new("bench@localhost");
        let mut producer =
            MeshProducer::open(&self.kafka, self.registry.clone(), &self.product, options).await?;
        let reader = Cursor::new(Arc::clone(bytes));
        let started = Instant::now();
        let mut input = match kind {
            FeedKind::Framed => Input::framed(reader),
            FeedKind::Json(_) => Input::json_lines(reader),
        };
        let mut feed = Feed::new(kind, None);
        feed.run(&mut input, &mut producer, |_| ControlFlow::Break(()))
            .await?;
        let took = started.elapsed();
        let counts = producer.counts();
        ensure!(
            i64::try_from(counts.accepted) == Ok(RECORDS) && counts.observations > 0,
            "not all was produced and observed: {counts:?}"
        );
        Ok(per_second(took))
    }
}

fn per_second(took: std::time::Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let records = RECORDS as f64;
    records / took.as_secs_f64()
}
