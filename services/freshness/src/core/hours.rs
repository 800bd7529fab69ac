//! When data is due: daily hours in a time zone, by the wall clock there, minute by minute. A day on
//! which clocks change has 23 or 25 hours, and its hours are what the clock on the wall says.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use meshwork_model::slo::DailyHours;

use super::Minute;
use super::page::DAY_MINUTES;

/// Days whose hours are kept worked out; the least is dropped beyond. A year and some.
const DAYS_MAX: usize = 400;
const WORDS: usize = 23;

/// A time zone that this version's database does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time zone `{zone}` is not in the IANA database: write a name such as America/New_York")]
pub struct ZoneError {
    /// As declared.
    pub zone: String,
}

/// The minutes in which data is due.
#[derive(Clone, Debug)]
pub struct Hours {
    daily: Option<Daily>,
}

#[derive(Clone, Debug)]
struct Daily {
    declared: DailyHours,
    zone: TimeZone,
    days: BTreeMap<i64, Day>,
}

/// One UTC day: a bit for each minute that is due.
#[derive(Clone, Copy, Debug)]
struct Day {
    bits: [u64; WORDS],
    due: i64,
}

impl Hours {
    /// All day, or the declared hours.
    ///
    /// # Errors
    /// The zone is not known.
    pub fn new(declared: Option<&DailyHours>) -> Result<Self, ZoneError> {
        let Some(declared) = declared else {
            return Ok(Self { daily: None });
        };
        let zone = TimeZone::get(&declared.zone).map_err(|_| ZoneError {
            zone: declared.zone.clone(),
        })?;
        Ok(Self {
            daily: Some(Daily {
                declared: declared.clone(),
                zone,
                days: BTreeMap::new(),
            }),
        })
    }

    /// What they were made from.
    #[must_use]
    pub fn declared(&self) -> Option<&DailyHours> {
        self.daily.as_ref().map(|d| &d.declared)
    }

    /// Whether a minute is due: its start lies within the hours.
    pub fn due(&mut self, minute: Minute) -> bool {
        let Some(daily) = &mut self.daily else {
            return true;
        };
        let (day, at) = split(minute);
        daily.day(day).has(at)
    }

    /// How many minutes from `from` to before `until` are due.
    pub fn due_between(&mut self, from: Minute, until: Minute) -> i64 {
        let length = until.saturating_sub(from);
        if length <= 0 {
            return 0;
        }
        let Some(daily) = &mut self.daily else {
            return length;
        };
        let (first, start) = split(from);
        let (last, end) = split(until);
        let mut due = 0_i64;
        for day in first..=last {
            let low = if day == first { start } else { 0 };
            let high = if day == last { end } else { DAY_MINUTES };
            let d = daily.day(day);
            due = due.saturating_add(if low == 0 && high == DAY_MINUTES {
                d.due
            } else {
                (low..high).map(|m| i64::from(d.has(m))).sum()
            });
        }
        due
    }
}

fn split(minute: Minute) -> (i64, i64) {
    (
        minute.div_euclid(DAY_MINUTES),
        minute.rem_euclid(DAY_MINUTES),
    )
}

impl Daily {
    fn day(&mut self, day: i64) -> Day {
        if let Some(known) = self.days.get(&day) {
            return *known;
        }
        let mut found = Day {
            bits: [0; WORDS],
            due: 0,
        };
        for m in 0..DAY_MINUTES {
            let minute = day.saturating_mul(DAY_MINUTES).saturating_add(m);
            if self.open_at(minute) {
                found.set(m);
            }
        }
        if self.days.len() >= DAYS_MAX {
            self.days.pop_first();
        }
        self.days.insert(day, found);
        found
    }

    fn open_at(&self, minute: Minute) -> bool {
        let seconds = minute.saturating_mul(60);
        // Out of jiff's range (beyond the year 9999): nothing is due.
        let Ok(moment) = jiff::Timestamp::from_second(seconds) else {
            return false;
        };
        let offset = i64::from(self.zone.to_offset(moment).seconds());
        let local = seconds
            .saturating_add(offset)
            .div_euclid(60)
            .rem_euclid(DAY_MINUTES);
        let from = i64::from(self.declared.from_minute);
        let until = i64::from(self.declared.until_minute);
        if from < until {
            (from..until).contains(&local)
        } else {
            local >= from || local < until
        }
    }
}

impl Day {
    fn has(&self, minute: i64) -> bool {
        place(minute)
            .and_then(|(word, bit)| self.bits.get(word).map(|w| w >> bit & 1 == 1))
            .unwrap_or(false)
    }

    fn set(&mut self, minute: i64) {
        if let Some((word, bit)) = place(minute)
            && let Some(w) = self.bits.get_mut(word)
        {
            *w |= 1 << bit;
            self.due = self.due.saturating_add(1);
        }
    }
}

fn place(minute: i64) -> Option<(usize, u32)> {
    let word = usize::try_from(minute.div_euclid(64)).ok()?;
    let bit = u32::try_from(minute.rem_euclid(64)).ok()?;
    Some((word, bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::minute_of;

    fn minute(text: &str) -> Minute {
        minute_of(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn new_york(from: u16, until: u16) -> Hours {
        Hours::new(Some(&DailyHours {
            from_minute: from,
            until_minute: until,
            zone: "America/New_York".into(),
        }))
        .unwrap()
    }

    #[test]
    fn opens_and_closes_by_the_local_clock() {
        let mut hours = new_york(390, 1260);
        for (at, due) in [
            ("2013-01-15T11:29:00Z", false),
            ("2013-01-15T11:30:00Z", true),
            ("2013-01-16T01:59:00Z", true),
            ("2013-01-16T02:00:00Z", false),
            // Summer time.
            ("2013-07-15T10:30:00Z", true),
            ("2013-07-15T10:29:00Z", false),
        ] {
            assert_eq!(hours.due(minute(at)), due, "{at}");
        }
    }

    #[test]
    fn days_on_which_clocks_change_have_23_and_25_hours() {
        // (from, until, minutes due on 2013-03-10, on 2013-11-03, on an ordinary day)
        for (from, until, short, long, plain) in [
            (0, 1440, 23 * 60, 25 * 60, 24 * 60),
            (60, 240, 2 * 60, 4 * 60, 3 * 60),
            (0, 120, 2 * 60, 3 * 60, 2 * 60),
            (390, 1260, 870, 870, 870),
        ] {
            let mut hours = new_york(from, until);
            let mut due = |a: &str, b: &str| hours.due_between(minute(a), minute(b));
            assert_eq!(due("2013-03-10T05:00:00Z", "2013-03-11T04:00:00Z"), short);
            assert_eq!(due("2013-11-03T04:00:00Z", "2013-11-04T05:00:00Z"), long);
            assert_eq!(due("2013-01-10T05:00:00Z", "2013-01-11T05:00:00Z"), plain);
        }
    }

    #[test]
    fn over_midnight_and_all_day() {
        let mut night = new_york(1320, 120);
        assert!(night.due(minute("2013-01-15T03:00:00Z")));
        assert!(night.due(minute("2013-01-15T06:59:00Z")));
        assert!(!night.due(minute("2013-01-15T07:00:00Z")));
        let mut always = Hours::new(None).unwrap();
        assert_eq!(always.due_between(10, 43_210), 43_200);
        assert_eq!(always.due_between(10, 5), 0);
    }

    #[test]
    fn counting_agrees_with_asking() {
        let mut hours = new_york(390, 1260);
        let from = minute("2013-03-09T13:07:00Z");
        for length in [0, 1, 59, 1440, 5000] {
            let counted = (from..from + length).filter(|m| hours.due(*m)).count();
            assert_eq!(
                hours.due_between(from, from + length),
                i64::try_from(counted).unwrap()
            );
        }
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let err = Hours::new(Some(&DailyHours {
            from_minute: 0,
            until_minute: 1,
            zone: "Mars/Olympus".into(),
        }))
        .unwrap_err();
        assert!(err.to_string().contains("Mars/Olympus"));
    }
}
