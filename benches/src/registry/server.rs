//! Servers that are measured: each a process of its own, ended with the bench.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::load::ask;
use super::wire;

/// Longest start of a server: twice the goal of the slowest.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server process.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    log: PathBuf,
    /// Where it answers.
    pub(super) address: SocketAddr,
    /// From its start to its first answer.
    pub(super) ready_after: Duration,
}

/// Memory of a process, MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Resident now.
    pub(super) now: f64,
    /// The most that was ever resident.
    pub(super) peak: f64,
}

/// What `meshwork run` writes to its `--addresses-file`.
#[derive(Deserialize)]
struct Addresses {
    registry: String,
}

impl Server {
    /// `meshwork run --role registry` on a topic, with its state in `dir`. It is ready once it
    /// answers 200 to a GET of `path`.
    ///
    /// # Errors
    /// It can't be run, ends, or is not ready in time.
    pub(super) fn registry(kafka: &str, topic: &str, dir: &Path, path: &str) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let addresses = dir.join("addresses.json");
        let _ = fs::remove_file(&addresses);
        let config = dir.join("meshwork.yaml");
        fs::write(
            &config,
            format!("registry:\n  service:\n    topic: \"{topic}\"\n"),
        )?;
        let mut command = Command::new(beside("meshwork")?);
        command
            .arg("--config")
            .arg(&config)
            .args(["run", "--role", "registry", "--bootstrap-server", kafka])
            .args(["--registry-listen", "127.0.0.1:0"])
            .args([
                "--http-listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .arg("--data-dir")
            .arg(dir.join("state"))
            .arg("--addresses-file")
            .arg(&addresses);
        let find = || {
            let text = fs::read(&addresses).ok()?;
            let found: Addresses = serde_json::from_slice(&text).ok()?;
            found.registry.strip_prefix("http://")?.parse().ok()
        };
        Self::start(command, dir, find, path)
    }

    /// This program as a bare server; [`super::bare`] is what it runs then.
    ///
    /// # Errors
    /// As [`Server::registry`].
    pub(super) fn bare(answer: &[u8], dir: &Path, path: &str) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let file = dir.join("answer.json");
        fs::write(&file, answer)?;
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(super::bare::ARGUMENT)
            .arg(file)
            .arg(port.to_string());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self::start(command, dir, || Some(address), path)
    }

    /// Any other server at a known address.
    ///
    /// # Errors
    /// As [`Server::registry`].
    pub(super) fn other(command: Command, port: u16, dir: &Path, path: &str) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self::start(command, dir, || Some(address), path)
    }

    fn start(
        mut command: Command,
        dir: &Path,
        find: impl Fn() -> Option<SocketAddr>,
        path: &str,
    ) -> Result<Self> {
        let log = dir.join("log");
        let out = File::create(&log)?;
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("can't run {}", command.get_program().display()))?;
        let mut server = Self {
            child,
            log,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ready_after: Duration::ZERO,
        };
        let request = wire::request("GET", path, None);
        loop {
            if let Some(address) = find() {
                server.address = address;
                if ask(address, &request).is_ok() {
                    server.ready_after = started.elapsed();
                    return Ok(server);
                }
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("a server ended with {status}: {}", server.said());
            }
            if started.elapsed() > PATIENCE {
                bail!(
                    "a server is not ready after {PATIENCE:?}: {}",
                    server.said()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
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

    /// Its memory, as the kernel counts it.
    ///
    /// # Errors
    /// It has ended, or this is no Linux.
    pub(super) fn memory(&self) -> Result<Memory> {
        let file = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&file).with_context(|| format!("can't read {file}"))?;
        let field = |name: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(name))?;
            let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib / 1024.0)
        };
        match (field("VmRSS:"), field("VmHWM:")) {
            (Some(now), Some(peak)) => Ok(Memory { now, peak }),
            _ => bail!("{file} does not tell the memory"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // As on `kill -9`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that cargo has built beside this one.
fn beside(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if !program.exists() {
        bail!(
            "{} is not built: run `cargo build --release -p meshwork` first, as `make bench` does",
            program.display()
        );
    }
    Ok(program)
}

/// A port that was free a moment ago, for servers that can't say which one they took.
///
/// # Errors
/// There is none.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
