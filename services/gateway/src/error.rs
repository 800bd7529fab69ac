//! Why the gateway can't run, and why a connection ends.

use std::net::SocketAddr;

use meshwork_kafka::KafkaError;
use meshwork_kafka::control::ControlTopicError;
use meshwork_wire::protocol::{FrameError, WireError};

/// Why the gateway can't run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Kafka can't be used as it is.
    #[error("the gateway can't work with the Kafka cluster")]
    Kafka(#[from] KafkaError),
    /// A control topic can't be used as it is.
    #[error("the gateway can't use a control topic")]
    ControlTopic(#[from] ControlTopicError),
    /// A listener gave up.
    #[error("the gateway can't accept connections at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file of `gateway.service.tls` or `upstream_tls` can't be used.
    #[error(transparent)]
    Tls(#[from] meshwork_tls::FileError),
    /// A part of it ended by itself.
    #[error("a part of the gateway ended by itself")]
    Ended {
        /// What it panicked with, if it did.
        #[source]
        panic: Option<tokio::task::JoinError>,
    },
    /// A configuration that can't hold.
    #[error("gateway.service.{key}: {why}")]
    Config {
        /// Which key.
        key: &'static str,
        /// What is wrong with it and how to mend it.
        why: String,
    },
}

/// Why a connection ended, as far as it is worth a line in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The client's side can't be read or written.
    #[error("the client's connection failed")]
    Client(#[source] std::io::Error),
    /// The broker's side.
    #[error("the connection to {broker} failed")]
    Broker {
        broker: String,
        #[source]
        source: std::io::Error,
    },
    /// The broker closed where it owed answers.
    #[error("{broker} closed the connection with {waiting} answers missing")]
    BrokerClosed { broker: String, waiting: usize },
    /// A frame that is none.
    #[error("the client sent what is no frame")]
    Frame(#[from] FrameError),
    /// A frame of the broker's that is none.
    #[error("{broker} sent what is no frame")]
    BrokerFrame {
        broker: String,
        #[source]
        source: FrameError,
    },
    /// A request that can't be read.
    #[error("{api} version {version} can't be read")]
    Request {
        api: &'static str,
        version: i16,
        #[source]
        source: WireError,
    },
    /// An answer that can't be read.
    #[error("the answer to {api} version {version} can't be read")]
    Answer {
        api: &'static str,
        version: i16,
        #[source]
        source: WireError,
    },
    /// An answer to another request than the oldest one.
    #[error("the broker answered request {got} where {wanted} was the oldest")]
    OutOfStep { wanted: i32, got: i32 },
    /// An API that is not passed on, or not in this version.
    #[error("{api} ({key}) version {version} is not passed on here")]
    Hidden {
        api: &'static str,
        key: i16,
        version: i16,
    },
    /// A message that can't be made.
    #[error("{api} can't go on: {what}")]
    Own { api: &'static str, what: String },
    /// The client and the gateway can't agree on TLS.
    #[error("the TLS handshake failed")]
    Handshake(#[source] std::io::Error),
    /// A login that can't go through a gateway.
    #[error("{what} can't go through a gateway: {why}")]
    Login { what: String, why: &'static str },
    /// A topic that may not be read here.
    #[error("topic {topic} is no data product and may not be read here")]
    Forbidden { topic: String },
    /// Nothing came, or nothing was taken, for too long.
    #[error("{what} took longer than {millis} ms")]
    TooLong { what: &'static str, millis: u128 },
    /// Nobody to connect to.
    #[error("no broker can be reached")]
    NoBroker(#[source] std::io::Error),
}

impl Ended {
    /// A word for the metric, and for saying each reason once a minute.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Broker { .. } => "broker",
            Self::BrokerClosed { .. } => "broker-closed",
            Self::Frame(_) => "frame",
            Self::BrokerFrame { .. } => "broker-frame",
            Self::Request { .. } => "request",
            Self::Answer { .. } => "answer",
            Self::OutOfStep { .. } => "out-of-step",
            Self::Hidden { .. } => "hidden",
            Self::Login { .. } => "login",
            Self::Own { .. } => "own",
            Self::Handshake(_) => "handshake",
            Self::Forbidden { .. } => "forbidden",
            Self::TooLong { .. } => "too-long",
            Self::NoBroker(_) => "no-broker",
        }
    }
}
