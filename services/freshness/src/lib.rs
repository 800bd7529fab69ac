//! The freshness role: turns observations into watermarks, slices, error budgets and alerts.
//!
//! A shard is a partition of `mesh.observations`: a pure fold ([`core`]), its RocksDB directory, and an
//! outbox that leaves in transactions. The observer asks the brokers for ends and reads back what nobody
//! reported; the ticker writes the passing of time.

mod announced;
mod config;
pub mod core;
mod decoder;
mod error;
mod handle;
mod http;
mod observer;
mod outbox;
mod publisher;
mod service;
mod shard;
mod shared;
mod sink;
mod ticker;
mod worker;

pub use config::{Config, Span};
pub use decoder::{Decoder, NotRead};
pub use error::FreshnessError;
pub use handle::{Handle, SLICES_MINUTES_MAX};
pub use http::{SliceView, SloView};
pub use service::{Context, Service};
pub use shard::{Progress, Shard, StoredPages, store_options};
pub use shared::Shared;
