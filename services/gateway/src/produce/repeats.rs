//! Whether the log has a batch already: asked of the partition's leader before an idempotent batch
//! is refused or trimmed.
//!
//! A verdict may change between a batch's first try and its repeat: a contract is edited, a schema
//! registered, another gateway asked. If the first try was appended and the repeat is refused, the
//! client counts its records as failed although they are there, and franz-go gives their sequence
//! numbers to other records, which the broker then takes for repeats: acknowledged, and lost.

use meshwork_wire::protocol::describe_producers;

use super::decide::Sender;
use super::errors::{Refused, Why, code};
use super::guard::{Session, is_after, is_retriable};
use crate::own::AskError;
use crate::service::Shared;

/// What the leader says of a batch.
#[derive(Debug)]
pub(super) enum Known {
    /// It has not seen it, or has forgotten the producer, and takes it for new.
    New,
    /// It has appended it: what comes now is a repeat.
    Repeat,
    /// That can't be told, and so the batch can't be judged.
    Not(Refused),
}

/// Asks about the batch of `epoch` whose last record has the sequence `last`, as the broker counts.
pub(super) async fn ask(
    shared: &Shared,
    sender: &mut Sender<'_>,
    session: &Session,
    epoch: i16,
    last: i32,
) -> Known {
    let (topic, partition) = (&*session.topic, session.partition);
    let client = &shared.kafka.client_id;
    let frame = |id| describe_producers::request(id, client, topic, partition);
    let answer = shared
        .own
        .ask(&shared.upstream, sender.broker, sender.deadline, frame)
        .await;
    let mut found = None;
    let read = answer.and_then(|answer| {
        describe_producers::read(&answer, |p| {
            if p.topic == topic && p.partition == partition {
                let last_sequence = p
                    .producers()
                    .find(|p| p.producer_id == session.producer_id)
                    .filter(|p| p.producer_epoch == i32::from(epoch))
                    .map(|p| p.last_sequence);
                found = Some((p.error_code, last_sequence));
            }
        })
        .map_err(AskError::Unreadable)
    });
    let unknown = |why: &dyn std::fmt::Display| {
        Known::Not(Refused::later(
            Why::Unasked,
            format!("whether the batch is a repeat can't be asked of the broker: {why}; try later"),
        ))
    };
    if let Err(error) = read {
        return unknown(&error);
    }
    match found {
        Some((0, Some(seen))) if seen >= 0 && !is_after(last, seen) => Known::Repeat,
        Some((0, _)) => Known::New,
        // What the broker would have said of the batch itself: not the leader, no such topic.
        Some((error, _)) if is_retriable(error) => Known::Not(Refused::new(
            error,
            Why::UnknownTopic,
            "the broker is not the one to ask about this partition: look it up again",
        )),
        Some((code::TOPIC_AUTHORIZATION_FAILED, _)) => {
            unknown(&"the gateway's own principal needs READ on the topic (DescribeProducers)")
        }
        Some((error, _)) => unknown(&format_args!("the broker answers with error {error}")),
        None => unknown(&"the answer is about something else"),
    }
}
