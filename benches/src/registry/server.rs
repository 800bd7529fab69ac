//! Servers that are measured.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meshwork_dev_kafka::free_ports;
use serde::Deserialize;

use super::load::ask;
use super::wire;
use crate::process::{Process, meshwork};

/// Longest start of a server: twice the goal of the slowest.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server process.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Process,
    /// Where it answers.
    pub(super) address: SocketAddr,
    /// From its start to its first answer.
    pub(super) ready_after: Duration,
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
        let mut command = Command::new(meshwork()?);
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
        let port = free_ports(1)?.pop().context("no port")?;
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
        command: Command,
        dir: &Path,
        find: impl Fn() -> Option<SocketAddr>,
        path: &str,
    ) -> Result<Self> {
        let started = Instant::now();
        let mut process = Process::start(command, dir)?;
        let request = wire::request("GET", path, None);
        loop {
            if let Some(address) = find()
                && ask(address, &request).is_ok()
            {
                let ready_after = started.elapsed();
                return Ok(Self {
                    process,
                    address,
                    ready_after,
                });
            }
            process.runs()?;
            ensure!(
                started.elapsed() < PATIENCE,
                "a server is not ready after {PATIENCE:?}: {}",
                process.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
