//! Clusters.

use std::path::Path;
use std::sync::OnceLock;

use meshwork_dev_kafka::{DevKafka, DevKafkaOptions, Nodes};
use meshwork_kafka::{Admin, KafkaConfig};
use meshwork_model::text::with_causes;

/// A cluster of real Kafka brokers with a temporary directory, gone with the process or when
/// dropped.
#[derive(Debug)]
pub struct Cluster {
    dev: DevKafka,
}

/// The test binary's shared cluster of one node, started by the first who asks. Tests share it, so
/// they take [`crate::unique`] names, and leave killing and pausing to clusters of their own.
///
/// # Panics
/// If Kafka can't be had, with the reason; then also for everyone who asks later.
#[must_use]
pub fn kafka() -> &'static Cluster {
    shared(|_, _| {})
}

/// The shared cluster, with other options if nobody has started it yet.
pub(crate) fn shared(change: impl FnOnce(&Path, &mut DevKafkaOptions)) -> &'static Cluster {
    static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    match SHARED.get_or_init(|| Cluster::try_start(Nodes::One, change)) {
        Ok(cluster) => cluster,
        Err(why) => panic!("no Kafka for tests: {why}"),
    }
}

impl Cluster {
    /// Starts a cluster of one's own, to kill and pause.
    ///
    /// # Panics
    /// If Kafka can't be had, with the reason.
    #[must_use]
    pub fn start(nodes: Nodes) -> Self {
        match Self::try_start(nodes, |_, _| {}) {
            Ok(cluster) => cluster,
            Err(why) => panic!("no Kafka for tests: {why}"),
        }
    }

    fn try_start(
        nodes: Nodes,
        change: impl FnOnce(&Path, &mut DevKafkaOptions),
    ) -> Result<Self, String> {
        let dir = tempfile::Builder::new()
            .prefix("meshwork-test-kafka-")
            .tempdir()
            .map_err(|e| format!("no temporary directory: {e}"))?;
        let dir = dir.keep();
        let mut options = DevKafkaOptions::new(&dir);
        options.nodes = nodes;
        change(&dir, &mut options);
        // Tests end in many ways; the wrapper removes the directory in all of them.
        options.discard = true;
        let dev = DevKafka::start(options).map_err(|e| with_causes(&e))?;
        Ok(Self { dev })
    }

    /// The brokers themselves: kill, pause, resume, start, stop.
    #[must_use]
    pub fn dev(&self) -> &DevKafka {
        &self.dev
    }

    /// `127.0.0.1:port,…` of all brokers.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.dev.bootstrap_servers()
    }

    /// How clients reach it.
    #[must_use]
    pub fn config(&self) -> KafkaConfig {
        KafkaConfig::new(self.bootstrap_servers())
    }

    /// A new admin client.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn admin(&self) -> Admin {
        match Admin::new(&self.config()) {
            Ok(admin) => admin,
            Err(e) => panic!("no admin client: {e}"),
        }
    }
}
