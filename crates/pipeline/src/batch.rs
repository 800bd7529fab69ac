//! A whole batch: walked in place, record by record, and re-encoded only where a record was taken
//! out, marked or tagged. What stays keeps producer id, epoch, flags, timestamps and compression.

use meshwork_model::mesh::announcement::TagMode;
use meshwork_model::time::Timestamp;
use meshwork_wire::{
    BatchBuilder, BatchError, BatchHeader, BatchView, BuildError, Codec, Compressor, Decompressor,
    Limits, Packed, RecordError, RecordParts, RecordView, Records, Tail,
};

use crate::check::{Check, Checker, Disposition, Facts, RecordIn};
use crate::policy::ProductPolicy;
use crate::quarantine::{QuarantineFormat, QuarantineHeaders};
use crate::reason::{Reason, Refusal};
use crate::schemas::{Needed, Schemas};
use crate::tag::{ProducerTag, Tagged};
use crate::tally::{PartitionTally, Tallied};

/// Most schemas that one batch may ask for at a time. A batch under more is loaded in steps.
const NEEDED_MAX: usize = 16;

/// Why a batch can't be walked. The broker's answer is `CORRUPT_MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// The batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A record in it.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It can't be written anew.
    #[error("batch can't be written anew: {0}")]
    Build(#[from] BuildError),
}

/// What is to become of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// It goes on as it came.
    Forward,
    /// This goes on in its place.
    Rewritten(Vec<u8>),
    /// Every record was taken out: nothing goes on.
    Nothing,
    /// It fails at the producer, for the records named in [`BatchReport::refused`].
    Rejected,
    /// What was recorded is of other records: nothing that is known of the numbers holds for these.
    OtherRecords,
    /// These schemas are to be loaded; then walk it again.
    Load(Vec<Needed>),
    /// These schemas are not known and the registry can't be asked: try later.
    Unavailable(Vec<Needed>),
}

/// A record that broke the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Which of the batch, from 0.
    pub index: u32,
    /// Why.
    pub refusal: Refusal,
    /// By which it is known again: [`RecordView::digest`].
    pub digest: u32,
}

/// What was written down of a batch, or of the one that it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded<'c> {
    /// The records taken out, ascending: which of the batch, and its digest.
    pub removed: &'c [(u32, u32)],
    /// The log has the batch: the rest goes on as it is, whatever is to be said of it by now. The
    /// broker knows it by its numbers and appends nothing.
    pub repeat: bool,
}

/// Most parts of a batch: later records count to the last one, whatever their timestamps.
const PARTS_MAX: usize = 64;

/// Neighbouring records of a batch whose timestamps lie in one stretch of time.
#[derive(Clone, Debug)]
pub struct Part {
    /// Number of the stretch, counted from 1970.
    pub span: i64,
    /// Greatest of their timestamps.
    pub newest: Timestamp,
    /// How many go on; they have the offsets behind those of the parts before.
    pub records: u32,
    /// Their counts, without offsets.
    pub tally: PartitionTally,
}

/// All there is to say of a batch.
#[derive(Clone, Debug)]
pub struct BatchReport {
    /// What is to become of it.
    pub outcome: BatchOutcome,
    /// Records that broke the contract, ascending: marked, in quarantine, or why it is rejected.
    pub refused: Vec<RefusedRecord>,
    /// Records taken out; later batches of an idempotent producer shift by it.
    pub removed: u32,
    /// Counts of what goes on and what was refused, without offsets: to be absorbed once the broker
    /// has acknowledged. Where there are parts it is empty.
    pub tally: PartitionTally,
    /// With [`BatchContext::span_ms`], what goes on cut where its timestamps pass from one stretch to
    /// another; what was refused counts to the first part.
    pub parts: Vec<Part>,
    /// The refused records with the reasons, as a batch for the quarantine topic, if any is to go
    /// there.
    pub quarantine: Option<Vec<u8>>,
    /// `mesh-parents` headers dropped.
    pub parents_dropped: u32,
    /// Records that passed unchecked, because the registry could not be asked.
    pub unverified: u32,
    /// Tagging would have made it too large, so it went on without.
    pub untagged: bool,
}

/// Runs batches of one product through enforce → tag → observe. Keeps its buffers.
#[derive(Debug)]
pub struct BatchPipeline {
    checker: Checker,
    limits: Limits,
    decompressor: Decompressor,
    compressor: Compressor,
    builder: BatchBuilder,
    facts: Vec<Facts>,
}

/// What a batch is part of.
#[derive(Clone, Copy, Debug)]
pub struct BatchContext<'c> {
    /// Who sent it.
    pub producer: &'c ProducerTag,
    /// Partition that it goes to.
    pub partition: i32,
    /// When it came. Not used with `span_ms`.
    pub arrived: Timestamp,
    /// For replays, whose wall clock means nothing: a record arrives at its timestamp, and counts are
    /// kept apart by stretches of timestamps of so many milliseconds, above 0.
    pub span_ms: Option<i64>,
    /// The topic's `max.message.bytes`: a batch that tagging alone would make larger goes on
    /// untagged.
    pub max_batch_bytes: usize,
    /// Records of this producer's epoch taken out before it (kafka-protocol: "Quarantine by
    /// renumbering").
    pub removed_before: u32,
    /// What was recorded when it came before: a repeat follows that, whatever the schemas say by
    /// now, so that it has the same sequence numbers. What was taken out is in quarantine already,
    /// and counted. Where the rest would be refused by now, the batch is.
    pub recorded: Option<Recorded<'c>>,
}

impl BatchPipeline {
    /// For one product.
    #[must_use]
    pub fn new(checker: Checker, limits: Limits) -> Self {
        Self {
            checker,
            limits,
            decompressor: Decompressor::new(),
            compressor: Compressor::new(),
            builder: BatchBuilder::new(0),
            facts: Vec::new(),
        }
    }

    /// Forgets remembered schemas; see [`Checker::forget`].
    pub fn forget(&mut self) {
        self.checker.forget();
    }

    /// Walks one batch.
    ///
    /// # Errors
    /// Bytes that are no batch, or records that are none.
    pub fn run<S: Schemas + ?Sized>(
        &mut self,
        bytes: &[u8],
        context: BatchContext<'_>,
        schemas: &S,
    ) -> Result<BatchReport, WalkError> {
        let batch = BatchView::parse(bytes, &self.limits)?;
        let policy = self.checker.policy().clone();
        let mut report = BatchReport {
            outcome: BatchOutcome::Forward,
            refused: Vec::new(),
            removed: 0,
            tally: PartitionTally::new(&policy.topic, context.partition),
            parts: Vec::new(),
            quarantine: None,
            parents_dropped: 0,
            unverified: 0,
            untagged: false,
        };
        if batch.header().attributes.is_control() {
            // Not data; the broker refuses it from a client.
            return Ok(report);
        }
        let records = batch.records(&mut self.decompressor, &self.limits)?;

        let checked = check(
            &mut self.checker,
            &mut self.facts,
            records.clone(),
            schemas,
            &mut report,
        )?;
        if let Some(outcome) = checked {
            report.outcome = outcome;
            return Ok(report);
        }
        let removed = match context.recorded {
            Some(recorded) => {
                if let Some(outcome) = follow(recorded, records.clone(), &policy, &mut report)? {
                    report.outcome = outcome;
                    return Ok(report);
                }
                u32::try_from(report.refused.len()).unwrap_or(u32::MAX)
            }
            None => {
                let dispositions = report
                    .refused
                    .iter()
                    .map(|r| policy.disposition(r.refusal.reason));
                let mut rejected = false;
                let mut removed = 0u32;
                for disposition in dispositions {
                    match disposition {
                        Disposition::Reject => rejected = true,
                        Disposition::Quarantine => removed += 1,
                        Disposition::Mark | Disposition::Pass => {}
                    }
                }
                for refused in &report.refused {
                    report.tally.refused(refused.refusal.reason, 1);
                }
                // In a transaction a refused record fails the request, and the client aborts.
                if rejected || (removed > 0 && batch.header().attributes.is_transactional()) {
                    report.outcome = BatchOutcome::Rejected;
                    return Ok(report);
                }
                removed
            }
        };
        report.removed = removed;
        if removed > 0 && context.recorded.is_none() {
            report.quarantine = Some(quarantine(
                &batch,
                records.clone(),
                &report.refused,
                &policy.topic,
                context.partition,
                context.producer,
                &mut self.compressor,
            )?);
        }

        let assembly = Assembly {
            facts: &self.facts,
            batch: &batch,
            context,
            removing: removed > 0,
        };
        let before = report.clone();
        let rewritten = assembly.assemble(
            records.clone(),
            policy.tag,
            &mut report,
            &mut self.builder,
            &mut self.compressor,
        )?;
        let shifted = context.removed_before > 0 && batch.header().base_sequence >= 0;
        report.outcome = match rewritten {
            Some(out)
                if removed == 0
                    && report.refused.is_empty()
                    && out.len() > context.max_batch_bytes
                    && bytes.len() <= context.max_batch_bytes =>
            {
                report = before;
                report.untagged = true;
                if shifted {
                    // Its number has to change all the same.
                    let bare = assembly.assemble(
                        records,
                        TagMode::Off,
                        &mut report,
                        &mut self.builder,
                        &mut self.compressor,
                    )?;
                    bare.map_or(BatchOutcome::Forward, BatchOutcome::Rewritten)
                } else {
                    assembly.count(records, &mut report)?;
                    BatchOutcome::Forward
                }
            }
            Some(out) if out.is_empty() => BatchOutcome::Nothing,
            Some(out) => BatchOutcome::Rewritten(out),
            None => BatchOutcome::Forward,
        };
        if batch.header().attributes.is_transactional() {
            report.tally.all_transactional();
            for part in &mut report.parts {
                part.tally.all_transactional();
            }
        }
        if let Some(first) = report.parts.first_mut() {
            first.tally.absorb(&report.tally);
            report.tally = PartitionTally::new(&policy.topic, context.partition);
        }
        Ok(report)
    }
}

/// Puts what was recorded in place of what was found. `Some` if it can't be followed.
fn follow(
    recorded: Recorded<'_>,
    records: Records<'_>,
    policy: &ProductPolicy,
    report: &mut BatchReport,
) -> Result<Option<BatchOutcome>, WalkError> {
    let mut wanted = recorded.removed.iter().peekable();
    let mut taken_out = Vec::with_capacity(recorded.removed.len());
    for (index, record) in (0u32..).zip(records) {
        let record = record?;
        let Some((_, digest)) = wanted.next_if(|(at, _)| *at == index) else {
            continue;
        };
        if record.digest() != *digest {
            return Ok(Some(BatchOutcome::OtherRecords));
        }
        taken_out.push(RefusedRecord {
            index,
            refusal: Refusal::new(Reason::Datum, "taken out when it came before"),
            digest: *digest,
        });
    }
    if wanted.next().is_some() {
        return Ok(Some(BatchOutcome::OtherRecords));
    }
    if !recorded.repeat {
        report.refused.retain(|refused| {
            let stops = matches!(
                policy.disposition(refused.refusal.reason),
                Disposition::Reject | Disposition::Quarantine
            );
            stops
                && recorded
                    .removed
                    .binary_search_by_key(&refused.index, |(at, _)| *at)
                    .is_err()
        });
        if !report.refused.is_empty() {
            for refused in &report.refused {
                report.tally.refused(refused.refusal.reason, 1);
            }
            return Ok(Some(BatchOutcome::Rejected));
        }
    }
    report.refused = taken_out;
    Ok(None)
}

/// First walk: a verdict on each record. `Some` if it can't be completed.
fn check<S: Schemas + ?Sized>(
    checker: &mut Checker,
    facts: &mut Vec<Facts>,
    records: Records<'_>,
    schemas: &S,
    report: &mut BatchReport,
) -> Result<Option<BatchOutcome>, WalkError> {
    facts.clear();
    let mut load: Vec<Needed> = Vec::new();
    let mut unavailable: Vec<Needed> = Vec::new();
    for (index, record) in (0u32..).zip(records) {
        let record = record?;
        let seen = RecordIn {
            key: record.key,
            value: record.value,
            headers: record.headers.iter(),
        };
        let found = match checker.check(schemas, &seen) {
            Check::Good(found) => found,
            Check::Bad(found, refusal) => {
                report.refused.push(RefusedRecord {
                    index,
                    refusal: *refusal,
                    digest: record.digest(),
                });
                found
            }
            Check::Load(needed) => {
                add(&mut load, *needed);
                Facts::default()
            }
            Check::Unavailable(needed) => {
                add(&mut unavailable, *needed);
                Facts::default()
            }
        };
        report.unverified += u32::from(found.unverified);
        facts.push(found);
    }
    let outcome = if !load.is_empty() {
        Some(BatchOutcome::Load(load))
    } else if !unavailable.is_empty() {
        Some(BatchOutcome::Unavailable(unavailable))
    } else {
        None
    };
    if outcome.is_some() {
        report.refused.clear();
    }
    Ok(outcome)
}

fn add(list: &mut Vec<Needed>, needed: Needed) {
    if list.len() < NEEDED_MAX && !list.contains(&needed) {
        list.push(needed);
    }
}

/// Second walk: counts what goes on and writes it anew where something changed.
struct Assembly<'b> {
    facts: &'b [Facts],
    batch: &'b BatchView<'b>,
    context: BatchContext<'b>,
    removing: bool,
}

impl Assembly<'_> {
    /// The new batch; empty if no record is left, none if nothing changed.
    fn assemble(
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
    fn count(&self, records: Records<'_>, report: &mut BatchReport) -> Result<(), WalkError> {
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

/// The refused records in a batch of their own, without the producer's sequence.
fn quarantine(
    batch: &BatchView<'_>,
    records: Records<'_>,
    refused: &[RefusedRecord],
    topic: &str,
    partition: i32,
    producer: &ProducerTag,
    compressor: &mut Compressor,
) -> Result<Vec<u8>, WalkError> {
    let mut builder = BatchBuilder::new(batch.header().base_timestamp);
    let mut refused = refused.iter().peekable();
    for (index, record) in (0u32..).zip(records) {
        let record = record?;
        let Some(why) = refused.next_if(|r| r.index == index) else {
            continue;
        };
        let headers = QuarantineHeaders::new(
            &why.refusal,
            topic,
            Some(partition),
            producer.name(),
            QuarantineFormat::Avro,
        );
        let all = headers.after(record.headers.iter());
        builder.push(RecordParts::from(&record), all)?;
    }
    let mut out = Vec::new();
    builder.finish(Codec::None, compressor, &mut out)?;
    Ok(out)
}

/// A client's sequence less the records that were taken out before it, wrapping below 0 to
/// 2^31 − 1 as the broker counts. −1 (no idempotence) stays.
#[must_use]
pub fn shift_sequence(sequence: i32, removed: u32) -> i32 {
    if sequence < 0 {
        return sequence;
    }
    let shifted = (i64::from(sequence) - i64::from(removed)).rem_euclid(1 << 31);
    i32::try_from(shifted).unwrap_or(sequence)
}

impl BatchReport {
    /// How many records were refused for `reason`.
    #[must_use]
    pub fn refused_for(&self, reason: Reason) -> usize {
        self.refused
            .iter()
            .filter(|r| r.refusal.reason == reason)
            .count()
    }
}

#[cfg(test)]
mod tests;
