//! The first walk over a batch: a verdict on each record, or what was recorded of it before.

use meshwork_wire::Records;
use meshwork_wire::protocol::produce::RECORD_ERRORS;

use super::{BatchOutcome, BatchReport, REMOVED_MAX, Recorded, RefusedRecord, WalkError};
use crate::check::{Check, Checker, Disposition, Facts, RecordIn};
use crate::policy::ProductPolicy;
use crate::reason::{Reason, Refusal};
use crate::schemas::{Needed, SchemaLookup, Schemas};

/// Most schemas that one batch may ask for at a time. A batch under more is loaded in steps.
const NEEDED_MAX: usize = 16;

/// Most bytes of refusals in words that are kept of one batch. 100,000 of those that honest schemas
/// give fit; beyond it there is the reason alone.
pub(super) const WORDS_MAX: usize = 16 << 20;

/// Puts what was recorded in place of what was found. `Some` if it can't be followed.
pub(super) fn follow(
    recorded: Recorded<'_>,
    records: Records<'_>,
    policy: &ProductPolicy,
    report: &mut BatchReport,
) -> Result<Option<BatchOutcome>, WalkError> {
    let mut wanted = recorded.removed.iter().peekable();
    let mut taken_out = Vec::with_capacity(recorded.removed.len());
    for (index, record) in (0u32..).zip(records) {
        let record = record?;
        let Some((_, digest)) = wanted.next_if(|(at, _)| *at == index) else {
            continue;
        };
        if record.digest() != *digest {
            return Ok(Some(BatchOutcome::OtherRecords));
        }
        taken_out.push(RefusedRecord {
            index,
            refusal: Refusal::new(Reason::Datum, "taken out when it came before"),
            digest: *digest,
        });
    }
    if wanted.next().is_some() {
        return Ok(Some(BatchOutcome::OtherRecords));
    }
    if !recorded.repeat {
        report.refused.retain(|refused| {
            let stops = matches!(
                policy.disposition(refused.refusal.reason),
                Disposition::Reject | Disposition::Quarantine
            );
            stops
                && recorded
                    .removed
                    .binary_search_by_key(&refused.index, |(at, _)| *at)
                    .is_err()
        });
        if !report.refused.is_empty() {
            for (reason, records) in report.reasons() {
                report.tally.refused(reason, records.into());
            }
            return Ok(Some(BatchOutcome::Rejected));
        }
    }
    report.refused = taken_out;
    Ok(None)
}

/// First walk: a verdict on each record. `Some` if it can't be completed.
pub(super) fn check<S: Schemas + ?Sized>(
    checker: &mut Checker,
    facts: &mut Vec<Facts>,
    records: Records<'_>,
    schemas: &S,
    report: &mut BatchReport,
) -> Result<Option<BatchOutcome>, WalkError> {
    facts.clear();
    let mut load: Vec<Needed> = Vec::new();
    let mut unavailable: Vec<Needed> = Vec::new();
    let mut words = 0;
    for (index, record) in (0u32..).zip(records) {
        let record = record?;
        let seen = RecordIn {
            key: record.key,
            value: record.value,
            headers: record.headers.iter(),
        };
        let found = match checker.check(schemas, &seen) {
            Check::Good(found) => found,
            Check::Bad(found, refusal) => {
                let told = match checker.policy().disposition(refusal.reason) {
                    Disposition::Quarantine => REMOVED_MAX,
                    Disposition::Reject | Disposition::Mark | Disposition::Pass => RECORD_ERRORS,
                };
                let with_it = words + refusal.words();
                let refusal = if report.refused.len() < told && with_it <= WORDS_MAX {
                    words = with_it;
                    *refusal
                } else {
                    Refusal::new(refusal.reason, String::new())
                };
                report.refused.push(RefusedRecord {
                    index,
                    refusal,
                    digest: record.digest(),
                });
                found
            }
            Check::Load(needed) => {
                add(&mut load, *needed);
                Facts::default()
            }
            Check::Unavailable(needed) => {
                add(&mut unavailable, *needed);
                Facts::default()
            }
        };
        report.unverified += u32::from(found.unverified);
        facts.push(found);
    }
    let outcome = if !load.is_empty() {
        Some(BatchOutcome::Load(load))
    } else if !unavailable.is_empty() {
        Some(BatchOutcome::Unavailable(unavailable))
    } else {
        None
    };
    if outcome.is_some() {
        report.refused.clear();
    }
    Ok(outcome)
}

/// The schemas that have to be loaded first, as far as there is room for them: what is in the records
/// beyond that, and whether they are records at all, is not looked at.
pub(super) fn needed<S: Schemas + ?Sized>(
    checker: &Checker,
    records: Records<'_>,
    schemas: &S,
) -> Result<Vec<Needed>, WalkError> {
    let mut load = Vec::new();
    // Of values and of keys: a run of records under one schema is asked for once.
    let mut last = [None, None];
    for record in records {
        let record = record?;
        let seen = RecordIn {
            key: record.key,
            value: record.value,
            headers: record.headers.iter(),
        };
        for (last, named) in last.iter_mut().zip(checker.named(&seen)) {
            let Some((subject, schema)) = named.filter(|(_, schema)| *last != Some(*schema)) else {
                continue;
            };
            *last = Some(schema);
            if matches!(schemas.look_up(subject, schema), SchemaLookup::NotLoaded) {
                let subject = subject.to_owned();
                add(&mut load, Needed { schema, subject });
            }
        }
        if load.len() >= NEEDED_MAX {
            break;
        }
    }
    Ok(load)
}

fn add(list: &mut Vec<Needed>, needed: Needed) {
    if list.len() < NEEDED_MAX && !list.contains(&needed) {
        list.push(needed);
    }
}
