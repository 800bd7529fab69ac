//! Kafka's requests and responses as far as a gateway has to understand them: walked where they lie,
//! changed by splicing, every length checked against what remains before it is used.

pub mod api;
pub mod api_versions;
pub mod describe_cluster;
pub mod describe_producers;
pub mod fetch;
pub mod find_coordinator;
pub mod groups;
pub mod header;
pub mod heartbeats;
pub mod metadata;
pub mod offsets;
pub mod produce;
pub mod reader;
pub mod sasl;
pub mod sasl_name;
pub mod transactions;
pub mod waits;
pub mod writer;

mod endpoints;
mod own_request;
mod splice;
mod walk;

pub use api::ApiKey;
pub use header::{
    FrameError, LENGTH_BYTES, REQUEST_LEAST, RESPONSE_LEAST, RequestHeader, RequestStart,
    frame_length, response_body,
};
pub use own_request::own_request;
pub use produce::{OwnedTopic, ProduceError, ProduceRequest, TopicRef};
pub use reader::{Reader, Uuid, WireError};
pub use writer::Writer;
