//! The gateway: a sidecar on the Kafka protocol. Clients bootstrap from it and nothing else changes
//! for them; every record of a data product passes enforce → tag → observe on its way to the broker.

mod apis;
mod brokers;
mod catalog;
mod config;
mod connection;
mod consumption;
mod error;
mod handle;
mod held;
mod metrics;
mod observe;
mod own;
mod produce;
mod products;
mod quarantine;
mod refusals;
mod service;
mod tls;
mod topics;
mod traces;
mod upstream;

pub use config::{Config, OtherTopics, RegistryUnavailable, Span, TlsConfig, UpstreamTlsConfig};
pub use error::Error;
pub use handle::Handle;
pub use service::{Context, Service};
