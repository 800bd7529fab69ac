//! `schema validate`: data against schemas, for people who debug and for scripts.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use meshwork_avro::{Fault, Schema, Valid, Validator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Longest line of [`validate_lines`]. What is longer is answered as no line and skipped.
pub const MAX_LINE: usize = 64 << 20;

/// Compiled schemas that [`validate_lines`] keeps; with one more it starts afresh.
pub const MAX_SCHEMAS: usize = 1_000;

/// How a datum is wrapped.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// The datum alone.
    #[default]
    Bare,
    /// Confluent's: a zero byte and the schema id in four bytes, big-endian, before it.
    Confluent,
}

/// Why a payload has no datum to look at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingFault {
    /// Fewer than five bytes.
    #[error(
        "{length} bytes are too few for a framed datum, which starts with 00 and four bytes of schema id"
    )]
    Short {
        /// How many there are.
        length: usize,
    },
    /// Another first byte.
    #[error("the first byte is {byte:02x}, a framed datum starts with 00; if it is bare, say so")]
    Magic {
        /// The first byte.
        byte: u8,
    },
}

/// Takes a datum out of its frame: the schema id, if the frame names one, and the datum.
///
/// # Errors
/// The payload does not start as the framing has it.
pub fn unframe(payload: &[u8], framing: Framing) -> Result<(Option<u32>, &[u8]), FramingFault> {
    match (framing, payload.split_first_chunk::<5>()) {
        (Framing::Bare, _) => Ok((None, payload)),
        (Framing::Confluent, Some(([0, id @ ..], datum))) => {
            Ok((Some(u32::from_be_bytes(*id)), datum))
        }
        (Framing::Confluent, _) => Err(match payload.first() {
            Some(byte) if *byte != 0 => FramingFault::Magic { byte: *byte },
            _ => FramingFault::Short {
                length: payload.len(),
            },
        }),
    }
}

/// What [`validate_lines`] came to.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Lines whose datum decodes exactly.
    pub valid: u64,
    /// All other lines, those that are no JSON or name no schema among them.
    pub invalid: u64,
}

/// One line of input.
#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    hex: String,
}

/// One line of output.
#[derive(Serialize)]
struct Answer<'a> {
    valid: bool,
    error: Option<Error<'a>>,
}

/// Where and why a datum is refused.
#[derive(Serialize)]
struct Error<'a> {
    /// JSON pointer into the datum.
    path: &'a str,
    /// Byte of the datum.
    offset: usize,
    /// A code that stays: a [`meshwork_avro::validator::Reason`]'s, or `line`, `schema`, `hex`.
    reason: &'a str,
    /// The same in words.
    detail: String,
}

/// Reads `{"schema": …, "hex": "…"}` a line and answers
/// `{"valid": …, "error": null | {"path", "offset", "reason", "detail"}}` a line.
///
/// A schema is JSON, or a text that holds it. A line that is no such question is
/// answered too, with the reason `line`, `schema` or `hex`; empty lines are
/// passed over. Nothing but input and output failing ends it early.
///
/// # Errors
/// Reading or writing failed.
pub fn validate_lines(mut input: impl BufRead, mut output: impl Write) -> io::Result<Summary> {
    let mut summary = Summary::default();
    let mut schemas = Schemas::default();
    let mut line = Vec::new();
    while read_line(&mut input, &mut line)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let outcome = schemas.ask(&line);
        let answer = match &outcome {
            Ok(_) => Answer {
                valid: true,
                error: None,
            },
            Err(refusal) => Answer {
                valid: false,
                error: Some(refusal.error()),
            },
        };
        if answer.valid {
            summary.valid += 1;
        } else {
            summary.invalid += 1;
        }
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
    }
    output.flush()?;
    Ok(summary)
}

/// Reads a line without its end; of a too long one no more than [`MAX_LINE`] and
/// a byte is kept. `false` at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = MAX_LINE as u64 + 1;
    if input.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > MAX_LINE {
        input.skip_until(b'\n')?;
    }
    Ok(true)
}

/// Why a line is not valid.
enum Refusal {
    Line(String),
    Schema(String),
    Hex(String),
    Datum(Fault),
}

impl Refusal {
    fn error(&self) -> Error<'_> {
        let (reason, detail) = match self {
            Refusal::Line(detail) => ("line", detail),
            Refusal::Schema(detail) => ("schema", detail),
            Refusal::Hex(detail) => ("hex", detail),
            Refusal::Datum(fault) => {
                return Error {
                    path: &fault.path,
                    offset: fault.offset,
                    reason: fault.reason.code(),
                    detail: fault.reason.to_string(),
                };
            }
        };
        Error {
            path: "",
            offset: 0,
            reason,
            detail: detail.clone(),
        }
    }
}

/// Schemas compiled so far, by their text.
#[derive(Default)]
struct Schemas {
    compiled: HashMap<String, Arc<Result<Validator, String>>>,
}

impl Schemas {
    fn ask(&mut self, line: &[u8]) -> Result<Valid, Refusal> {
        if line.len() > MAX_LINE {
            return Err(Refusal::Line(format!("longer than {MAX_LINE} bytes")));
        }
        let question: Question<'_> =
            serde_json::from_slice(line).map_err(|error| Refusal::Line(error.to_string()))?;
        let validator = self.validator(question.schema.get());
        let validator = validator
            .as_ref()
            .as_ref()
            .map_err(|why| Refusal::Schema(why.clone()))?;
        let datum = hex::decode(&question.hex).map_err(|error| Refusal::Hex(error.to_string()))?;
        validator.validate(&datum).map_err(Refusal::Datum)
    }

    fn validator(&mut self, text: &str) -> Arc<Result<Validator, String>> {
        if let Some(compiled) = self.compiled.get(text) {
            return Arc::clone(compiled);
        }
        if self.compiled.len() >= MAX_SCHEMAS {
            self.compiled.clear();
        }
        let compiled = Arc::new(compile(text));
        self.compiled.insert(text.to_owned(), Arc::clone(&compiled));
        compiled
    }
}

fn compile(text: &str) -> Result<Validator, String> {
    // A text that holds a schema's JSON; the name of a type is no such text.
    let inner: Option<String> = serde_json::from_str(text).ok();
    let inner = inner.filter(|inner| inner.trim_start().starts_with(['{', '[', '"']));
    let schema = Schema::parse(inner.as_deref().unwrap_or(text)).map_err(|why| why.to_string())?;
    Validator::compile(&schema, None).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_every_line() {
        let input = [
            r#"{"schema": "long", "hex": "02"}"#,
            r#"{"schema": {"type": "long"}, "hex": "0200"}"#,
            "",
            r#"{"schema": ["null", "string"], "hex": "0202ff"}"#,
            r#"{"schema": "{\"type\": \"array\", \"items\": \"int\"}", "hex": "02FF0f"}"#,
            r#"{"schema": {"type": "record", "name": "R", "fields": [{"name": "a/b"}]}, "hex": ""}"#,
            r#"{"schema": {"type":"record","name":"R","fields":[{"name":"f","type":{"type":"map","values":"boolean"}}]}, "hex": "0206612f620200"}"#,
            r#"{"schema": {"type":"record","name":"R","fields":[{"name":"f","type":"R"}]}, "hex": ""}"#,
            r#"{"schema": "long", "hex": "0"}"#,
            r#"{"schema": "long"}"#,
            "nonsense",
        ]
        .join("\n");
        let mut output = Vec::new();
        let summary = validate_lines(input.as_bytes(), &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let answers: Vec<serde_json::Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let reasons: Vec<&str> = answers
            .iter()
            .map(|answer| answer["error"]["reason"].as_str().unwrap_or("-"))
            .collect();
        assert_eq!(
            reasons,
            [
                "-",
                "trailing-bytes",
                "utf8",
                "truncated",
                "schema",
                "boolean",
                "schema",
                "hex",
                "line",
                "line"
            ]
        );
        assert_eq!(
            summary,
            Summary {
                valid: 1,
                invalid: 9
            }
        );
        assert_eq!(
            answers[0],
            serde_json::json!({"valid": true, "error": null})
        );
        assert_eq!(answers[5]["error"]["path"], "/f/a~1b");
        assert_eq!(answers[5]["error"]["offset"], 5);
    }

    #[test]
    fn skips_the_rest_of_a_line_that_is_too_long() {
        let long = vec![b'x'; MAX_LINE + 10];
        let input = [long.as_slice(), b"\n{\"schema\":\"null\",\"hex\":\"\"}\n"].concat();
        let mut output = Vec::new();
        let summary = validate_lines(input.as_slice(), &mut output).unwrap();
        assert_eq!(
            summary,
            Summary {
                valid: 1,
                invalid: 1
            }
        );
    }

    #[test]
    fn takes_data_out_of_their_frames() {
        assert_eq!(
            unframe(&[0, 0, 0, 1, 2, 9], Framing::Confluent),
            Ok((Some(258), &[9][..]))
        );
        assert_eq!(unframe(&[1, 2], Framing::Bare), Ok((None, &[1, 2][..])));
        assert_eq!(
            unframe(&[0, 1], Framing::Confluent),
            Err(FramingFault::Short { length: 2 })
        );
        assert_eq!(
            unframe(&[7; 9], Framing::Confluent),
            Err(FramingFault::Magic { byte: 7 })
        );
    }
}
