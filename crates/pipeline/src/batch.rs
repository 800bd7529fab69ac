//! A whole batch: walked in place, record by record, and re-encoded only where a record was taken
//! out, marked or tagged. What stays keeps producer id, epoch, flags, timestamps and compression.

use std::sync::Arc;

use meshwork_model::mesh::announcement::TagMode;
use meshwork_model::time::Timestamp;
use meshwork_wire::{
    BatchBuilder, BatchError, BatchView, BuildError, Codec, Compressor, Decompressor, Limits,
    RecordError, RecordParts, Records,
};

use crate::check::{Checker, Disposition, Facts};
use crate::policy::ProductPolicy;
use crate::quarantine::{QuarantineFormat, QuarantineHeaders};
use crate::reason::{Reason, Refusal};
use crate::schemas::{Needed, Schemas};
use crate::tag::ProducerTag;
use crate::tally::PartitionTally;
use assembly::Assembly;

mod assembly;
mod judge;

/// Most records that are taken out of one batch: each becomes a record of its own in quarantine,
/// with its reason in words. A batch with more is rejected.
pub const REMOVED_MAX: usize = 100_000;
/// Records whose facts there is room for between batches: one large batch must not pin its size.
const FACTS_KEPT: usize = 64 * 1024;
/// Bytes of records that there is room for between batches, as in [`Decompressor::KEPT_BYTES`].
const BODY_KEPT: usize = 4 * 1024 * 1024;

/// Why a batch can't be walked. The answer is `RECORD_LIST_TOO_LARGE` where it has more bytes or
/// records than are taken, and `CORRUPT_MESSAGE` otherwise.
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
    /// Why. In words for as many as are told of it: the first 1,000 of a batch, and all that can go
    /// to quarantine, 16 MiB at most; the others have the reason alone.
    pub refusal: Refusal,
    /// By which it is known again: [`meshwork_wire::RecordView::digest`].
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
    /// has acknowledged. What is taken out is not among them: it counts once it is in quarantine,
    /// whatever becomes of the rest. Where there are parts it is empty.
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

    /// The product.
    #[must_use]
    pub const fn product(&self) -> &Arc<ProductPolicy> {
        self.checker.policy()
    }

    /// From now on for batches of this product.
    pub fn set_product(&mut self, product: &Arc<ProductPolicy>) {
        if !Arc::ptr_eq(self.product(), product) {
            self.checker = Checker::new(Arc::clone(product));
        }
    }

    /// Reads a batch's header, and checks its checksum; its records are not looked at yet.
    ///
    /// # Errors
    /// [`WalkError::Batch`].
    pub fn read<'a>(&self, bytes: &'a [u8]) -> Result<BatchView<'a>, WalkError> {
        Ok(BatchView::parse(bytes, &self.limits)?)
    }

    /// Reads and walks one batch.
    ///
    /// # Errors
    /// Bytes that are no batch, or records that are none.
    pub fn run<S: Schemas + ?Sized>(
        &mut self,
        bytes: &[u8],
        context: BatchContext<'_>,
        schemas: &S,
    ) -> Result<BatchReport, WalkError> {
        let batch = self.read(bytes)?;
        self.run_on(&batch, context, schemas)
    }

    /// The schemas that have to be loaded before a batch can be walked, the first 16 of them. Tells
    /// from what the records name alone.
    ///
    /// # Errors
    /// Records that are none, before as many are found.
    pub fn needed<S: Schemas + ?Sized>(
        &mut self,
        batch: &BatchView<'_>,
        schemas: &S,
    ) -> Result<Vec<Needed>, WalkError> {
        if batch.header().attributes.is_control() {
            return Ok(Vec::new());
        }
        let records = batch.records(&mut self.decompressor, &self.limits)?;
        let needed = judge::needed(&self.checker, records, schemas);
        self.decompressor.release();
        needed
    }

    /// Walks a batch that was read.
    ///
    /// # Errors
    /// Records that are none.
    pub fn run_on<S: Schemas + ?Sized>(
        &mut self,
        batch: &BatchView<'_>,
        context: BatchContext<'_>,
        schemas: &S,
    ) -> Result<BatchReport, WalkError> {
        let report = self.walk(batch, context, schemas);
        self.facts.clear();
        self.facts.shrink_to(FACTS_KEPT);
        self.builder.release(BODY_KEPT);
        self.decompressor.release();
        report
    }

    fn walk<S: Schemas + ?Sized>(
        &mut self,
        batch: &BatchView<'_>,
        context: BatchContext<'_>,
        schemas: &S,
    ) -> Result<BatchReport, WalkError> {
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

        let checked = judge::check(
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
                if let Some(outcome) =
                    judge::follow(recorded, records.clone(), &policy, &mut report)?
                {
                    report.outcome = outcome;
                    return Ok(report);
                }
                u32::try_from(report.refused.len()).unwrap_or(u32::MAX)
            }
            None => {
                let mut rejected = false;
                let mut removed = 0u32;
                for (reason, records) in report.reasons() {
                    match policy.disposition(reason) {
                        Disposition::Reject => rejected = true,
                        Disposition::Quarantine => {
                            removed += records;
                            continue;
                        }
                        Disposition::Mark | Disposition::Pass => {}
                    }
                    report.tally.refused(reason, records.into());
                }
                rejected |= removed > 0 && report.refused.len() > REMOVED_MAX;
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
                batch,
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
            batch,
            context,
            removing: removed > 0,
        };
        // Without refused records it is small.
        let may_stay =
            report.refused.is_empty() && batch.as_bytes().len() <= context.max_batch_bytes;
        let before = may_stay.then(|| report.clone());
        let rewritten = assembly.assemble(
            records.clone(),
            policy.tag,
            &mut report,
            &mut self.builder,
            &mut self.compressor,
        )?;
        let shifted = context.removed_before > 0 && batch.header().base_sequence >= 0;
        report.outcome = match (rewritten, before) {
            (Some(out), Some(before)) if out.len() > context.max_batch_bytes => {
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
            (Some(out), _) if out.is_empty() => BatchOutcome::Nothing,
            (Some(out), _) => BatchOutcome::Rewritten(out),
            (None, _) => BatchOutcome::Forward,
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
    /// Why records were refused, and how many for each reason.
    #[must_use]
    pub fn reasons(&self) -> Vec<(Reason, u32)> {
        let mut all: Vec<(Reason, u32)> = Vec::new();
        for refused in &self.refused {
            let reason = refused.refusal.reason;
            match all.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, records)) => *records += 1,
                None => all.push((reason, 1)),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
