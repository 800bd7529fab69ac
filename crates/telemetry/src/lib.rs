//! What operators see of a process: logs, metrics, traces, readiness, and the admin listener that
//! shows them. Every service takes a [`Readiness`] and a [`Metrics`] and knows nothing of the rest.

pub mod admin;
mod host;
pub mod logging;
pub mod metrics;
pub mod readiness;
pub mod spans;

pub use host::host_name;
pub use logging::{LogControl, LogFormat, LoggingConfig, TelemetryError};
pub use metrics::Metrics;
pub use readiness::{Latch, Readiness};
