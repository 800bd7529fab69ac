//! Quarantine by renumbering, and that no idempotent producer loses or doubles a record by it: a
//! client that picks its own sequences, two gateways over one broker, answers that are lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "gateway/mesh.rs"]
#[allow(dead_code, reason = "shared with the gateway's other tests")]
mod mesh;
#[path = "gateway/raw.rs"]
#[allow(dead_code, reason = "shared with the gateway's other tests")]
mod raw;

#[path = "quarantine/attack.rs"]
mod attack;
#[path = "quarantine/deleted.rs"]
mod deleted;
#[path = "quarantine/plain.rs"]
mod plain;
#[path = "quarantine/producer.rs"]
mod producer;
