//! The bytes of a field's default, which schemas write in Avro's own JSON:
//! logical types do not count, unions are not tagged, bytes are code points.

use meshwork_avro::validator::MAX_DEPTH;
use meshwork_avro::{Json, Kind, NodeId, Number, Schema};

use super::wire::{write_bytes, write_long};

/// Longest encoded default. Records of records with defaults can double at each level.
const MAX_LENGTH: usize = 1 << 20;

/// Values looked at for one default, branches of unions that did not fit among them.
const MAX_STEPS: u32 = 100_000;

struct Limits {
    depth: u32,
    steps: u32,
}

/// Encodes a default, or says why it does not fit.
pub(super) fn default_bytes(
    schema: &Schema,
    id: NodeId,
    default: &Json,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    encode(
        schema,
        id,
        default,
        &mut Limits { depth: 0, steps: 0 },
        &mut out,
    )?;
    Ok(out)
}

fn encode(
    schema: &Schema,
    id: NodeId,
    default: &Json,
    limits: &mut Limits,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    if limits.depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    limits.steps += 1;
    if out.len() > MAX_LENGTH || limits.steps > MAX_STEPS {
        return Err(format!(
            "more than {MAX_LENGTH} bytes or {MAX_STEPS} values"
        ));
    }
    limits.depth += 1;
    let outcome = encode_node(schema, id, default, limits, out);
    limits.depth -= 1;
    outcome
}

fn encode_node(
    schema: &Schema,
    id: NodeId,
    default: &Json,
    limits: &mut Limits,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let node = schema.node(id);
    match (&node.kind, default) {
        (Kind::Null, Json::Null) => {}
        (Kind::Boolean, Json::Bool(value)) => out.push(u8::from(*value)),
        (Kind::Int, Json::Number(Number::Integer(value))) if i32::try_from(*value).is_ok() => {
            write_long(*value, out);
        }
        (Kind::Long, Json::Number(Number::Integer(value))) => write_long(*value, out),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the nearest float is what is meant"
        )]
        (Kind::Float, Json::Number(value)) => {
            out.extend_from_slice(&(value.as_f64() as f32).to_le_bytes());
        }
        (Kind::Double, Json::Number(value)) => {
            out.extend_from_slice(&value.as_f64().to_le_bytes());
        }
        (Kind::Float, Json::String(text)) => {
            let value: f32 = text.parse().map_err(|_| misfit("float", default))?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        (Kind::Double, Json::String(text)) => {
            let value: f64 = text.parse().map_err(|_| misfit("double", default))?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        (Kind::String, Json::String(text)) => write_bytes(text.as_bytes(), out),
        (Kind::Bytes, Json::String(text)) => write_bytes(&code_points(text)?, out),
        (Kind::Fixed(fixed), Json::String(text)) => {
            let bytes = code_points(text)?;
            if u32::try_from(bytes.len()) != Ok(fixed.size) {
                return Err(format!(
                    "{} bytes, fixed {} has {}",
                    bytes.len(),
                    fixed.name,
                    fixed.size
                ));
            }
            out.extend_from_slice(&bytes);
        }
        (Kind::Enum(symbols), Json::String(text)) => {
            let index = symbols.symbols.iter().position(|symbol| symbol == text);
            let index = index.and_then(|index| i64::try_from(index).ok());
            write_long(index.ok_or_else(|| misfit("a symbol", default))?, out);
        }
        (Kind::Array(items), Json::Array(values)) => {
            if !values.is_empty() {
                write_long(count(values.len()), out);
            }
            for value in values {
                encode(schema, *items, value, limits, out)?;
            }
            out.push(0);
        }
        (Kind::Map(values), Json::Object(members)) => {
            if !members.is_empty() {
                write_long(count(members.len()), out);
            }
            for (key, value) in members {
                write_bytes(key.as_bytes(), out);
                encode(schema, *values, value, limits, out)?;
            }
            out.push(0);
        }
        (Kind::Record(record), Json::Object(_)) => {
            for field in &record.fields {
                let value = default
                    .get(&field.name)
                    .or(field.default.as_ref())
                    .ok_or_else(|| format!("field {:?} has no value", field.name))?;
                encode(schema, field.node, value, limits, out)?;
            }
        }
        (Kind::Union(branches), _) => {
            // The first branch that takes it, as in Avro 1.12; before, only the first.
            let start = out.len();
            for (branch, index) in branches.iter().zip(0..) {
                write_long(index, out);
                if encode(schema, *branch, default, limits, out).is_ok() {
                    return Ok(());
                }
                out.truncate(start);
            }
            return Err(misfit("a value of one of the union's branches", default));
        }
        (kind, _) => return Err(misfit(kind.type_name(), default)),
    }
    Ok(())
}

fn misfit(expected: &str, default: &Json) -> String {
    let text: String = default.to_text().chars().take(40).collect();
    format!("expected {expected}, found {text}")
}

fn code_points(text: &str) -> Result<Vec<u8>, String> {
    text.chars()
        .map(|point| u8::try_from(u32::from(point)))
        .collect::<Result<_, _>>()
        .map_err(|_| "bytes are code points up to U+00FF".to_owned())
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
