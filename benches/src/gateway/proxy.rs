//! What stands between the load and the broker, each a process of its own: our gateway, or
//! Kroxylicious.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meshwork_dev_kafka::free_ports_in_a_row;
use meshwork_kafka::{Admin, KafkaConfig};
use serde::Deserialize;

use crate::process::{Process, meshwork};

/// Longest start.
const PATIENCE: Duration = Duration::from_secs(120);
/// Node ids that Kroxylicious gives ports to.
const NODES: u16 = 4;

/// A proxy that is measured.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) process: Process,
    /// Where the broker is reached through it.
    pub(super) address: SocketAddr,
}

/// What `meshwork run` writes to its `--addresses-file`.
#[derive(Deserialize)]
struct Addresses {
    gateway: SocketAddr,
    admin: String,
}

impl Proxy {
    /// `meshwork run --role gateway`, which writes what it observed as often as said.
    ///
    /// # Errors
    /// It can't be run, ends, or is not ready in time.
    pub(super) async fn gateway(
        kafka: &str,
        registry: &str,
        observe_every: &str,
        dir: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let addresses = dir.join("addresses.json");
        let config = dir.join("meshwork.yaml");
        fs::write(
            &config,
            format!(
                "gateway:\n  service:\n    observe_every: {observe_every}\n    max_connections_per_address: 2000\n"
            ),
        )?;
        let mut command = Command::new(meshwork()?);
        command
            .arg("--config")
            .arg(&config)
            .args(["run", "--role", "gateway", "--bootstrap-server", kafka])
            .args(["--registry-url", registry])
            .args(["--gateway-listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(dir.join("state"))
            .arg("--addresses-file")
            .arg(&addresses);
        let ready = || {
            let text = fs::read(&addresses).ok()?;
            let found: Addresses = serde_json::from_slice(&text).ok()?;
            is_ready(found.admin.strip_prefix("http://")?).then_some(found.gateway)
        };
        Self::start(command, dir, ready).await
    }

    /// Kroxylicious on a configuration's filters.
    ///
    /// # Errors
    /// As [`Proxy::gateway`].
    pub(super) async fn kroxylicious(
        app: &Path,
        kafka: &str,
        filters: &str,
        dir: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let port = free_ports_in_a_row(usize::from(NODES) + 2)?;
        let config = dir.join("kroxylicious.yaml");
        fs::write(
            &config,
            format!(
                r"virtualClusters:
  - name: bench
    targetCluster:
      bootstrapServers: {kafka}
    gateways:
      - name: plain
        portIdentifiesNode:
          bootstrapAddress: 127.0.0.1:{port}
          nodeIdRanges:
            - name: nodes
              start: 0
              end: {NODES}
{filters}"
            ),
        )?;
        let mut command = Command::new("java");
        command
            .args(["-Xmx512m", "-cp"])
            .arg(format!("{0}:{0}/libs/*", app.display()))
            .arg("Proxy")
            .arg(&config);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let ready = || TcpStream::connect(address).is_ok().then_some(address);
        Self::start(command, dir, ready).await
    }

    async fn start(
        command: Command,
        dir: &Path,
        ready: impl Fn() -> Option<SocketAddr>,
    ) -> Result<Self> {
        let mut process = Process::start(command, dir)?;
        let started = Instant::now();
        let bootstrap = loop {
            if let Some(bootstrap) = ready() {
                break bootstrap;
            }
            process.runs()?;
            ensure!(
                started.elapsed() < PATIENCE,
                "a proxy is not ready after {PATIENCE:?}: {}",
                process.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        // Asked for the brokers, it learns them, and says where it serves them.
        let config = KafkaConfig::new(bootstrap.to_string());
        let cluster = Admin::new(&config)?.cluster().await?;
        let broker = cluster.brokers.first().context("no broker")?;
        let address = format!("{}:{}", broker.host, broker.port)
            .replace("localhost", "127.0.0.1")
            .parse()?;
        Ok(Self { process, address })
    }
}

fn is_ready(admin: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /ready HTTP/1.0\r\nhost: {admin}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}
