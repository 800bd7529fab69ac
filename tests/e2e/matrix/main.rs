//! Stock Kafka clients through the gateway, and directly: the same outcome, and of what is refused
//! they are told what is in the log. Each client's program is in `tests/e2e/clients`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod kcat;
mod mesh;
mod programs;
mod put_off;
mod refused;
mod same;
mod versions;
