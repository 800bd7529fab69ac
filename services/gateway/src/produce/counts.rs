//! What is counted and said of a request's batches, once it is decided what becomes of all of them.

use std::sync::Arc;

use meshwork_pipeline::{BatchReport, PartitionTally, Reason};

use super::errors::{Refused, Why};
use crate::service::Shared;

/// What operators see of a batch that goes on.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Records that break the contract and go on all the same, by reason: marked.
    marked: Vec<(Reason, u32)>,
    unverified: u32,
    parents_dropped: u32,
    untagged: bool,
}

impl Seen {
    pub(super) fn of(report: &BatchReport) -> Self {
        Self {
            // What was taken out is counted where it was written.
            marked: if report.removed == 0 {
                report.reasons()
            } else {
                Vec::new()
            },
            unverified: report.unverified,
            parents_dropped: report.parents_dropped,
            untagged: report.untagged,
        }
    }

    pub(super) fn count(&self, shared: &Shared, topic: &Arc<str>) {
        let metrics = &shared.metrics;
        // The tally has them too, which counts once the broker has the batch.
        for (reason, records) in &self.marked {
            metrics.refused(topic, reason.code(), *records);
        }
        if self.unverified > 0 {
            metrics.unverified(topic, self.unverified);
            shared.refusals.say(&format!("unverified {topic}"), || {
                tracing::warn!(%topic, records = self.unverified, "records pass unchecked: the registry can't be asked for their schema");
            });
        }
        if self.parents_dropped > 0 {
            metrics.parents_dropped(topic, self.parents_dropped);
        }
        if self.untagged {
            metrics.untagged(topic);
        }
    }
}

/// Counts a batch that its client is told is refused, and says why once a minute. `product` is the
/// topic of a product: no other name that a client chose is remembered, or is a label.
pub(super) fn refused(
    shared: &Shared,
    product: Option<&Arc<str>>,
    partition: i32,
    refused: &Refused,
) {
    let topic = product.map_or("", |topic| topic);
    let why = refused.why.label();
    shared.metrics.batch_refused(topic, why);
    if let Some(topic) = product {
        broken(shared, topic, partition, &refused.reasons);
    }
    let reason = match (refused.why, refused.reasons.first()) {
        (Why::Contract, Some((reason, _))) => reason.code(),
        _ => "",
    };
    let key = format!("refused {why} {reason} {topic}");
    shared.refusals.say(&key, || {
        tracing::warn!(topic, partition, why, code = refused.code, message = %refused.message, "a batch is refused");
    });
}

/// Counts records that break the contract and do not reach the topic.
pub(super) fn broken(shared: &Shared, topic: &Arc<str>, partition: i32, reasons: &[(Reason, u32)]) {
    if reasons.is_empty() {
        return;
    }
    let mut tally = PartitionTally::new(topic, partition);
    for (reason, records) in reasons {
        shared.metrics.refused(topic, reason.code(), *records);
        tally.refused(*reason, (*records).into());
    }
    shared.observations.refused(topic, partition, &tally);
}
