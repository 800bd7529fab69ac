//! One batch of a product: checked, and refused or trimmed only if it is none that the log has
//! already.

use std::sync::Arc;

use meshwork_pipeline::batch::{BatchContext, WalkError};
use meshwork_pipeline::{BatchOutcome, BatchReport, Part, PartitionTally, Recorded};
use meshwork_wire::protocol::produce::{ProducePartition, ProduceRequest};
use meshwork_wire::{BatchError, BatchHeader, BatchView, CodecError, HEADER_BYTES};

use super::counts::{Seen, broken};
use super::decide::{Judged, Passed, Sender, Unbearable, Verdict, behind, note};
use super::errors::{Refused, Why, code};
use super::guard::{Place, Session, place};
use super::numbered::Numbered;
use super::numbering::shift;
use super::repeats::{self, Known};
use super::schemas;
use crate::connection::pending::Sent;
use crate::products::Product;
use crate::service::Shared;

/// Rounds of loading schemas for one batch; each loads up to 16.
const LOADS_MAX: usize = 64;

/// Decides on a batch of a product.
pub(super) async fn product_batch(
    shared: &Shared,
    sender: &mut Sender<'_>,
    request: &ProduceRequest<'_>,
    partition: &ProducePartition<'_>,
    product: &Arc<Product>,
) -> Result<Judged, Unbearable> {
    // Null or empty: the broker's to refuse.
    let Some(records) = partition.records.filter(|records| !records.is_empty()) else {
        return Ok(Verdict::Forward(None).into());
    };
    // Before anything is taken from its header: what is damaged may name any producer and number.
    let batch = match product.read(records) {
        Ok(batch) => batch,
        // Several batches or an old format: a broker refuses both, in its own words.
        Err(BatchError::Trailing(_) | BatchError::Magic(_)) => {
            return Ok(Verdict::Forward(None).into());
        }
        Err(error) => {
            if header(records).is_some_and(|h| h.producer_id >= 0) {
                // Which batches may not pass it can't be told: on a new connection it comes first.
                sender.ends = true;
            }
            return Ok(Verdict::Refused(unreadable(&error.into())).into());
        }
    };
    let session = place(batch.header(), &product.topic, partition.partition);
    if let Some((known, place)) = &session
        && let Some(refused) = behind(sender, known, *place)
    {
        return Ok(Judged::of_product(Verdict::Refused(refused), session));
    }
    let judged = Batch {
        shared,
        request,
        partition,
        product,
        batch,
        session: session.as_ref(),
    };
    let mut verdict = judged.decide(sender).await?;
    if let Some((session, place)) = &session {
        if let Verdict::Forward(Some(passed)) | Verdict::Rewritten(_, passed) = &mut verdict {
            passed.sent.alone = sender.first.pass(session);
        }
        match &verdict {
            Verdict::Refused(refused) => note(sender, session, *place, refused)?,
            _ => sender.guard.pass(session, *place),
        }
    }
    Ok(Judged::of_product(verdict, session))
}

/// A batch, and what has to be known to decide on it.
pub(super) struct Batch<'b> {
    pub(super) shared: &'b Shared,
    pub(super) request: &'b ProduceRequest<'b>,
    pub(super) partition: &'b ProducePartition<'b>,
    pub(super) product: &'b Arc<Product>,
    pub(super) batch: BatchView<'b>,
    pub(super) session: Option<&'b (Session, Place)>,
}

impl Batch<'_> {
    async fn decide(&self, sender: &mut Sender<'_>) -> Result<Verdict, Unbearable> {
        // In a transaction nothing is ever taken out, so that its numbers stay.
        let in_transaction = self.request.transactional_id.is_some()
            || self.batch.header().attributes.is_transactional();
        match self.session {
            Some((session, place)) if !in_transaction && self.request.acks != 0 => {
                Numbered::new(self, session, *place).decide(sender).await
            }
            Some((session, place)) => Ok(self.as_it_is(sender, session, *place).await),
            None => self.unnumbered(sender).await,
        }
    }

    /// As in `reject`, whatever the mode: of a transaction, and of an idempotent producer that wants
    /// no answers.
    async fn as_it_is(&self, sender: &mut Sender<'_>, session: &Session, place: Place) -> Verdict {
        let report = match self.walk(sender, 0, None).await {
            Ok(report) => report,
            Err(verdict) => return verdict,
        };
        if report.removed == 0 && report.outcome != BatchOutcome::Rejected {
            return self.passed(report);
        }
        match self.in_log(sender, session, place, 0).await {
            Known::New => self.refused(&report),
            Known::Repeat => self.forwarded(report.tally, report.parts),
            Known::Not(refused) => Verdict::Refused(refused),
        }
    }

    /// Whether the log has the batch already, which goes there shifted by `removed_before`.
    pub(super) async fn in_log(
        &self,
        sender: &mut Sender<'_>,
        session: &Session,
        place: Place,
        removed_before: u64,
    ) -> Known {
        let last = meshwork_pipeline::batch::shift_sequence(place.last, shift(removed_before));
        repeats::ask(self.shared, sender, session, place.epoch, last).await
    }

    /// Walks the batch, and loads the schemas that it needs.
    pub(super) async fn walk(
        &self,
        sender: &mut Sender<'_>,
        removed_before: u64,
        recorded: Option<Recorded<'_>>,
    ) -> Result<BatchReport, Verdict> {
        let (shared, product) = (self.shared, self.product);
        let tag = Arc::clone(&sender.tag);
        let context = BatchContext {
            producer: &tag,
            partition: self.partition.partition,
            arrived: shared.clock.now(),
            span_ms: shared.config.span.record_ms(),
            max_batch_bytes: product.max_batch_bytes(),
            removed_before: shift(removed_before),
            recorded,
        };
        for _ in 0..LOADS_MAX {
            let walked =
                product.with_pipeline(|p| p.run_on(&self.batch, context, &*shared.schemas));
            let report = walked.map_err(|error| Verdict::Refused(unreadable(&error)))?;
            let needed = match &report.outcome {
                BatchOutcome::Load(needed) => needed,
                BatchOutcome::Unavailable(needed) => {
                    let lacking = needed.first().map(ToString::to_string).unwrap_or_default();
                    return Err(Verdict::Refused(Refused::later(
                        Why::Registry,
                        format!(
                            "{lacking} is not known here and the registry can't be asked: try later"
                        ),
                    )));
                }
                _ => return Ok(report),
            };
            if tokio::time::Instant::now() >= sender.deadline {
                // Nothing is known of the registry, so that it does not pass unchecked either.
                return Err(Verdict::Refused(Refused::later(
                    Why::Registry,
                    "the batch's schemas could not be loaded in the time that its client waits: try later",
                )));
            }
            schemas::load(shared, sender, self, needed).await;
        }
        Err(Verdict::Refused(Refused::later(
            Why::Registry,
            "the batch's schemas could not all be held at a time: try later, or send fewer schemas in a batch",
        )))
    }

    /// It goes on, as it came or written anew; or nothing is left to go on.
    pub(super) fn passed(&self, report: BatchReport) -> Verdict {
        let seen = Seen::of(&report);
        let renumbered = report.removed > 0;
        match report.outcome {
            BatchOutcome::Rewritten(bytes) => {
                let records = records_in(&bytes);
                let sent = self.sent(records, report.tally, report.parts, renumbered);
                Verdict::Rewritten(bytes, Box::new(Passed { sent, seen }))
            }
            BatchOutcome::Nothing => Verdict::TakenOut,
            _ => {
                let sent = self.as_it_came(report.tally, report.parts);
                Verdict::Forward(Some(Box::new(Passed { sent, seen })))
            }
        }
    }

    /// It goes on as it came.
    pub(super) fn forwarded(&self, tally: PartitionTally, parts: Vec<Part>) -> Verdict {
        let (sent, seen) = (self.as_it_came(tally, parts), Seen::default());
        Verdict::Forward(Some(Box::new(Passed { sent, seen })))
    }

    fn as_it_came(&self, tally: PartitionTally, parts: Vec<Part>) -> Sent {
        let records = i64::from(self.batch.header().record_count);
        self.sent(records, tally, parts, false)
    }

    /// It fails at the producer.
    pub(super) fn refused(&self, report: &BatchReport) -> Verdict {
        Verdict::Refused(Refused::records(&self.product.topic, report))
    }

    /// Counts what was written to quarantine: it stays there, whatever becomes of the request.
    pub(super) fn count_quarantined(&self, report: &BatchReport) {
        let (topic, partition) = (&self.product.topic, self.partition.partition);
        let reasons = report.reasons();
        broken(self.shared, topic, partition, &reasons);
        let metrics = &self.shared.metrics;
        metrics.quarantined(topic, report.refused.len());
        if let Some(first) = report.refused.first() {
            let reason = first.refusal.reason;
            let key = format!("quarantine {reason} {topic}");
            self.shared.refusals.say(&key, || {
                tracing::warn!(%topic, partition, refusal = %first.refusal, "records that break the contract go to quarantine");
            });
        }
    }

    fn sent(
        &self,
        records: i64,
        tally: PartitionTally,
        parts: Vec<Part>,
        renumbered: bool,
    ) -> Sent {
        Sent {
            topic: self.partition.topic.owned(),
            name: Arc::clone(&self.product.topic),
            partition: self.partition.partition,
            tally,
            parts,
            records,
            alone: false,
            renumbered,
            session: None,
        }
    }
}

fn unreadable(error: &WalkError) -> Refused {
    let code = match error {
        WalkError::Batch(
            BatchError::TooMany { .. } | BatchError::Codec(CodecError::TooLarge { .. }),
        ) => code::RECORD_LIST_TOO_LARGE,
        _ => code::CORRUPT_MESSAGE,
    };
    Refused::new(code, Why::Unreadable, error.to_string())
}

/// A batch's header, its checksum not looked at. Of use only to tell sessions apart.
pub(super) fn header(records: &[u8]) -> Option<BatchHeader> {
    records.get(..HEADER_BYTES).and_then(BatchHeader::peek)
}

fn records_in(batch: &[u8]) -> i64 {
    header(batch).map_or(0, |h| i64::from(h.record_count))
}
