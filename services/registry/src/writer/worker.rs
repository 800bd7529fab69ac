//! The life of a writer: elected, writing, deposed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshwork_kafka::{KafkaConfig, OwnedOutRecord, TransactionError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::group::{Group, Job, MAX_CHANGES};
use super::takeover::{Failure, Office, foreign_writer, look_out, take_over};
use crate::actor::Actor;
use crate::election::{Lease, Vote};
use crate::metrics::WriteOutcome;
use crate::record::{OWN_HEADER, Record};
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use crate::standing::Standing;

/// Header of our own records: who asked for the change, where that is known.
pub(crate) const ACTOR_HEADER: &str = "meshwork-actor";

/// Header of our own records: who somebody says they are who is not known.
pub(crate) const CLAIMED_HEADER: &str = "meshwork-claimed-by";

/// Pause before an elected instance that failed tries again.
const AGAIN: Duration = Duration::from_secs(1);

/// Pause before an elected instance that must not write looks whether it may.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How often a writer says anew that it writes. Kafka forgets a transactional id, and with it the
/// fence, after a week without a transaction (`transactional.id.expiration.ms`), and the offsets of
/// a group without members likewise (`offsets.retention.minutes`).
pub(crate) const REAFFIRM: Duration = Duration::from_secs(12 * 3600);

/// After a commit that took longer, the producer is opened anew: a lost request that librdkafka sent
/// again may still lie in front of a stopped broker, and would end a later transaction of the same
/// epoch halfway.
const SLOW_COMMIT: Duration = Duration::from_secs(3);

/// How a term of office ended.
enum End {
    /// Another instance is elected.
    Deposed,
    /// Nobody will ask any more.
    Closed,
    /// It must not write.
    Refused(Arc<str>),
    /// To be taken anew; why.
    Failed(String),
}

/// Takes the changes.
pub(crate) struct Worker {
    pub(crate) kafka: KafkaConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) vote: watch::Receiver<Vote>,
    pub(crate) lease: Lease,
}

impl Worker {
    /// Works until all writers are gone.
    pub(crate) async fn run(mut self) {
        loop {
            if *self.vote.borrow_and_update() != Vote::Elected {
                if *self.vote.borrow() == Vote::Passed {
                    self.stand(&Standing::Following);
                }
                match self.idle(None).await {
                    Some(()) => continue,
                    None => return,
                }
            }
            if !matches!(*self.shared.standing.borrow(), Standing::Refusing(_)) {
                self.stand(&Standing::TakingOver);
            }
            let pause = match self.term().await {
                End::Closed => return,
                End::Deposed => continue,
                End::Refused(why) => {
                    self.stand(&Standing::Refusing(why));
                    LOOK_AGAIN
                }
                End::Failed(why) => {
                    tracing::warn!(%why, "registry has stopped writing, and tries again");
                    self.stand(&Standing::TakingOver);
                    AGAIN
                }
            };
            if self.idle(Some(pause)).await.is_none() {
                return;
            }
        }
    }

    fn stand(&self, standing: &Standing) {
        let changed = self.shared.standing.send_if_modified(|now| {
            let changed = now != standing;
            now.clone_from(standing);
            changed
        });
        if changed {
            self.shared.metrics.standing(standing);
            match standing {
                Standing::Refusing(why) => tracing::error!(%why, "registry must not write"),
                standing => tracing::info!(standing = standing.code(), "registry"),
            }
        }
    }

    /// Answers whoever still waits, until there is news of the vote or the time is over. None: nobody
    /// will ask any more.
    async fn idle(&mut self, limit: Option<Duration>) -> Option<()> {
        let sleep = tokio::time::sleep(limit.unwrap_or(Duration::MAX));
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                job = self.jobs.recv() => turn_away(job?, &self.shared),
                changed = self.vote.changed() => return changed.ok(),
                () = &mut sleep, if limit.is_some() => return Some(()),
            }
        }
    }

    async fn term(&mut self) -> End {
        let mut office = {
            let taking = take_over(&self.kafka, &self.shared, &self.lease);
            tokio::select! {
                taken = taking => match taken {
                    Ok(office) => office,
                    Err(Failure::Refused(why)) => return End::Refused(why),
                    Err(failure) => return End::Failed(failure.to_string()),
                },
                _ = self.vote.changed() => return End::Deposed,
            }
        };
        self.stand(&Standing::Writing);
        let mut waiting = Vec::new();
        let mut affirm = tokio::time::interval_at(Instant::now() + REAFFIRM, REAFFIRM);
        let lookout = look_out(self.kafka.clone(), Arc::clone(&self.shared));
        let mut lookout = AbortOnDropHandle::new(tokio::spawn(lookout));
        loop {
            if waiting.is_empty() {
                tokio::select! {
                    biased;
                    Ok(why) = &mut lookout => return End::Refused(why),
                    _ = affirm.tick() => {
                        if let Err(failure) = office.affirm(&self.shared).await {
                            return End::Failed(failure.to_string());
                        }
                    }
                    changed = self.vote.changed() => {
                        if changed.is_err() { return End::Closed; }
                        if *self.vote.borrow() != Vote::Elected { return End::Deposed; }
                    }
                    offset = self.shared.foreign_from(office.since) => {
                        if !self.shared.config.force_takeover {
                            return End::Refused(foreign_writer(&self.shared.config.topic, offset));
                        }
                        office.since = offset + 1;
                    }
                    job = self.jobs.recv() => match job {
                        Some(job) => waiting.push(job),
                        None => return End::Closed,
                    },
                }
            }
            if waiting.is_empty() {
                continue;
            }
            while waiting.len() < MAX_CHANGES
                && let Ok(job) = self.jobs.try_recv()
            {
                waiting.push(job);
            }
            let (left, ended) = self.write(&mut office, std::mem::take(&mut waiting)).await;
            if let Some(end) = ended {
                for job in left {
                    turn_away(job, &self.shared);
                }
                return end;
            }
            waiting = left;
        }
    }

    /// Decides on a group of changes, writes it, and tells the clients. Gives the changes that did
    /// not fit, and why the term is over, where it is.
    async fn write(&mut self, office: &mut Office, jobs: Vec<Job>) -> (Vec<Job>, Option<End>) {
        let shared = Arc::clone(&self.shared);
        let taken = std::mem::take(&mut office.taken);
        let decided = tokio::task::spawn_blocking(move || {
            let limit = shared.record_limit();
            let group = shared.draft(|mut state| {
                Ok(Group::decide(
                    jobs,
                    &mut state,
                    &shared.texts,
                    &taken,
                    limit,
                ))
            });
            (group, taken)
        });
        let mut group = match decided.await {
            Ok((Ok(group), taken)) => {
                office.taken = taken;
                group
            }
            // The jobs are gone with it, and whoever waits for one is told so.
            Ok((Err(refusal), _)) => return (Vec::new(), Some(End::Failed(refusal.to_string()))),
            Err(panic) => return (Vec::new(), Some(End::Failed(panic.to_string()))),
        };
        let left = std::mem::take(&mut group.left);
        let commit = if !group.records.is_empty() {
            commit(&self.shared, office, &group.records, &self.lease).await
        } else if self.lease.prove().await {
            Commit {
                told: Ok(self.shared.shown()),
                end: None,
            }
        } else {
            // Decided on what may be out of date by now.
            Commit::failed(super::elsewhere(), End::Failed("not elected".to_owned()))
        };
        let outcome = match &commit.told {
            Ok(_) => WriteOutcome::Written,
            Err(reason) => {
                tracing::error!(%reason, "registry could not write");
                WriteOutcome::Failed
            }
        };
        self.shared.metrics.writes(outcome, group.answers.len());
        group.tell(&commit.told);
        (left, commit.end)
    }
}

/// How a commit ended.
struct Commit {
    /// Offset of the last record, or what the clients are told instead.
    told: Result<i64, Refusal>,
    /// Why the term is over, where it is.
    end: Option<End>,
}

impl Commit {
    fn failed(refusal: Refusal, end: End) -> Self {
        Self {
            told: Err(refusal),
            end: Some(end),
        }
    }
}

/// Writes the records in one transaction and returns once they have been read back.
async fn commit(
    shared: &Shared,
    office: &mut Office,
    records: &[(Record, Actor)],
    lease: &Lease,
) -> Commit {
    let started = Instant::now();
    let records = records
        .iter()
        .map(|(record, actor)| out(shared, record, Some(actor)))
        .collect();
    let delivered = match office.producer.commit_all(records).await {
        Ok(delivered) => delivered,
        // Whatever went wrong, the next term finds out anew who may write, what was written and
        // which ids may not be given: an aborted transaction may be the sign that Kafka has
        // forgotten the fence.
        Err(error) => return Commit::failed(refusal(&error), End::Failed(error.to_string())),
    };
    let took = started.elapsed();
    lease.renew(started.into_std());
    let last = delivered.iter().map(|d| d.offset).max().unwrap_or(-1);
    let limit = shared.config.write_timeout.get() / 2;
    if tokio::time::timeout(limit, shared.applied(last))
        .await
        .is_err()
    {
        // Written, and not to be seen yet: the next changes must not be decided without it.
        let why = format!("offset {last} was written and not read back within {limit:?}");
        let message = format!("Write to the Kafka store timed out: {why}; ask again");
        let refusal = Refusal::new(Code::StoreTimedOut, message);
        return Commit::failed(refusal, End::Failed(why));
    }
    // Somebody else's record in front of ours may have taken its place.
    if let Some(offset) = shared.foreign_since(office.since) {
        let why = foreign_writer(&shared.config.topic, offset);
        if !shared.config.force_takeover {
            let refusal = Refusal::new(Code::StoreFailed, &*why);
            return Commit::failed(refusal, End::Refused(why));
        }
        office.since = offset + 1;
        let message = format!(
            "another registry wrote to {} at the same time (offset {offset}), so that this change may have no effect; ask again",
            shared.config.topic
        );
        return Commit {
            told: Err(Refusal::new(Code::StoreTimedOut, message)),
            end: None,
        };
    }
    Commit {
        told: Ok(last),
        end: (took > SLOW_COMMIT).then(|| End::Failed(format!("a commit took {took:?}"))),
    }
}

/// A record of ours.
pub(super) fn out(shared: &Shared, record: &Record, actor: Option<&Actor>) -> OwnedOutRecord {
    let mut headers = vec![(
        OWN_HEADER.to_owned(),
        Bytes::copy_from_slice(shared.instance.as_bytes()),
    )];
    if let Some(actor) = actor {
        headers.push((ACTOR_HEADER.to_owned(), Bytes::from(actor.to_header())));
        headers.extend(actor.claimed.as_deref().map(|claimed| {
            let claimed = Bytes::copy_from_slice(claimed.as_bytes());
            (CLAIMED_HEADER.to_owned(), claimed)
        }));
    }
    OwnedOutRecord {
        topic: shared.config.topic.as_str().into(),
        partition: Some(0),
        key: Some(Bytes::copy_from_slice(&record.key)),
        value: record.value.as_deref().map(Bytes::copy_from_slice),
        headers,
        timestamp: None,
    }
}

/// Whoever waits for the answer sees that nothing was written.
fn turn_away(job: Job, shared: &Shared) {
    shared.metrics.write(WriteOutcome::Failed);
    drop(job);
}

/// Only an aborted transaction certainly wrote nothing. After the other errors a commit that was lost
/// on its way may have been made: librdkafka sends it again, and then meets the newer producer.
fn refusal(error: &TransactionError) -> Refusal {
    match error {
        TransactionError::Aborted { said } => Refusal::new(
            Code::NoWriter,
            format!("Nothing was written, because the transaction was aborted: {said}; ask again"),
        ),
        error => Refusal::new(
            Code::StoreTimedOut,
            format!(
                "Whether it was written will be known when _schemas has been read again; ask again: {error}"
            ),
        ),
    }
}
