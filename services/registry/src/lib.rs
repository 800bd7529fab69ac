//! The schema registry: the Confluent REST API over `_schemas`, in Confluent's own record format.
//!
//! The core is pure: [`state`] folds records of the log into rows, [`decide`] turns a request into
//! an answer and records to write. Around it, `store` keeps the rows, `reader` follows the log,
//! `writer` appends to it, one change after another, and `http` translates.

mod answers;
mod config;
pub mod content;
pub mod decide;
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
pub mod state;
mod store;
pub mod subject;
pub mod texts;
mod writer;

pub use config::Config;
pub use service::{Context, Error, Handle, Service};
