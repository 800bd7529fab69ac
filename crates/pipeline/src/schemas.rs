//! Schemas as the pipeline asks for them: without I/O. Whoever runs the pipeline answers from its
//! cache, loads what is asked for and not there, and lets the record try again.

use std::fmt;
use std::sync::Arc;

use meshwork_avro::{CompileError, Schema, Validator};
use meshwork_model::name::SchemaId;

use crate::framing::SchemaRef;

/// A schema made ready for checking.
#[derive(Clone, Debug)]
pub struct CompiledSchema {
    /// Its id.
    pub id: SchemaId,
    /// Checks data, and reads the event time on the way.
    pub validator: Validator,
    /// Whether the contract's event-time field is in this schema. Old versions may lack it.
    pub has_event_time: bool,
}

impl CompiledSchema {
    /// Compiles a value's schema. One that lacks the event-time field is compiled without.
    ///
    /// # Errors
    /// A schema that can't be used at all.
    pub fn compile(
        id: SchemaId,
        schema: &Schema,
        event_time: Option<&str>,
    ) -> Result<Self, CompileError> {
        match Validator::compile(schema, event_time) {
            Err(CompileError::EventTime { .. }) => Ok(Self {
                id,
                validator: Validator::compile(schema, None)?,
                has_event_time: false,
            }),
            validator => Ok(Self {
                id,
                validator: validator?,
                has_event_time: event_time.is_some(),
            }),
        }
    }
}

/// What is known of a schema and a subject.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SchemaLookup {
    /// It is of the subject.
    Known(Arc<CompiledSchema>),
    /// It exists and is not of the subject.
    NotOfSubject,
    /// The registry says there is none.
    Unknown,
    /// It exists and can't be used, for this reason.
    Unusable(Arc<str>),
    /// Not known here yet: load it, then try again.
    NotLoaded,
    /// Not known here, and the registry can't be asked.
    Unavailable,
}

/// Answers from memory.
pub trait Schemas {
    /// What is known of `schema` in `subject`.
    fn look_up(&self, subject: &str, schema: SchemaRef) -> SchemaLookup;
}

impl<T: Schemas + ?Sized> Schemas for &T {
    fn look_up(&self, subject: &str, schema: SchemaRef) -> SchemaLookup {
        (**self).look_up(subject, schema)
    }
}

impl<T: Schemas + ?Sized> Schemas for Arc<T> {
    fn look_up(&self, subject: &str, schema: SchemaRef) -> SchemaLookup {
        (**self).look_up(subject, schema)
    }
}

/// A schema that a record needs and that is not in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Needed {
    /// Which.
    pub schema: SchemaRef,
    /// Subject that it must be of.
    pub subject: String,
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schema {} of subject {}", self.schema, self.subject)
    }
}
