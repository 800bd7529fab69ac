//! The schema registry: the Confluent REST API over `_schemas`, in Confluent's own record format.
//!
//! The core is pure: [`state`] folds records of the log into rows, [`decide`] turns a request into
//! an answer and records to write. Around it, `store` keeps the rows, `reader` follows the log,
//! `election` says which instance writes, its `writer` appends, one change after another, `changes`
//! tells others of it, and `http` translates. [`access`] stands before it.

pub mod access;
mod actor;
mod answers;
mod changes;
mod config;
pub mod content;
pub mod decide;
mod election;
#[cfg(test)]
mod fixtures;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod metrics;
#[cfg(test)]
mod properties;
mod reader;
pub mod recent;
pub mod record;
pub mod refusal;
mod service;
mod shared;
mod standing;
pub mod state;
mod store;
pub mod subject;
pub mod texts;
#[cfg(test)]
mod work;
mod writer;

pub use config::Config;
pub use service::{Context, Error, Handle, Service};
pub use standing::Standing;
