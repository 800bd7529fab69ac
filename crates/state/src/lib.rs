//! State in RocksDB. The only user of rocksdb (deny.toml).
//!
//! A service's state is a fold over Kafka topics. [`Store`] keeps it together with the offsets up to
//! which the topics are folded in: a [`Batch`] holds both, and is written as one RocksDB write
//! batch, so that after `kill -9` neither is ahead of the other. A store that can't be read, or that
//! an earlier format wrote, is set aside once and an empty one takes its place; the service then
//! rebuilds from the log.

mod aside;
mod batch;
mod error;
mod options;
mod snapshot;
mod store;

pub use batch::Batch;
pub use error::StateError;
pub use options::StoreOptions;
pub use snapshot::{Direction, Scan, Snapshot};
pub use store::{Entry, Health, Opened, Store};
