//! Several instances of the registry on a cluster of three brokers, clients that load them, and
//! faults. What they were told is judged by [`crate::oracle`].

mod calls;
mod faults;
mod instance;
mod log;
mod mesh;
mod workload;

pub use calls::{Client, Heard};
pub use faults::{Fault, Faults, Struck};
pub use instance::{Instance, spawn};
pub use log::Tail;
pub use mesh::{Mesh, Violated, cluster, judge};
pub use workload::{Load, LoadOptions, Phase, Tallies, Tally};
