//! Who writes: of all instances, the one that holds the only partition of the topic in their
//! consumer group. The group only proposes; that no other can write is the transactional id's work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::{GroupConsumer, GroupOptions, KafkaConfig, KafkaError, StartAt};
use meshwork_model::topic::ControlTopic;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;
use crate::standing::Standing;

/// Silence after which an instance is taken for dead, and another one is elected. The least that
/// brokers take by default (`group.min.session.timeout.ms`).
const SESSION: Duration = Duration::from_secs(6);

/// Longest wait for news of the group; only how soon the end is noticed depends on it.
const WAIT: Duration = Duration::from_millis(500);

/// Pause before the group is joined anew.
const AGAIN: Duration = Duration::from_secs(5);

/// What the group says of this instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    /// It has not answered yet.
    Open,
    /// This instance is to write.
    Elected,
    /// Another one is.
    Passed,
}

/// Asks the group whether this instance is still elected. A vote may be out of date by as long as a
/// stopped process slept.
pub(crate) type Question = oneshot::Sender<bool>;

/// How long a proof of being elected holds, from when it was asked for. The group elects nobody else
/// before a session without a sign of life is over; and a process that was stopped finds that the time
/// has passed.
const LEASE: Duration = Duration::from_secs(3);

/// Proof that this instance is the one that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    questions: mpsc::Sender<Question>,
    proven: Arc<Mutex<Option<Instant>>>,
    /// Held by the one that asks.
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl Lease {
    /// Nothing is proven yet.
    pub(crate) fn new(questions: mpsc::Sender<Question>) -> Self {
        Self {
            questions,
            proven: Arc::default(),
            asking: Arc::default(),
        }
    }

    /// Whether nobody else can have been elected up to now.
    pub(crate) fn holds(&self) -> bool {
        self.proven
            .lock()
            .is_some_and(|proven| proven.elapsed() < LEASE)
    }

    /// A commit that was begun `since` was accepted.
    pub(crate) fn renew(&self, since: Instant) {
        let mut proven = self.proven.lock();
        *proven = (*proven).max(Some(since));
    }

    /// As [`Self::holds`], and asks the group where that is not known.
    pub(crate) async fn prove(&self) -> bool {
        if self.holds() {
            return true;
        }
        let _one = self.asking.lock().await;
        self.holds() || self.ask().await
    }

    /// Asks the group whether this instance is the elected one.
    pub(crate) async fn ask(&self) -> bool {
        let since = Instant::now();
        let (ask, answer) = oneshot::channel();
        let elected = self.questions.send(ask).await.is_ok() && answer.await.unwrap_or(false);
        if elected {
            self.renew(since);
        }
        elected
    }
}

/// Name of the consumer group, and first part of the transactional ids: of its own for a topic that
/// is not `_schemas`, so that two registries on one cluster don't fence each other.
pub(crate) fn group_of(topic: &str) -> String {
    if topic == ControlTopic::Schemas.name() {
        "meshwork-registry".to_owned()
    } else {
        format!("meshwork-registry-{topic}")
    }
}

/// Stands for election.
pub(crate) struct Candidate {
    pub(crate) kafka: KafkaConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) vote: watch::Sender<Vote>,
    pub(crate) questions: mpsc::Receiver<Question>,
}

impl Candidate {
    /// Stands from when the topic is there until `shutdown`, then leaves the group, so that another
    /// is elected at once. Where the group can't be joined, this instance serves reads only.
    pub(crate) async fn run(
        mut self,
        mut prepared: watch::Receiver<bool>,
        shutdown: CancellationToken,
    ) {
        if prepared.wait_for(|prepared| *prepared).await.is_err() {
            return;
        }
        while let Err(error) = self.stand(&shutdown).await {
            tracing::error!(%error, "registry can't take part in the election of the writer");
            let why = format!("the election of the writer can't be taken part in: {error}");
            self.shared
                .standing
                .send_replace(Standing::Refusing(why.into()));
            self.vote.send_replace(Vote::Open);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    async fn stand(&mut self, shutdown: &CancellationToken) -> Result<(), KafkaError> {
        let topic = &self.shared.config.topic;
        let options = GroupOptions {
            start: StartAt::End,
            session_timeout: SESSION,
            // Records are the reader's business.
            membership_only: true,
            ..GroupOptions::default()
        };
        let mut member =
            GroupConsumer::subscribe(&self.kafka, &group_of(topic), &[topic], options)?;
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(question) = self.questions.recv() => {
                    // The coordinator takes an offset from a member of the present generation only.
                    let elected = member.commit(&[(topic.clone(), 0, 0)]).await.is_ok();
                    let _ = question.send(elected);
                    continue;
                }
                batch = member.next(WAIT) => batch?,
            };
            if let Some(assigned) = batch.assignment {
                let now = if assigned.is_empty() {
                    Vote::Passed
                } else {
                    Vote::Elected
                };
                self.vote
                    .send_if_modified(|vote| std::mem::replace(vote, now) != now);
            }
        }
        self.vote.send_replace(Vote::Passed);
        member.close().await;
        Ok(())
    }
}
