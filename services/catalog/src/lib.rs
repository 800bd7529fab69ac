//! The catalog: what products there are. It materialises `mesh.catalog` in RocksDB, searches it and
//! serves it over HTTP; `plan` and `apply` announce to it.

pub mod answer;
pub mod apply;
pub mod check;
mod config;
pub mod contract_files;
mod cursor;
mod error;
mod handle;
mod http;
pub mod plan;
mod read;
pub mod search;
mod service;
mod view;
mod watch;

pub use config::Config;
pub use error::Error;
pub use handle::{Handle, LIMIT_DEFAULT, LIMIT_MAX, ListRequest};
pub use read::{CatalogSnapshot, ReadCatalogError, UnreadableAnnouncement, read_catalog};
pub use service::{Context, Service};
pub use watch::{CatalogEvent, CatalogWatch, WatchFrom};
