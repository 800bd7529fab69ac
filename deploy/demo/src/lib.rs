//! The demo: a month of real flights replayed through the whole mesh on one machine.

pub mod breaker;
pub mod clock;
mod contracts;
mod expectations;
pub mod flights;
pub mod join;
mod live;
mod publisher;
mod readback;
mod replay;
pub mod run;
pub mod summary;
mod view;

pub use clock::{Progress, SimulatedClock};
pub use replay::{ObservedUntil, Pace};
pub use run::{Context, Outcome, run};
pub use view::Style;
