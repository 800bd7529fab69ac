//! From schema text to the resolved graph, as strict as Avro Java 1.12.
//!
//! The parser follows Java's own steps, because its verdicts come from them: a first pass over
//! the JSON in which names may be unknown yet ([`build`]), then Java's resolving walk, which
//! looks at defaults once more ([`resolve`]), then the final numbering ([`finish`]).

mod build;
mod defaults;
mod error;
mod finish;
mod import;
mod logical;
mod named;
mod names;
mod resolve;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use error::{ParseError, ParseFault};
pub(crate) use logical::confluent_logical;

use crate::json::Json;
use crate::schema::{Schema, Strictness};

/// How a schema's text is to be read.
#[derive(Clone, Debug, Default)]
pub struct ParseOptions<'a> {
    /// Schemas whose named types the text may use, as in a registry's `references`.
    pub references: &'a [Arc<Schema>],
    /// For new schemas or for stored ones.
    pub strictness: Strictness,
    /// Bounds on what is taken.
    pub limits: Limits,
}

/// Bounds on schemas. What is above them is refused before it costs memory or stack.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Bytes of text. The default is 1 MiB: what a Kafka broker takes in one record unless told
    /// otherwise, so a larger schema could not be stored in `_schemas` anyway.
    pub text_bytes: usize,
    /// Levels of JSON arrays and objects, in the text and in the text that the graph is written
    /// to (where forward references may make it deeper). The default is Jackson's 1,000; Java
    /// tools could not read more.
    pub depth: usize,
    /// Types in the graph, references included. The default is 200,000: above what 1 MiB of
    /// text can hold, reached only through many large references.
    pub nodes: usize,
    /// Bytes of a fixed. The default is Java's greatest array, 2^31 − 9. Nothing of that size is
    /// allocated for a schema; a validator only compares it with what a datum has left.
    pub fixed_bytes: u32,
    /// Bytes of names in full, wherever a type or an alias is named, and of the texts of references
    /// with the types that come with them.
    /// A namespace is written once and stands before every name within it, so that the text's size
    /// bounds them by its square only. The default is 16 MiB, sixteen of the longest texts; honest
    /// schemas stay below a tenth of one.
    pub spelled_bytes: usize,
    /// Symbols of one enum. The default is 100,000; an index is five bytes at most.
    pub enum_symbols: usize,
    /// Comparisons while defaults and forward references are checked. Java does not bound these,
    /// and schemas exist on which it never ends. The default, 10 million, takes well under a
    /// second, and honest schemas stay below a thousandth of it.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes: 1 << 20,
            depth: 1_000,
            nodes: 200_000,
            fixed_bytes: 2_147_483_639,
            spelled_bytes: 16 << 20,
            enum_symbols: 100_000,
            steps: 10_000_000,
        }
    }
}

impl Schema {
    /// Parses a new schema that refers to no other.
    ///
    /// # Errors
    /// What is wrong and where, as a JSON pointer into the text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &ParseOptions::default())
    }

    /// Parses a schema.
    ///
    /// # Errors
    /// What is wrong and where, as a JSON pointer into the text.
    pub fn parse_with(text: &str, options: &ParseOptions<'_>) -> Result<Self, ParseError> {
        let limits = &options.limits;
        if text.len() > limits.text_bytes {
            return Err(ParseError::new(ParseFault::TextTooLong {
                bytes: text.len(),
                limit: limits.text_bytes,
            }));
        }
        let json_limits = crate::json::JsonLimits {
            depth: limits.depth,
            ..Default::default()
        };
        let json = Json::parse_with(text, &json_limits)
            .map_err(|error| ParseError::new(ParseFault::Json(error)))?;
        let mut builder = build::Builder::new(options.strictness, *limits);
        for (at, reference) in options.references.iter().enumerate() {
            builder
                .import(reference)
                .map_err(|error| error.within_reference(at))?;
        }
        builder.commit();
        let root = builder.schema(&json, None)?;
        let root = resolve::resolve(&mut builder, root)?;
        finish::finish(builder, root, options.references)
    }
}
