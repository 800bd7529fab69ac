//! The command line against real registries on real Kafka: what it prints, how it ends, and what
//! is there afterwards.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly"
)]

#[path = "commands/doctor.rs"]
mod doctor;
#[path = "commands/harness.rs"]
mod harness;
#[path = "commands/open_files.rs"]
mod open_files;
#[path = "commands/other_registries.rs"]
mod other_registries;
#[path = "commands/schema.rs"]
mod schema;
#[path = "commands/transfer.rs"]
mod transfer;
