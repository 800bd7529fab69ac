//! This crate against real brokers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "kafka/admin.rs"]
mod admin;
#[path = "kafka/faults.rs"]
mod faults;
#[path = "kafka/groups.rs"]
mod groups;
#[path = "kafka/producer.rs"]
mod producer;
#[path = "kafka/reader.rs"]
mod reader;
#[path = "kafka/transactional.rs"]
mod transactional;
