//! What becomes of each partition's batch in a Produce request.

use std::sync::Arc;

use meshwork_pipeline::batch::{BatchContext, WalkError};
use meshwork_pipeline::{BatchOutcome, BatchReport, PartitionTally, ProducerTag};
use meshwork_wire::protocol::produce::{ProducePartition, ProduceRequest, Replacement, TopicRef};
use meshwork_wire::{BatchError, BatchHeader, CodecError, HEADER_BYTES};

use super::errors::{Refused, code, taken_out};
use super::first::First;
use super::guard::{Guard, Place, Session, place};
use crate::config::OtherTopics;
use crate::connection::pending::{Produced, Sent};
use crate::products::Product;
use crate::service::Shared;

/// Rounds of loading schemas for one batch; each loads up to 16.
const LOADS_MAX: usize = 64;

/// Who sends.
#[derive(Debug)]
pub(crate) struct Sender<'c> {
    pub(crate) tag: Arc<ProducerTag>,
    /// What was refused on its connection.
    pub(crate) guard: &'c mut Guard,
    /// What passed on it first.
    pub(crate) first: &'c mut First,
}

/// The connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbearable {
    /// A partition is twice in a request: which answer is whose could not be told.
    Twice,
    /// More failed sessions than are remembered.
    TooManyRefused,
}

impl Unbearable {
    /// In words.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Twice => "a partition is in the request twice",
            Self::TooManyRefused => {
                "too many of the connection's producers have a batch refused and not sent again"
            }
        }
    }
}

/// What was decided on a request.
#[derive(Debug)]
pub(crate) struct Decided {
    /// For each partition, in the request's order; none: the request passes as it is.
    pub(crate) replacements: Option<Vec<Replacement>>,
    /// Partitions that are passed on.
    pub(crate) forwarded: usize,
    pub(crate) produced: Produced,
}

/// What was decided on a batch.
enum Verdict {
    Forward(Option<Box<Sent>>),
    Rewritten(Vec<u8>, Box<Sent>),
    Refused(Refused),
    /// Success, and nothing goes on.
    TakenOut,
}

/// Decides on each partition of a request.
pub(crate) async fn decide(
    shared: &Shared,
    sender: &mut Sender<'_>,
    request: &ProduceRequest<'_>,
) -> Result<Decided, Unbearable> {
    let mut seen = std::collections::HashSet::new();
    let twice = |p: ProducePartition<'_>| !seen.insert((p.topic.owned(), p.partition));
    if request.len() > 1 && request.partitions().any(twice) {
        return Err(Unbearable::Twice);
    }
    let mut decided = Decided {
        replacements: None,
        forwarded: request.len(),
        produced: Produced::default(),
    };
    let mut replacements: Vec<Replacement> = Vec::new();
    let mut broke_contract = false;
    for (at, partition) in request.partitions().enumerate() {
        let verdict = one(shared, sender, request, &partition).await?;
        let replacement = match verdict {
            Verdict::Forward(sent) => {
                decided.produced.sent.extend(sent.map(|sent| *sent));
                Replacement::Keep
            }
            Verdict::Rewritten(bytes, sent) => {
                decided.produced.sent.push(*sent);
                Replacement::With(bytes)
            }
            Verdict::Refused(refused) => {
                broke_contract |= refused.code == code::INVALID_RECORD;
                let own = refused.answer(partition.topic, partition.partition);
                decided.produced.own.push(own);
                Replacement::Drop
            }
            Verdict::TakenOut => {
                let own = taken_out(partition.topic, partition.partition);
                decided.produced.own.push(own);
                Replacement::Drop
            }
        };
        if replacements.is_empty() && matches!(replacement, Replacement::Keep) {
            continue;
        }
        // The first one that does not simply stay: those before it do.
        if replacements.is_empty() {
            replacements.resize_with(at, || Replacement::Keep);
        }
        replacements.push(replacement);
    }
    if broke_contract && request.transactional_id.is_some() {
        refuse_the_rest(sender, shared, request, &mut decided)?;
        replacements = (0..request.len()).map(|_| Replacement::Drop).collect();
    }
    if !replacements.is_empty() {
        let dropped = replacements
            .iter()
            .filter(|r| matches!(r, Replacement::Drop))
            .count();
        decided.forwarded = request.len() - dropped;
        decided.replacements = Some(replacements);
    }
    Ok(decided)
}

/// In a transaction a record that breaks the contract fails the whole request: the client aborts.
fn refuse_the_rest(
    sender: &mut Sender<'_>,
    shared: &Shared,
    request: &ProduceRequest<'_>,
    decided: &mut Decided,
) -> Result<(), Unbearable> {
    decided.produced.sent.clear();
    for partition in request.partitions() {
        let answered =
            decided.produced.own.iter().any(|o| {
                o.topic.borrowed() == partition.topic && o.partition == partition.partition
            });
        if answered {
            continue;
        }
        let refused = Refused::new(
            code::INVALID_RECORD,
            "another batch of this request breaks its contract, and a transaction is taken whole or not at all",
        );
        if let Some((session, place)) = session(&topic_key(shared, partition.topic), &partition) {
            note(sender, session, place, &refused)?;
        }
        let own = refused.answer(partition.topic, partition.partition);
        decided.produced.own.push(own);
    }
    Ok(())
}

/// The name under which a topic's sessions are kept: its id where no name is known.
fn topic_key(shared: &Shared, topic: TopicRef<'_>) -> Arc<str> {
    match topic {
        TopicRef::Name(name) => name.into(),
        TopicRef::Id(id) => shared.topics.name(&id).unwrap_or_else(|| hex(&id).into()),
    }
}

fn note(
    sender: &mut Sender<'_>,
    session: Session,
    place: Place,
    refused: &Refused,
) -> Result<(), Unbearable> {
    if sender.guard.refuse(session, place, refused.code) {
        Ok(())
    } else {
        Err(Unbearable::TooManyRefused)
    }
}

async fn one(
    shared: &Shared,
    sender: &mut Sender<'_>,
    request: &ProduceRequest<'_>,
    partition: &ProducePartition<'_>,
) -> Result<Verdict, Unbearable> {
    let name: Arc<str> = match partition.topic {
        TopicRef::Name(name) => match shared.products.of(name) {
            Some(product) => {
                return product_batch(shared, sender, request, partition, product).await;
            }
            None => name.into(),
        },
        TopicRef::Id(id) => {
            // Refused while the id was not known: it stands in the way under the id.
            let by_id = session(&hex(&id), partition);
            if let Some((session, place)) = &by_id
                && let Some(behind) = behind(shared, sender, session, *place, &hex(&id))
            {
                return Ok(behind);
            }
            let Some(name) = shared.topics.name(&id) else {
                let refused = Refused::new(
                    code::UNKNOWN_TOPIC_ID,
                    "no topic of this id is known to the gateway: look it up again",
                );
                if let Some((session, place)) = by_id {
                    note(sender, session, place, &refused)?;
                }
                return Ok(Verdict::Refused(refused));
            };
            if let Some((session, place)) = by_id {
                sender.guard.pass(&session, place);
            }
            match shared.products.of(&name) {
                Some(product) => {
                    return product_batch(shared, sender, request, partition, product).await;
                }
                None => name,
            }
        }
    };
    if shared.products.is_quarantine(&name) {
        // What is in there decides how batches are numbered: nobody else may write to it.
        return Ok(Verdict::Refused(Refused::new(
            code::TOPIC_AUTHORIZATION_FAILED,
            format!("{name} is written by the gateway alone"),
        )));
    }
    if shared.config.other_topics == OtherTopics::Allow || is_ours(&name) {
        return Ok(Verdict::Forward(None));
    }
    shared.refusals.say(&format!("other-topic {name}"), || {
        tracing::warn!(topic = %name, "producing is refused: the topic is no data product (gateway.other_topics)");
    });
    Ok(Verdict::Refused(Refused::new(
        code::TOPIC_AUTHORIZATION_FAILED,
        format!(
            "topic {name} is no data product, and only those may be written through this gateway"
        ),
    )))
}

/// The mesh's own topics are written by its own services, under the broker's access rules.
fn is_ours(topic: &str) -> bool {
    topic.starts_with("mesh.") || topic.starts_with("__")
}

async fn product_batch(
    shared: &Shared,
    sender: &mut Sender<'_>,
    request: &ProduceRequest<'_>,
    partition: &ProducePartition<'_>,
    product: Arc<Product>,
) -> Result<Verdict, Unbearable> {
    // Null or empty: the broker's to refuse.
    let Some(records) = partition.records.filter(|records| !records.is_empty()) else {
        return Ok(Verdict::Forward(None));
    };
    let session = session(&product.topic, partition);
    if let Some((session, place)) = &session
        && let Some(behind) = behind(shared, sender, session, *place, &product.topic)
    {
        return Ok(behind);
    }
    let mut verdict = checked(shared, sender, request, partition, records, &product).await;
    if let Some((session, place)) = session {
        if let Verdict::Forward(Some(sent)) | Verdict::Rewritten(_, sent) = &mut verdict {
            sent.alone = sender.first.pass(&session);
        }
        match &verdict {
            Verdict::Refused(refused) => note(sender, session, place, refused)?,
            _ => sender.guard.pass(&session, place),
        }
    }
    Ok(verdict)
}

async fn checked(
    shared: &Shared,
    sender: &Sender<'_>,
    request: &ProduceRequest<'_>,
    partition: &ProducePartition<'_>,
    records: &[u8],
    product: &Arc<Product>,
) -> Verdict {
    let topic = &product.policy.topic;
    let context = BatchContext {
        producer: &sender.tag,
        partition: partition.partition,
        arrived: shared.clock.now(),
        span_ms: shared.config.span.record_ms(),
        max_batch_bytes: product.max_batch_bytes(),
        removed_before: 0,
        recorded: None,
    };
    for _ in 0..LOADS_MAX {
        let walked =
            product.with_pipeline(|pipeline| pipeline.run(records, context, &*shared.schemas));
        let report = match walked {
            Ok(report) => report,
            // Several batches or an old format: a broker refuses both, in its own words.
            Err(WalkError::Batch(BatchError::Trailing(_) | BatchError::Magic(_))) => {
                return Verdict::Forward(None);
            }
            Err(error) => return Verdict::Refused(unreadable(shared, topic, &error)),
        };
        let needed = match &report.outcome {
            BatchOutcome::Load(needed) => needed,
            BatchOutcome::Unavailable(needed) => {
                let lacking = needed.first().map(ToString::to_string).unwrap_or_default();
                shared.metrics.refused(topic, "registry-unavailable", 1);
                shared.refusals.say(&format!("registry {topic}"), || {
                    tracing::warn!(%topic, %lacking, "batches are put off: the registry can't be asked for a schema");
                });
                return Verdict::Refused(Refused::new(
                    code::NOT_ENOUGH_REPLICAS,
                    format!(
                        "{lacking} is not known here and the registry can't be asked: try later"
                    ),
                ));
            }
            _ => return judged(shared, request, partition, product, report),
        };
        for needed in needed {
            // Where the registry can't be asked, the next round says so.
            let _ = shared.schemas.load(needed).await;
        }
    }
    Verdict::Refused(Refused::new(
        code::NOT_ENOUGH_REPLICAS,
        "the batch's schemas could not all be held at a time: try later, or send fewer schemas in a batch",
    ))
}

/// Turns a report into a verdict, and counts.
fn judged(
    shared: &Shared,
    request: &ProduceRequest<'_>,
    partition: &ProducePartition<'_>,
    product: &Arc<Product>,
    mut report: BatchReport,
) -> Verdict {
    let topic: &Arc<str> = &product.topic;
    let metrics = &shared.metrics;
    for refused in &report.refused {
        metrics.refused(topic, refused.refusal.reason.code(), 1);
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
    if let Some(first) = report.refused.first() {
        shared.refusals.say(&format!("{} {topic}", first.refusal.reason), || {
            tracing::warn!(%topic, partition = partition.partition, refusal = %first.refusal, "records break the contract");
        });
    }
    let parts = std::mem::take(&mut report.parts);
    let counted = |records: i64, tally: PartitionTally| {
        Box::new(Sent {
            parts,
            topic: partition.topic.owned(),
            name: Arc::clone(topic),
            partition: partition.partition,
            tally,
            records,
            renumbered: report.removed > 0,
            alone: false,
        })
    };
    if report.removed > 0 {
        let mut refused = PartitionTally::new(topic, partition.partition);
        for record in &report.refused {
            refused.refused(record.refusal.reason, 1);
        }
        shared
            .observations
            .refused(topic, partition.partition, &refused);
        return Verdict::Refused(Refused::records(topic, &report.refused));
    }
    let records = |bytes: &[u8]| header(bytes).map_or(0, |h| i64::from(h.record_count));
    match report.outcome {
        BatchOutcome::Rejected => {
            shared
                .observations
                .refused(topic, partition.partition, &report.tally);
            Verdict::Refused(Refused::records(topic, &report.refused))
        }
        BatchOutcome::Rewritten(bytes) => {
            let sent = counted(records(&bytes), report.tally);
            Verdict::Rewritten(bytes, sent)
        }
        BatchOutcome::Nothing => {
            shared
                .observations
                .refused(topic, partition.partition, &report.tally);
            Verdict::TakenOut
        }
        _ => Verdict::Forward(
            (request.acks != 0)
                .then(|| counted(partition.records.map_or(0, records), report.tally)),
        ),
    }
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

/// The producer's session that a batch belongs to, and its place in it; none without idempotence.
fn session(topic: &str, partition: &ProducePartition<'_>) -> Option<(Session, Place)> {
    place(&header(partition.records?)?, topic, partition.partition)
}

/// The answer to a batch that would overtake a refused one.
fn behind(
    shared: &Shared,
    sender: &mut Sender<'_>,
    session: &Session,
    place: Place,
    topic: &str,
) -> Option<Verdict> {
    let behind = sender.guard.look(session, place)?;
    shared.metrics.behind(topic);
    Some(Verdict::Refused(Refused::new(
        behind.code,
        format!(
            "the batch at sequence {} was refused and has not come again, so that the one at {} may not pass it",
            behind.refused, place.first
        ),
    )))
}

/// A batch's header, its checksum not looked at. Of use only to tell sessions apart.
fn header(records: &[u8]) -> Option<BatchHeader> {
    records.get(..HEADER_BYTES).and_then(BatchHeader::peek)
}

fn hex(id: &[u8; 16]) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::from("id:"), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
