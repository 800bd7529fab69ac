//! Service level objectives as a contract declares them. The rules by which minutes are judged are
//! the freshness service's; these are only the words.

pub mod firing;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{NameError, Urn};

/// `<URN>#<slaProperty id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SloKey {
    /// The product version that promises it.
    pub urn: Urn,
    /// The `id` of the contract's `slaProperties` entry.
    pub id: String,
}

impl fmt::Display for SloKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.urn, self.id)
    }
}

impl FromStr for SloKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (urn, id) = text
            .split_once('#')
            .filter(|(_, id)| !id.is_empty())
            .ok_or_else(|| NameError::Form {
                what: "SLO",
                text: text.to_owned(),
                form: "<URN>#<slaProperty id>",
            })?;
        Ok(Self {
            urn: urn.parse()?,
            id: id.to_owned(),
        })
    }
}

/// What is measured, and its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indicator {
    /// At each minute's end, the age of the newest readable event is at most this.
    Freshness {
        /// Milliseconds.
        within_ms: i64,
    },
    /// Each record observed in the minute came at most this long after its event time.
    Latency {
        /// Milliseconds.
        within_ms: i64,
    },
}

impl Indicator {
    /// The limit in milliseconds.
    #[must_use]
    pub const fn within_ms(self) -> i64 {
        match self {
            Self::Freshness { within_ms } | Self::Latency { within_ms } => within_ms,
        }
    }
}

/// When data is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// Always.
    Continuous,
    /// Every so many milliseconds.
    Every {
        /// The period.
        period_ms: i64,
    },
    /// Whenever something happens: silence is never late.
    Event,
}

/// Daily hours in a time zone outside of which nothing is due.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DailyHours {
    /// Minute of the local day at which they open, 0 to 1439.
    pub from_minute: u16,
    /// Minute of the local day at which they close, 1 to 1440. Not above `from_minute`: they go
    /// over midnight.
    pub until_minute: u16,
    /// IANA name, such as `America/New_York`.
    pub zone: String,
}

/// How loud an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Wakes somebody up.
    #[serde(rename = "PAGE")]
    Page,
    /// Waits for working hours.
    #[serde(rename = "TICKET")]
    Ticket,
}

/// One objective of a product version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slo {
    /// The `id` of the contract's `slaProperties` entry.
    pub id: String,
    /// What is measured, and its limit.
    pub indicator: Indicator,
    /// Share of good slices promised, in millionths: 990,000 is 99 %.
    pub objective_millionths: u32,
    /// The period that the objective is over, milliseconds; a whole number of minutes.
    pub window_ms: i64,
    /// When data is due.
    pub cadence: Cadence,
    /// Hours outside of which nothing is due; none: all day.
    pub hours: Option<DailyHours>,
    /// Loudest severity that it may alert with.
    pub severity: Severity,
}
