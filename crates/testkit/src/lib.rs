//! Real Kafka for tests: one cluster per test binary, started when the first test asks for it, gone
//! when the process is, however it ends. Where Kafka can't be had, tests fail and say why.
#![allow(
    clippy::panic,
    reason = "tests fail by panicking; what is here is called from tests only"
)]

mod announcement;
mod cluster;
mod link;
mod linked;
mod other_registry;
mod pki;
mod records;
#[cfg(feature = "registry")]
mod registry;
mod secure;
mod wait;

pub use announcement::announcement;
pub use cluster::{Cluster, kafka};
pub use link::{Fate, Heading, Link, Passing, Tap};
pub use linked::{Linked, linked_kafka};
pub use meshwork_dev_kafka::{Nodes, free_ports, free_ports_in_a_row};
pub use other_registry::OtherRegistry;
pub use pki::{Pair, Pki};
#[cfg(feature = "registry")]
pub use registry::{mesh_writer, registry, registry_url};
pub use secure::{PASSWORD, Secure, secure_kafka};
pub use wait::{DEADLINE, unique, wait_for, wait_until};
