//! The freshness role as a whole: the month of real flights through the pure core, and the service
//! against a real Kafka.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "tests: a panic is the failure they report"
)]

mod flights;
mod month;
mod registry;
mod service;
