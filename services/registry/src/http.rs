//! The REST API of the Confluent Schema Registry. Routes find, [`crate::decide`] decides, the
//! writer writes; here is only what HTTP adds.

mod answer;
mod body;
mod compatibility;
mod context_path;
mod forward;
mod openapi;
mod operation;
mod operations;
mod parameters;
mod routes;
mod schemas;
mod server;
mod settings;
mod subjects;

pub(crate) use forward::Forwarder;
pub(crate) use routes::{Api, router};
pub(crate) use server::serve;
