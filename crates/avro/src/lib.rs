//! Avro schemas for Meshwork: a resolved schema graph with parsing as strict as
//! Avro Java, the texts that registries store, compatibility with every reason,
//! and validation of data. Pure: no I/O, no clock, every input bounded.

mod json;
mod schema;
pub mod validator;

pub use json::{Json, JsonError, JsonFault, JsonLimits, Number, write_string};
pub use schema::{
    Enum, Field, Fixed, Kind, LogicalType, Name, Node, NodeId, Order, Record, Schema, Strictness,
};
pub use validator::{CompileError, Fault, Valid, Validator};
