//! Produce requests: enforce → tag → observe on every batch of a product, and what is told to the
//! client of what was refused.

mod batch;
mod contacts;
mod counts;
mod decide;
mod early;
mod errors;
mod first;
mod guard;
mod numbered;
mod numbering;
mod repeats;
mod schemas;

pub(crate) use contacts::Contacts;
pub(crate) use decide::{Sender, Unbearable, decide};
pub(crate) use errors::{Refused, Why};
pub(crate) use first::First;
pub(crate) use guard::{Guard, Place, Session};
pub(crate) use numbering::{Look, Numbering, Verdict};
