//! Who reads what, and how far: learnt from requests that pass, never in a client's way.
//!
//! A Fetch names no group and comes on another connection than the group's requests: both are tied
//! by name, client id and source address, and what is concluded so is marked. What one connection
//! reads is its [`Connection`]'s; what all of them show together is [`Consumption`]'s, which
//! observations take it from.

mod ask;
mod connection;
mod fold;
mod reading;
mod seen;
mod transactions;

pub(crate) use ask::{Learn, Names};
pub(crate) use connection::Connection;
pub(crate) use fold::Consumption;
pub(crate) use seen::join;

/// Longest group or transactional id that is learnt, in bytes: Kafka allows 32,767, and what is kept
/// of many clients has to have a bound.
const ID_MAX_BYTES: usize = 1024;

/// An id, unless it is empty or too long.
fn kept(id: &str) -> Option<std::sync::Arc<str>> {
    (!id.is_empty() && id.len() <= ID_MAX_BYTES).then(|| id.into())
}
