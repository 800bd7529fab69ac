//! From a datum to JSON.

use std::fmt::Write;

use meshwork_avro::{Kind, LogicalType, Node, NodeId, write_string};

use super::decimal;
use super::encode::Unit;
use super::plan::{Branches, HEX, Plan, Shape};
use super::time::{write_date, write_time, write_timestamp};
use super::wire::Datum;

/// Prints a datum that has been validated, on one line. `None` if it is none.
pub(super) fn decode(plan: &Plan, datum: &[u8], out: &mut String) -> Option<()> {
    Decoder {
        plan,
        datum: Datum(datum),
    }
    .node(plan.schema.root(), out)
}

struct Decoder<'a> {
    plan: &'a Plan,
    datum: Datum<'a>,
}

impl Decoder<'_> {
    fn node(&mut self, id: NodeId, out: &mut String) -> Option<()> {
        let plan = self.plan;
        let node = plan.schema.node(id);
        match &node.kind {
            Kind::Null => out.push_str("null"),
            Kind::Boolean => {
                let [byte] = self.datum.array()?;
                out.push_str(if byte == 1 { "true" } else { "false" });
            }
            Kind::Int | Kind::Long => {
                let value = self.datum.long()?;
                whole(node, value, out);
            }
            Kind::Float => {
                let bytes = self.datum.array::<4>()?;
                let value = f32::from_le_bytes(bytes);
                if value.is_finite() {
                    write!(out, "{value:?}").ok()?;
                } else {
                    special(
                        f64::from(value),
                        value.to_bits() == f32::NAN.to_bits(),
                        &bytes,
                        out,
                    );
                }
            }
            Kind::Double => {
                let bytes = self.datum.array::<8>()?;
                let value = f64::from_le_bytes(bytes);
                if value.is_finite() {
                    write!(out, "{value:?}").ok()?;
                } else {
                    special(value, value.to_bits() == f64::NAN.to_bits(), &bytes, out);
                }
            }
            Kind::String => {
                write_string(std::str::from_utf8(self.datum.bytes()?).ok()?, out);
            }
            Kind::Bytes => {
                let bytes = self.datum.bytes()?;
                match node.logical {
                    Some(LogicalType::Decimal { precision, scale }) => {
                        let shortest = decimal::is_shortest(bytes);
                        decimal_or_hex(bytes, shortest, precision, scale, out);
                    }
                    Some(LogicalType::BigDecimal) => big_decimal(bytes, out),
                    _ => code_points(bytes, out),
                }
            }
            Kind::Fixed(fixed) => {
                let bytes = self.datum.take(fixed.size as usize)?;
                match node.logical {
                    Some(LogicalType::Decimal { precision, scale }) => {
                        decimal_or_hex(bytes, !bytes.is_empty(), precision, scale, out);
                    }
                    Some(LogicalType::Uuid) => uuid(bytes, out),
                    Some(LogicalType::Duration) => duration(bytes, out)?,
                    _ => code_points(bytes, out),
                }
            }
            Kind::Enum(symbols) => {
                let index = usize::try_from(self.datum.long()?).ok()?;
                write_string(symbols.symbols.get(index)?, out);
            }
            Kind::Array(items) => {
                out.push('[');
                self.blocks(out, |decoder, out| decoder.node(*items, out))?;
                out.push(']');
            }
            Kind::Map(values) => {
                out.push('{');
                self.blocks(out, |decoder, out| {
                    write_string(std::str::from_utf8(decoder.datum.bytes()?).ok()?, out);
                    out.push(':');
                    decoder.node(*values, out)
                })?;
                out.push('}');
            }
            Kind::Record(record) => {
                out.push('{');
                for (field, at) in record.fields.iter().zip(0..) {
                    if at > 0 {
                        out.push(',');
                    }
                    write_string(&field.name, out);
                    out.push(':');
                    self.node(field.node, out)?;
                }
                out.push('}');
            }
            Kind::Union(nodes) => {
                let index = usize::try_from(self.datum.long()?).ok()?;
                let branches = plan.branches(id)?;
                let start = out.len();
                self.node(*nodes.get(index)?, out)?;
                if branches.tags_needed {
                    tag(branches, index, start, out)?;
                }
            }
        }
        Some(())
    }

    /// The items of an array or map, with commas between.
    fn blocks(
        &mut self,
        out: &mut String,
        mut item: impl FnMut(&mut Self, &mut String) -> Option<()>,
    ) -> Option<()> {
        let mut first = true;
        loop {
            let count = self.datum.long()?;
            if count == 0 {
                return Some(());
            }
            if count < 0 {
                self.datum.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                if !first {
                    out.push(',');
                }
                first = false;
                item(self, out)?;
            }
        }
    }
}

/// Wraps what was printed from `start` on in its branch's tag, where it needs one.
fn tag(branches: &Branches, branch: usize, start: usize, out: &mut String) -> Option<()> {
    let shape = match out.as_bytes().get(start)? {
        b'"' => Shape::Text,
        b'{' => Shape::Object,
        b'[' => Shape::Array,
        b'-' | b'0'..=b'9' => Shape::Number,
        _ if branches.null == Some(branch) => return Some(()),
        _ => Shape::Bool,
    };
    if branches.prints_plain(branch, shape) {
        return Some(());
    }
    let mut tag = String::from("{");
    write_string(branches.tags.get(branch)?, &mut tag);
    tag.push(':');
    out.insert_str(start, &tag);
    out.push('}');
    Some(())
}

/// An `int` or a `long`: a date or time where it is one that can be written, else the number.
fn whole(node: &Node, value: i64, out: &mut String) {
    let start = out.len();
    out.push('"');
    let written = match &node.logical {
        Some(LogicalType::Date) => write_date(value, out),
        Some(LogicalType::TimeMillis) => write_time(value, 3, out),
        Some(logical) => Unit::of(logical).and_then(|unit| match unit {
            Unit::TimeMicros => write_time(value, 6, out),
            Unit::Timestamp(places) => {
                let written = write_timestamp(value, places, out);
                out.push('Z');
                written
            }
            Unit::Local(places) => write_timestamp(value, places, out),
        }),
        None => None,
    };
    if written.is_some() {
        out.push('"');
    } else {
        out.truncate(start);
        let _ = write!(out, "{value}");
    }
}

/// What JSON has no number for: by name, or by its bytes where a NaN carries more than its name.
fn special(value: f64, plain: bool, bytes: &[u8], out: &mut String) {
    if value.is_nan() && !plain {
        return hex(bytes, out);
    }
    out.push_str(if value.is_nan() {
        "\"NaN\""
    } else if value > 0.0 {
        "\"Infinity\""
    } else {
        "\"-Infinity\""
    });
}

/// Bytes that the usual form would not bring back.
fn hex(bytes: &[u8], out: &mut String) {
    let _ = write!(out, "{{\"{HEX}\":\"{}\"}}", hex::encode(bytes));
}

/// Plain digits, unless the digits would give other bytes or more of them than `precision`.
fn decimal_or_hex(bytes: &[u8], shortest: bool, precision: u32, scale: u32, out: &mut String) {
    let start = out.len();
    out.push('"');
    let written = if shortest {
        decimal::write(bytes, scale as usize, out)
    } else {
        None
    };
    let digits = out.get(start + 1..).and_then(decimal::Digits::read);
    let fits = digits.is_some_and(|digits| digits.precision(scale as usize) <= precision as usize);
    if written.is_some() && fits {
        out.push('"');
    } else {
        out.truncate(start);
        hex(bytes, out);
    }
}

/// A decimal with its own scale, unless it is not written as the digits would be.
fn big_decimal(bytes: &[u8], out: &mut String) {
    let start = out.len();
    let written = (|| {
        let mut rest = Datum(bytes);
        let unscaled = rest.bytes()?;
        let scale = usize::try_from(rest.long()?).ok()?;
        out.push('"');
        decimal::write(unscaled, scale, out)?;
        let digits = decimal::Digits::read(out.get(start + 1..)?)?;
        out.push('"');
        let mut again = Vec::new();
        super::wire::write_bytes(&digits.unscaled(scale)?, &mut again);
        super::wire::write_long(digits.scale(), &mut again);
        (again == bytes).then_some(())
    })();
    if written.is_none() {
        out.truncate(start);
        hex(bytes, out);
    }
}

/// Bytes as Avro's JSON has them: one code point each, escaped where it is not plain ASCII.
fn code_points(bytes: &[u8], out: &mut String) {
    out.push('"');
    for byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push('"');
}

fn uuid(bytes: &[u8], out: &mut String) {
    out.push('"');
    for (byte, at) in bytes.iter().zip(0..) {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    out.push('"');
}

fn duration(bytes: &[u8], out: &mut String) -> Option<()> {
    let mut rest = Datum(bytes);
    let months = u32::from_le_bytes(rest.array()?);
    let days = u32::from_le_bytes(rest.array()?);
    let millis = u32::from_le_bytes(rest.array()?);
    write!(
        out,
        "{{\"months\":{months},\"days\":{days},\"millis\":{millis}}}"
    )
    .ok()
}
