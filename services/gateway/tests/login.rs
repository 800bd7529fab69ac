//! Who a client is, and encrypted connections: the gateway between real brokers that want a login or
//! a certificate and clients that have one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "gateway/mesh.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod mesh;
#[path = "gateway/raw.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod raw;
#[path = "gateway/subscriber.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod subscriber;

#[path = "login/again.rs"]
mod again;
#[path = "login/entry.rs"]
mod entry;
#[path = "login/mechanisms.rs"]
mod mechanisms;
#[path = "login/names.rs"]
mod names;
#[path = "login/refused.rs"]
mod refused;
#[path = "login/scram.rs"]
mod scram;
#[path = "login/sni.rs"]
mod sni;
#[path = "login/tls.rs"]
mod tls;
#[path = "login/unnamed.rs"]
mod unnamed;
