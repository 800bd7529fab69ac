//! Requests that come before the products are known: as long as `mesh.catalog` has not been read to
//! its end, any topic that is named like a product's may be one, and of one whose announcement can't be
//! read nobody knows what it allows. Its batches are put off; passed on, they would be in the log
//! unchecked for ever.

use std::time::Duration;

use meshwork_wire::protocol::TopicRef;
use meshwork_wire::protocol::produce::{ProducePartition, ProduceRequest};
use tokio::time::Instant;

use super::decide::{self, Judged, Sender, Unbearable, name_key, note, session};
use super::errors::{Refused, Why};
use crate::products::is_named_like_one;
use crate::service::Shared;

/// How long a request waits for the products to be known before its client is told to come again:
/// a start takes less where nothing is amiss.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// Waits a moment, where the request may have records of a product that is not known yet.
pub(super) async fn wait(shared: &Shared, request: &ProduceRequest<'_>, deadline: Instant) {
    if shared.products.are_known() {
        return;
    }
    let may_be_one = |partition: ProducePartition<'_>| match partition.topic {
        TopicRef::Name(name) => is_named_like_one(name),
        TopicRef::Id(_) => true,
    };
    if request.partitions().any(may_be_one) {
        let soon = (Instant::now() + KNOWN_WITHIN).min(deadline);
        // Whether it is so is looked at for each batch.
        let _ = shared.products.known_by(soon).await;
    }
}

/// Has the client come again with a batch of a topic that may be a product's.
pub(super) fn put_off(
    sender: &mut Sender<'_>,
    partition: &ProducePartition<'_>,
    topic: &str,
) -> Result<Judged, Unbearable> {
    let why = format!(
        "the gateway has not read mesh.catalog yet, and {topic} may be a data product: try later"
    );
    later(sender, partition, topic, Refused::later(Why::Early, why))
}

/// Has the client come again with a batch of a product whose announcement can't be read.
pub(super) fn unread(
    sender: &mut Sender<'_>,
    partition: &ProducePartition<'_>,
    topic: &str,
) -> Result<Judged, Unbearable> {
    let why = format!(
        "the gateway can't read how the data product of {topic} is announced in mesh.catalog: try later"
    );
    later(
        sender,
        partition,
        topic,
        Refused::later(Why::Unannounced, why),
    )
}

fn later(
    sender: &mut Sender<'_>,
    partition: &ProducePartition<'_>,
    topic: &str,
    refused: Refused,
) -> Result<Judged, Unbearable> {
    let session = name_key(topic).and_then(|topic| session(&topic, partition));
    if let Some((session, place)) = &session {
        note(sender, session, *place, &refused)?;
    }
    Ok(Judged::of_none(refused, session.as_ref()))
}

/// The answer to a batch of a topic that is no product's, where one before it was put off while that
/// was not known and has not come again.
pub(super) fn behind(
    sender: &mut Sender<'_>,
    partition: &ProducePartition<'_>,
    topic: &str,
) -> Option<Judged> {
    if sender.guard.is_empty() {
        return None;
    }
    let known = session(&name_key(topic)?, partition)?;
    if let Some(refused) = decide::behind(sender, &known.0, known.1) {
        return Some(Judged::of_none(refused, Some(&known)));
    }
    sender.guard.pass(&known.0, known.1);
    None
}
