//! The lineage role against real Kafka and the real registry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "lineage/mesh.rs"]
mod mesh;
#[path = "lineage/restart.rs"]
mod restart;
#[path = "lineage/story.rs"]
mod story;
