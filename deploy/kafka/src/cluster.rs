//! A cluster of one or three nodes on loopback.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{DevKafkaError, io};
use crate::kit::{fetch_with, unpack};
use crate::node::{Plan, Running, log_of};
use crate::port;

/// Starts anew on other ports when a free one was taken meanwhile, at most so often.
const START_TRIES: u32 = 5;
/// How long a clean stop may take: a quorum that is gone makes it wait for ever.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How long a port that was asked for may still be held by a broker that was killed a moment ago.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(3);

/// Where the script is told the nodes' ports.
const PORTS: &str = "KAFKA_PORTS";

/// How many brokers; each is broker and controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// One node; internal topics with one replica.
    #[default]
    One,
    /// Three nodes; internal topics with three replicas, two of which must be in sync.
    Three,
}

impl Nodes {
    /// As a number.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// One more listener of every node, on a free port of 127.0.0.1, beside the plain one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in capitals. Its own settings begin with `listener.name.`, the name in small
    /// letters and a dot.
    pub name: String,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: String,
    /// Ports of 127.0.0.1 that clients are told, by node, where something of the caller's stands
    /// before the brokers. Empty: the listener's own.
    pub advertised: Vec<u16>,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct DevKafkaOptions {
    /// Where the brokers keep everything: data, settings, logs. Created if it is not there.
    pub data_dir: PathBuf,
    /// One node or three. A directory stays with the number it was made for.
    pub nodes: Nodes,
    /// Port of node 1 on 127.0.0.1; the others have the next ones. `None` takes free ones.
    pub port: Option<u16>,
    /// More listeners; what logins and certificates they need is in `settings`.
    pub listeners: Vec<Listener>,
    /// More lines for `server.properties`; they win over our own.
    pub settings: BTreeMap<String, String>,
    /// Heap of one node, MiB; by default 512, or 384 each for three.
    pub heap_mib: Option<u32>,
    /// Remove `data_dir` when the cluster is dropped or this process is gone, however that comes
    /// about. For tests.
    pub discard: bool,
    /// How long a node has until it serves. 240 s by default: three nodes on two cores that are
    /// busy with something else have taken more than 120 s.
    pub start_within: Duration,
}

impl DevKafkaOptions {
    /// One node on a free port with its data in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            nodes: Nodes::One,
            port: None,
            listeners: Vec::new(),
            settings: BTreeMap::new(),
            heap_mib: None,
            discard: false,
            start_within: Duration::from_secs(240),
        }
    }
}

/// A running cluster. Dropping it kills the brokers (SIGKILL; what they acknowledged is on disk and
/// comes back); [`DevKafka::stop`] stops them cleanly. They also end when this process ends, however
/// that comes about.
#[derive(Debug)]
pub struct DevKafka {
    options: DevKafkaOptions,
    ports: Vec<AtomicU16>,
    /// Of each node, in the order of `options.listeners`.
    more_ports: Vec<Vec<u16>>,
    nodes: Vec<Mutex<Slot>>,
}

#[derive(Debug)]
struct Slot {
    plan: Plan,
    running: Option<Running>,
}

impl DevKafka {
    /// Fetches Kafka if need be, formats storage if need be, starts every node and waits until all
    /// serve.
    ///
    /// # Errors
    /// See [`DevKafkaError`]; no broker is left behind then.
    pub fn start(options: DevKafkaOptions) -> Result<Self, DevKafkaError> {
        std::fs::create_dir_all(&options.data_dir)
            .map_err(io(format!("create {}", options.data_dir.display())))?;
        let mut options = options;
        options.data_dir = options
            .data_dir
            .canonicalize()
            .map_err(io(format!("find {}", options.data_dir.display())))?;
        let script = unpack(&options.data_dir)?;
        let libs = fetch_with(&script)?;
        let mut tries = 1;
        loop {
            match Self::start_once(&options, &script, &libs) {
                Err(DevKafkaError::Ended { said, .. })
                    if options.port.is_none() && tries < START_TRIES && is_port_taken(&said) =>
                {
                    tracing::debug!(tries, "a free port was taken meanwhile; trying others");
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    fn start_once(
        options: &DevKafkaOptions,
        script: &Path,
        libs: &Path,
    ) -> Result<Self, DevKafkaError> {
        let n = options.nodes.count();
        let (ports, controllers) = choose_ports(options.port, n)?;
        let more_ports = more_ports(options, &[&ports[..], &controllers[..]].concat())?;
        let mut env = vec![
            ("KAFKA_NODES", n.to_string()),
            (PORTS, comma_separated(&ports)),
            ("KAFKA_CONTROLLER_PORTS", comma_separated(&controllers)),
            ("KAFKA_LIBS", libs.display().to_string()),
            ("KAFKA_SETTINGS", lines(&options.settings)),
            ("KAFKA_DISCARD", u8::from(options.discard).to_string()),
        ];
        if let Some(heap) = options.heap_mib {
            env.push(("KAFKA_HEAP", heap.to_string()));
        }
        let nodes = (1..=n)
            .map(|node| {
                let mut env = env.clone();
                let own = node.checked_sub(1).and_then(|i| more_ports.get(i));
                env.extend(more_env(options, node, own.map_or(&[], Vec::as_slice)));
                let plan = Plan {
                    node,
                    script: script.to_owned(),
                    data_dir: options.data_dir.clone(),
                    env,
                };
                let running = Running::start(&plan)?;
                Ok(Mutex::new(Slot {
                    plan,
                    running: Some(running),
                }))
            })
            .collect::<Result<Vec<_>, DevKafkaError>>()?;
        let cluster = Self {
            options: options.clone(),
            ports: ports.into_iter().map(AtomicU16::new).collect(),
            more_ports,
            nodes,
        };
        let deadline = Instant::now() + options.start_within;
        for slot in &cluster.nodes {
            if let Some(running) = &mut lock(slot).running {
                running.wait_serving(deadline, options.start_within)?;
            }
        }
        tracing::info!(
            bootstrap_servers = cluster.bootstrap_servers(),
            data_dir = %cluster.options.data_dir.display(),
            "kafka serves"
        );
        Ok(cluster)
    }

    /// Addresses of all nodes, comma-separated: `127.0.0.1:9092,…`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.ports
            .iter()
            .map(|port| format!("127.0.0.1:{}", port.load(Ordering::Relaxed)))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Addresses of all nodes at one of `options.listeners`, by its name.
    #[must_use]
    pub fn bootstrap_servers_of(&self, listener: &str) -> Option<String> {
        let mut listeners = self.options.listeners.iter();
        let at = listeners.position(|l| l.name == listener)?;
        let ports = self.more_ports.iter().filter_map(|of_node| of_node.get(at));
        let addresses: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        Some(addresses.join(","))
    }

    /// Port of `node` (from 1).
    #[must_use]
    pub fn port(&self, node: usize) -> Option<u16> {
        let port = self.ports.get(node.checked_sub(1)?)?;
        Some(port.load(Ordering::Relaxed))
    }

    /// Port of `node` (from 1) at one of `options.listeners`, by its name: its own, not the one
    /// that clients are told.
    #[must_use]
    pub fn port_of(&self, listener: &str, node: usize) -> Option<u16> {
        let mut listeners = self.options.listeners.iter();
        let at = listeners.position(|l| l.name == listener)?;
        self.more_ports.get(node.checked_sub(1)?)?.get(at).copied()
    }

    /// How many nodes the cluster has, running or not.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Where the brokers keep everything.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Log of `node` (from 1) since its last start.
    #[must_use]
    pub fn log_file(&self, node: usize) -> PathBuf {
        log_of(&self.options.data_dir, node)
    }

    /// Process id of the broker `node` (from 1) while it runs.
    #[must_use]
    pub fn pid(&self, node: usize) -> Option<u32> {
        let mut slot = lock(self.slot(node).ok()?);
        slot.running.as_mut().filter(|r| r.pid().is_some())?;
        let running = slot.running.as_mut()?;
        if running.alive() { running.pid() } else { None }
    }

    /// SIGKILL to `node` (from 1); returns when it is gone. Nothing happens if it is not running.
    ///
    /// The page cache survives: this tests a crash of the broker, never of the machine.
    ///
    /// # Errors
    /// [`DevKafkaError::NoSuchNode`].
    pub fn kill(&self, node: usize) -> Result<(), DevKafkaError> {
        if let Some(running) = lock(self.slot(node)?).running.take() {
            running.kill();
        }
        Ok(())
    }

    /// SIGSTOP to `node` (from 1): it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// If there is no such node or it is not running.
    pub fn pause(&self, node: usize) -> Result<(), DevKafkaError> {
        self.tell(node, "pause")
    }

    /// SIGCONT to `node` (from 1).
    ///
    /// # Errors
    /// If there is no such node or it is not running.
    pub fn resume(&self, node: usize) -> Result<(), DevKafkaError> {
        self.tell(node, "resume")
    }

    /// Stops `node` (from 1) cleanly; one that takes longer than 30 s is killed. Nothing happens if
    /// it is not running.
    ///
    /// # Errors
    /// [`DevKafkaError::NoSuchNode`].
    pub fn stop_node(&self, node: usize) -> Result<(), DevKafkaError> {
        if let Some(mut running) = lock(self.slot(node)?).running.take() {
            stop_running(&mut running);
        }
        Ok(())
    }

    /// Starts `node` (from 1) again, on its old port and data, and waits until it serves. Nothing
    /// happens if it runs.
    ///
    /// # Errors
    /// See [`DevKafkaError`].
    pub fn start_node(&self, node: usize) -> Result<(), DevKafkaError> {
        let mut slot = lock(self.slot(node)?);
        if slot.running.as_mut().is_some_and(Running::alive) {
            return Ok(());
        }
        let mut running = Running::start(&slot.plan)?;
        let limit = self.options.start_within;
        running.wait_serving(Instant::now() + limit, limit)?;
        slot.running = Some(running);
        Ok(())
    }

    /// Stops `node` (from 1) cleanly and starts it on another port, under the id and with the data
    /// that it had; gives the port once it serves.
    ///
    /// # Errors
    /// See [`DevKafkaError`].
    pub fn move_node(&self, node: usize) -> Result<u16, DevKafkaError> {
        self.stop_node(node)?;
        // Of two, one is another than it had.
        let to = port::free(2)?
            .into_iter()
            .find(|port| Some(*port) != self.port(node))
            .unwrap_or_default();
        if let Some(port) = self.ports.get(node.saturating_sub(1)) {
            port.store(to, Ordering::Relaxed);
        }
        let ports: Vec<u16> = self
            .ports
            .iter()
            .map(|port| port.load(Ordering::Relaxed))
            .collect();
        for (name, value) in &mut lock(self.slot(node)?).plan.env {
            if *name == PORTS {
                *value = comma_separated(&ports);
            }
        }
        self.start_node(node)?;
        Ok(to)
    }

    /// Stops every node cleanly, all at once; one that takes longer than 30 s is killed.
    pub fn stop(&self) {
        let mut all: Vec<Running> = self
            .nodes
            .iter()
            .filter_map(|slot| lock(slot).running.take())
            .collect();
        for running in &mut all {
            let _ = running.tell("stop");
        }
        for running in &mut all {
            running.wait_ended(STOP_WITHIN);
        }
    }

    fn tell(&self, node: usize, word: &'static str) -> Result<(), DevKafkaError> {
        match &mut lock(self.slot(node)?).running {
            Some(running) => running.tell(word),
            None => Err(DevKafkaError::NotRunning { node }),
        }
    }

    fn slot(&self, node: usize) -> Result<&Mutex<Slot>, DevKafkaError> {
        node.checked_sub(1)
            .and_then(|i| self.nodes.get(i))
            .ok_or(DevKafkaError::NoSuchNode {
                node,
                nodes: self.nodes.len(),
            })
    }
}

impl Drop for DevKafka {
    fn drop(&mut self) {
        for slot in &self.nodes {
            drop(lock(slot).running.take());
        }
        if self.options.discard {
            // The wrappers did it, unless every node had been stopped before.
            let _ = std::fs::remove_dir_all(&self.options.data_dir);
        }
    }
}

fn stop_running(running: &mut Running) {
    if running.tell("stop").is_ok() {
        running.wait_ended(STOP_WITHIN);
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn choose_ports(port: Option<u16>, n: usize) -> Result<(Vec<u16>, Vec<u16>), DevKafkaError> {
    let Some(first) = port.filter(|port| *port != 0) else {
        let mut ports = port::free(2 * n)?;
        let controllers = ports.split_off(n);
        return Ok((ports, controllers));
    };
    let mut ports = Vec::with_capacity(n);
    for (port, node) in (first..=u16::MAX).zip(1..=n) {
        if !port::wait_free(port, PORT_FREE_WITHIN) {
            return Err(DevKafkaError::PortTaken { node, port });
        }
        ports.push(port);
    }
    if ports.len() < n {
        return Err(DevKafkaError::NoFreePort { tries: 1 });
    }
    let controllers = port::free(2 * n)?
        .into_iter()
        .filter(|port| !ports.contains(port))
        .take(n)
        .collect();
    Ok((ports, controllers))
}

/// Free ports for the further listeners, by node, none of them among `taken`.
fn more_ports(options: &DevKafkaOptions, taken: &[u16]) -> Result<Vec<Vec<u16>>, DevKafkaError> {
    let (nodes, each) = (options.nodes.count(), options.listeners.len());
    if each == 0 {
        return Ok(Vec::new());
    }
    let free = port::free(nodes * each + taken.len())?;
    let free: Vec<u16> = free.into_iter().filter(|p| !taken.contains(p)).collect();
    Ok(free.chunks(each).take(nodes).map(<[u16]>::to_vec).collect())
}

fn more_env(options: &DevKafkaOptions, node: usize, ports: &[u16]) -> [(&'static str, String); 3] {
    let mut env = [
        ("KAFKA_MORE_LISTENERS", String::new()),
        ("KAFKA_MORE_ADVERTISED", String::new()),
        ("KAFKA_MORE_PROTOCOLS", String::new()),
    ];
    for (listener, port) in options.listeners.iter().zip(ports) {
        let [(_, listeners), (_, advertised), (_, protocols)] = &mut env;
        let (name, protocol) = (&listener.name, &listener.protocol);
        let told = node.checked_sub(1).and_then(|i| listener.advertised.get(i));
        listeners.push_str(&format!(",{name}://127.0.0.1:{port}"));
        advertised.push_str(&format!(",{name}://127.0.0.1:{}", told.unwrap_or(port)));
        protocols.push_str(&format!(",{name}:{protocol}"));
    }
    env
}

fn comma_separated(ports: &[u16]) -> String {
    ports
        .iter()
        .map(u16::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn lines(settings: &BTreeMap<String, String>) -> String {
    settings
        .iter()
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect()
}

fn is_port_taken(said: &str) -> bool {
    said.contains("Address already in use") || said.contains("BindException")
}
