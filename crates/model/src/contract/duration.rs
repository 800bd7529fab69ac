//! Lengths of time as ODCS contracts have them: a number with a unit, or ISO 8601.

/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;
/// Longest length of time that is read: 1,000 years.
const MAX_MS: i64 = 365_000 * DAY_MS;

/// What `m` stands for, which in ODCS depends on the property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortM {
    /// In freshness and latency.
    Minutes,
    /// In retention.
    Months,
}

/// Milliseconds of one `unit`, case-insensitively; years have 365 days and months 30, as
/// `datacontract-cli` reckons.
#[must_use]
pub fn unit_ms(unit: &str, m: ShortM) -> Option<i64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "second" | "seconds" => 1_000,
        "m" => match m {
            ShortM::Minutes => 60_000,
            ShortM::Months => 30 * DAY_MS,
        },
        "min" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => DAY_MS,
        "w" | "week" | "weeks" => 7 * DAY_MS,
        "mo" | "month" | "months" => 30 * DAY_MS,
        "y" | "yr" | "year" | "years" => 365 * DAY_MS,
        _ => return None,
    })
}

/// A decimal number of units in whole milliseconds. None where it is none, negative, has more than
/// six decimals, falls between two milliseconds or is above 1,000 years.
#[must_use]
pub fn decimal_ms(number: &str, unit_ms: i64) -> Option<i64> {
    let millionths = millionths(number)?;
    let ms = i128::from(millionths) * i128::from(unit_ms);
    (ms % 1_000_000 == 0)
        .then_some(ms / 1_000_000)
        .and_then(|ms| i64::try_from(ms).ok())
        .filter(|ms| *ms <= MAX_MS)
}

/// A decimal number, not negative and with at most six decimals, in millionths.
#[must_use]
pub fn millionths(number: &str) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(fraction)
}

/// An ISO 8601 duration (`PT90M`, `P1DT12H`, `P25Y`) in milliseconds.
#[must_use]
pub fn iso_ms(text: &str) -> Option<i64> {
    let mut rest = text.strip_prefix('P')?;
    let mut total = 0i64;
    let mut in_time = false;
    let mut last = 0;
    let mut any = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            if in_time || after.is_empty() {
                return None;
            }
            in_time = true;
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at_checked(end)?;
        let designator = tail.chars().next()?;
        let (order, unit) = match (designator, in_time) {
            ('Y', false) => (1, 365 * DAY_MS),
            ('M', false) => (2, 30 * DAY_MS),
            ('W', false) => (3, 7 * DAY_MS),
            ('D', false) => (4, DAY_MS),
            ('H', true) => (5, 3_600_000),
            ('M', true) => (6, 60_000),
            ('S', true) => (7, 1_000),
            _ => return None,
        };
        if order <= last {
            return None;
        }
        last = order;
        any = true;
        total = total.checked_add(decimal_ms(number, unit)?)?;
        rest = tail.get(1..)?;
    }
    (any && total <= MAX_MS).then_some(total)
}

/// `30d`, `90 min`, `1h` or ISO 8601, in milliseconds. `m` is minutes here.
#[must_use]
pub fn text_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.starts_with('P') {
        return iso_ms(text);
    }
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at_checked(split)?;
    decimal_ms(number, unit_ms(unit.trim(), ShortM::Minutes)?)
}

/// A length of time in words: `25 years`, `90 min`.
#[must_use]
pub fn in_words(ms: i64) -> String {
    for (unit, one, many) in [
        (365 * DAY_MS, "year", "years"),
        (DAY_MS, "day", "days"),
        (3_600_000, "hour", "hours"),
        (60_000, "min", "min"),
        (1_000, "s", "s"),
    ] {
        if ms != 0 && ms % unit == 0 {
            let n = ms / unit;
            return format!("{n} {}", if n == 1 { one } else { many });
        }
    }
    format!("{ms} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_iso_8601() {
        for (text, ms) in [
            ("PT90M", Some(5_400_000)),
            ("P1DT12H", Some(129_600_000)),
            ("P25Y", Some(25 * 365 * DAY_MS)),
            ("P1M", Some(30 * DAY_MS)),
            ("PT1.5H", Some(5_400_000)),
            ("P2W", Some(14 * DAY_MS)),
            ("PT0.001S", Some(1)),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("PT5", None),
            ("P1H", None),
            ("PT1M1H", None),
            ("PT1M1M", None),
            ("-PT1M", None),
            ("P1é", None),
            ("P99999999Y", None),
            ("PT0.0000001S", None),
        ] {
            assert_eq!(iso_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn m_is_minutes_but_in_retention() {
        assert_eq!(unit_ms("m", ShortM::Minutes), Some(60_000));
        assert_eq!(unit_ms("M", ShortM::Months), Some(30 * DAY_MS));
        assert_eq!(unit_ms("min", ShortM::Months), Some(60_000));
        assert_eq!(unit_ms("fortnight", ShortM::Months), None);
    }

    #[test]
    fn reads_short_texts_and_writes_them_in_words() {
        for (text, ms) in [
            ("30d", Some(30 * DAY_MS)),
            ("90 min", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            ("PT1H", Some(3_600_000)),
            ("30", None),
            ("", None),
            ("d", None),
            ("1..5h", None),
            ("-1h", None),
        ] {
            assert_eq!(text_ms(text), ms, "{text}");
        }
        assert_eq!(in_words(25 * 365 * DAY_MS), "25 years");
        assert_eq!(in_words(5_400_000), "90 min");
        assert_eq!(in_words(3_600_000), "1 hour");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "P?[0-9YMWDTHS. ]{0,20}") {
            let _ = text_ms(&text);
            let _ = iso_ms(&text);
        }
    }
}
