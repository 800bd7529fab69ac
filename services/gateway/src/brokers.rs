//! The cluster's brokers: where each is, and where clients are told that it is. A broker gets its
//! listener before any answer names it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use meshwork_telemetry::host_name;
use parking_lot::{Mutex, RwLock};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::refusals::Refusals;
use crate::tls::BrokerNames;

/// Node ids of one cluster that are remembered beyond those that listen.
const BROKERS_MAX: usize = 10_000;

/// Which broker a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) i32);

/// A listener that has just been bound for a broker.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) node: NodeId,
    pub(crate) listener: TcpListener,
}

/// Where brokers are. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Brokers {
    /// The listener that clients bootstrap from.
    bootstrap: SocketAddr,
    advertised_host: String,
    /// Where one port serves all brokers.
    names: Option<BrokerNames>,
    max_node_id: i32,
    /// Whether node N listens at the bootstrap's port + N; else each has any free port.
    ports_are_fixed: bool,
    bootstrap_servers: Vec<String>,
    upstream: RwLock<HashMap<i32, String>>,
    local: Mutex<HashMap<i32, u16>>,
    bound: mpsc::UnboundedSender<Bound>,
}

impl Brokers {
    /// `ports_are_fixed`: whether a port was asked for (not 0). New listeners go to `bound`: at most
    /// one for each node id up to `max_node_id`.
    pub(crate) fn new(
        bootstrap: SocketAddr,
        (advertised_host, names): (String, Option<BrokerNames>),
        max_node_id: u16,
        ports_are_fixed: bool,
        bootstrap_servers: &str,
        bound: mpsc::UnboundedSender<Bound>,
    ) -> Self {
        Self {
            bootstrap,
            advertised_host,
            names,
            max_node_id: i32::from(max_node_id),
            ports_are_fixed,
            bootstrap_servers: bootstrap_servers
                .split(',')
                .map(|server| without_protocol(server.trim()).to_owned())
                .filter(|server| !server.is_empty())
                .collect(),
            upstream: RwLock::default(),
            local: Mutex::default(),
            bound,
        }
    }

    /// Where a node is reached by the gateway: `host:port`.
    pub(crate) fn upstream(&self, node: NodeId) -> Option<String> {
        self.upstream.read().get(&node.0).cloned()
    }

    /// Addresses to try for a client that has only just come, in random order: brokers that are
    /// known, then those that were configured.
    pub(crate) fn any(&self) -> Vec<String> {
        let mut known: Vec<String> = self.upstream.read().values().cloned().collect();
        fastrand::shuffle(&mut known);
        let mut configured = self.bootstrap_servers.clone();
        fastrand::shuffle(&mut configured);
        known.truncate(8);
        known.extend(configured);
        known
    }

    /// Notes where a broker is, by an answer that a broker gave.
    pub(crate) fn learn(&self, node: i32, host: &str, port: i32) {
        if node < 0 || host.is_empty() || port <= 0 {
            return;
        }
        let address = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let known = self.upstream.read().get(&node) == Some(&address);
        if known {
            return;
        }
        let mut upstream = self.upstream.write();
        if upstream.len() < BROKERS_MAX || upstream.contains_key(&node) {
            tracing::info!(node, %address, "broker learnt");
            upstream.insert(node, address);
        }
    }

    /// Where clients are told that a broker is; binds its listener first. None where it can't be
    /// served, which is said in the log.
    pub(crate) fn endpoint(&self, node: i32, refusals: &Refusals) -> Option<(String, i32)> {
        let refuse = |why: String| {
            refusals.say("broker-left-out", || {
                tracing::warn!(node, %why, "a broker is left out of what clients are told");
            });
        };
        if node < 0 {
            return None;
        }
        if let Some(names) = &self.names {
            return Some((names.host(node), i32::from(self.bootstrap.port())));
        }
        if node > self.max_node_id {
            refuse(format!(
                "its id is above gateway.service.max_node_id ({}); raise it and open the port",
                self.max_node_id
            ));
            return None;
        }
        let mut local = self.local.lock();
        let port = match local.get(&node) {
            Some(port) => *port,
            None => match self.bind(node) {
                Ok(port) => {
                    local.insert(node, port);
                    port
                }
                Err(error) => {
                    refuse(format!("its port can't be listened on: {error}"));
                    return None;
                }
            },
        };
        Some((self.advertised_host.clone(), i32::from(port)))
    }

    fn bind(&self, node: i32) -> std::io::Result<u16> {
        if self.ports_are_fixed && node == 0 {
            // Node 0's port is the one that clients bootstrap from.
            return Ok(self.bootstrap.port());
        }
        let port = if self.ports_are_fixed {
            u16::try_from(node)
                .ok()
                .and_then(|node| self.bootstrap.port().checked_add(node))
                .ok_or_else(|| std::io::Error::other("there is no port so high"))?
        } else {
            0
        };
        // Binding does not wait for anything; the listener is handed to the runtime at once.
        let listener = std::net::TcpListener::bind((self.bootstrap.ip(), port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let listener = TcpListener::from_std(listener)?;
        self.bound
            .send(Bound {
                node: NodeId(node),
                listener,
            })
            .map_err(|_| std::io::Error::other("the gateway is stopping"))?;
        Ok(port)
    }

    /// Which broker a client wants by the name that it asked for.
    pub(crate) fn of_name(&self, name: Option<&str>) -> Option<NodeId> {
        self.names.as_ref()?.node(name?)
    }

    /// Which broker the listener that clients bootstrap from stands for, if any.
    pub(crate) fn of_bootstrap(&self) -> Option<NodeId> {
        let is_node_0 =
            self.names.is_none() && self.ports_are_fixed && self.upstream.read().contains_key(&0);
        is_node_0.then_some(NodeId(0))
    }
}

/// `PLAINTEXT://host:port` as Java's clients allow it.
fn without_protocol(server: &str) -> &str {
    server.split_once("://").map_or(server, |(_, rest)| rest)
}

/// What clients are told to come to: what is configured, else the address listened on, else this
/// machine's name.
pub(crate) fn advertised_host(configured: Option<&str>, listening: IpAddr) -> String {
    match configured {
        Some(host) => host.to_owned(),
        None if listening.is_unspecified() => host_name(),
        None => listening.to_string(),
    }
}
