//! The second walk over a batch: what goes on is counted, and written anew where something changed.

use meshwork_model::mesh::announcement::TagMode;
use meshwork_model::time::Timestamp;
use meshwork_wire::{
    BatchBuilder, BatchHeader, BatchView, BuildError, Compressor, Packed, RecordParts, RecordView,
    Records, Tail,
};

use super::{BatchContext, BatchReport, Part, WalkError, shift_sequence};
use crate::check::Facts;
use crate::tag::Tagged;
use crate::tally::{PartitionTally, Tallied};

/// Most parts of a batch: later records count to the last one, whatever their timestamps.
pub(super) const PARTS_MAX: usize = 64;

/// Second walk: counts what goes on and writes it anew where something changed.
pub(super) struct Assembly<'b> {
    pub(super) facts: &'b [Facts],
    pub(super) batch: &'b BatchView<'b>,
    pub(super) context: BatchContext<'b>,
    pub(super) removing: bool,
}

impl Assembly<'_> {
    /// The new batch; empty if no record is left, none if nothing changed.
    pub(super) fn assemble(
        &self,
        records: Records<'_>,
        mode: TagMode,
        report: &mut BatchReport,
        builder: &mut BatchBuilder,
        compressor: &mut Compressor,
    ) -> Result<Option<Vec<u8>>, WalkError> {
        let header = BatchHeader {
            base_sequence: shift_sequence(
                self.batch.header().base_sequence,
                self.context.removed_before,
            ),
            ..*self.batch.header()
        };
        builder.restart(&header);
        let mut changed = self.removing || header != *self.batch.header();
        let mut refused = report.refused.iter().peekable();
        let mut number = 0i32;
        // Records that stay as they are are copied in one go, and not before something changes.
        let mut run = Run::at(records.rest());
        let all = records.clone();
        let mut records = records;
        for (index, facts) in (0u32..).zip(self.facts) {
            let from = records.rest();
            let Some(record) = records.next().transpose()? else {
                break;
            };
            let bad = refused.next_if(|r| r.index == index);
            if bad.is_some() && self.removing {
                run.end(builder)?;
                run = Run::at(records.rest());
                continue;
            }
            let tagged = Tagged::new(
                record.headers.iter(),
                self.context.producer,
                mode,
                mode == TagMode::Record || number == 0,
                bad.map(|r| r.refusal.reason),
            );
            report.parents_dropped += tagged.parents_dropped;
            let headers = tagged.headers();
            let header_bytes: usize = headers
                .clone()
                .map(|h| h.key.len() + h.value.map_or(0, <[u8]>::len))
                .sum();
            let tallied = Tallied {
                bytes: size(&record) + header_bytes,
                parents: tagged.parents,
                ..self.tallied(*facts)
            };
            self.add(&mut report.tally, &mut report.parts, &record, tallied);
            if tagged.changed || record.offset_delta != number {
                changed = true;
                run.end(builder)?;
                builder.push(RecordParts::from(&record), headers)?;
                run = Run::at(records.rest());
            } else {
                run.add(from.len() - records.rest().len(), record.timestamp_delta);
            }
            number = number.checked_add(1).ok_or(BuildError::TooMany)?;
        }
        // What is wrong behind the last record is said.
        records.next().transpose()?;
        if !changed {
            return Ok(None);
        }
        let codec = self.batch.codec();
        let mut out = Vec::new();
        if run.count > 0 && run.bytes == run.from.len() {
            let tail = Tail {
                original: Packed {
                    bytes: self.batch.body(),
                    plain: all.rest(),
                    blocks: all.blocks(),
                },
                from: all.rest().len() - run.bytes,
                count: run.count,
                greatest_delta: run.greatest_delta,
            };
            builder.finish_before(&tail, codec, compressor, &mut out)?;
        } else {
            run.end(builder)?;
            if !builder.is_empty() {
                builder.finish(codec, compressor, &mut out)?;
            }
        }
        Ok(Some(out))
    }

    /// Counts the records as they came.
    pub(super) fn count(
        &self,
        records: Records<'_>,
        report: &mut BatchReport,
    ) -> Result<(), WalkError> {
        for (record, facts) in records.zip(self.facts) {
            let record = record?;
            let tallied = Tallied {
                bytes: record.payload_bytes(),
                ..self.tallied(*facts)
            };
            self.add(&mut report.tally, &mut report.parts, &record, tallied);
        }
        Ok(())
    }

    /// Counts a record: in all, or with the part of the batch that its timestamp belongs to.
    fn add(
        &self,
        all: &mut PartitionTally,
        parts: &mut Vec<Part>,
        record: &RecordView<'_>,
        tallied: Tallied<'_>,
    ) {
        let Some(span_ms) = self.context.span_ms else {
            all.record(&tallied);
            return;
        };
        let base = self.batch.header().base_timestamp;
        let stamp = Timestamp::from_millis(base.saturating_add(record.timestamp_delta));
        let span = stamp.as_millis().div_euclid(span_ms.max(1));
        let has_room = parts.len() < PARTS_MAX;
        if parts
            .last()
            .is_none_or(|part| part.span != span && has_room)
        {
            parts.push(Part {
                span,
                newest: stamp,
                records: 0,
                tally: PartitionTally::new(all.topic(), self.context.partition),
            });
        }
        if let Some(part) = parts.last_mut() {
            part.newest = part.newest.max(stamp);
            part.records += 1;
            part.tally.record(&Tallied {
                arrived: stamp,
                ..tallied
            });
        }
    }

    fn tallied(&self, facts: Facts) -> Tallied<'_> {
        Tallied {
            bytes: 0,
            producer: Some((self.context.producer.name(), self.context.producer.trust())),
            schema_id: facts.schema_id,
            event_time: facts.event_time,
            arrived: self.context.arrived,
            parents: None,
        }
    }
}

/// Records one behind the other that stay as they are.
struct Run<'a> {
    /// They, and all behind them.
    from: &'a [u8],
    bytes: usize,
    count: i32,
    greatest_delta: i64,
}

impl<'a> Run<'a> {
    const fn at(from: &'a [u8]) -> Self {
        Self {
            from,
            bytes: 0,
            count: 0,
            greatest_delta: i64::MIN,
        }
    }

    fn add(&mut self, bytes: usize, timestamp_delta: i64) {
        self.bytes += bytes;
        self.count = self.count.saturating_add(1);
        self.greatest_delta = self.greatest_delta.max(timestamp_delta);
    }

    fn end(&self, builder: &mut BatchBuilder) -> Result<(), BuildError> {
        let bytes = self.from.get(..self.bytes).unwrap_or_default();
        builder.push_run(bytes, self.count, self.greatest_delta)
    }
}

fn size(record: &RecordView<'_>) -> usize {
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
}
