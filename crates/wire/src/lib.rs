//! Kafka without sockets: record batches (format v2, KIP-98) and, in [`protocol`], requests and
//! responses; read in place and written anew, with every length checked against what remains before
//! anything is allocated for it. What walks records (`meshwork-pipeline`) stands on this, and the
//! gateway; what only speaks to brokers does not need it.

pub mod batch;
pub mod codec;
pub mod fuzzing;
pub mod limits;
pub mod protocol;
pub mod record;
pub mod varint;

mod build;
mod cursor;

pub use batch::{Attributes, BatchError, BatchHeader, BatchView, HEADER_BYTES, TimestampType};
pub use build::{BatchBuilder, BuildError, RecordParts, Tail};
pub use codec::{BlockEnd, Codec, CodecError, Compressor, Decompressor, Packed};
pub use limits::Limits;
pub use record::{Header, Headers, RecordError, RecordView, Records};
