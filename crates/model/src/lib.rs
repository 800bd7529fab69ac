//! The domain types that every other crate shares: names, time, SLOs, contracts, products, and the
//! records of the `mesh.*` topics. No tokio and no I/O: all of it can be tested with plain values.

pub mod contract;
pub mod finding;
pub mod headers;
pub mod mesh;
pub mod name;
pub mod problem;
pub mod product;
pub mod slo;
pub mod text;
pub mod time;
pub mod topic;
pub mod units;
