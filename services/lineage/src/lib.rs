//! Lineage: who writes which product, who reads it, and what is made from what, over time. Facts
//! come from observations, contracts and consumer groups, are kept on `mesh.lineage`, and fold into
//! a graph that any instance can serve.

pub mod answer;
mod book;
mod collect;
mod config;
mod covered;
mod error;
mod fold;
mod graph;
mod groups;
mod handle;
mod http;
mod intake;
mod metrics;
mod node;
mod query;
mod service;
mod walk;

pub use config::Config;
pub use error::Error;
pub use handle::{DEPTH_DEFAULT, DEPTH_MAX, Handle, LIMIT_DEFAULT, LIMIT_MAX};
pub use service::{Context, Service};
pub use walk::Direction;
