//! What becomes of each partition's batch in a Produce request.

use std::sync::Arc;

use meshwork_pipeline::ProducerTag;
use meshwork_wire::protocol::produce::{ProducePartition, ProduceRequest, Replacement, TopicRef};
use tokio::time::Instant;

use super::batch::product_batch;
use super::contacts::Contacts;
use super::counts::{self, Seen};
use super::early;
use super::errors::{Refused, Telling, Why, code, taken_out};
use super::first::First;
use super::guard::{Guard, Place, Session, place};
use crate::config::OtherTopics;
use crate::connection::line::Line;
use crate::connection::pending::{Own, Produced, Sent};
use crate::products::{Product, is_named_like_one};
use crate::service::Shared;

/// Most partitions of one request: each has at least an answer of its own, however few its bytes.
const PARTITIONS_MAX: usize = 100_000;
/// Longest name that a topic can have (`Topic.java`).
const NAME_MAX: usize = 249;

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
    /// The schemas that all of the request's batches need have been asked for.
    pub(crate) looked_ahead: bool,
    /// Nothing may come behind the request on this connection, which ends once it is answered.
    pub(crate) ends: bool,
}

/// The connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbearable {
    /// A partition is twice in a request: which answer is whose could not be told.
    Twice,
    /// More partitions than are decided on at a time.
    TooMany,
    /// More failed sessions than are remembered.
    TooManyRefused,
    /// A batch comes again that is older than what is remembered of its producer's numbers. No new
    /// connection helps: its client has to give it up.
    Forgotten,
    /// What was written of a batch is not found again. On a new connection it is read anew.
    Unread,
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
            Self::TooMany => "a request has more than 100,000 partitions",
            Self::TooManyRefused => {
                "too many of the connection's producers have a batch refused and not sent again"
            }
            Self::Forgotten => "a batch is older than what is remembered of its producer",
            Self::Unread => "how its producer's batches are numbered has to be read anew",
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
    Forward(Option<Box<Passed>>),
    Rewritten(Vec<u8>, Box<Passed>),
    Refused(Refused),
    /// Success, and nothing goes on.
    TakenOut,
}

/// A product's batch that goes on.
pub(super) struct Passed {
    pub(super) sent: Sent,
    pub(super) seen: Seen,
}

/// The same, and whose batch it is.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// Of a product's batch, which the way back keeps count of too; none without idempotence.
    pub(super) session: Option<(Session, Place)>,
    /// Of an idempotent producer, which has to be told of a refusal.
    pub(super) numbered: bool,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            session: None,
            numbered: false,
        }
    }
}

impl Judged {
    /// Of a product's batch.
    pub(super) fn of_product(verdict: Verdict, session: Option<(Session, Place)>) -> Self {
        Self {
            verdict,
            numbered: session.is_some(),
            session,
        }
    }

    /// Of a batch of what is no product as far as is known. When it comes again, it passes without
    /// being counted: on the way back it would never be made good.
    pub(super) fn of_none(refused: Refused, session: Option<&(Session, Place)>) -> Self {
        Self {
            verdict: Verdict::Refused(refused),
            session: None,
            numbered: session.is_some(),
        }
    }
}

/// Decides on each partition of a request. What is refused is counted here and nowhere else.
pub(crate) async fn decide(
    shared: &Shared,
    sender: &mut Sender<'_>,
    request: &ProduceRequest<'_>,
) -> Result<Decided, Unbearable> {
    if request.len() > PARTITIONS_MAX {
        return Err(Unbearable::TooMany);
    }
    let mut seen = std::collections::HashSet::new();
    if request.len() > 1
        && !request
            .partitions()
            .all(|p| seen.insert((p.topic, p.partition)))
    {
        return Err(Unbearable::Twice);
    }
    early::wait(shared, request, sender.deadline).await;
    let mut all: Vec<Judged> = Vec::new();
    let mut telling = Telling::default();
    for partition in request.partitions() {
        let mut judged = one(shared, sender, request, &partition).await?;
        if let Verdict::Refused(refused) = &mut judged.verdict {
            telling.bound(refused);
        }
        all.push(judged);
    }
    let broke_contract =
        |j: &Judged| matches!(&j.verdict, Verdict::Refused(r) if r.code == code::INVALID_RECORD);
    if request.transactional_id.is_some() && all.iter().any(broke_contract) {
        refuse_the_rest(shared, sender, request, &mut all)?;
    }
    let mut decided = Decided {
        replacements: None,
        forwarded: request.len(),
        produced: Produced::default(),
    };
    let mut replacements: Vec<Replacement> = Vec::new();
    let mut unanswerable = false;
    let mut goes_on = |passed: Box<Passed>, session| {
        let Passed { sent, seen } = *passed;
        seen.count(shared, &sent.name);
        decided.produced.sent.push(Sent { session, ..sent });
    };
    for (at, (partition, judged)) in request.partitions().zip(all).enumerate() {
        let Judged {
            verdict,
            session,
            numbered,
        } = judged;
        let replacement = match verdict {
            Verdict::Forward(passed) => {
                if let Some(passed) = passed {
                    goes_on(passed, session);
                }
                Replacement::Keep
            }
            Verdict::Rewritten(bytes, passed) => {
                goes_on(passed, session);
                Replacement::With(bytes)
            }
            Verdict::Refused(refused) => {
                let product = product(shared, partition.topic);
                let topic = product.as_ref().map(|product| &product.topic);
                counts::refused(shared, topic, partition.partition, &refused);
                unanswerable |= request.acks == 0 && numbered;
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
        decided.forwarded -= usize::from(matches!(replacement, Replacement::Drop));
        if replacements.is_empty() && matches!(replacement, Replacement::Keep) {
            continue;
        }
        // The first one that does not simply stay: those before it do.
        if replacements.is_empty() {
            replacements.resize_with(at, || Replacement::Keep);
        }
        replacements.push(replacement);
    }
    if unanswerable {
        // Nobody is told of what is refused without an answer; its producer notices when the
        // connection goes, as it would with a broker.
        return Err(Unbearable::Unanswerable);
    }
    decided.replacements = (!replacements.is_empty()).then_some(replacements);
    Ok(decided)
}

/// In a transaction a record that breaks the contract fails the whole request: the client aborts.
fn refuse_the_rest(
    shared: &Shared,
    sender: &mut Sender<'_>,
    request: &ProduceRequest<'_>,
    all: &mut [Judged],
) -> Result<(), Unbearable> {
    for (partition, judged) in request.partitions().zip(all) {
        if matches!(judged.verdict, Verdict::Refused(_)) {
            continue;
        }
        let refused = Refused::new(
            code::INVALID_RECORD,
            Why::WithAnother,
            "another batch of this request breaks its contract, and a transaction is taken whole or not at all",
        );
        let session =
            topic_key(shared, partition.topic).and_then(|topic| session(&topic, &partition));
        if let Some((session, place)) = &session {
            note(sender, session, *place, &refused)?;
        }
        judged.numbered = session.is_some();
        judged.verdict = Verdict::Refused(refused);
    }
    Ok(())
}

/// The product that a topic belongs to.
pub(super) fn product(shared: &Shared, topic: TopicRef<'_>) -> Option<Arc<Product>> {
    match topic {
        TopicRef::Name(name) => shared.products.of(name),
        TopicRef::Id(id) => shared.products.of(&shared.topics.name(&id)?),
    }
}

/// The name under which a topic's sessions are kept: its id where no name is known. None of what can
/// be no topic's name: no broker has such a session, and nothing is kept of it here.
fn topic_key(shared: &Shared, topic: TopicRef<'_>) -> Option<Arc<str>> {
    match topic {
        TopicRef::Name(name) => name_key(name),
        TopicRef::Id(id) => Some(shared.topics.name(&id).unwrap_or_else(|| hex(&id))),
    }
}

/// The same of a name.
pub(super) fn name_key(name: &str) -> Option<Arc<str>> {
    (name.len() <= NAME_MAX).then(|| name.into())
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
    // Asked first: what is no product's after all was known is none.
    let early = !shared.products.are_known();
    let by_id: Arc<str>;
    let name: &str = match partition.topic {
        TopicRef::Name(name) => match shared.products.of(name) {
            Some(product) => {
                return product_batch(shared, sender, request, partition, &product).await;
            }
            None => name,
        },
        TopicRef::Id(id) => {
            // Refused while the id was not known: it stands in the way under the id.
            let unknown = session(&hex(&id), partition);
            if let Some((session, place)) = &unknown
                && let Some(behind) = behind(sender, session, *place)
            {
                return Ok(Judged::of_none(behind, unknown.as_ref()));
            }
            let Some(name) = shared.topics.name(&id) else {
                let refused = Refused::new(
                    code::UNKNOWN_TOPIC_ID,
                    Why::UnknownTopic,
                    "no topic of this id is known to the gateway: look it up again",
                );
                if let Some((session, place)) = &unknown {
                    note(sender, session, *place, &refused)?;
                }
                return Ok(Judged::of_none(refused, unknown.as_ref()));
            };
            if let Some((session, place)) = unknown {
                sender.guard.pass(&session, place);
            }
            match shared.products.of(&name) {
                Some(product) => {
                    return product_batch(shared, sender, request, partition, &product).await;
                }
                None => {
                    by_id = name;
                    &by_id
                }
            }
        }
    };
    if early && is_named_like_one(name) {
        return early::put_off(sender, partition, name);
    }
    if shared.products.is_unread(name) {
        return early::unread(sender, partition, name);
    }
    if let Some(judged) = early::behind(sender, partition, name) {
        return Ok(judged);
    }
    if shared.products.is_quarantine(name) {
        // What is in there decides how batches are numbered: nobody else may write to it.
        return Ok(Verdict::Refused(Refused::new(
            code::TOPIC_AUTHORIZATION_FAILED,
            Why::NotAllowed,
            format!("{name} is written by the gateway alone"),
        ))
        .into());
    }
    if shared.config.other_topics == OtherTopics::Allow || is_ours(name) {
        return Ok(Verdict::Forward(None).into());
    }
    Ok(Verdict::Refused(Refused::new(
        code::TOPIC_AUTHORIZATION_FAILED,
        Why::NotAllowed,
        format!(
            "topic {name} is no data product, and only those may be written through this gateway (gateway.service.other_topics)"
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
pub(super) fn behind(sender: &mut Sender<'_>, session: &Session, place: Place) -> Option<Refused> {
    let behind = sender.guard.look(session, place)?;
    Some(Refused::behind(behind, place))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_of_what_can_be_no_topics_name() {
        let longest = "x".repeat(249);
        assert_eq!(name_key(&longest).as_deref(), Some(&*longest));
        assert_eq!(name_key(&"x".repeat(250)), None);
    }
}
