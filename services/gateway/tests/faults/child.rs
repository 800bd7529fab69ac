//! A gateway as a process of its own, to be killed: this test binary, run once more.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use meshwork_gateway::{Config, Context, Service};
use meshwork_kafka::{KafkaConfig, Producer, ProducerOptions, control};
use meshwork_model::time::WallClock;
use meshwork_model::topic::ControlTopic;
use meshwork_model::units::HumanDuration;
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_testkit::{free_ports_in_a_row, kafka, registry_url, wait_until};
use tokio_util::sync::CancellationToken;

/// Set for the child: where it listens, and what it stands on.
const LISTEN: &str = "MESHWORK_TEST_LISTEN";
const BROKERS: &str = "MESHWORK_TEST_BROKERS";
const REGISTRY: &str = "MESHWORK_TEST_REGISTRY";
/// A file that is there once it serves.
const SERVES: &str = "MESHWORK_TEST_SERVES";

/// Not a test of its own: what the child runs. Elsewhere there is nothing to do.
#[test]
fn child_gateway() {
    let Ok(listen) = std::env::var(LISTEN) else {
        return;
    };
    // It goes when its parent does, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind(&listen).await.unwrap();
        let readiness = Readiness::new();
        let registry = RegistryClientConfig::new(std::env::var(REGISTRY).unwrap());
        let context = Context {
            kafka: KafkaConfig::new(std::env::var(BROKERS).unwrap()),
            registry: RegistryClient::new(&registry).unwrap(),
            clock: Arc::new(WallClock),
            readiness: readiness.clone(),
            metrics: Metrics::new(),
            ports_are_fixed: true,
        };
        let config = Config {
            observe_every: HumanDuration::from_millis(50),
            ..Config::default()
        };
        let service = Service::new(config, context, listener).unwrap();
        let running = tokio::spawn(service.run(CancellationToken::new()));
        readiness.ready().await;
        std::fs::write(std::env::var(SERVES).unwrap(), "").unwrap();
        running.await.unwrap().unwrap();
    });
}

/// A running child.
pub(crate) struct Child {
    process: std::process::Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Child {
    /// Starts one and waits until it serves.
    pub(crate) async fn start() -> Self {
        control::ensure(&kafka().admin(), ControlTopic::Catalog)
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        // Its own, and one for each of up to three brokers.
        let port = free_ports_in_a_row(4).unwrap();
        let process = spawn(port, &serves(&dir));
        let child = Self { process, port, dir };
        child.served().await;
        child
    }

    /// SIGKILL, and another in its place.
    pub(crate) async fn kill_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::fs::remove_file(serves(&self.dir)).unwrap();
        self.process = spawn(self.port, &serves(&self.dir));
        self.served().await;
    }

    async fn served(&self) {
        wait_until("the gateway to serve", || async {
            serves(&self.dir).exists()
        })
        .await;
    }

    /// Where clients bootstrap from; node N is at N more.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn producer(&self) -> Producer {
        let config = KafkaConfig::new(format!("127.0.0.1:{}", self.port));
        Producer::new(&config, &ProducerOptions::default()).unwrap()
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn most_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse().unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serves(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("serves")
}

fn spawn(port: u16, serves: &std::path::Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child::child_gateway", "--exact", "--nocapture"])
        .env(LISTEN, format!("127.0.0.1:{port}"))
        .env(BROKERS, kafka().bootstrap_servers())
        .env(REGISTRY, registry_url())
        .env(SERVES, serves)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
