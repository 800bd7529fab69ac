//! The catalog against real Kafka and the real registry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "catalog/apply.rs"]
mod apply;
#[path = "catalog/apply_again.rs"]
mod apply_again;
#[path = "catalog/http.rs"]
mod http;
#[path = "catalog/mesh.rs"]
mod mesh;
#[path = "catalog/view.rs"]
mod view;
