//! A client of the schema registry: schemas by id and by subject, cached and bounded, and the
//! mesh's own records in Confluent framing. It speaks the Confluent REST API and nothing of ours,
//! so any compatible registry may stand at the other end.

pub mod answers;
mod cache;
pub mod client;
pub mod config;
pub mod error;
pub mod framing;
pub mod mesh;
pub mod registration;
mod scopes;
pub mod stored;
mod tls;
mod transport;

pub use answers::{CompatibilityAnswer, Reference, Registered, StoredSchema};
pub use client::RegistryClient;
pub use config::RegistryClientConfig;
pub use error::RegistryClientError;
pub use framing::{FramingError, frame, unframe};
pub use mesh::{MeshError, MeshReader, MeshWriter};
pub use registration::Draft;
pub use stored::{Shown, StoredVersion, Wanted};
