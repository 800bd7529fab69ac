//! Reads a product: all partitions, committed records only, each decoded under its writer's schema.

mod decode;

use std::time::Duration;

use meshwork_kafka::{
    Admin, Assigned, From, InRecord, Isolation, KafkaConfig, KafkaError, LogReader,
    PartitionOffset, ReadBatch, ReaderOptions,
};
use meshwork_model::time::Timestamp;
use meshwork_registry_client::RegistryClient;

pub use decode::{Decoder, Shown};

/// Where to begin, in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record.
    Start,
    /// With what is written from now on.
    End,
    /// With the last so many records, by offset.
    Last(u64),
    /// With the first record whose timestamp is this or later.
    Time(Timestamp),
    /// With this offset, or the nearest that is there.
    Offset(i64),
}

/// A place that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no offset; write start, end, a number, -N for the last N, or @time (RFC 3339 or ms since 1970)"
)]
pub struct StartAtError(String);

impl std::str::FromStr for StartAt {
    type Err = StartAtError;

    /// As kcat's `-o`: `start`, `end`, `-N`, `@time`, `offset`.
    fn from_str(text: &str) -> Result<Self, StartAtError> {
        let bad = || StartAtError(text.to_owned());
        if let Some(time) = text.strip_prefix('@') {
            return time
                .parse::<i64>()
                .map(Timestamp::from_millis)
                .or_else(|_| time.parse::<Timestamp>())
                .map(Self::Time)
                .map_err(|_| bad());
        }
        match text {
            "start" | "beginning" => Ok(Self::Start),
            "end" => Ok(Self::End),
            _ => match text.strip_prefix('-') {
                Some(last) => last.parse().map(Self::Last).map_err(|_| bad()),
                None => text
                    .parse()
                    .ok()
                    .filter(|offset| *offset >= 0)
                    .map(Self::Offset)
                    .ok_or_else(bad),
            },
        }
    }
}

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumeOptions {
    /// Where to begin.
    pub start: StartAt,
    /// Most records in all; none: no limit.
    pub limit: Option<u64>,
    /// Go on when the end is reached.
    pub follow: bool,
    /// Keys are framed Avro; else they are text.
    pub avro_key: bool,
}

impl Default for ConsumeOptions {
    fn default() -> Self {
        Self {
            start: StartAt::Start,
            limit: None,
            follow: false,
            avro_key: false,
        }
    }
}

/// Why a product can't be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The topic is not there.
    #[error("topic {topic} is not there; create it with `meshwork product apply`")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The registry could not be asked for a schema.
    #[error(transparent)]
    Registry(#[from] meshwork_registry_client::RegistryClientError),
    /// Nothing was heard from the brokers.
    #[error("no Kafka broker answered for {} s: {said}", waited.as_secs())]
    Unreachable {
        /// For how long.
        waited: Duration,
        /// The last that the client heard.
        said: String,
    },
}

/// A record as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumed {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Timestamp.
    pub timestamp: Option<Timestamp>,
    /// Key.
    pub key: Shown,
    /// Value, as JSON under its writer's schema.
    pub value: Shown,
    /// Headers, in order; null values too.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Without an answer for so long while records are asked for, reading gives up. As long as a
/// producer's delivery time-out would be too long for someone at a terminal.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one wait for records is.
const WAIT: Duration = Duration::from_millis(250);

/// A reader of one product's topic.
#[derive(Debug)]
pub struct Consumption {
    reader: LogReader,
    decoder: Decoder,
    options: ConsumeOptions,
    left: Option<u64>,
    waiting: std::collections::VecDeque<InRecord>,
    caught_up: bool,
}

impl Consumption {
    /// Begins to read `topic`.
    ///
    /// # Errors
    /// See [`ConsumeError`].
    pub async fn open(
        kafka: &KafkaConfig,
        registry: RegistryClient,
        topic: &str,
        options: ConsumeOptions,
    ) -> Result<Self, ConsumeError> {
        let admin = Admin::new(kafka)?;
        let info = admin
            .topic(topic)
            .await?
            .ok_or_else(|| ConsumeError::NoTopic {
                topic: topic.to_owned(),
            })?;
        let partitions: Vec<(String, i32)> = (0..info.partitions)
            .map(|p| (topic.to_owned(), p))
            .collect();
        let from = starts(&admin, &partitions, options.start).await?;
        let assigned = partitions
            .into_iter()
            .zip(from)
            .map(|((topic, partition), from)| Assigned {
                topic,
                partition,
                from,
            })
            .collect();
        let reader = LogReader::start(kafka, assigned, ReaderOptions::default())?;
        Ok(Self {
            reader,
            decoder: Decoder::new(registry),
            left: options.limit,
            options,
            waiting: std::collections::VecDeque::new(),
            caught_up: false,
        })
    }

    /// The next record; none at the end of what was there, or at the limit. With `follow` it waits
    /// for more. May be dropped and called again.
    ///
    /// # Errors
    /// See [`ConsumeError`]. A record that can't be decoded is no error: see [`Shown`].
    pub async fn next(&mut self) -> Result<Option<Consumed>, ConsumeError> {
        if self.left == Some(0) {
            return Ok(None);
        }
        loop {
            if let Some(record) = self.waiting.front() {
                let shown = self.show(record).await?;
                self.waiting.pop_front();
                if let Some(left) = &mut self.left {
                    *left -= 1;
                }
                return Ok(Some(shown));
            }
            if self.caught_up && !self.options.follow {
                return Ok(None);
            }
            let ReadBatch {
                records,
                caught_up,
                trouble,
                ..
            } = self.reader.next(WAIT).await?;
            self.waiting.extend(records);
            self.caught_up = caught_up;
            if let Some(trouble) = trouble
                && self.waiting.is_empty()
                && !self.options.follow
                && trouble.since.elapsed() > PATIENCE
            {
                return Err(ConsumeError::Unreachable {
                    waited: trouble.since.elapsed(),
                    said: trouble.said,
                });
            }
        }
    }

    async fn show(&self, record: &InRecord) -> Result<Consumed, ConsumeError> {
        Ok(Consumed {
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: self.decoder.key(record, self.options.avro_key).await?,
            value: self.decoder.value(record).await?,
            headers: record
                .headers
                .iter()
                .map(|h| (h.name.to_string(), h.value.as_ref().map(|v| v.to_vec())))
                .collect(),
        })
    }
}

/// Where to begin in each of the partitions, in their order.
async fn starts(
    admin: &Admin,
    partitions: &[(String, i32)],
    start: StartAt,
) -> Result<Vec<From>, KafkaError> {
    let of = |offsets: &[PartitionOffset], partition: i32| {
        offsets
            .iter()
            .find(|o| o.partition == partition)
            .and_then(|o| o.offset)
    };
    let (times, at) = match start {
        StartAt::Start => return Ok(vec![From::Beginning; partitions.len()]),
        StartAt::Time(time) => (Some(admin.offsets_for_time(partitions, time).await?), None),
        StartAt::Offset(offset) => (None, Some(offset)),
        StartAt::End | StartAt::Last(_) => (None, None),
    };
    let first = admin.start_offsets(partitions).await?;
    let end = admin
        .end_offsets(partitions, Isolation::ReadCommitted)
        .await?;
    Ok(partitions
        .iter()
        .map(|(_, partition)| {
            let first = of(&first, *partition).unwrap_or(0);
            let end = of(&end, *partition).unwrap_or(first).max(first);
            let wanted = match start {
                StartAt::Last(count) => {
                    end.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX))
                }
                StartAt::Time(_) => times
                    .as_ref()
                    .and_then(|t| of(t, *partition))
                    .unwrap_or(end),
                _ => at.unwrap_or(end),
            };
            From::Offset(wanted.clamp(first, end))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_kcat_reads_them() {
        for (text, expected) in [
            ("start", StartAt::Start),
            ("beginning", StartAt::Start),
            ("end", StartAt::End),
            ("-5", StartAt::Last(5)),
            ("42", StartAt::Offset(42)),
            (
                "@1357016400000",
                StartAt::Time(Timestamp::from_millis(1_357_016_400_000)),
            ),
            (
                "@2013-01-01T05:00:00Z",
                StartAt::Time(Timestamp::from_millis(1_357_016_400_000)),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for bad in ["", "-", "--1", "@", "@yesterday", "stored", "1.5"] {
            assert!(bad.parse::<StartAt>().is_err(), "{bad}");
        }
    }
}
