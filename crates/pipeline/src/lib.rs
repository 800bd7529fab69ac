//! Enforce → tag → observe, over records and over whole batches; pure, free of sockets. The gateway
//! runs it on the wire, `meshwork produce` in its own process, and the observer uses its counting
//! part when it reads a range of a log back.
//!
//! Validators nest as the data nests: datum (`meshwork-avro`) → [`Checker`] for a record →
//! [`BatchPipeline`] for a batch; topics and requests are the gateway's.

pub mod batch;
pub mod check;
pub mod framing;
pub mod parents;
pub mod policy;
pub mod quarantine;
pub mod readback;
pub mod reason;
pub mod schemas;
pub mod tag;
pub mod tally;

#[cfg(test)]
mod testing;

pub use batch::{BatchOutcome, BatchPipeline, BatchReport, Part, Recorded, RefusedRecord};
pub use check::{Check, Checker, Facts, RecordIn};
pub use framing::{Framed, SchemaRef};
pub use parents::{Parent, Parents};
pub use policy::{KeyRule, OnUnavailable, ProductPolicy};
pub use quarantine::{QuarantineFormat, QuarantineHeaders};
pub use readback::{RangeReadback, ReadRecord, SpanObservation};
pub use reason::{Reason, Refusal};
pub use schemas::{CompiledSchema, Needed, SchemaLookup, Schemas};
pub use tag::{ProducerTag, Tagged};
pub use tally::{PartitionTally, Tallied};

/// A header, as records carry it.
pub use meshwork_wire::Header;
