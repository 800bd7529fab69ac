//! Messages that the gateway reads and rewrites, with kafka-protocol as the judge: what it writes is
//! read alike here, and it reads what is written here.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod addresses;
mod fetches;
mod groups;
mod heartbeats;
mod judge;
mod logins;
mod own;
mod transactions;
mod versions;
mod waits;
