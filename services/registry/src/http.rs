//! The REST API of the Confluent Schema Registry. Routes find, [`crate::decide`] decides, the
//! writer writes; here is only what HTTP adds.

mod answer;
mod body;
mod compatibility;
mod config;
mod context_path;
mod contexts;
mod forward;
mod ids;
mod metadata;
mod mode;
mod openapi;
mod operation;
mod operations;
mod parameters;
mod routes;
mod schemas;
mod server;
mod subjects;
mod tls;
mod versions;
mod view;

pub(crate) use answer::not_found;
pub(crate) use forward::Forwarder;
pub(crate) use routes::{Api, router};
pub(crate) use server::serve;
pub(crate) use tls::Tls;

/// Methods and paths of all endpoints, as the table has them.
#[cfg(test)]
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, &'static str)> {
    operations::all()
        .into_iter()
        .map(|operation| (operation.method, operation.path))
}
