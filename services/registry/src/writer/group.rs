//! Changes that go into one transaction: each is decided on the state that those before it leave.

use super::taken::Taken;
use crate::actor::Actor;
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use crate::state::{LogRecord, State};
use crate::texts::Texts;

/// Most changes in one transaction.
pub(super) const MAX_CHANGES: usize = 512;

/// A transaction is closed once it has so many bytes of records.
const MAX_BYTES: usize = 8 << 20;

/// Tells the client: up to which offset the log must be read to see the change, or why it was not
/// made.
pub(super) type Answer = Box<dyn FnOnce(Result<i64, Refusal>) + Send>;

/// What a job comes to once decided.
pub(crate) struct Decided {
    pub(super) records: Vec<Record>,
    /// Who asked.
    pub(super) actor: Actor,
    pub(super) answer: Answer,
}

/// A change that waits for its turn.
pub(crate) type Job = Box<dyn FnOnce(&State<'_>, &Texts, &Taken) -> Decided + Send>;

/// Changes decided upon, not yet written.
#[derive(Default)]
pub(super) struct Group {
    /// In the order of the log, each with who asked for it.
    pub(super) records: Vec<(Record, Actor)>,
    /// In the order of the jobs. Also what needs no write waits: it may rest on what does.
    pub(super) answers: Vec<Answer>,
    /// What did not fit.
    pub(super) left: Vec<Job>,
}

impl Group {
    /// Decides on as many of `jobs` as fit.
    pub(super) fn decide(
        jobs: Vec<Job>,
        state: &mut State<'_>,
        texts: &Texts,
        taken: &Taken,
        record_limit: usize,
    ) -> Self {
        let mut group = Self::default();
        let mut bytes = 0;
        let mut jobs = jobs.into_iter();
        for job in jobs.by_ref() {
            let Decided {
                records,
                actor,
                answer,
            } = job(state, texts, taken);
            if records.iter().any(|record| size(record) > record_limit) {
                group
                    .answers
                    .push(Box::new(move |_| answer(Err(too_large()))));
                continue;
            }
            if let Err(refusal) = lay_over(state, &records) {
                group.answers.push(Box::new(move |_| answer(Err(refusal))));
                // Some of it may lie over the state by now, and the next one must not see it.
                break;
            }
            group.answers.push(answer);
            for record in records {
                bytes += size(&record);
                group.records.push((record, actor.clone()));
            }
            if bytes >= MAX_BYTES {
                break;
            }
        }
        group.left = jobs.collect();
        group
    }

    /// Tells all.
    pub(super) fn tell(self, written: &Result<i64, Refusal>) {
        for answer in self.answers {
            answer(written.clone());
        }
    }
}

/// Key and value, bytes.
fn size(record: &Record) -> usize {
    record.key.len() + record.value.as_ref().map_or(0, Vec::len)
}

fn too_large() -> Refusal {
    Refusal::new(
        Code::SchemaTooLarge,
        "Register operation failed because schema is too large",
    )
}

/// What the next change finds.
fn lay_over(state: &mut State<'_>, records: &[Record]) -> Result<(), Refusal> {
    for record in records {
        let applied = state.apply(&LogRecord {
            offset: i64::MAX,
            timestamp: 0,
            key: Some(&record.key),
            value: record.value.as_deref(),
            own: true,
        })?;
        applied.map_err(|why| {
            Refusal::new(
                Code::StoreFailed,
                format!(
                    "a record of this change would have no effect: {}",
                    why.code()
                ),
            )
        })?;
    }
    Ok(())
}
