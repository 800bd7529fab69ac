//! Quarantine: where refused records go, and what is written there of how their producers' later
//! batches are numbered. Every gateway follows it, so that any of them can go on where another one
//! was killed (docs/decisions/0012-quarantine-by-renumbering.md).

mod follow;
mod kept;
mod topics;
mod verdict;
mod write;

pub(crate) use follow::follow;
pub(crate) use kept::{Kept, SessionKey};
pub(crate) use topics::{Quarantine, Standing};
pub(crate) use write::{Payload, WriteError};
