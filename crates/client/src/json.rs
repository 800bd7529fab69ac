//! The JSON form of Avro data: what `consume` prints and `produce` takes.
//!
//! | Avro | JSON |
//! | --- | --- |
//! | int, long, float, double | a number, all digits kept; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | bytes, fixed | text of the code points U+0000 to U+00FF, as in Avro's JSON encoding |
//! | enum, string, uuid | text |
//! | record, map | an object; a missing field takes its default |
//! | union | the plain value, where its kind of JSON value tells the branch; else tagged as in Avro's JSON encoding, `{"type.name": value}` |
//! | timestamp-*, local-timestamp-* | RFC 3339 with the unit's digits, local ones without offset; numbers are taken too, and printed for years beyond 9999 |
//! | date, time-* | `"2013-01-31"`, `"23:59:59.999"`, or the number |
//! | decimal, big-decimal | plain digits in quotes |
//! | duration | `{"months": 1, "days": 2, "millis": 3}` |
//!
//! What is printed is taken back to equal bytes, for whatever a writer encodes in
//! single blocks and shortest varints, as all known ones do. Bytes that the usual form would not
//! bring back (a decimal with leading zeros, a NaN with a payload) are printed as
//! `{"hex": "…"}`.
//!
//! Data is encoded straight from our schema graph: apache-avro keeps maps in a
//! hash map and so writes their entries in another order each time.

mod decimal;
mod decode;
mod default;
mod encode;
mod fault;
mod plan;
#[cfg(test)]
mod round_trip;
mod tape;
#[cfg(test)]
mod tests;
mod time;
mod wire;

use std::sync::Arc;

use meshwork_avro::validator::Reason;
use meshwork_avro::{CompileError, Fault, Schema, Validator};

use plan::Plan;
use tape::Tape;

pub use fault::{JsonFault, JsonReason};

/// The JSON form of one schema's data. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JsonForm {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: Plan,
    validator: Validator,
}

/// Encodes line after line; keeps its working memory.
#[derive(Debug)]
pub struct JsonEncoder {
    form: JsonForm,
    tape: Tape,
    slots: Vec<u32>,
}

impl JsonForm {
    /// Prepares a schema.
    ///
    /// # Errors
    /// A record that contains itself without an end.
    pub fn new(schema: &Schema) -> Result<JsonForm, CompileError> {
        let validator = Validator::compile(schema, None)?;
        let plan = Plan::new(schema);
        Ok(JsonForm {
            inner: Arc::new(Inner { plan, validator }),
        })
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.inner.plan.schema
    }

    /// Something to encode lines with.
    #[must_use]
    pub fn encoder(&self) -> JsonEncoder {
        JsonEncoder {
            form: self.clone(),
            tape: Tape::default(),
            slots: Vec::new(),
        }
    }

    /// Encodes one JSON text and appends the datum to `out`, which is left as it
    /// was on an error. For many lines an [`JsonForm::encoder`] is quicker.
    ///
    /// # Errors
    /// Which field does not fit, and why.
    pub fn encode(&self, text: &str, out: &mut Vec<u8>) -> Result<(), JsonFault> {
        self.encoder().encode(text, out)
    }

    /// Appends a datum's JSON form to `out`, on one line and without a line break.
    ///
    /// # Errors
    /// The datum does not decode exactly under the schema; `out` is left as it was.
    pub fn decode(&self, datum: &[u8], out: &mut String) -> Result<(), Fault> {
        self.inner.validator.validate(datum)?;
        let start = out.len();
        decode::decode(&self.inner.plan, datum, out).ok_or_else(|| {
            // Not reached: the validator knows every reason.
            out.truncate(start);
            Fault {
                path: String::new(),
                offset: 0,
                reason: Reason::Truncated,
            }
        })
    }
}

impl JsonEncoder {
    /// Encodes one JSON text and appends the datum to `out`, which is left as it
    /// was on an error.
    ///
    /// # Errors
    /// Which field does not fit, and why.
    pub fn encode(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), JsonFault> {
        let document = self.tape.read(text)?;
        let start = out.len();
        encode::encode(&self.form.inner.plan, document, &mut self.slots, out)
            .inspect_err(|_| out.truncate(start))
    }

    /// The form that it encodes in.
    #[must_use]
    pub fn form(&self) -> &JsonForm {
        &self.form
    }
}
