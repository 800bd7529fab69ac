//! What the freshness role is told.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::Settings;

/// The freshness role: when minutes close, how often brokers are asked, and how much may wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Stable name of this process's place, in the observations that it writes. By default the host's
    /// name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// How long after a minute's end observations of it may still come, by the clock of the data.
    /// Default `10s`: producers report once a second and the observer asks every ten.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub lateness: Duration,
    /// How long after a minute's end it closes as unmeasurable if something is missing, by the clock of
    /// the data. Default `60s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub give_up: Duration,
    /// Closed minutes in a row in which its rules are false before an alert resolves. Default 5: a
    /// condition that hovers at its threshold alerts once.
    pub keep: u32,
    /// How often the observer asks the brokers for the ends of partitions, in real time. Default `10s`:
    /// one request for many partitions; 100,000 of them are about 4 MB.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub poll_interval: Duration,
    /// A tick is written whenever the clock has moved by this. Default `10s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub tick_every: Duration,
    /// How long offsets that nobody reported may stand, in real time, before they are read back; at the
    /// start they are at once. Default `10s`: a producer that lives reports well within it.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub gap_stands: Duration,
    /// Most records that are read back of one gap; of a longer one the older part is accounted for
    /// without being read. Default 1,000,000: a minute's work.
    pub read_back_records: u32,
    /// What an observation of records that were read back is stamped with.
    pub span: Span,
    /// How often results are written to Kafka at most, in real time, in one transaction. Default `200ms`:
    /// a transaction takes 4 ms on one broker and 35 ms on three.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub commit_every: Duration,
}

/// What an observation of records that were read back is stamped with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// Now, and the time since when they may have been there. For production: when a record became
    /// readable is not in the log.
    #[default]
    Now,
    /// The greatest record timestamp of each minute of record timestamps. For replays under a simulated
    /// clock, whose producers stamp records with the time at which they are due.
    RecordTime,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: None,
            lateness: Duration::from_secs(10),
            give_up: Duration::from_secs(60),
            keep: 5,
            poll_interval: Duration::from_secs(10),
            tick_every: Duration::from_secs(10),
            gap_stands: Duration::from_secs(10),
            read_back_records: 1_000_000,
            span: Span::Now,
            commit_every: Duration::from_millis(200),
        }
    }
}

impl Config {
    /// The core's part.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            lateness_ms: millis(self.lateness),
            give_up_ms: millis(self.give_up),
            keep: self.keep,
        }
    }

    pub(crate) fn instance(&self) -> String {
        let name = self.instance.as_deref().map(str::trim);
        name.filter(|name| !name.is_empty())
            .map_or_else(meshwork_telemetry::host_name, str::to_owned)
    }
}

/// Whole milliseconds, at most `i64::MAX`.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_people_write_it() {
        let config: Config =
            serde_json::from_str(r#"{"give_up": "24h", "span": "record-time"}"#).unwrap();
        assert_eq!(config.settings().give_up_ms, 86_400_000);
        assert_eq!(config.span, Span::RecordTime);
        let err = serde_json::from_str::<Config>(r#"{"giveup": "1s"}"#).unwrap_err();
        assert!(err.to_string().contains("give_up"), "{err}");
    }
}
