//! Whether a field's default fits its type (Avro Java's `Schema.isValidDefault`).

use std::collections::HashMap;

use super::build::{Builder, branch_name, shortened};
use super::error::ParseFault;
use super::resolve::target;
use crate::json::Json;
use crate::schema::{Kind, NodeId, Record, Strictness};

/// Why a check ended without a verdict.
enum Stop {
    /// It needs the fields of this record, which is not complete.
    Unfinished(String),
    TooCostly,
}

/// Checks a default in a new schema.
pub(super) fn check(
    builder: &mut Builder,
    field: &str,
    node: NodeId,
    default: &Json,
) -> Result<(), ParseFault> {
    if builder.strictness == Strictness::Stored {
        return Ok(());
    }
    let limit = builder.limits.steps;
    let mut steps = builder.steps;
    let result = Checker { builder }.fits(node, default, &mut steps);
    builder.steps = steps;
    match result {
        Ok(true) => Ok(()),
        Ok(false) => Err(ParseFault::Default {
            field: field.to_owned(),
            default: shortened(default),
            kind: branch_name(&builder.slot(node).node.kind).to_owned(),
        }),
        Err(Stop::Unfinished(record)) => Err(ParseFault::DefaultOfUnfinished {
            field: field.to_owned(),
            record,
        }),
        Err(Stop::TooCostly) => Err(ParseFault::TooCostly(limit)),
    }
}

struct Checker<'a> {
    builder: &'a Builder,
}

impl Checker<'_> {
    /// Recursion is bounded by the default's own depth.
    fn fits(&self, node: NodeId, value: &Json, steps: &mut u64) -> Result<bool, Stop> {
        spend(steps, 1)?;
        let mut slot = self.builder.slot(node);
        if slot.awaits.is_some() {
            if !self.builder.resolving {
                // A record without fields stands in for a type that is still to come.
                return Ok(matches!(value, Json::Object(_)));
            }
            slot = self.builder.slot(target(self.builder, node));
        }
        Ok(match (&slot.node.kind, value) {
            (Kind::Null, Json::Null)
            | (Kind::Boolean, Json::Bool(_))
            | (Kind::Float | Kind::Double, Json::Number(_))
            | (Kind::Bytes | Kind::String | Kind::Enum(_) | Kind::Fixed(_), Json::String(_)) => {
                true
            }
            (Kind::Int, value) => value
                .as_i64()
                .is_some_and(|value| i32::try_from(value).is_ok()),
            (Kind::Long, value) => value.as_i64().is_some(),
            (Kind::Array(items), Json::Array(list)) => {
                for item in list {
                    if !self.fits(*items, item, steps)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Kind::Map(values), Json::Object(members)) => {
                for (_, member) in members {
                    if !self.fits(*values, member, steps)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Kind::Union(branches), value) => {
                for branch in branches {
                    if self.fits(*branch, value, steps)? {
                        return Ok(true);
                    }
                }
                false
            }
            (Kind::Record(record), Json::Object(members)) => {
                if !slot.complete {
                    return Err(Stop::Unfinished(record.name.full().to_owned()));
                }
                self.record(record, members, steps)?
            }
            _ => false,
        })
    }

    fn record(
        &self,
        record: &Record,
        members: &[(String, Json)],
        steps: &mut u64,
    ) -> Result<bool, Stop> {
        spend(steps, record.fields.len() + members.len())?;
        let members: HashMap<&str, &Json> = members
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        for field in &record.fields {
            let fitting = match members.get(field.name.as_str()) {
                Some(member) => self.fits(field.node, member, steps)?,
                // A field's own default was checked when the field was read.
                None => field.default.is_some(),
            };
            if !fitting {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn spend(steps: &mut u64, count: usize) -> Result<(), Stop> {
    *steps = steps.checked_sub(count as u64).ok_or(Stop::TooCostly)?;
    Ok(())
}

/// A double as `Double.parseDouble` reads it.
pub(super) fn java_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let value = match rest {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => match rest.get(..2) {
            Some("0x" | "0X") => hexadecimal(rest.get(2..)?)?,
            _ => decimal(rest)?,
        },
    };
    Some(if negative { -value } else { value })
}

/// Without the `f`, `F`, `d` or `D` that may end a Java number.
fn without_suffix(text: &str) -> &str {
    text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text)
}

fn decimal(text: &str) -> Option<f64> {
    let text = without_suffix(text);
    let plain = |c: u8| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.bytes().all(plain) || !text.bytes().next()?.is_ascii_digit() && !text.starts_with('.')
    {
        return None;
    }
    text.parse().ok()
}

/// `h.hhhp±d`: the exponent of two is not optional.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = without_suffix(text).split_once(['p', 'P'])?;
    let exponent: i64 = exponent.parse::<i64>().ok()?.clamp(-100_000, 100_000);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // The first 61 bits, the rest as one sticky bit; then one rounding, to the nearest double.
    let (mut bits, mut exponent): (u64, i64) = (0, exponent);
    let mut sticky = false;
    for (digit, after_point) in whole
        .chars()
        .map(|c| (c, false))
        .chain(fraction.chars().map(|c| (c, true)))
    {
        let digit = u64::from(digit.to_digit(16)?);
        if bits >> 57 == 0 {
            bits = bits << 4 | digit;
            exponent -= if after_point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if after_point { 0 } else { 4 };
        }
    }
    Some(scaled(bits << 1 | u64::from(sticky), exponent - 1))
}

/// `bits` × 2^`exponent`, rounded once to the nearest double, ties to even.
fn scaled(bits: u64, exponent: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let top = 63 - i64::from(bits.leading_zeros());
    // A double keeps 53 bits from the top one on, and none below 2^-1074.
    let lowest = (top + exponent - 52).max(-1_074);
    let shift = lowest - exponent;
    let wide = u128::from(bits);
    let (rounded, at) = if shift <= 0 {
        (wide, exponent)
    } else if shift > 64 {
        (0, lowest)
    } else {
        let kept = wide >> shift;
        let (rest, half) = (wide & ((1 << shift) - 1), 1_u128 << (shift - 1));
        (
            kept + u128::from(rest > half || (rest == half && kept & 1 == 1)),
            lowest,
        )
    };
    #[expect(clippy::cast_precision_loss, reason = "at most 54 bits are set")]
    let mut value = rounded as f64;
    let mut left = at;
    while left > 0 && value.is_finite() {
        let step = left.min(1_000);
        value *= 2_f64.powi(i32::try_from(step).unwrap_or(1_000));
        left -= step;
    }
    while left < 0 && value != 0.0 {
        let step = left.max(-1_000);
        value *= 2_f64.powi(i32::try_from(step).unwrap_or(-1_000));
        left -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Number;

    #[test]
    fn doubles_read_as_java_reads_them() {
        for (text, value) in [
            ("1", 1.0),
            (" 1.5 ", 1.5),
            ("-2.5e3d", -2_500.0),
            ("+.5f", 0.5),
            ("5.", 5.0),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x1p3", 8.0),
            ("0x1.8p1", 3.0),
            ("0x.8p0", 0.5),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1p2000", f64::INFINITY),
            ("0x1.fffffffffffff8p0", 2.0),
            ("1e400", f64::INFINITY),
        ] {
            assert_eq!(java_double(text), Some(value), "{text}");
        }
        assert!(java_double("NaN").unwrap().is_nan());
        for text in [
            "", "x", "nan", "inf", "infinity", "1e", "0x1", "--1", "1 2", "e5", ".", "d", "1_0",
        ] {
            assert_eq!(java_double(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_not_fractions() {
        assert_ne!(
            Json::Number(Number::Integer(1)),
            Json::Number(Number::Double(1.0))
        );
    }
}
