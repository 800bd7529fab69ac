//! What becomes of each partition's batch in a Produce request.

use std::sync::Arc;

use meshwork_pipeline::ProducerTag;
use meshwork_wire::protocol::produce::{ProducePartition, ProduceRequest, Replacement, TopicRef};
use tokio::time::Instant;

use super::batch::product_batch;
use super::contacts::Contacts;
use super::early;
use super::errors::{Refused, code, taken_out};
use super::first::First;
use super::guard::{Guard, Place, Session, place};
use crate::config::OtherTopics;
use crate::connection::line::Line;
use crate::connection::pending::{Own, Produced, Sent};
use crate::products::is_named_like_one;
use crate::service::Shared;

/// Who sends.
#[derive(Debug)]
pub(crate) struct Sender<'c> {
    pub(crate) tag: Arc<ProducerTag>,
    /// What was refused on its connection.
    pub(crate) guard: &'c mut Guard,
    /// What passed on it first.
    pub(crate) first: &'c mut First,
    /// Where the connection leads: the broker that the client takes for the partitions' leader.
    pub(crate) broker: &'c str,
    /// When the request has to be decided on; what can't be found out by then is put off.
    pub(crate) deadline: Instant,
    /// Whose numbering has been read to its end.
    pub(crate) contacts: &'c mut Contacts,
    /// To ask the broker what the client may do.
    pub(crate) line: Line<'c>,
}

/// The connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbearable {
    /// A partition is twice in a request: which answer is whose could not be told.
    Twice,
    /// More failed sessions than are remembered.
    TooManyRefused,
    /// How a producer's batches are numbered is not known any more. On a new connection it is read
    /// anew.
    Forgotten,
    /// A batch was refused of which nobody awaits an answer.
    Unanswerable,
    /// The connection to the broker failed meanwhile.
    Broken,
}

impl Unbearable {
    /// In words.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Twice => "a partition is in the request twice",
            Self::TooManyRefused => {
                "too many of the connection's producers have a batch refused and not sent again"
            }
            Self::Forgotten => "how its producer's batches are numbered has to be read anew",
            Self::Unanswerable => "a batch is refused for which no answer is wanted (acks=0)",
            Self::Broken => "the broker could not be asked what the client may do",
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
pub(super) enum Verdict {
    Forward(Option<Box<Sent>>),
    Rewritten(Vec<u8>, Box<Sent>),
    Refused(Refused),
    /// Success, and nothing goes on.
    TakenOut,
}

/// The same, and whose batch it is.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// None without idempotence, and where nobody keeps count.
    pub(super) session: Option<(Session, Place)>,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            session: None,
        }
    }
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
    early::wait(shared, request, sender.deadline).await;
    for (at, partition) in request.partitions().enumerate() {
        let Judged { verdict, session } = one(shared, sender, request, &partition).await?;
        let replacement = match verdict {
            Verdict::Forward(sent) => {
                decided
                    .produced
                    .sent
                    .extend(sent.map(|sent| Sent { session, ..*sent }));
                Replacement::Keep
            }
            Verdict::Rewritten(bytes, sent) => {
                decided.produced.sent.push(Sent { session, ..*sent });
                Replacement::With(bytes)
            }
            Verdict::Refused(refused) => {
                broke_contract |= refused.code == code::INVALID_RECORD;
                let answer = refused.answer(partition.topic, partition.partition);
                decided.produced.own.push(Own { answer, session });
                Replacement::Drop
            }
            Verdict::TakenOut => {
                let answer = taken_out(partition.topic, partition.partition);
                decided.produced.own.push(Own { answer, session });
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
        let answered = decided.produced.own.iter().any(|o| {
            o.answer.topic.borrowed() == partition.topic
                && o.answer.partition == partition.partition
        });
        if answered {
            continue;
        }
        let refused = Refused::new(
            code::INVALID_RECORD,
            "another batch of this request breaks its contract, and a transaction is taken whole or not at all",
        );
        let session = session(&topic_key(shared, partition.topic), &partition);
        if let Some((session, place)) = &session {
            note(sender, session, *place, &refused)?;
        }
        let answer = refused.answer(partition.topic, partition.partition);
        decided.produced.own.push(Own { answer, session });
    }
    Ok(())
}

/// The name under which a topic's sessions are kept: its id where no name is known.
fn topic_key(shared: &Shared, topic: TopicRef<'_>) -> Arc<str> {
    match topic {
        TopicRef::Name(name) => name.into(),
        TopicRef::Id(id) => shared.topics.name(&id).unwrap_or_else(|| hex(&id)),
    }
}

pub(super) fn note(
    sender: &mut Sender<'_>,
    session: &Session,
    place: Place,
    refused: &Refused,
) -> Result<(), Unbearable> {
    if sender.guard.refuse(session.clone(), place, refused.code) {
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
) -> Result<Judged, Unbearable> {
    // Asked first: what is no product's after all was known is none, and what is one before may be
    // by an announcement that another one has long replaced.
    let early = !shared.products.are_known();
    let name: Arc<str> = match partition.topic {
        TopicRef::Name(name) => match shared.products.of(name).filter(|_| !early) {
            Some(product) => {
                return product_batch(shared, sender, request, partition, &product).await;
            }
            None => name.into(),
        },
        TopicRef::Id(id) => {
            // Refused while the id was not known: it stands in the way under the id.
            let by_id = session(&hex(&id), partition);
            if let Some((session, place)) = &by_id
                && let Some(behind) = behind(shared, sender, session, *place)
            {
                return Ok(Judged {
                    verdict: behind,
                    session: by_id,
                });
            }
            let Some(name) = shared.topics.name(&id) else {
                let refused = Refused::new(
                    code::UNKNOWN_TOPIC_ID,
                    "no topic of this id is known to the gateway: look it up again",
                );
                if let Some((session, place)) = &by_id {
                    note(sender, session, *place, &refused)?;
                }
                return Ok(Judged {
                    verdict: Verdict::Refused(refused),
                    session: by_id,
                });
            };
            if let Some((session, place)) = by_id {
                sender.guard.pass(&session, place);
            }
            match shared.products.of(&name).filter(|_| !early) {
                Some(product) => {
                    return product_batch(shared, sender, request, partition, &product).await;
                }
                None => name,
            }
        }
    };
    if early && is_named_like_one(&name) {
        return early::put_off(shared, sender, request, partition, &name);
    }
    if let Some(judged) = early::behind(shared, sender, partition, &name) {
        return Ok(judged);
    }
    if shared.products.is_quarantine(&name) {
        // What is in there decides how batches are numbered: nobody else may write to it.
        return Ok(Verdict::Refused(Refused::new(
            code::TOPIC_AUTHORIZATION_FAILED,
            format!("{name} is written by the gateway alone"),
        ))
        .into());
    }
    if shared.config.other_topics == OtherTopics::Allow || is_ours(&name) {
        return Ok(Verdict::Forward(None).into());
    }
    shared.refusals.say(&format!("other-topic {name}"), || {
        tracing::warn!(topic = %name, "producing is refused: the topic is no data product (gateway.service.other_topics)");
    });
    Ok(Verdict::Refused(Refused::new(
        code::TOPIC_AUTHORIZATION_FAILED,
        format!(
            "topic {name} is no data product, and only those may be written through this gateway"
        ),
    ))
    .into())
}

/// The mesh's own topics are written by its own services, under the broker's access rules.
fn is_ours(topic: &str) -> bool {
    topic.starts_with("mesh.") || topic.starts_with("__")
}

/// The producer's session that a batch belongs to, and its place in it; none without idempotence.
pub(super) fn session(
    topic: &Arc<str>,
    partition: &ProducePartition<'_>,
) -> Option<(Session, Place)> {
    place(
        &super::batch::header(partition.records?)?,
        topic,
        partition.partition,
    )
}

/// The answer to a batch that would overtake a refused one.
pub(super) fn behind(
    shared: &Shared,
    sender: &mut Sender<'_>,
    session: &Session,
    place: Place,
) -> Option<Verdict> {
    let behind = sender.guard.look(session, place)?;
    shared.metrics.behind(&session.topic);
    Some(Verdict::Refused(Refused::behind(behind, place)))
}

fn hex(id: &[u8; 16]) -> Arc<str> {
    use std::fmt::Write as _;
    let text = id.iter().fold(String::from("id:"), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    text.into()
}
