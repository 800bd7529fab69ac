//! What is owed to a client, in the order in which it asked.

use std::sync::Arc;
use std::time::Duration;

use meshwork_pipeline::{Part, PartitionTally};
use meshwork_wire::protocol::ApiKey;
use meshwork_wire::protocol::produce::{OwnAnswer, OwnedTopic};
use tracing::Span;

use super::login::Step;
use crate::consumption::Learn;
use crate::produce::{Place, Session};

/// What a client waits for.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) answer: Pending,
    /// Of the request, where it is traced; it ends with the answer.
    pub(crate) span: Span,
}

/// One answer that a client waits for.
#[derive(Debug)]
pub(crate) enum Pending {
    /// The broker's, to the request that was passed on.
    Broker {
        api: ApiKey,
        version: i16,
        correlation_id: i32,
        /// How long it may take once its turn has come: a broker looks at one request of a connection
        /// at a time, and at none while it throttles.
        within: Duration,
        answer: Answer,
    },
    /// Our own: a whole frame.
    Own(Vec<u8>),
    /// Our own, to a Produce request of which nothing was passed on.
    OwnProduce {
        version: i16,
        correlation_id: i32,
        produced: Box<Produced>,
    },
}

/// What is done with a broker's answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It passes as it is.
    Pass,
    /// Rewritten by what its API needs.
    Rewrite,
    /// Its session id is read.
    Fetch,
    /// Who reads what, or whose producer id it is, is learnt once the broker has said yes.
    Learn(Box<Learn>),
    /// A step of a login.
    Login(Step),
    /// Ours are added, and what was acknowledged is counted.
    Produce(Box<Produced>),
    /// It is for ourselves.
    Ours(tokio::sync::oneshot::Sender<bytes::Bytes>),
}

/// A Produce request on its way.
#[derive(Debug, Default)]
pub(crate) struct Produced {
    /// Answers for partitions that were not passed on.
    pub(crate) own: Vec<Own>,
    /// What was passed on and has to be counted.
    pub(crate) sent: Vec<Sent>,
    /// Of a transaction.
    pub(crate) transactional_id: Option<Box<str>>,
}

/// One batch that was not passed on.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) answer: OwnAnswer,
    /// Whose it is; none without idempotence.
    pub(crate) session: Option<(Session, Place)>,
}

/// One batch on its way to the broker.
#[derive(Debug)]
pub(crate) struct Sent {
    /// As the request names the topic.
    pub(crate) topic: OwnedTopic,
    pub(crate) name: Arc<str>,
    pub(crate) partition: i32,
    /// Empty where there are `parts`.
    pub(crate) tally: PartitionTally,
    /// By stretches of record timestamps, where these count.
    pub(crate) parts: Vec<Part>,
    /// Records that went on.
    pub(crate) records: i64,
    /// Observed by itself: it may be a repeat of what another gateway has counted.
    pub(crate) alone: bool,
    /// Records were taken out: the client is told no offset, since its own would not fit.
    pub(crate) renumbered: bool,
    /// Whose it is; none without idempotence.
    pub(crate) session: Option<(Session, Place)>,
}
