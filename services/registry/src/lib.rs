//! The schema registry: the Confluent REST API over `_schemas`, in Confluent's own record format.
//!
//! The core is pure: [`state`] folds records of the log, [`decide`] turns a request into an answer
//! and records to write. Around it, `reader` applies the log, `writer` appends to it, one change
//! after another, and `http` translates.

mod answers;
mod config;
pub mod content;
pub mod decide;
mod http;
mod metrics;
#[cfg(test)]
mod properties;
mod reader;
pub mod record;
pub mod refusal;
mod service;
mod shared;
pub mod state;
pub mod subject;
pub mod texts;
mod writer;

pub use config::Config;
pub use service::{Error, Handle, Service};
