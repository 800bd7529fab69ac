//! Apache Kafka for development, the demo and tests: fetched from Maven Central into the user's
//! cache, run on loopback under a small wrapper that ends it when this process ends.
//!
//! The work is done by `kafka.sh`, which `make kafka-up` calls too; it is embedded here, so it is
//! there for an installed binary as well. Every call blocks: from async code use `spawn_blocking`.

mod cluster;
mod error;
mod kit;
mod node;
mod port;

pub use cluster::{DevKafka, DevKafkaOptions, Listener, Nodes};
pub use error::DevKafkaError;
pub use kit::{KAFKA_VERSION, fetch};
pub use port::{free as free_ports, free_in_a_row as free_ports_in_a_row};
