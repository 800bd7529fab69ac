//! Time as a value. A role is handed a [`Clock`]; cores take a [`Timestamp`] as an argument and
//! never ask for one. A `Clock` says what time it is *in the data*; waiting is always real time.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// One minute in milliseconds.
pub const MINUTE_MS: i64 = 60_000;

/// A moment: milliseconds since 1970-01-01T00:00Z, as in Kafka record timestamps.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// `self + ms`, saturating at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; negative if `earlier` is later. Saturates.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Start of the minute that holds this moment.
    #[must_use]
    pub const fn floor_minute(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(MINUTE_MS)))
    }
}

/// RFC 3339 in UTC with milliseconds only where they are not zero: `2013-01-15T12:39:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_millisecond()))
    }
}

/// A [`Timestamp`] as RFC 3339 text, for JSON that people read: `#[serde(with = "rfc3339")]`.
pub mod rfc3339 {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Timestamp;

    /// As [`Timestamp`] displays itself.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    /// Any RFC 3339 text with a zone.
    ///
    /// # Errors
    /// The deserializer's own, and text that is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }

    /// The same for a time that may be missing.
    pub mod option {
        use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

        use super::Timestamp;

        /// As text, or null.
        ///
        /// # Errors
        /// The serializer's own.
        pub fn serialize<S: Serializer>(
            time: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => serializer.collect_str(time),
                None => serializer.serialize_none(),
            }
        }

        /// Text, or null.
        ///
        /// # Errors
        /// The deserializer's own, and text that is no time.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Option::<String>::deserialize(deserializer)?
                .map(|text| text.parse().map_err(D::Error::custom))
                .transpose()
        }
    }
}

/// What time it is in the data.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now. Two calls may give the same moment; a simulated clock may stand still.
    fn now(&self) -> Timestamp;
}

/// A shared clock, as the wiring hands it to every role.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(d) => i64::try_from(d.as_millis()).unwrap_or(i64::MAX),
            Err(e) => i64::try_from(e.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        Timestamp(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_to_the_minute_below_zero_too() {
        assert_eq!(Timestamp(-1).floor_minute(), Timestamp(-MINUTE_MS));
        assert_eq!(Timestamp(60_001).floor_minute(), Timestamp(MINUTE_MS));
        assert_eq!(Timestamp(60_000).floor_minute(), Timestamp(MINUTE_MS));
    }

    #[test]
    fn prints_and_reads_rfc_3339() {
        let t: Timestamp = "2013-01-15T12:39:00Z".parse().unwrap();
        assert_eq!(t.to_string(), "2013-01-15T12:39:00Z");
        assert_eq!(t.as_millis(), 1_358_253_540_000);
    }
}
