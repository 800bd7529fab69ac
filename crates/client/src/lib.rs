//! A client of the mesh: produces to a product with its contract enforced in this process, and
//! reads a product with each writer's own schema. The command line, the demo and applications stand
//! on it.

pub mod json;
pub mod producer;
pub mod schemas;
pub mod validate;

pub use json::{JsonEncoder, JsonFault, JsonForm, JsonReason};
pub use producer::{
    Counts, CountsView, MeshProducer, NewRecord, ProduceError, ProducerOptions, RecordPosition,
    Sent, Span,
};
pub use schemas::SchemaCache;
