//! Observations from what is already in a log: for topics whose producers pass no gateway, and for
//! ranges that no one reported. The same counting as on the way in; nothing is enforced.

use std::sync::Arc;

use meshwork_model::headers::{PARENTS, PRODUCER};
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus};
use meshwork_model::mesh::observation::{OffsetRange, PartitionObservation, Trust};
use meshwork_model::time::Timestamp;
use meshwork_wire::Header;

use crate::check::{Check, Checker, RecordIn};
use crate::parents::Parents;
use crate::policy::{KeyRule, OnUnavailable, ProductPolicy};
use crate::schemas::{Needed, Schemas};
use crate::tally::{PartitionTally, Tallied};

/// A record as it was read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRecord<'a, H> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, where it has one.
    pub timestamp: Option<Timestamp>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: H,
}

/// An observation, and the greatest record timestamp that it covers.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanObservation {
    /// What was seen. Its ranges cover markers and compacted offsets too.
    pub seen: PartitionObservation,
    /// Greatest timestamp of its records; none without records.
    pub newest: Option<Timestamp>,
}

/// Reads a range of one partition, in offset order. A record's arrival is its timestamp, which is
/// all that a log tells of it.
#[derive(Clone, Debug)]
pub struct RangeReadback {
    checker: Checker,
    tally: PartitionTally,
    span_ms: Option<i64>,
    /// Start of what is not yet in `done`.
    from: i64,
    span: Option<i64>,
    newest: Option<Timestamp>,
    done: Vec<SpanObservation>,
}

impl RangeReadback {
    /// Of `partition`, from offset `from`. With `span_ms` there is one observation for each span of
    /// record timestamps (60,000: a minute); without, one for all.
    #[must_use]
    pub fn new(policy: &ProductPolicy, partition: i32, from: i64, span_ms: Option<i64>) -> Self {
        // Only what can be told is of interest; nothing is refused any more.
        let lenient = ProductPolicy {
            enforcement: EnforcementMode::Off,
            status: ProductStatus::Active,
            key: KeyRule::Any,
            unavailable: OnUnavailable::Open,
            ..policy.clone()
        };
        Self {
            tally: PartitionTally::new(&policy.topic, partition),
            checker: Checker::new(Arc::new(lenient)),
            span_ms: span_ms.filter(|ms| *ms > 0),
            from,
            span: None,
            newest: None,
            done: Vec::new(),
        }
    }

    /// Counts the next record.
    ///
    /// # Errors
    /// A schema that has to be loaded first: the record was not counted, give it again.
    pub fn record<'a, S, H>(
        &mut self,
        record: &ReadRecord<'a, H>,
        schemas: &S,
    ) -> Result<(), Needed>
    where
        S: Schemas + ?Sized,
        H: Iterator<Item = Header<'a>> + Clone,
    {
        let seen = RecordIn {
            key: record.key,
            value: record.value,
            headers: record.headers.clone(),
        };
        let facts = match self.checker.check(schemas, &seen) {
            Check::Good(facts) | Check::Bad(facts, _) => facts,
            Check::Load(needed) | Check::Unavailable(needed) => return Err(*needed),
        };
        let span = self
            .span_ms
            .zip(record.timestamp)
            .map(|(ms, t)| t.as_millis().div_euclid(ms));
        if span.is_some() && self.span.is_some() && span != self.span {
            self.close(record.offset);
        }
        self.span = span.or(self.span);

        let mut producer = None;
        let mut parents = None;
        let mut bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        for header in record.headers.clone() {
            bytes += header.key.len() + header.value.map_or(0, <[u8]>::len);
            if header.key == PRODUCER.as_bytes() {
                producer = header.value.and_then(|v| std::str::from_utf8(v).ok());
            } else if header.key == PARENTS.as_bytes() {
                parents = header.value.and_then(Parents::parse);
            }
        }
        self.tally.record(&Tallied {
            bytes,
            producer: producer.map(|name| (name, Trust::Claimed)),
            schema_id: facts.schema_id,
            // Without a timestamp there is no arrival to measure from.
            event_time: record.timestamp.and(facts.event_time),
            arrived: record.timestamp.unwrap_or_default(),
            parents,
        });
        self.newest = self.newest.max(record.timestamp);
        Ok(())
    }

    /// The observations, which together cover every offset from the first to `until`.
    #[must_use]
    pub fn finish(mut self, until: i64) -> Vec<SpanObservation> {
        self.close(until);
        self.done
    }

    fn close(&mut self, until: i64) {
        let range = OffsetRange {
            from: self.from,
            until,
        };
        // An emptied tally has room for a range.
        let _ = self.tally.cover(range);
        self.from = until.max(self.from);
        let newest = self.newest.take();
        if let Some(seen) = self.tally.take() {
            self.done.push(SpanObservation { seen, newest });
        }
    }
}

#[cfg(test)]
mod tests;
