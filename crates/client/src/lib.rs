//! A client of the mesh: produces to a product with its contract enforced in this process, and
//! reads a product with each writer's own schema. The command line, the demo and applications stand
//! on it.

pub mod consume;
pub mod json;
pub mod producer;
pub mod rows;
pub mod schemas;
pub mod validate;

pub use consume::{ConsumeError, ConsumeOptions, Consumed, Consumption, Decoder, Shown, StartAt};
pub use json::{JsonEncoder, JsonFault, JsonForm, JsonReason};
pub use producer::{
    Counts, CountsView, MeshProducer, NewRecord, ProduceError, ProducerOptions, RecordPosition,
    Sent, Span,
};
pub use rows::{CsvMapping, Feed, FeedError, FeedKind, Input, JsonRows};
pub use schemas::SchemaCache;
