//! One batch of a product: checked, and refused or trimmed only if it is none that the log has
//! already.

use std::sync::Arc;

use meshwork_pipeline::batch::{BatchContext, WalkError};
use meshwork_pipeline::{BatchOutcome, BatchReport, Part, PartitionTally, Recorded};
use meshwork_wire::protocol::produce::{ProducePartition, ProduceRequest};
use meshwork_wire::{BatchError, BatchHeader, CodecError, HEADER_BYTES};

use super::decide::{Judged, Sender, Unbearable, Verdict, behind, note, session};
use super::errors::{Refused, code};
use super::guard::{Place, Session};
use super::numbering::shift;
use super::repeats::{self, Known};
use super::session::Numbered;
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
    let session = session(&product.topic, partition);
    if let Some((known, place)) = &session
        && let Some(verdict) = behind(shared, sender, known, *place)
    {
        return Ok(Judged { verdict, session });
    }
    let batch = Batch {
        shared,
        request,
        partition,
        product,
        records,
        session: session.as_ref(),
    };
    let mut verdict = batch.decide(sender).await?;
    if let Some((session, place)) = &session {
        if let Verdict::Forward(Some(sent)) | Verdict::Rewritten(_, sent) = &mut verdict {
            sent.alone = sender.first.pass(session);
        }
        match &verdict {
            // Nobody is told of what is refused without an answer; its producer notices when the
            // connection goes, as it would with a broker.
            Verdict::Refused(_) if request.acks == 0 => return Err(Unbearable::Unanswerable),
            Verdict::Refused(refused) => note(sender, session, *place, refused)?,
            _ => sender.guard.pass(session, *place),
        }
    }
    Ok(Judged { verdict, session })
}

/// A batch, and what has to be known to decide on it.
pub(super) struct Batch<'b> {
    pub(super) shared: &'b Shared,
    pub(super) request: &'b ProduceRequest<'b>,
    pub(super) partition: &'b ProducePartition<'b>,
    pub(super) product: &'b Arc<Product>,
    pub(super) records: &'b [u8],
    pub(super) session: Option<&'b (Session, Place)>,
}

impl Batch<'_> {
    async fn decide(&self, sender: &mut Sender<'_>) -> Result<Verdict, Unbearable> {
        // In a transaction nothing is ever taken out, so that its numbers stay.
        let in_transaction = self.request.transactional_id.is_some()
            || header(self.records).is_some_and(|h| h.attributes.is_transactional());
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
        let topic = &product.policy.topic;
        let context = BatchContext {
            producer: &sender.tag,
            partition: self.partition.partition,
            arrived: shared.clock.now(),
            span_ms: shared.config.span.record_ms(),
            max_batch_bytes: product.max_batch_bytes(),
            removed_before: shift(removed_before),
            recorded,
        };
        for _ in 0..LOADS_MAX {
            let walked = product
                .with_pipeline(|pipeline| pipeline.run(self.records, context, &*shared.schemas));
            let report = match walked {
                Ok(report) => report,
                // Several batches or an old format: a broker refuses both, in its own words.
                Err(WalkError::Batch(BatchError::Trailing(_) | BatchError::Magic(_))) => {
                    return Err(Verdict::Forward(None));
                }
                Err(error) => return Err(Verdict::Refused(unreadable(shared, topic, &error))),
            };
            let needed = match &report.outcome {
                BatchOutcome::Load(needed) => needed,
                BatchOutcome::Unavailable(needed) => {
                    let lacking = needed.first().map(ToString::to_string).unwrap_or_default();
                    shared.metrics.refused(topic, "registry-unavailable", 1);
                    shared.refusals.say(&format!("registry {topic}"), || {
                        tracing::warn!(%topic, %lacking, "batches are put off: the registry can't be asked for a schema");
                    });
                    return Err(later(format!(
                        "{lacking} is not known here and the registry can't be asked: try later"
                    )));
                }
                _ => return Ok(report),
            };
            for needed in needed {
                // Where the registry can't be asked, the next round says so.
                let _ = shared.schemas.load(needed).await;
            }
        }
        Err(later(
            "the batch's schemas could not all be held at a time: try later, or send fewer schemas in a batch",
        ))
    }

    /// It goes on, as it came or written anew; or nothing is left to go on.
    pub(super) fn passed(&self, report: BatchReport) -> Verdict {
        self.count(&report);
        let renumbered = report.removed > 0;
        match report.outcome {
            BatchOutcome::Rewritten(bytes) => {
                let sent = self.sent(records_in(&bytes), report.tally, report.parts, renumbered);
                Verdict::Rewritten(bytes, sent)
            }
            BatchOutcome::Nothing => Verdict::TakenOut,
            _ => self.forwarded(report.tally, report.parts),
        }
    }

    /// It goes on as it came.
    pub(super) fn forwarded(&self, tally: PartitionTally, parts: Vec<Part>) -> Verdict {
        Verdict::Forward(
            (self.request.acks != 0)
                .then(|| self.sent(records_in(self.records), tally, parts, false)),
        )
    }

    /// It fails at the producer.
    pub(super) fn refused(&self, report: &BatchReport) -> Verdict {
        let topic: &Arc<str> = &self.product.topic;
        self.count(report);
        self.count_refused(report, "refused");
        Verdict::Refused(Refused::records(topic, &report.refused))
    }

    /// Counts records that broke the contract and do not reach the topic.
    pub(super) fn count_refused(&self, report: &BatchReport, fate: &'static str) {
        let topic: &Arc<str> = &self.product.topic;
        let mut tally = PartitionTally::new(topic, self.partition.partition);
        for refused in &report.refused {
            let reason = refused.refusal.reason;
            self.shared.metrics.refused(topic, reason.code(), 1);
            tally.refused(reason, 1);
        }
        self.shared
            .observations
            .refused(topic, self.partition.partition, &tally);
        if let Some(first) = report.refused.first() {
            self.shared.refusals.say(&format!("{fate} {} {topic}", first.refusal.reason), || {
                tracing::warn!(%topic, partition = self.partition.partition, fate, refusal = %first.refusal, "records break the contract");
            });
        }
    }

    fn count(&self, report: &BatchReport) {
        let topic = &self.product.topic;
        let metrics = &self.shared.metrics;
        if report.removed == 0 && report.outcome != BatchOutcome::Rejected {
            // They pass, marked; the tally has them.
            for refused in &report.refused {
                metrics.refused(topic, refused.refusal.reason.code(), 1);
            }
        }
        if report.unverified > 0 {
            metrics.unverified(topic, report.unverified);
        }
        if report.parents_dropped > 0 {
            metrics.parents_dropped(topic, report.parents_dropped);
        }
        if report.untagged {
            metrics.untagged(topic);
        }
    }

    fn sent(
        &self,
        records: i64,
        tally: PartitionTally,
        parts: Vec<Part>,
        renumbered: bool,
    ) -> Box<Sent> {
        Box::new(Sent {
            topic: self.partition.topic.owned(),
            name: Arc::clone(&self.product.topic),
            partition: self.partition.partition,
            tally,
            parts,
            records,
            alone: false,
            renumbered,
            session: None,
        })
    }
}

pub(super) fn later(why: impl Into<String>) -> Verdict {
    Verdict::Refused(Refused::new(code::NOT_ENOUGH_REPLICAS, why))
}

fn unreadable(shared: &Shared, topic: &str, error: &WalkError) -> Refused {
    shared.metrics.refused(topic, "unreadable", 1);
    shared.refusals.say(&format!("unreadable {topic}"), || {
        tracing::warn!(%topic, %error, "a batch can't be read");
    });
    let code = match error {
        WalkError::Batch(BatchError::Codec(CodecError::TooLarge { .. })) => {
            code::RECORD_LIST_TOO_LARGE
        }
        _ => code::CORRUPT_MESSAGE,
    };
    Refused::new(code, error.to_string())
}

/// A batch's header, its checksum not looked at. Of use only to tell sessions apart.
pub(super) fn header(records: &[u8]) -> Option<BatchHeader> {
    records.get(..HEADER_BYTES).and_then(BatchHeader::peek)
}

fn records_in(batch: &[u8]) -> i64 {
    header(batch).map_or(0, |h| i64::from(h.record_count))
}
