//! The gateway against real Kafka and the real registry: what a client on the wire sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "gateway/apis.rs"]
mod apis;
#[path = "gateway/bad_input.rs"]
mod bad_input;
#[path = "gateway/consumption.rs"]
mod consumption;
#[path = "gateway/crowd.rs"]
mod crowd;
#[path = "gateway/deadlines.rs"]
mod deadlines;
#[path = "gateway/enforce.rs"]
mod enforce;
#[path = "gateway/held.rs"]
mod held;
#[path = "gateway/limits.rs"]
mod limits;
#[path = "gateway/mesh.rs"]
mod mesh;
#[path = "gateway/observations.rs"]
mod observations;
#[path = "gateway/raw.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod raw;
#[path = "gateway/refused.rs"]
mod refused;
#[path = "gateway/registry_away.rs"]
mod registry_away;
#[path = "gateway/subscriber.rs"]
mod subscriber;
#[path = "gateway/traces.rs"]
mod traces;
#[path = "gateway/transaction.rs"]
mod transaction;
#[path = "gateway/unread.rs"]
mod unread;
#[path = "gateway/way.rs"]
mod way;
