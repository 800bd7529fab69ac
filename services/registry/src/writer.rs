//! Changes on their way into the log: decided one after another, written in groups, and answered
//! once their records have been read back. So an answer never says what the log does not, and an id
//! is given once, whatever fails in between.

mod group;
mod taken;
mod takeover;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::actor::Actor;
use crate::decide::Decision;
use crate::election::Lease;
use crate::metrics::WriteOutcome;
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use crate::standing::Standing;
use crate::state::State;
use crate::texts::Texts;
use group::{Decided, Job};
pub(crate) use taken::Taken;
pub(crate) use worker::{ACTOR_HEADER, CLAIMED_HEADER, REAFFIRM, Worker};

/// Changes that wait while an instance takes over; longer, and the client is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a change came to.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    /// The answer.
    pub(crate) answer: T,
    /// Whoever has applied the log up to and with this offset sees the change.
    pub(crate) offset: i64,
}

impl<T> Written<T> {
    /// The same change with another form of its answer.
    pub(crate) fn map<U>(&self, form: impl FnOnce(&T) -> U) -> Written<U> {
        Written {
            answer: form(&self.answer),
            offset: self.offset,
        }
    }
}

/// Hands changes to the writer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    lease: Lease,
}

impl Writer {
    /// A writer, and the queue that its [`Worker`] takes from.
    pub(crate) fn new(shared: &Arc<Shared>, lease: Lease) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, queue) = mpsc::channel(shared.config.max_waiting_writes.max(1));
        let writer = Self {
            jobs,
            shared: Arc::clone(shared),
            lease,
        };
        (writer, queue)
    }

    /// Decides on a change and has it written. What needs no write, a refusal for one, is answered
    /// at once from what has been read.
    ///
    /// # Errors
    /// The refusal, or that the log could not be written; [`Code::NotHere`] where another instance
    /// writes.
    pub(crate) async fn submit<T, F>(&self, actor: Actor, decide: F) -> Result<Written<T>, Refusal>
    where
        T: Send + 'static,
        F: Fn(&State<'_>, &Texts, &Taken) -> Result<Decision<T>, Refusal> + Send + 'static,
    {
        self.may_write().await?;
        // An instance that was stopped may hold itself for the writer, and what it has read for all
        // there is: what is not proven by a write of its own needs another proof.
        if !self.lease.prove().await {
            return Err(elsewhere());
        }
        let at_once = self.at_once(&decide);
        if !matches!(at_once, Ok(None)) && self.lease.holds() {
            self.shared.metrics.write(match &at_once {
                Ok(_) => WriteOutcome::Unchanged,
                Err(_) => WriteOutcome::Refused,
            });
            return at_once.and_then(|written| written.ok_or_else(elsewhere));
        }
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |state, texts, taken| {
            let (records, answer) = match decide(state, texts, taken) {
                Ok(decision) => (decision.records, Ok(decision.answer)),
                Err(refusal) => (Vec::new(), Err(refusal)),
            };
            Decided {
                records,
                actor,
                // Whoever asked may be gone; what was decided is written all the same.
                answer: Box::new(move |written| {
                    let told = written.and_then(|offset| {
                        let answer = answer?;
                        Ok(Written { answer, offset })
                    });
                    drop(tell.send(told));
                }),
            }
        });
        self.jobs.try_send(job).map_err(|error| {
            Refusal::new(
                Code::NoWriter,
                match error {
                    mpsc::error::TrySendError::Full(_) => {
                        "too many changes are waiting to be written (registry.service.max_waiting_writes)"
                    }
                    mpsc::error::TrySendError::Closed(_) => "the registry is shutting down",
                },
            )
        })?;
        told.await.unwrap_or_else(|_| {
            Err(Refusal::new(
                Code::NoWriter,
                "Leader not known. The writer has just changed and nothing was written; ask again",
            ))
        })
    }

    /// As [`Self::submit`], for what may be there already: then this instance says so, whoever
    /// writes. Only for registrations, whose answer stays true for ever.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub(crate) async fn submit_unless_there<T, F>(
        &self,
        actor: Actor,
        decide: F,
    ) -> Result<Written<T>, Refusal>
    where
        T: Send + 'static,
        F: Fn(&State<'_>, &Texts, &Taken) -> Result<Decision<T>, Refusal> + Send + 'static,
    {
        let writes = *self.shared.standing.borrow() == Standing::Writing;
        if !writes && let Ok(Some(there)) = self.at_once(&decide) {
            self.shared.metrics.write(WriteOutcome::Unchanged);
            return Ok(there);
        }
        self.submit(actor, decide).await
    }

    /// What a change comes to that needs no write, as far as this instance has read; none where it
    /// needs one.
    ///
    /// # Errors
    /// The refusal.
    fn at_once<T>(
        &self,
        decide: impl Fn(&State<'_>, &Texts, &Taken) -> Result<Decision<T>, Refusal>,
    ) -> Result<Option<Written<T>>, Refusal> {
        let decision = self
            .shared
            .read(|state| decide(state, &self.shared.texts, &Taken::default()))?;
        Ok(decision.records.is_empty().then_some(Written {
            answer: decision.answer,
            offset: self.shared.shown(),
        }))
    }

    /// Waits out a change of writers.
    async fn may_write(&self) -> Result<(), Refusal> {
        let mut standing = self.shared.standing.subscribe();
        let settled = tokio::time::timeout(
            PATIENCE,
            // The sender lives as long as `shared`.
            standing.wait_for(|standing| !standing.is_passing()),
        );
        let now = match settled.await {
            Ok(Ok(standing)) => standing.clone(),
            _ => Standing::Waiting,
        };
        match now {
            Standing::Writing => Ok(()),
            Standing::Following => Err(Refusal::new(Code::NotHere, "Leader not known.")),
            Standing::Refusing(why) => Err(Refusal::new(Code::NoWriter, &*why)),
            Standing::Waiting | Standing::TakingOver => Err(Refusal::new(
                Code::NoWriter,
                "Leader not known. This instance is being elected; ask again in a moment",
            )),
        }
    }
}

/// Another instance has been elected, and nothing was written here.
fn elsewhere() -> Refusal {
    Refusal::new(
        Code::NoWriter,
        "Leader not known. Another instance has just been elected; ask again",
    )
}
