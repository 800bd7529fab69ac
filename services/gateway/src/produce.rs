//! Produce requests: enforce → tag → observe on every batch of a product, and what is told to the
//! client of what was refused.

mod decide;
mod errors;
mod first;
mod guard;

pub(crate) use decide::{Sender, decide};
pub(crate) use first::First;
pub(crate) use guard::Guard;
