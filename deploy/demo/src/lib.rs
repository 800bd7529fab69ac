//! The demo: a month of real flights replayed through the whole mesh on one machine.

pub mod flights;
