//! What can go wrong with a broker of our own, and how to mend it.

use std::path::PathBuf;
use std::time::Duration;

/// Why Kafka could not be fetched, started or steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevKafkaError {
    /// A file or process of ours could not be made.
    #[error("could not {what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Java, Maven or another tool is missing, the download failed, or its checksums differ.
    #[error("could not fetch Apache Kafka: {said}")]
    Fetch {
        /// Last lines of what `kafka.sh` said; names what to install.
        said: String,
    },
    /// A broker ended before it served.
    #[error("kafka node {node} ended before it served: {said}\n(its log: {})", log.display())]
    Ended {
        /// Node, from 1.
        node: usize,
        /// Last lines of what the wrapper said and of the broker's log.
        said: String,
        /// The broker's whole log.
        log: PathBuf,
    },
    /// A port that was asked for is in use.
    #[error(
        "kafka node {node} can't listen on 127.0.0.1:{port}: the port is taken; stop what uses it \
         or choose another"
    )]
    PortTaken {
        /// Node, from 1.
        node: usize,
        /// The port.
        port: u16,
    },
    /// No free ports were found.
    #[error("no free port found on 127.0.0.1 after {tries} tries")]
    NoFreePort {
        /// Ports tried.
        tries: u32,
    },
    /// A broker did not serve, stop or answer in time.
    #[error("kafka node {node} did not {what} within {} s: {said}\n(its log: {})", waited.as_secs(), log.display())]
    TimedOut {
        /// Node, from 1.
        node: usize,
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
        /// Last lines of its log.
        said: String,
        /// The broker's whole log.
        log: PathBuf,
    },
    /// A node was asked for that is not there.
    #[error("there is no kafka node {node}: this cluster has nodes 1 to {nodes}")]
    NoSuchNode {
        /// The number asked for.
        node: usize,
        /// Nodes of the cluster.
        nodes: usize,
    },
    /// A node that is not running can't be paused, resumed or stopped.
    #[error("kafka node {node} is not running")]
    NotRunning {
        /// Node, from 1.
        node: usize,
    },
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> DevKafkaError {
    let what = what.into();
    move |source| DevKafkaError::Io { what, source }
}
