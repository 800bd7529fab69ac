//! The registry on real Kafka: what it answers, what it writes, and what it knows after a restart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail loudly"
)]

mod access;
mod api;
mod clients;
mod fault;
mod harness;
mod limits;
mod log;
mod normal_form;
mod replay;
mod restart;
mod script;
mod several;
mod signer;
mod stock;
mod store;
