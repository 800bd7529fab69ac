//! The event time of a datum: one named field, read on the way through it.

use jiff::civil;

use crate::schema::{Kind, LogicalType, Node};

/// How the bytes of a time field are to be understood.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970.
    Nanos,
    /// Days since 1970 (an `int`).
    Days,
    /// A string: ISO 8601 or RFC 3339.
    Text,
}

impl Unit {
    /// What a schema node says of time; `None` if it says nothing of it.
    ///
    /// A bare `long` has no unit and is none. Local timestamps are taken as UTC.
    pub(super) fn of(node: &Node) -> Option<Unit> {
        match (&node.kind, &node.logical) {
            (
                Kind::Long,
                Some(LogicalType::TimestampMillis | LogicalType::LocalTimestampMillis),
            ) => Some(Unit::Millis),
            (
                Kind::Long,
                Some(LogicalType::TimestampMicros | LogicalType::LocalTimestampMicros),
            ) => Some(Unit::Micros),
            (Kind::Long, Some(LogicalType::TimestampNanos | LogicalType::LocalTimestampNanos)) => {
                Some(Unit::Nanos)
            }
            (Kind::Int, Some(LogicalType::Date)) => Some(Unit::Days),
            (Kind::String, _) => Some(Unit::Text),
            _ => None,
        }
    }
}

/// What the walk saw at the event-time field, not yet turned into milliseconds.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// The field is null, absent on this branch, or was not asked for.
    Nothing,
    /// A number in some unit.
    Number(Unit, i64),
    /// A text, from where to where in the datum.
    Text(usize, usize),
}

impl Seen {
    /// Milliseconds since 1970, rounded down; `None` where there is no such instant.
    pub(super) fn to_millis(self, datum: &[u8]) -> Option<i64> {
        match self {
            Seen::Nothing => None,
            Seen::Number(Unit::Micros, value) => Some(value.div_euclid(1_000)),
            Seen::Number(Unit::Nanos, value) => Some(value.div_euclid(1_000_000)),
            Seen::Number(Unit::Days, value) => value.checked_mul(86_400_000),
            Seen::Number(Unit::Millis | Unit::Text, value) => Some(value),
            Seen::Text(from, to) => millis_of_text(datum.get(from..to)?),
        }
    }
}

/// Reads an RFC 3339 or ISO 8601 date or instant as milliseconds since 1970,
/// rounded down: `2013-01-01`, `2013-01-01T05:00Z`, `2013-01-01 05:00:00.123456+01:00`.
/// Without an offset it is UTC. A leap second counts as the second before it.
///
/// Written by hand so that a text that is no time costs no allocation either.
fn millis_of_text(text: &[u8]) -> Option<i64> {
    let mut text = Text(text);
    let year = text.digits(4)?;
    text.expect(b'-')?;
    let month = text.digits(2)?;
    text.expect(b'-')?;
    let day = text.digits(2)?;
    let date = civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    let days = i64::from(days_since_1970(date));
    let mut millis = days * 86_400_000;
    if text.0.is_empty() {
        return Some(millis);
    }

    text.one_of(b"Tt ")?;
    let hour = text.digits(2)?;
    text.expect(b':')?;
    let minute = text.digits(2)?;
    let mut second = 0;
    let mut fraction = 0;
    if text.expect(b':').is_some() {
        second = text.digits(2)?;
        if text.one_of(b".,").is_some() {
            fraction = text.fraction_in_millis()?;
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    millis += ((hour * 60 + minute) * 60 + second.min(59)) * 1_000 + fraction;

    if text.0.is_empty() || text.one_of(b"Zz").is_some() {
        return text.0.is_empty().then_some(millis);
    }
    let sign = if text.one_of(b"+-")? == b'-' { -1 } else { 1 };
    let hours = text.digits(2)?;
    let minutes = if text.0.is_empty() {
        0
    } else {
        let _ = text.expect(b':');
        text.digits(2)?
    };
    let within = hours <= 23 && minutes <= 59 && text.0.is_empty();
    within.then_some(millis - sign * (hours * 60 + minutes) * 60_000)
}

fn days_since_1970(date: civil::Date) -> i32 {
    date.since(civil::date(1970, 1, 1))
        .map_or(0, |span| span.get_days())
}

/// What is left of a text to read.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !wanted.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, wanted: u8) -> Option<u8> {
        self.one_of(&[wanted])
    }

    /// Exactly `count` digits, as a number.
    fn digits(&mut self, count: usize) -> Option<i64> {
        (0..count).try_fold(0, |value, _| {
            let digit = self.one_of(b"0123456789")?;
            Some(value * 10 + i64::from(digit - b'0'))
        })
    }

    /// One digit or more after the point; beyond the third they are dropped.
    fn fraction_in_millis(&mut self) -> Option<i64> {
        let mut millis = self.digits(1)? * 100;
        let mut weight = 10;
        while let Some(digit) = self.digits(1) {
            millis += digit * weight;
            weight /= 10;
        }
        Some(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let cases: &[(&str, Option<i64>)] = &[
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1969-12-31T23:59:59.9999Z", Some(-1)),
            ("2013-01-01T05:00:00Z", Some(1_357_016_400_000)),
            ("2013-01-01T05:00Z", Some(1_357_016_400_000)),
            ("2013-01-01 05:00:00", Some(1_357_016_400_000)),
            ("2013-01-01t00:00:00.250-05:00", Some(1_357_016_400_250)),
            ("2013-01-01T10:30:00,2509+0530", Some(1_357_016_400_250)),
            ("2013-01-01T06:00:00+01", Some(1_357_016_400_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799_000)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            ("0000-01-01", Some(-62_167_219_200_000)),
            ("2013-02-29", None),
            ("2013-01-01T24:00:00Z", None),
            ("2013-01-01T05:00:00ZZ", None),
            ("2013-01-01T", None),
            ("2013-1-1", None),
            ("13:00", None),
            ("2013-01-01T05:00:00.Z", None),
            ("2013-01-01T05:00:00+25:00", None),
            ("", None),
            ("nonsense", None),
        ];
        for (text, expected) in cases {
            assert_eq!(millis_of_text(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn agrees_with_jiff_on_every_day_of_four_centuries() {
        let mut date = civil::date(1899, 12, 31);
        while date.year() < 2300 {
            let text = format!("{date}T12:34:56.789Z");
            let expected: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(
                millis_of_text(text.as_bytes()),
                Some(expected.as_millisecond())
            );
            date = date.checked_add(jiff::Span::new().days(13)).unwrap();
        }
    }

    #[test]
    fn units_round_down() {
        let cases = [
            (Seen::Number(Unit::Millis, -1), Some(-1)),
            (Seen::Number(Unit::Micros, -1), Some(-1)),
            (Seen::Number(Unit::Micros, 1_999), Some(1)),
            (Seen::Number(Unit::Nanos, -1_000_001), Some(-2)),
            (Seen::Number(Unit::Days, -1), Some(-86_400_000)),
            (Seen::Number(Unit::Millis, i64::MIN), Some(i64::MIN)),
            (Seen::Nothing, None),
            (Seen::Text(3, 9), None),
        ];
        for (seen, expected) in cases {
            assert_eq!(seen.to_millis(&[]), expected, "{seen:?}");
        }
    }
}
