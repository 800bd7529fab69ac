//! The values of an SLO's own properties.

use crate::contract::duration::{DAY_MS, millionths, text_ms};
use crate::contract::settings::word;
use crate::contract::tree::{Node, Value};
use crate::slo::{Cadence, DailyHours, Severity, Slo};
use crate::time::MINUTE_MS;

/// Longest period of an objective; slices are kept for so long.
const LONGEST_WINDOW_MS: i64 = 90 * DAY_MS;

/// What is there, and what it must be.
pub(super) type Wrong = (String, String);

pub(super) fn set(slo: &mut Slo, name: &str, value: &Node) -> Result<(), Wrong> {
    let text = word(value);
    let wrong = |wanted: &str| Err((text.clone(), wanted.to_owned()));
    match name {
        "objective" => match objective(&text) {
            Some(objective) => slo.objective_millionths = objective,
            None => {
                return wrong(
                    "a share above 0 and below 1 with at most six decimals, such as 0.99",
                );
            }
        },
        "window" => match text_ms(&text)
            .filter(|ms| (DAY_MS..=LONGEST_WINDOW_MS).contains(ms) && ms % MINUTE_MS == 0)
        {
            Some(ms) => slo.window_ms = ms,
            None => return wrong("from 1d to 90d, such as 30d"),
        },
        "cadence" => match cadence(&text) {
            Some(cadence) => slo.cadence = cadence,
            None => {
                return wrong(
                    "`continuous`, `event`, or `every` with a length of time, such as `every 1h`",
                );
            }
        },
        "hours" => match hours(value) {
            Some(hours) => slo.hours = Some(hours),
            None => {
                return wrong(
                    "daily hours with an IANA time zone, such as `06:30-21:00 America/New_York`",
                );
            }
        },
        "severity" => match text.to_ascii_lowercase().as_str() {
            "page" => slo.severity = Severity::Page,
            "ticket" => slo.severity = Severity::Ticket,
            _ => return wrong("page or ticket"),
        },
        _ => {}
    }
    Ok(())
}

/// `0.99` or `99%`.
fn objective(text: &str) -> Option<u32> {
    let millionths = match text.strip_suffix('%') {
        Some(percent) => {
            let hundredfold = millionths(percent.trim())?;
            (hundredfold % 100 == 0).then_some(hundredfold / 100)?
        }
        None => millionths(text)?,
    };
    u32::try_from(millionths)
        .ok()
        .filter(|m| (1..1_000_000).contains(m))
}

fn cadence(text: &str) -> Option<Cadence> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.as_str() {
        "continuous" => return Some(Cadence::Continuous),
        "event" => return Some(Cadence::Event),
        _ => {}
    }
    let period = lower.strip_prefix("every")?.trim();
    let period = text_ms(&period.to_ascii_uppercase())
        .or_else(|| text_ms(period))
        .filter(|ms| (MINUTE_MS..=366 * DAY_MS).contains(ms))?;
    Some(Cadence::Every { period_ms: period })
}

/// `06:30-21:00 America/New_York`, or a mapping of `from`, `until` and `zone`.
fn hours(value: &Node) -> Option<DailyHours> {
    let (from, until, zone) = match &value.value {
        Value::Text(text) => {
            let (hours, zone) = text.trim().split_once(char::is_whitespace)?;
            let (from, until) = hours.split_once(['-', '–'])?;
            (from.to_owned(), until.to_owned(), zone.trim().to_owned())
        }
        Value::Map(entries) if entries.len() == 3 => (
            value.text_of("from")?.to_owned(),
            value.text_of("until")?.to_owned(),
            value.text_of("zone")?.to_owned(),
        ),
        _ => return None,
    };
    let from_minute = minute(&from).filter(|m| *m < 1_440)?;
    let until_minute = minute(&until).filter(|m| *m > 0)?;
    // A time zone that doesn't exist must be found here, not at midnight.
    jiff::tz::TimeZone::get(&zone).ok()?;
    (from_minute != until_minute).then_some(DailyHours {
        from_minute,
        until_minute,
        zone,
    })
}

/// `HH:MM` up to 24:00 as minutes.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |t: &str| -> Option<u16> {
        ((1..=2).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit()))
            .then(|| t.parse().ok())
            .flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute).filter(|m| *m < 60)?);
    Some(hour * 60 + minute).filter(|m| *m <= 1_440)
}
