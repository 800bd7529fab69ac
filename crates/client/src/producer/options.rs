//! How a [`MeshProducer`](super::MeshProducer) is to work.

use std::time::Duration;

use meshwork_model::mesh::observation::Trust;
use meshwork_model::time::{SharedClock, Timestamp, WallClock};

/// What one observation covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// What was acknowledged in this much real time; `observed_at` is the clock's reading after it,
    /// and a record arrived when it was acknowledged.
    RealTime(Duration),
    /// What has its timestamp within the same stretch of this length (a minute, counted from 1970);
    /// `observed_at` is the greatest of the timestamps, and a record arrived at its timestamp. For
    /// replays, whose wall clock means nothing.
    RecordTime(Duration),
}

impl Span {
    pub(super) fn bucket(self, timestamp: Timestamp) -> i64 {
        match self {
            Self::RealTime(_) => 0,
            Self::RecordTime(length) => {
                let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
                timestamp.as_millis().div_euclid(length)
            }
        }
    }

    pub(super) const fn is_real_time(self) -> bool {
        matches!(self, Self::RealTime(_))
    }

    /// How often to look, in real time, for observations that are due.
    pub(super) fn tick(self) -> Duration {
        match self {
            Self::RealTime(length) => length.max(Duration::from_millis(10)),
            Self::RecordTime(_) => Duration::from_millis(100),
        }
    }
}

/// How a producer is to work.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// Who produces: the value of `mesh-producer`. `user@host` on the command line.
    pub producer: String,
    /// What that name rests on. Default: configured.
    pub trust: Trust,
    /// What one observation covers. Default: a second.
    pub span: Span,
    /// What time it is in the data. Default: the wall clock.
    pub clock: SharedClock,
    /// Stable name of this process's place, for the observations' source. Producer and topic are
    /// added to it, so that several producers of one process are told apart.
    pub instance: String,
    /// Queue, batches and delivery time-out. Whoever flushes often sets `linger` to 0: a flush waits
    /// for it twice.
    pub kafka: meshwork_kafka::ProducerOptions,
    /// How long a record waits for a registry that is down, if its schema is not known. 30 s: longer
    /// than a restart of the registry, short enough for someone at a terminal.
    pub schema_wait: Duration,
    /// How long [`flush`](super::MeshProducer::flush) waits, twice. Default: the delivery time-out
    /// and 10 s more.
    pub flush_timeout: Duration,
}

impl ProducerOptions {
    /// The defaults, for this producer.
    #[must_use]
    pub fn new(producer: impl Into<String>) -> Self {
        let kafka = meshwork_kafka::ProducerOptions::default();
        Self {
            producer: producer.into(),
            trust: Trust::Configured,
            span: Span::RealTime(Duration::from_secs(1)),
            clock: std::sync::Arc::new(WallClock),
            instance: "local".to_owned(),
            flush_timeout: kafka.delivery_timeout + Duration::from_secs(10),
            kafka,
            schema_wait: Duration::from_secs(30),
        }
    }
}
