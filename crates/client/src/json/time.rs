//! Dates, times and timestamps as RFC 3339 writes them, with as many digits as
//! the unit has. What has no such form (years beyond 0000 to 9999) is `None`.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Days from 0000-01-01 to 1970-01-01.
const EPOCH: i64 = 719_528;

/// Days of 400 years, after which the calendar repeats.
const CYCLE: i64 = 146_097;

/// Days from 0000-01-01 to 0000-03-01.
const MARCH: i64 = 60;

/// Days from 0000-01-01 to 10000-01-01.
const LAST: i64 = 3_652_425;

/// A year, a month and a day as `YYYY-MM-DD`.
pub(super) fn write_date(days: i64, out: &mut String) -> Option<()> {
    let (year, month, day) = civil(days)?;
    digits(year, 4, out);
    out.push('-');
    digits(month, 2, out);
    out.push('-');
    digits(day, 2, out);
    Some(())
}

/// The time of day as `hh:mm:ss` and so many digits of its fraction.
pub(super) fn write_time(value: i64, places: usize, out: &mut String) -> Option<()> {
    let unit = unit(places);
    if !(0..DAY * unit).contains(&value) {
        return None;
    }
    let seconds = value / unit;
    digits(seconds / 3_600, 2, out);
    out.push(':');
    digits(seconds / 60 % 60, 2, out);
    out.push(':');
    digits(seconds % 60, 2, out);
    out.push('.');
    digits(value % unit, places, out);
    Some(())
}

/// Date and time, with `T` between.
pub(super) fn write_timestamp(value: i64, places: usize, out: &mut String) -> Option<()> {
    let day = DAY * unit(places);
    write_date(value.div_euclid(day), out)?;
    out.push('T');
    write_time(value.rem_euclid(day), places, out)
}

/// Reads `YYYY-MM-DD`.
pub(super) fn read_date(text: &str) -> Option<i64> {
    let mut text = Text(text.as_bytes());
    let days = text.date()?;
    text.is_done().then_some(days)
}

/// Reads `hh:mm[:ss[.fraction]]`. Digits that the unit has no room for must be 0.
pub(super) fn read_time(text: &str, places: usize) -> Option<i64> {
    let mut text = Text(text.as_bytes());
    let time = text.time(places)?;
    text.is_done().then_some(time)
}

/// Whether a timestamp names its offset from UTC.
#[derive(Copy, Clone, Eq, PartialEq)]
pub(super) enum Offset {
    /// It must.
    Needed,
    /// It must not: a local timestamp.
    None,
}

/// Reads a date and a time, with `T` or a space between.
pub(super) fn read_timestamp(text: &str, places: usize, offset: Offset) -> Option<i64> {
    let mut text = Text(text.as_bytes());
    let days = text.date()?;
    text.one_of(b"Tt ")?;
    let time = text.time(places)?;
    let mut seconds = 0;
    if offset == Offset::Needed && text.one_of(b"Zz").is_none() {
        let sign = if text.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = text.digits(2)?;
        let _ = text.one_of(b":");
        let minutes = text.digits(2)?;
        if hours > 23 || minutes > 59 {
            return None;
        }
        seconds = sign * (hours * 60 + minutes) * 60;
    }
    if !text.is_done() {
        return None;
    }
    // Nanoseconds reach from 1677 to 2262 only.
    let unit = i128::from(unit(places));
    let value = i128::from(days * DAY - seconds) * unit + i128::from(time);
    i64::try_from(value).ok()
}

fn unit(places: usize) -> i64 {
    (0..places).fold(1, |unit, _| unit * 10)
}

fn digits(value: i64, count: usize, out: &mut String) {
    let mut unit = unit(count);
    for _ in 0..count {
        unit /= 10;
        let digit = u8::try_from(value / unit % 10).unwrap_or(0);
        out.push(char::from(b'0' + digit));
    }
}

/// Days since 1970 as year, month and day of the Gregorian calendar
/// (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(EPOCH)?;
    if !(0..LAST).contains(&days) {
        return None;
    }
    // Years begin in March here, so that the leap day comes last; 400 more keep all positive.
    let days = days - MARCH + CYCLE;
    let era = days / CYCLE;
    let of_era = days % CYCLE;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 - 400 + i64::from(month <= 2);
    Some((year, month, day))
}

fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = 400 + year - i64::from(month <= 2);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let era = year / 400;
    let of_era = year % 400;
    let of_year = (153 * month + 2) / 5 + day - 1;
    let of_cycles = (era - 1) * CYCLE;
    Some(of_cycles + of_era * 365 + of_era / 4 - of_era / 100 + of_year + MARCH - EPOCH)
}

struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !wanted.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        (0..count).try_fold(0, |value, _| {
            let digit = self.one_of(b"0123456789")?;
            Some(value * 10 + i64::from(digit - b'0'))
        })
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4)?;
        self.one_of(b"-")?;
        let month = self.digits(2)?;
        self.one_of(b"-")?;
        days(year, month, self.digits(2)?)
    }

    fn time(&mut self, places: usize) -> Option<i64> {
        let hour = self.digits(2)?;
        self.one_of(b":")?;
        let minute = self.digits(2)?;
        let mut second = 0;
        let mut fraction = 0;
        if self.one_of(b":").is_some() {
            second = self.digits(2)?;
            if self.one_of(b".").is_some() {
                let mut weight = unit(places);
                let mut any = false;
                while let Some(digit) = self.digits(1) {
                    any = true;
                    weight /= 10;
                    if weight == 0 && digit != 0 {
                        return None;
                    }
                    fraction += digit * weight;
                }
                if !any {
                    return None;
                }
            }
        }
        let within = hour < 24 && minute < 60 && second < 60;
        within.then(|| ((hour * 60 + minute) * 60 + second) * unit(places) + fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_there_and_back() {
        let mut date = jiff::civil::date(0, 1, 1);
        for day in -EPOCH..LAST - EPOCH {
            let mut text = String::new();
            write_date(day, &mut text).unwrap();
            assert_eq!(read_date(&text), Some(day), "{text}");
            if day % 97 == 0 {
                date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
                assert_eq!(text, date.to_string());
            }
        }
        assert_eq!(date.year(), 9999);
        let mut text = String::new();
        for day in [-EPOCH - 1, LAST - EPOCH, i64::MAX, i64::MIN] {
            assert_eq!(write_date(day, &mut text), None);
        }
    }

    #[test]
    fn timestamps_keep_the_digits_of_their_unit() {
        let cases: &[(&str, usize, Offset, Option<i64>)] = &[
            (
                "2013-01-01T05:00:00.000Z",
                3,
                Offset::Needed,
                Some(1_357_016_400_000),
            ),
            (
                "2013-01-01T05:00:00Z",
                3,
                Offset::Needed,
                Some(1_357_016_400_000),
            ),
            (
                "2013-01-01 06:00+01:00",
                6,
                Offset::Needed,
                Some(1_357_016_400_000_000),
            ),
            (
                "1969-12-31T23:59:59.999999999Z",
                9,
                Offset::Needed,
                Some(-1),
            ),
            ("2013-01-01T05:00:00.0001Z", 3, Offset::Needed, None),
            (
                "2013-01-01T05:00:00.0010Z",
                3,
                Offset::Needed,
                Some(1_357_016_400_001),
            ),
            ("2013-01-01T05:00:00", 3, Offset::Needed, None),
            (
                "2013-01-01T05:00:00.5",
                3,
                Offset::None,
                Some(1_357_016_400_500),
            ),
            ("2013-01-01T05:00:00Z", 3, Offset::None, None),
            ("2300-01-01T00:00:00Z", 9, Offset::Needed, None),
            ("2013-01-01T24:00:00Z", 3, Offset::Needed, None),
            ("2013-01-01T05:00:00.Z", 3, Offset::Needed, None),
            ("2013-01-01", 3, Offset::Needed, None),
        ];
        for (text, places, offset, expected) in cases {
            assert_eq!(read_timestamp(text, *places, *offset), *expected, "{text}");
        }
        let mut text = String::new();
        write_timestamp(-1, 6, &mut text).unwrap();
        assert_eq!(text, "1969-12-31T23:59:59.999999");
        assert_eq!(read_time("23:59:59.999", 3), Some(86_399_999));
        assert_eq!(write_time(86_400_000, 3, &mut text), None);
        assert_eq!(write_time(-1, 3, &mut text), None);
    }
}
