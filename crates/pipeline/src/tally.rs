//! Observation: what was seen of a topic-partition, added up record by record, bounded.

use std::fmt;

use meshwork_model::mesh::observation::{
    EventTimes, LIST_MAX, LagSummary, OffsetRange, PartitionObservation, ProducerCount,
    RefusedCount, SchemaCount, Trust,
};
use meshwork_model::name::SchemaId;
use meshwork_model::time::Timestamp;
use sketches_ddsketch::{Config, DDSketch};

use crate::parents::Parents;
use crate::reason::Reason;

/// An event time further ahead of its record's arrival than this is set aside: one such record
/// would hold the watermark up for ever.
pub const AHEAD_MS: i64 = 60_000;

/// One accepted record, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Tallied<'a> {
    /// Bytes of key, value and headers.
    pub bytes: usize,
    /// Who produced it, where known.
    pub producer: Option<(&'a str, Trust)>,
    /// Schema of its value, where known.
    pub schema_id: Option<SchemaId>,
    /// Its event time, where it has one.
    pub event_time: Option<Timestamp>,
    /// When it came.
    pub arrived: Timestamp,
    /// What it says it was made from.
    pub parents: Option<Parents<'a>>,
}

/// The offset can't be added: there would be more than [`LIST_MAX`] ranges. Take the observation
/// first, then add it to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Adds up one observation after the other for one topic-partition.
#[derive(Clone)]
pub struct PartitionTally {
    seen: PartitionObservation,
    sketch: Option<DDSketch>,
    lag: Option<(i64, i64)>,
    ahead: i64,
    last_producer: usize,
    last_schema: usize,
}

impl fmt::Debug for PartitionTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionTally")
            .field("seen", &self.seen)
            .field("lag", &self.lag)
            .field("ahead", &self.ahead)
            .finish_non_exhaustive()
    }
}

impl PartitionTally {
    /// Of one topic-partition.
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        Self {
            seen: PartitionObservation {
                topic: topic.to_owned(),
                partition,
                ..PartitionObservation::default()
            },
            sketch: None,
            lag: None,
            ahead: 0,
            last_producer: 0,
            last_schema: 0,
        }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.seen.topic
    }

    /// Whether nothing was added since the last [`take`](Self::take).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.records == 0 && self.seen.offsets.is_empty() && self.seen.refused.is_empty()
    }

    /// Counts one accepted record; its offset goes to [`cover`](Self::cover).
    pub fn record(&mut self, record: &Tallied<'_>) {
        self.seen.records += 1;
        self.seen.bytes += i64::try_from(record.bytes).unwrap_or(i64::MAX);
        if let Some((name, trust)) = record.producer {
            self.producer(name, trust, 1);
        }
        if let Some(id) = record.schema_id {
            self.schema(id.as_i32(), 1);
        }
        if let Some(event_time) = record.event_time {
            self.event_time(event_time, record.arrived);
        }
        if let Some(parents) = record.parents {
            for parent in parents.iter() {
                self.parent(parent.topic);
            }
        }
    }

    /// Adds a range of acknowledged offsets.
    ///
    /// # Errors
    /// [`Full`]: nothing was added.
    pub fn cover(&mut self, range: OffsetRange) -> Result<(), Full> {
        if range.until <= range.from {
            return Ok(());
        }
        let ranges = &mut self.seen.offsets;
        if let Some(last) = ranges.last_mut()
            && last.until == range.from
        {
            last.until = range.until;
            return Ok(());
        }
        // Ranges that touch or overlap the new one are [first, end).
        let first = ranges.partition_point(|r| r.until < range.from);
        let end = ranges.partition_point(|r| r.from <= range.until);
        if first == end {
            if ranges.len() >= LIST_MAX {
                return Err(Full);
            }
            ranges.insert(first, range);
            return Ok(());
        }
        let joined = ranges.drain(first..end).fold(range, |a, b| OffsetRange {
            from: a.from.min(b.from),
            until: a.until.max(b.until),
        });
        ranges.insert(first, joined);
        Ok(())
    }

    /// Says that all records so far were written in transactions.
    pub fn all_transactional(&mut self) {
        self.seen.transactional = self.seen.records;
    }

    /// Counts refused records.
    pub fn refused(&mut self, reason: Reason, records: i64) {
        self.refused_code(reason.code(), records);
    }

    fn refused_code(&mut self, code: &str, records: i64) {
        match self.seen.refused.iter_mut().find(|r| r.reason == code) {
            Some(count) => count.records += records,
            None => self.seen.refused.push(RefusedCount {
                reason: code.to_owned(),
                records,
            }),
        }
    }

    fn producer(&mut self, name: &str, trust: Trust, records: i64) {
        let list = &mut self.seen.producers;
        let is = |p: &ProducerCount| p.trust == trust && p.name == name;
        if let Some(last) = list.get_mut(self.last_producer)
            && is(last)
        {
            last.records += records;
        } else if let Some(i) = list.iter().position(is) {
            self.last_producer = i;
            if let Some(found) = list.get_mut(i) {
                found.records += records;
            }
        } else if list.len() < LIST_MAX {
            self.last_producer = list.len();
            list.push(ProducerCount {
                name: name.to_owned(),
                trust,
                records,
            });
        } else {
            self.seen.producers_more += records;
        }
    }

    fn schema(&mut self, schema_id: i32, records: i64) {
        let list = &mut self.seen.schemas;
        if let Some(last) = list.get_mut(self.last_schema)
            && last.schema_id == schema_id
        {
            last.records += records;
        } else if let Some(i) = list.iter().position(|s| s.schema_id == schema_id) {
            self.last_schema = i;
            if let Some(found) = list.get_mut(i) {
                found.records += records;
            }
        } else if list.len() < LIST_MAX {
            self.last_schema = list.len();
            list.push(SchemaCount { schema_id, records });
        } else {
            self.seen.schemas_more += records;
        }
    }

    fn event_time(&mut self, event_time: Timestamp, arrived: Timestamp) {
        let lag = arrived.millis_since(event_time);
        if lag < -AHEAD_MS {
            self.ahead += 1;
            return;
        }
        let lag = lag.max(0);
        match &mut self.seen.event_times {
            Some(times) => {
                times.least = times.least.min(event_time);
                times.greatest = times.greatest.max(event_time);
                times.records += 1;
            }
            none => {
                *none = Some(EventTimes {
                    least: event_time,
                    greatest: event_time,
                    records: 1,
                    ahead: 0,
                });
            }
        }
        self.lag = Some(match self.lag {
            Some((least, greatest)) => (least.min(lag), greatest.max(lag)),
            None => (lag, lag),
        });
        // Above 2^53 ms the sketch's own accuracy is long gone.
        #[expect(clippy::cast_precision_loss, reason = "a sketch is an approximation")]
        let value = lag as f64;
        self.sketch
            .get_or_insert_with(|| DDSketch::new(Config::defaults()))
            .add(value);
    }

    fn parent(&mut self, topic: &str) {
        if self.seen.parents.iter().any(|p| p == topic) {
            return;
        }
        if self.seen.parents.len() < LIST_MAX {
            self.seen.parents.push(topic.to_owned());
        } else {
            self.seen.parents_more += 1;
        }
    }

    /// Adds what another tally of the same topic-partition has, but for its offsets.
    pub fn absorb(&mut self, other: &Self) {
        self.seen.records += other.seen.records;
        self.seen.bytes += other.seen.bytes;
        self.seen.transactional += other.seen.transactional;
        for producer in &other.seen.producers {
            self.producer(&producer.name, producer.trust, producer.records);
        }
        self.seen.producers_more += other.seen.producers_more;
        for schema in &other.seen.schemas {
            self.schema(schema.schema_id, schema.records);
        }
        self.seen.schemas_more += other.seen.schemas_more;
        for refused in &other.seen.refused {
            self.refused_code(&refused.reason, refused.records);
        }
        for parent in &other.seen.parents {
            self.parent(parent);
        }
        self.seen.parents_more += other.seen.parents_more;
        self.ahead += other.ahead;
        if let Some(times) = other.seen.event_times {
            match &mut self.seen.event_times {
                Some(own) => {
                    own.least = own.least.min(times.least);
                    own.greatest = own.greatest.max(times.greatest);
                    own.records += times.records;
                }
                none => *none = Some(times),
            }
        }
        if let Some((least, greatest)) = other.lag {
            self.lag = Some(match self.lag {
                Some((a, b)) => (a.min(least), b.max(greatest)),
                None => (least, greatest),
            });
        }
        match (&mut self.sketch, &other.sketch) {
            // Both have the same configuration, so merging can't fail.
            (Some(own), Some(sketch)) => drop(own.merge(sketch)),
            (none @ None, Some(sketch)) => *none = Some(sketch.clone()),
            (_, None) => {}
        }
    }

    /// The observation so far, and starts the next; none if nothing was added.
    ///
    /// Where every event time was set aside, `event_times` has `records: 0`, and its `least` and
    /// `greatest` (1970) mean nothing.
    pub fn take(&mut self) -> Option<PartitionObservation> {
        if self.is_empty() {
            return None;
        }
        let next = PartitionObservation {
            topic: self.seen.topic.clone(),
            topic_id: self.seen.topic_id.clone(),
            partition: self.seen.partition,
            ..PartitionObservation::default()
        };
        let mut seen = std::mem::replace(&mut self.seen, next);
        let ahead = std::mem::take(&mut self.ahead);
        match &mut seen.event_times {
            Some(times) => times.ahead = ahead,
            none if ahead > 0 => {
                *none = Some(EventTimes {
                    least: Timestamp::default(),
                    greatest: Timestamp::default(),
                    records: 0,
                    ahead,
                });
            }
            None => {}
        }
        let sketch = self.sketch.take();
        seen.lag = self.lag.take().map(|(least, greatest)| LagSummary {
            least,
            greatest,
            sketch: sketch.map(|s| s.to_java_bytes()).unwrap_or_default(),
        });
        self.last_producer = 0;
        self.last_schema = 0;
        Some(seen)
    }

    /// Sets the topic's UUID for this and the following observations.
    pub fn set_topic_id(&mut self, id: Option<String>) {
        self.seen.topic_id = id;
    }
}

#[cfg(test)]
mod tests;
