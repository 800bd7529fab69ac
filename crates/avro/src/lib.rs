//! Avro schemas for Meshwork: a resolved schema graph with parsing as strict as
//! Avro Java, the texts that registries store, compatibility with every reason,
//! and validation of data. Pure: no I/O, no clock, every input bounded.

pub mod compatibility;
pub mod diff;
pub mod fuzzing;
mod guid;
mod json;
mod memory;
mod parse;
mod schema;
mod stability;
mod text;
pub mod validator;

pub use compatibility::{CompatibilityLevel, Incompatibility, IncompatibilityKind};
pub use guid::{Guid, InvalidGuid, Metadata, Reference, Rule, RuleSet, guid};
pub use json::{Json, JsonError, JsonFault, JsonLimits, Number, write_string};
pub use memory::Footprint;
pub use parse::{Limits, ParseError, ParseFault, ParseOptions};
pub use schema::{
    Enum, Field, Fixed, Kind, LogicalType, Name, Node, NodeId, Order, Record, Schema, Strictness,
};
pub use stability::check_stability;
pub use validator::{CompileError, Fault, Valid, Validator};
