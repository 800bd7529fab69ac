//! What stands between the load and the broker, each a process of its own: our gateway, or
//! Kroxylicious.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meshwork_kafka::{Admin, KafkaConfig};
use serde::Deserialize;

/// Longest start.
const PATIENCE: Duration = Duration::from_secs(120);
/// Clock ticks a second in `/proc`: `USER_HZ`, which is 100 on every Linux.
const TICKS: f64 = 100.0;
/// Node ids that Kroxylicious gives ports to.
const NODES: u16 = 4;

/// A proxy that is measured. Ended with the bench.
#[derive(Debug)]
pub(super) struct Proxy {
    child: Child,
    log: PathBuf,
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
        let program = std::env::current_exe()?.with_file_name("meshwork");
        ensure!(
            program.exists(),
            "{} is not built: run `cargo build --release -p meshwork` first, as `make bench` does",
            program.display()
        );
        let mut command = Command::new(program);
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
        let port = free_ports()?;
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
        mut command: Command,
        dir: &Path,
        ready: impl Fn() -> Option<SocketAddr>,
    ) -> Result<Self> {
        let log = dir.join("log");
        let out = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("can't run {}", command.get_program().display()))?;
        let mut proxy = Self {
            child,
            log,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let started = Instant::now();
        loop {
            if let Some(bootstrap) = ready() {
                // Asked for the brokers, it learns them, and says where it serves them.
                let config = KafkaConfig::new(bootstrap.to_string());
                let cluster = Admin::new(&config)?.cluster().await?;
                let broker = cluster.brokers.first().context("no broker")?;
                proxy.address = format!("{}:{}", broker.host, broker.port)
                    .replace("localhost", "127.0.0.1")
                    .parse()?;
                return Ok(proxy);
            }
            if let Some(status) = proxy.child.try_wait()? {
                bail!("a proxy ended with {status}: {}", proxy.said());
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "a proxy is not ready after {PATIENCE:?}: {}",
                proxy.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The last that it logged.
    fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(10)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// CPU time that it has used, in seconds.
    ///
    /// # Errors
    /// It has ended, or this is no Linux.
    pub(super) fn cpu(&self) -> Result<f64> {
        let file = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&file).with_context(|| format!("can't read {file}"))?;
        // Behind the name, which may have spaces in it: `utime` and `stime` are fields 14 and 15.
        let (_, fields) = text.rsplit_once(')').context("no name in /proc")?;
        let ticks: f64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum();
        Ok(ticks / TICKS)
    }

    /// Resident memory, MiB.
    ///
    /// # Errors
    /// As [`Proxy::cpu`].
    pub(super) fn memory(&self) -> Result<f64> {
        let file = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&file).with_context(|| format!("can't read {file}"))?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.context("no VmRSS")? / 1024.0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// The first of ports that were free a moment ago: one to bootstrap from, one for each node.
fn free_ports() -> Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let all = first.checked_add(NODES + 1).is_some_and(|end| {
            (first..=end).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        });
        if all {
            return Ok(first);
        }
    }
    bail!("there are no {} free ports in a row", NODES + 2)
}
