//! The place in a subject's way that explains an answer.

use super::log::Change;
use super::subjects::{State, Step, Way, gone_together};
use crate::history::{Call, End, Op};

/// The number of steps after which the answer is right, at least `floor`; marks the steps that the
/// request caused. Of several places the first is taken, so that later answers are bound the least.
///
/// A registration that finds its text there is a read, and bound by `floor_of_reads`: as with
/// Confluent's, the instance that is asked says so itself, whoever writes.
pub(super) fn place(way: &mut Way, op: &Op, floor: usize, floor_of_reads: usize) -> Option<usize> {
    match (&op.call, &op.end) {
        (Call::Register { text, .. }, End::Registered { version, id }) => {
            let own = own_step(way, op, floor, |step, _| {
                matches!(step, Change::Schema { version: v, id: i, text: t, deleted: false, .. }
                    if v == version && i == id && t == text)
            });
            own.or_else(|| {
                state_with(way, op, floor_of_reads, |state| {
                    has(state, *version, *id, text)
                })
            })
        }
        (Call::LookUp { text, .. }, End::Registered { version, id }) => {
            state_with(way, op, floor, |state| has(state, *version, *id, text))
        }
        (Call::SoftDelete { .. }, End::Versions { versions }) => {
            own_step(way, op, floor, |step, before| {
                matches!(step, Change::SoftUpTo { .. }) && live(before) == *versions
            })
        }
        (Call::HardDelete { .. }, End::Versions { versions }) => own_end(way, op, floor, versions),
        (Call::SoftDeleteVersion { version, .. }, End::Versions { .. }) => {
            own_step(way, op, floor, |step, before| {
                matches!(step, Change::Schema { version: v, deleted: true, .. } if v == version)
                    && before.get(version).is_some_and(|held| !held.deleted)
            })
        }
        (Call::HardDeleteVersion { version, .. }, End::Versions { .. }) => {
            own_step(way, op, floor, |step, before| {
                matches!(step, Change::Gone { version: v, .. } if v == version)
                    && before.get(version).is_some_and(|held| held.deleted)
            })
        }
        (Call::List { .. }, End::Versions { versions }) => {
            state_with(way, op, floor, |state| live(state) == *versions)
        }
        (call, End::Refused { code }) => {
            state_with(way, op, floor, |state| refuses(state, call, *code))
        }
        _ => None,
    }
}

/// Live versions.
fn live(state: &State) -> Vec<i32> {
    state
        .iter()
        .filter(|(_, held)| !held.deleted)
        .map(|(version, _)| *version)
        .collect()
}

fn has(state: &State, version: i32, id: i32, text: &str) -> bool {
    state
        .get(&version)
        .is_some_and(|held| !held.deleted && held.id == id && held.text == text)
}

/// Whether a state gives reason for a refusal.
fn refuses(state: &State, call: &Call, code: u32) -> bool {
    let none_live = live(state).is_empty();
    match (call, code) {
        // Nothing that is registered here is refused for good.
        (Call::Register { .. }, _) => false,
        (Call::LookUp { text, .. }, 40401 | 40403) => state
            .values()
            .all(|held| held.deleted || held.text != *text),
        (Call::List { .. }, 40401) => none_live,
        (_, 40401) => state.is_empty(),
        (Call::SoftDelete { .. }, 40404) => !state.is_empty() && none_live,
        (Call::HardDelete { .. }, 40405) => !none_live,
        (
            Call::SoftDeleteVersion { version, .. } | Call::HardDeleteVersion { version, .. },
            40402,
        ) => !state.contains_key(version),
        (Call::SoftDeleteVersion { version, .. }, 40406) => {
            state.get(version).is_some_and(|held| held.deleted)
        }
        (Call::HardDeleteVersion { version, .. }, 40407) => {
            state.get(version).is_some_and(|held| !held.deleted)
        }
        _ => false,
    }
}

/// The step that the request caused, as far as is known: nobody else did, it lies in the
/// transaction that the answer names, and `fits` takes it and the state before.
fn own_step(
    way: &mut Way,
    op: &Op,
    floor: usize,
    fits: impl Fn(&Change, &State) -> bool,
) -> Option<usize> {
    let number = (floor..way.steps.len()).find(|number| {
        let (Some(step), Some(before)) = (way.steps.get(*number), way.states.get(*number)) else {
            return false;
        };
        !step.caused && in_transaction(step, op) && fits(&step.change, before)
    })?;
    way.steps.get_mut(number)?.caused = true;
    Some(number + 1)
}

/// As [`own_step`], for the end of all versions.
fn own_end(way: &mut Way, op: &Op, floor: usize, versions: &[i32]) -> Option<usize> {
    let number = (floor..way.steps.len()).find(|number| {
        let (Some(step), Some(before)) = (way.steps.get(*number), way.states.get(*number)) else {
            return false;
        };
        in_transaction(step, op)
            && before.keys().copied().eq(versions.iter().copied())
            && live(before).is_empty()
            && gone_together(way, *number, versions).is_some()
    })?;
    for step in way.steps.get_mut(number..number + versions.len())? {
        step.caused = true;
    }
    Some(number + versions.len())
}

/// Whether the answer's `Meshwork-Offset`, if it has one, lies in the transaction of a step, and not
/// before the step.
fn in_transaction(step: &Step, op: &Op) -> bool {
    op.offset
        .is_none_or(|offset| step.offset <= offset && offset <= step.run_ends)
}

/// The first state that explains the answer and is not behind what the answer names.
fn state_with(
    way: &Way,
    op: &Op,
    floor: usize,
    explains: impl Fn(&State) -> bool,
) -> Option<usize> {
    // A write that changed nothing names an offset too: it has seen nothing behind that.
    let ceiling = match op.offset {
        Some(offset) if op.call.is_write() => way.up_to(offset),
        _ => way.steps.len(),
    };
    (floor..=ceiling).find(|steps| way.states.get(*steps).is_some_and(&explains))
}
