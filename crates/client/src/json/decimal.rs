//! Decimals as plain digits, and the big-endian two's complement that Avro keeps them in.

use num_bigint::BigInt;

/// Digits of a number that may be read or printed at most: far above any
/// precision in use, low enough that the work stays small.
pub(super) const MAX_DIGITS: usize = 10_000;

/// Appends `unscaled` × 10^-`scale` as plain digits. `None` if there are too many.
pub(super) fn write(unscaled: &[u8], scale: usize, out: &mut String) -> Option<()> {
    if unscaled.len() > MAX_DIGITS / 3 || scale > MAX_DIGITS {
        return None;
    }
    let digits = match small(unscaled) {
        Some(value) => value.to_string(),
        None => BigInt::from_signed_bytes_be(unscaled).to_string(),
    };
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |rest| ("-", rest));
    out.push_str(sign);
    match digits.len().checked_sub(scale).filter(|whole| *whole > 0) {
        Some(whole) => {
            out.push_str(digits.get(..whole).unwrap_or_default());
            if scale > 0 {
                out.push('.');
                out.push_str(digits.get(whole..).unwrap_or_default());
            }
        }
        None => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', scale - digits.len()));
            out.push_str(digits);
        }
    }
    Some(())
}

/// A decimal number as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Digits {
    negative: bool,
    /// Without the point.
    digits: String,
    /// How many of them are after the point; negative where zeros follow.
    scale: i64,
}

impl Digits {
    /// Reads `-12.50`, `1e3`, `+7`. `None` if it is no number or a very long one.
    pub(super) fn read(text: &str) -> Option<Digits> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let length = whole.len() + fraction.len();
        let shaped = is_digits(whole)
            && is_digits(fraction)
            && !whole.is_empty()
            && length <= MAX_DIGITS
            && (fraction.is_empty() != number.contains('.'));
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        shaped.then(|| Digits {
            negative,
            digits: format!("{whole}{fraction}"),
            scale,
        })
    }

    /// How many digits are after the point as written.
    pub(super) fn scale(&self) -> i64 {
        self.scale
    }

    /// The unscaled value in the fewest bytes for a scale. `None` if digits would be lost.
    pub(super) fn unscaled(&self, scale: usize) -> Option<Vec<u8>> {
        let more = i64::try_from(scale).ok()? - self.scale;
        let digits = if more >= 0 {
            let more = usize::try_from(more)
                .ok()
                .filter(|more| *more <= MAX_DIGITS)?;
            let mut digits = self.digits.clone();
            digits.extend(std::iter::repeat_n('0', more));
            digits
        } else {
            // Only zeros may go.
            let fewer = usize::try_from(more.unsigned_abs()).ok()?;
            let kept = self.digits.len().saturating_sub(fewer);
            let (kept, gone) = self.digits.split_at_checked(kept)?;
            if gone.bytes().any(|digit| digit != b'0') {
                return None;
            }
            if kept.is_empty() {
                "0".to_owned()
            } else {
                kept.to_owned()
            }
        };
        if digits.len() <= 18 {
            let value: i64 = digits.parse().ok()?;
            return Some(shortest(if self.negative { -value } else { value }));
        }
        let value = BigInt::parse_bytes(digits.as_bytes(), 10)?;
        Some(if self.negative { -value } else { value }.to_signed_bytes_be())
    }

    /// How many digits it has at a scale, leading zeros left out.
    pub(super) fn precision(&self, scale: usize) -> usize {
        let significant = self.digits.trim_start_matches('0').len();
        if significant == 0 {
            return 0;
        }
        let more = i64::try_from(scale)
            .unwrap_or(i64::MAX)
            .saturating_sub(self.scale);
        let precision = i64::try_from(significant)
            .unwrap_or(i64::MAX)
            .saturating_add(more);
        usize::try_from(precision.max(0)).unwrap_or(usize::MAX)
    }
}

/// Whether no shorter bytes say the same.
pub(super) fn is_shortest(unscaled: &[u8]) -> bool {
    match unscaled {
        [] => false,
        [0, second, ..] => *second >= 0x80,
        [0xff, second, ..] => *second < 0x80,
        _ => true,
    }
}

/// The value of at most 16 bytes.
fn small(unscaled: &[u8]) -> Option<i128> {
    let first = *unscaled.first()?;
    let sign = if first >= 0x80 { 0xff } else { 0 };
    let mut wide = [sign; 16];
    let start = wide.len().checked_sub(unscaled.len())?;
    wide.get_mut(start..)?.copy_from_slice(unscaled);
    Some(i128::from_be_bytes(wide))
}

fn shortest(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let start = (0..bytes.len() - 1)
        .find(|start| bytes.get(*start..).is_some_and(is_shortest))
        .unwrap_or(bytes.len() - 1);
    bytes.get(start..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_plain_digits_and_reads_them_back() {
        let cases: &[(&[u8], usize, &str)] = &[
            (&[0x00], 0, "0"),
            (&[0x00], 2, "0.00"),
            (&[0x05], 2, "0.05"),
            (&[0xfb], 2, "-0.05"),
            (&[0x04, 0xd2], 2, "12.34"),
            (&[0xfb, 0x2e], 2, "-12.34"),
            (&[0x00, 0x80], 0, "128"),
            (&[0x80], 0, "-128"),
            (
                &[0x7f; 20],
                3,
                "727885129180488904360266563744972327436484050.815",
            ),
        ];
        for (unscaled, scale, text) in cases {
            let mut out = String::new();
            write(unscaled, *scale, &mut out).unwrap();
            assert_eq!(out, *text);
            assert!(is_shortest(unscaled));
            assert_eq!(
                Digits::read(text).unwrap().unscaled(*scale).unwrap(),
                *unscaled,
                "{text}"
            );
        }
    }

    #[test]
    fn reads_other_spellings_without_losing_digits() {
        let cases: &[(&str, usize, Option<&[u8]>, usize)] = &[
            ("12.5", 2, Some(&[0x04, 0xe2]), 4),
            ("12.500", 2, Some(&[0x04, 0xe2]), 4),
            ("12.505", 2, None, 4),
            ("1e3", 0, Some(&[0x03, 0xe8]), 4),
            ("1e3", 2, Some(&[0x01, 0x86, 0xa0]), 6),
            ("100e-2", 0, Some(&[0x01]), 1),
            ("+7", 0, Some(&[0x07]), 1),
            ("-0", 0, Some(&[0x00]), 0),
            ("0.001e3", 0, Some(&[0x01]), 1),
        ];
        for (text, scale, unscaled, precision) in cases {
            let digits = Digits::read(text).unwrap();
            assert_eq!(digits.unscaled(*scale).as_deref(), *unscaled, "{text}");
            if unscaled.is_some() {
                assert_eq!(digits.precision(*scale), *precision, "{text}");
            }
        }
        for text in [
            "",
            "-",
            "1.",
            ".5",
            "1e",
            "abc",
            "1 ",
            "0x1",
            "--1",
            "1e99999999999",
        ] {
            assert_eq!(Digits::read(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_shortest_bytes_are_the_shortest() {
        for bytes in [&[][..], &[0, 0], &[0, 0x7f], &[0xff, 0x80], &[0xff, 0xff]] {
            assert!(!is_shortest(bytes), "{bytes:?}");
        }
    }
}
