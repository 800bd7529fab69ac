//! Numbers as Jackson keeps them, printed as Java prints them.

use std::fmt::Write;

/// A JSON number.
#[derive(Clone, Debug)]
pub enum Number {
    /// A whole number that fits a Java `long`.
    Integer(i64),
    /// A whole number that does not: its digits without leading zeros, `-` in front if negative.
    Big(String),
    /// A number written with a fraction or an exponent, or a default that was text such as `NaN`.
    Double(f64),
}

/// As Java compares nodes: a whole number never equals a fraction, NaN equals itself.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Big(a), Self::Big(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => {
                a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
            }
            _ => false,
        }
    }
}

impl Number {
    /// The nearest double.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "the nearest double is what is asked for"
            )]
            Self::Integer(value) => *value as f64,
            Self::Big(digits) => digits.parse().unwrap_or(f64::NAN),
            Self::Double(value) => *value,
        }
    }

    /// Appends it as Java prints it; NaN and the infinities as strings, as Jackson does.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Integer(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Big(digits) => out.push_str(digits),
            Self::Double(value) => write_double(*value, out),
        }
    }
}

/// Appends a double as `Double.toString` gives it (the shortest digits that read back, JDK 19 on).
pub(crate) fn write_double(value: f64, out: &mut String) {
    if value.is_nan() {
        return out.push_str("\"NaN\"");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    }
    let mut shortest = format!("{value:e}");
    if !shortest.contains('.') && value != 0.0 {
        // Java gives at least two digits and picks the nearest such: 4.9E-324, not 5E-324.
        let two = format!("{value:.1e}");
        if two.parse() == Ok(value) {
            shortest = two;
        }
    }
    write_java(&shortest, out);
}

/// Appends a float as `Float.toString` gives it.
pub(crate) fn write_float(value: f32, out: &mut String) {
    if value.is_nan() || value.is_infinite() {
        return write_double(f64::from(value), out);
    }
    let mut shortest = format!("{value:e}");
    if !shortest.contains('.') && value != 0.0 {
        let two = format!("{value:.1e}");
        if two.parse() == Ok(value) {
            shortest = two;
        }
    }
    write_java(&shortest, out);
}

/// Turns `d.ddde±x` into Java's notation: plain from 10^-3 up to below 10^7, else `d.dddE±x`,
/// always with a digit after the point.
fn write_java(scientific: &str, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let trimmed = digits.trim_end_matches('0');
    let digits = if trimmed.is_empty() { "0" } else { trimmed };
    out.push_str(sign);
    if (-3..7).contains(&exponent) {
        if exponent < 0 {
            out.push_str("0.");
            for _ in 1..exponent.unsigned_abs() {
                out.push('0');
            }
            out.push_str(digits);
        } else {
            let whole = exponent.unsigned_abs() as usize + 1;
            for at in 0..whole {
                out.push(
                    digits
                        .as_bytes()
                        .get(at)
                        .map_or('0', |digit| char::from(*digit)),
                );
            }
            out.push('.');
            match digits.get(whole..) {
                Some(rest) if !rest.is_empty() => out.push_str(rest),
                _ => out.push('0'),
            }
        }
    } else {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        let rest = if rest.is_empty() { "0" } else { rest };
        let _ = write!(out, "{first}.{rest}E{exponent}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_java_prints_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1.5, "1.5"),
            (100.0, "100.0"),
            (1e10, "1.0E10"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (0.000_123, "1.23E-4"),
            (0.012_34, "0.01234"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
            (f64::NAN, "\"NaN\""),
            (-123.456, "-123.456"),
        ] {
            let mut out = String::new();
            write_double(value, &mut out);
            assert_eq!(out, text);
        }
        for (value, text) in [
            (0.1_f32, "0.1"),
            (1e10, "1.0E10"),
            (3.4e38, "3.4E38"),
            (1.0, "1.0"),
        ] {
            let mut out = String::new();
            write_float(value, &mut out);
            assert_eq!(out, text);
        }
    }
}
