//! The service against a real Kafka, as a process of its own that is killed with SIGKILL four times, then
//! with its store garbled, and at last with all stores taken away. Half of the records are reported by their producer, the other
//! half by nobody: those the observer reads back. Whatever is killed when, the log must hold each slice
//! once and one alert, fired and resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use meshwork_freshness::{Config, Context, Service, Span};
use meshwork_kafka::{
    Admin, Assigned, From, KafkaConfig, LogReader, NewTopic, OutRecord, Producer, ProducerOptions,
    ReaderOptions, control,
};
use meshwork_model::mesh::alert::AlertState;
use meshwork_model::mesh::announcement::{CadenceKind, IndicatorKind, SloDeclaration};
use meshwork_model::mesh::observation::{
    EventTimes, LagSummary, ObservationFact, ObservationSource, OffsetRange, PartitionObservation,
    SourceKind,
};
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::mesh::{
    MeshRecord, ProductAnnouncement, SloAlert, SloSlice, SloStatus, StreamObservation,
};
use meshwork_model::slo::Severity;
use meshwork_model::time::{Clock, Timestamp};
use meshwork_model::topic::{ControlTopic, partition_for_key};
use meshwork_registry_client::{
    MeshReader, MeshWriter, RegistryClient, RegistryClientConfig, frame,
};
use meshwork_telemetry::{LoggingConfig, Readiness};
use tokio_util::sync::CancellationToken;

use crate::flights::{MINUTE, START, announcement};

const SCHEMA: &str = r#"{"type":"record","name":"Reading","fields":[{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;
/// Minutes that the test lasts.
const MINUTES: i64 = 240;
/// Minutes without a record: lag passes 30 min at the end of the minute `SILENT.start + 10 + 1`, since
/// the last record before is of the minute `SILENT.start − 20`.
const SILENT: std::ops::Range<i64> = 60..150;

/// A clock that is a file: the test sets it, the service reads it.
#[derive(Debug)]
struct FileClock(PathBuf);

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        Timestamp::from_millis(text.trim().parse().unwrap_or(START))
    }
}

fn set_clock(path: &Path, at: i64) {
    // Renamed, so that it is never read half written.
    let new = path.with_extension("new");
    std::fs::write(&new, at.to_string()).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Not a test: the process that [`killed_again_and_again`] starts.
#[test]
#[ignore = "started by another test"]
fn service_process() {
    let var = |name: &str| std::env::var(name).unwrap();
    let logging = LoggingConfig {
        level: std::env::var("FRESHNESS_LOG").unwrap_or_else(|_| "error".into()),
        ..LoggingConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let _logging = meshwork_telemetry::logging::init(&logging, "freshness").unwrap();
    let dir = PathBuf::from(var("FRESHNESS_DIR"));
    let context = Context {
        kafka: KafkaConfig::new(var("FRESHNESS_KAFKA")),
        registry: RegistryClient::new(&RegistryClientConfig::new(var("FRESHNESS_REGISTRY")))
            .unwrap(),
        clock: Arc::new(FileClock(dir.join("clock"))),
        data_dir: dir.join("data"),
        readiness: Readiness::new(),
    };
    let config = Config {
        instance: Some("test".into()),
        give_up: Duration::from_secs(86_400),
        poll_interval: Duration::from_millis(50),
        gap_stands: Duration::from_millis(300),
        span: Span::RecordTime,
        commit_every: Duration::from_millis(50),
        ..Config::default()
    };
    let (service, _handle) = Service::new(config, context).unwrap();
    runtime
        .block_on(service.run(CancellationToken::new()))
        .unwrap();
}

fn start(dir: &Path, kafka: &str, registry: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "service::service_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("FRESHNESS_DIR", dir)
        .env("FRESHNESS_KAFKA", kafka)
        .env("FRESHNESS_REGISTRY", registry)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends the service whatever becomes of the test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    kafka: KafkaConfig,
    registry: RegistryClient,
    producer: Producer,
    observations: MeshWriter<StreamObservation>,
    reading: [u8; 5],
    sequence: i64,
}

impl World {
    async fn prepare(
        kafka: KafkaConfig,
        registry: RegistryClient,
        product: &ProductAnnouncement,
    ) -> Self {
        let admin = Admin::new(&kafka).unwrap();
        let topic = NewTopic::new(&product.topic, product.partitions).with("retention.ms", "-1");
        admin.create_topic(&topic).await.unwrap();
        for topic in [ControlTopic::Catalog, ControlTopic::Observations] {
            control::ensure(&admin, topic).await.unwrap();
        }
        let subject = |topic: ControlTopic| format!("{}-value", topic.name());
        let announcements = MeshWriter::register(&registry, &subject(ControlTopic::Catalog))
            .await
            .unwrap();
        let observations = MeshWriter::register(&registry, &subject(ControlTopic::Observations))
            .await
            .unwrap();
        let reading = registry
            .register(&product.value_schema.subject, SCHEMA, &[], false)
            .await
            .unwrap();
        let world = Self {
            producer: Producer::new(&kafka, &ProducerOptions::default()).unwrap(),
            kafka,
            registry,
            observations,
            reading: frame(reading.id),
            sequence: 0,
        };
        let value = announcements.encode(product).unwrap();
        let catalog = ControlTopic::Catalog.name();
        world
            .send(catalog, 0, &product.urn.to_string(), &value, None)
            .await;
        world
    }

    async fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        value: &[u8],
        at: Option<i64>,
    ) -> i64 {
        let record = OutRecord {
            topic,
            partition: Some(partition),
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: &[],
            timestamp: at.map(Timestamp::from_millis),
        };
        self.producer.deliver(&record).await.unwrap().offset
    }

    /// A record of the product that is due at `at`, and whether its producer reports it.
    async fn publish(&mut self, topic: &str, partition: i32, at: i64, reported: bool) {
        let mut value = self.reading.to_vec();
        // Avro's long: zigzag, then seven bits a byte.
        let mut n = ((at << 1) ^ (at >> 63)).cast_unsigned();
        while n > 0x7f {
            value.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        value.push(u8::try_from(n).unwrap());
        let offset = self.send(topic, partition, "k", &value, Some(at)).await;
        if !reported {
            return;
        }
        let seen = PartitionObservation {
            topic: topic.into(),
            partition,
            offsets: vec![OffsetRange {
                from: offset,
                until: offset + 1,
            }],
            records: 1,
            event_times: Some(EventTimes {
                least: Timestamp::from_millis(at),
                greatest: Timestamp::from_millis(at),
                records: 1,
                ahead: 0,
            }),
            lag: Some(LagSummary {
                least: 0,
                greatest: 0,
                sketch: Vec::new(),
            }),
            ..PartitionObservation::default()
        };
        self.sequence += 1;
        let observation = StreamObservation {
            source: ObservationSource {
                kind: SourceKind::Produce,
                instance: "producer".into(),
                epoch: 1,
                sequence: self.sequence,
            },
            observed_at: Timestamp::from_millis(at),
            fact: ObservationFact::PartitionObservation(seen),
        };
        let value = self.observations.encode(&observation).unwrap();
        let shard = partition_for_key(topic.as_bytes(), 8);
        let observations = ControlTopic::Observations.name();
        self.send(observations, shard, &observation.key(), &value, None)
            .await;
    }

    /// All committed records of a control topic.
    async fn read<T: MeshRecord>(&self, topic: ControlTopic) -> Vec<T> {
        let admin = Admin::new(&self.kafka).unwrap();
        if admin.topic(topic.name()).await.unwrap().is_none() {
            return Vec::new();
        }
        let all = Assigned::all(&admin, topic.name(), |_| From::Beginning)
            .await
            .unwrap();
        let mut log = LogReader::start(&self.kafka, all, ReaderOptions::default()).unwrap();
        let reader = MeshReader::<T>::new(self.registry.clone());
        let mut found = Vec::new();
        loop {
            let batch = log.next(Duration::from_secs(1)).await.unwrap();
            for record in batch.records {
                found.push(reader.decode(&record.value.unwrap()).await.unwrap());
            }
            if batch.caught_up {
                return found;
            }
        }
    }

    async fn closed_until(&self) -> i64 {
        let statuses: Vec<SloStatus> = self.read(ControlTopic::SloStatus).await;
        statuses
            .iter()
            .map(|s| s.as_of.as_millis())
            .max()
            .unwrap_or(0)
    }

    async fn wait_closed(&self, until: i64) {
        let what = format!("slices up to {}", Timestamp::from_millis(until));
        meshwork_testkit::wait_until(&what, || async { self.closed_until().await >= until }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_says_the_same() {
    let kafka = tokio::task::spawn_blocking(|| meshwork_testkit::kafka().config())
        .await
        .unwrap();
    let registry_url = format!("http://{}", crate::registry::serve().await);
    let registry = RegistryClient::new(&RegistryClientConfig::new(&registry_url)).unwrap();
    let slo = SloDeclaration {
        id: "freshness".into(),
        indicator: IndicatorKind::Freshness,
        within_ms: 30 * MINUTE,
        objective: 990_000,
        window_ms: 30 * 86_400_000,
        cadence: CadenceKind::Continuous,
        every_ms: None,
        hours: None,
        severity: Severity::Page,
    };
    let product = announcement("test.readings", 2, slo);
    let mut world = World::prepare(kafka.clone(), registry, &product).await;

    let tmp = tempfile::tempdir().unwrap();
    let clock = tmp.path().join("clock");
    set_clock(&clock, START);
    let servers = kafka.bootstrap_servers.clone();
    let mut service = Running(start(tmp.path(), &servers, &registry_url));

    for minute in 0..=MINUTES {
        let now = START + minute * MINUTE;
        // A record every ten minutes, on the two partitions in turn, every other one unreported.
        if minute % 10 == 0 && !SILENT.contains(&minute) {
            let n = minute / 10;
            let partition = i32::try_from(n % 2).unwrap();
            world
                .publish(&product.topic, partition, now, n % 4 < 2)
                .await;
        }
        set_clock(&clock, now);
        match minute {
            40 => world.wait_closed(START + 20 * MINUTE).await,
            50 | 120 => {
                service.kill();
                service = Running(start(tmp.path(), &servers, &registry_url));
            }
            170 => {
                world.wait_closed(START + 140 * MINUTE).await;
                service.kill();
                let shard = partition_for_key(product.topic.as_bytes(), 8);
                let store = tmp.path().join(format!("data/freshness/shard-{shard}"));
                std::fs::write(store.join("CURRENT"), b"garbage").unwrap();
                service = Running(start(tmp.path(), &servers, &registry_url));
                // It is set aside once, and filled from the log again.
                let aside = store.with_extension("corrupt-1");
                meshwork_testkit::wait_until("the store is set aside", || async { aside.exists() })
                    .await;
            }
            190 => {
                world.wait_closed(START + 170 * MINUTE).await;
                service.kill();
                std::fs::remove_dir_all(tmp.path().join("data")).unwrap();
                service = Running(start(tmp.path(), &servers, &registry_url));
            }
            _ => {}
        }
    }
    set_clock(&clock, START + MINUTES * MINUTE + 30_000);
    world.wait_closed(START + MINUTES * MINUTE).await;
    service.kill();

    // Each minute once, and as it was.
    let slices: Vec<SloSlice> = world.read(ControlTopic::SloSlices).await;
    let mut states: BTreeMap<i64, SliceState> = BTreeMap::new();
    for run in &slices {
        for i in 0..i64::from(run.minutes) {
            let from = run.from.as_millis() + i * MINUTE;
            assert_eq!(
                states.insert(from, run.state),
                None,
                "{} twice",
                Timestamp::from_millis(from)
            );
        }
    }
    let expected: BTreeMap<i64, SliceState> = (0..MINUTES)
        .map(|minute| {
            let end = START + (minute + 1) * MINUTE;
            // The newest record that was there before the end.
            let newest = (0..=minute)
                .rev()
                .find(|m| m % 10 == 0 && !SILENT.contains(m))
                .map_or(START, |m| START + m * MINUTE);
            let good = end - newest <= 30 * MINUTE;
            let state = if good {
                SliceState::Good
            } else {
                SliceState::Bad
            };
            (START + minute * MINUTE, state)
        })
        .collect();
    assert_eq!(states, expected);
    let bad = i64::try_from(expected.values().filter(|s| **s == SliceState::Bad).count()).unwrap();
    assert_eq!(bad, 70);

    // One alert: true with the ninth bad minute, false five minutes after the last.
    let alerts: Vec<SloAlert> = world.read(ControlTopic::SloAlerts).await;
    let last_bad = START + SILENT.end * MINUTE;
    let first_bad = last_bad - (bad - 1) * MINUTE;
    let told: Vec<(AlertState, i64)> = alerts.iter().map(|a| (a.state, a.at.as_millis())).collect();
    assert_eq!(
        told,
        [
            (AlertState::Firing, first_bad + 8 * MINUTE),
            (AlertState::Resolved, last_bad + 9 * MINUTE),
        ]
    );
    assert_eq!(alerts[0].id, alerts[1].id);

    let statuses: Vec<SloStatus> = world.read(ControlTopic::SloStatus).await;
    let last = statuses.iter().max_by_key(|s| s.as_of).unwrap();
    assert_eq!(last.as_of.as_millis(), START + MINUTES * MINUTE);
    assert_eq!(
        (last.good, last.bad, last.unmeasurable),
        (MINUTES - bad, bad, 0)
    );
    assert_eq!(last.budget_left_millionths, 432_000_000 - bad * 1_000_000);
}
