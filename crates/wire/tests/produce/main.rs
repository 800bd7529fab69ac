//! Produce requests and answers, with kafka-protocol as the judge: what it writes is read alike here,
//! and it reads what is written here.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod answers;
mod damage;
mod generate;
mod requests;
