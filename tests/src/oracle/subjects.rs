//! One subject: the states that the log takes it through, and whether they explain every answer.

use std::collections::BTreeMap;

use super::log::{At, Change};
use super::place::place;
use super::violation::Violation;
use crate::history::{Call, End, Op};

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: i32,
    pub(super) text: String,
    pub(super) deleted: bool,
}

/// Versions by number.
pub(super) type State = BTreeMap<i32, Version>;

/// One record that concerns the subject.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) offset: i64,
    pub(super) change: Change,
    /// Last offset of its transaction: records of one transaction lie side by side, and a marker
    /// parts them from the next one's.
    pub(super) run_ends: i64,
    /// A request that was answered has caused it.
    pub(super) caused: bool,
    /// Part of the registration that follows it: a soft-deleted version gives way.
    pub(super) gives_way: bool,
}

/// A subject's way through the log.
#[derive(Debug, Default)]
pub(super) struct Way {
    pub(super) steps: Vec<Step>,
    /// `states[n]` is what `n` steps lead to.
    pub(super) states: Vec<State>,
}

impl Way {
    fn push(&mut self, offset: i64, run_ends: i64, change: Change, found: &mut Vec<Violation>) {
        if self.states.is_empty() {
            self.states.push(State::new());
        }
        let before = self.states.last().cloned().unwrap_or_default();
        let mut state = before.clone();
        match &change {
            Change::Schema {
                subject,
                version,
                id,
                text,
                deleted,
                ..
            } => {
                if !deleted {
                    self.registered(subject, *version, *id, text, offset, &before, found);
                }
                let version = *version;
                let now = Version {
                    id: *id,
                    text: text.clone(),
                    deleted: *deleted,
                };
                state.insert(version, now);
            }
            Change::Gone { version, .. } => {
                state.remove(version);
            }
            Change::SoftUpTo { version, .. } => {
                for (_, held) in state.range_mut(..=version) {
                    held.deleted = true;
                }
            }
            Change::Clear { .. } => state.retain(|_, held| !held.deleted),
            Change::Office { .. } | Change::Other => {}
        }
        self.steps.push(Step {
            offset,
            change,
            run_ends,
            caused: false,
            gives_way: false,
        });
        self.states.push(state);
    }

    #[expect(clippy::too_many_arguments, reason = "one record, taken apart")]
    fn registered(
        &mut self,
        subject: &str,
        version: i32,
        id: i32,
        text: &str,
        offset: i64,
        before: &State,
        found: &mut Vec<Violation>,
    ) {
        // Tombstones right in front, of soft-deleted versions with this id, may belong to it: it
        // takes a number above theirs.
        let mut next = offset;
        for at in (0..self.steps.len()).rev() {
            let (Some(step), Some(state)) = (self.steps.get_mut(at), self.states.get(at)) else {
                break;
            };
            let Change::Gone { version: gone, .. } = step.change else {
                break;
            };
            let fits = state
                .get(&gone)
                .is_some_and(|held| held.deleted && held.id == id);
            if step.offset != next - 1 || !fits {
                break;
            }
            step.gives_way = gone < version;
            next = step.offset;
        }
        if before
            .keys()
            .next_back()
            .is_some_and(|greatest| version <= *greatest)
        {
            found.push(Violation::VersionAgain {
                subject: subject.to_owned(),
                version,
                offset,
            });
        }
        let twin = before
            .iter()
            .find(|(number, held)| **number != version && !held.deleted && held.text == text);
        if let Some((number, _)) = twin {
            found.push(Violation::Doubled {
                subject: subject.to_owned(),
                versions: (*number, version),
                offset,
            });
        }
    }

    /// How many steps lie up to and with an offset.
    pub(super) fn up_to(&self, offset: i64) -> usize {
        self.steps.partition_point(|step| step.offset <= offset)
    }
}

/// The greatest number of steps seen, by when it was known to have been seen.
#[derive(Debug, Default)]
struct Seen(Vec<(u64, usize)>);

impl Seen {
    /// Ends come in order.
    fn note(&mut self, ended: u64, steps: usize) {
        let most = self.0.last().map_or(0, |(_, most)| *most);
        self.0.push((ended, most.max(steps)));
    }

    fn before(&self, began: u64) -> usize {
        let at = self.0.partition_point(|(ended, _)| *ended < began);
        at.checked_sub(1)
            .and_then(|at| self.0.get(at))
            .map_or(0, |(_, most)| *most)
    }
}

/// What had to be seen.
#[derive(Debug, Default)]
struct Floors {
    writes: Seen,
    reads: Seen,
    instances: BTreeMap<usize, Seen>,
}

impl Floors {
    /// What the same instance has shown.
    fn here(&self, op: &Op) -> usize {
        self.instances
            .get(&op.instance)
            .map_or(0, |seen| seen.before(op.began))
    }

    fn of(&self, op: &Op, way: &Way) -> usize {
        let here = self.here(op);
        if op.call.is_write() {
            // It comes after everything that anybody knows of, wherever it was asked for.
            return here
                .max(self.writes.before(op.began))
                .max(self.reads.before(op.began));
        }
        here.max(op.min_offset.map_or(0, |offset| way.up_to(offset)))
    }

    fn note(&mut self, op: &Op, ended: u64, steps: usize) {
        // A refusal may come from the writer through an instance that lags behind.
        if !(op.call.is_write() && matches!(op.end, End::Refused { .. })) {
            self.instances
                .entry(op.instance)
                .or_default()
                .note(ended, steps);
        }
        if op.call.is_write() {
            self.writes.note(ended, steps);
        } else {
            self.reads.note(ended, steps);
        }
    }
}

pub(super) fn check(history: &[Op], committed: &[At]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut ways = ways(committed, &mut found);
    let mut asked: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in history {
        if let Some(subject) = op.call.subject() {
            asked.entry(subject).or_default().push(op);
        }
    }
    for (subject, ops) in asked {
        let mut way = ways.remove(subject).unwrap_or_default();
        if way.states.is_empty() {
            way.states.push(State::new());
        }
        found.extend(explain(subject, way, &ops));
    }
    found
}

pub(super) fn ways(committed: &[At], found: &mut Vec<Violation>) -> BTreeMap<String, Way> {
    let mut ways: BTreeMap<String, Way> = BTreeMap::new();
    for run in committed.chunk_by(|one, next| one.offset + 1 == next.offset) {
        let run_ends = run.last().map_or(0, |last| last.offset);
        for At { offset, change } in run {
            if let Some(subject) = change.subject() {
                ways.entry(subject.to_owned()).or_default().push(
                    *offset,
                    run_ends,
                    change.clone(),
                    found,
                );
            }
        }
    }
    ways
}

fn explain(subject: &str, mut way: Way, ops: &[&Op]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut floors = Floors::default();
    let mut ended: Vec<(&Op, u64)> = Vec::new();
    let mut unknown: Vec<&Op> = Vec::new();
    for op in ops {
        match (&op.end, op.ended) {
            (End::NotTaken, Some(_)) => {}
            (End::Unknown, _) | (_, None) => unknown.push(op),
            (_, Some(at)) => ended.push((op, at)),
        }
    }
    ended.sort_by_key(|(_, at)| *at);
    for (op, at) in ended {
        let floor = floors.of(op, &way);
        let here = floors.here(op);
        if let Some(steps) = place(&mut way, op, floor, here) {
            floors.note(op, at, steps);
        } else {
            let op_of = Box::new((*op).clone());
            found.push(match place(&mut way, op, 0, 0) {
                Some(explained_by) => Violation::WentBack {
                    op: op_of,
                    floor,
                    explained_by,
                },
                None => Violation::Unexplained { op: op_of },
            });
        }
    }
    found.extend(uncaused(subject, &way, &unknown, &floors));
    found
}

/// A request of unknown fate may have caused changes behind everything that was known before it.
struct Suspect<'a> {
    call: &'a Call,
    floor: usize,
    spent: bool,
}

fn uncaused(subject: &str, way: &Way, unknown: &[&Op], floors: &Floors) -> Vec<Violation> {
    let mut suspects: Vec<Suspect<'_>> = unknown
        .iter()
        .filter(|op| op.call.is_write())
        .map(|op| Suspect {
            call: &op.call,
            floor: floors.of(op, way),
            spent: false,
        })
        .collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(step) = way.steps.get(at) {
        let number = at;
        at += 1;
        if step.caused || step.gives_way {
            continue;
        }
        // Of those that may have caused it any will do: whoever may have caused this step may have
        // caused the later ones too.
        let suspect = suspects.iter_mut().find_map(|suspect| {
            if suspect.spent || suspect.floor > number {
                return None;
            }
            let steps = caused_by(way, number, suspect.call)?;
            Some((suspect, steps))
        });
        match suspect {
            Some((suspect, steps)) => {
                suspect.spent = true;
                at = number + steps;
            }
            None => found.push(Violation::Uncaused {
                subject: subject.to_owned(),
                offset: step.offset,
                what: format!("{:?}", step.change),
            }),
        }
    }
    found
}

/// How many steps from `number` on the call may have caused.
fn caused_by(way: &Way, number: usize, call: &Call) -> Option<usize> {
    let step = way.steps.get(number)?;
    let before = way.states.get(number)?;
    let fits = match (call, &step.change) {
        (
            Call::Register { text, .. },
            Change::Schema {
                text: written,
                deleted: false,
                ..
            },
        ) => text == written,
        (Call::SoftDelete { .. }, Change::SoftUpTo { .. }) => true,
        (
            Call::SoftDeleteVersion { version, .. },
            Change::Schema {
                version: written,
                deleted: true,
                ..
            },
        )
        | (
            Call::HardDeleteVersion { version, .. },
            Change::Gone {
                version: written, ..
            },
        ) => version == written,
        (Call::HardDelete { .. }, Change::Gone { .. }) => {
            return gone_together(way, number, &before.keys().copied().collect::<Vec<_>>());
        }
        _ => false,
    };
    fits.then_some(1)
}

/// How many steps from `number` on make an end of exactly these versions, if they do.
pub(super) fn gone_together(way: &Way, number: usize, versions: &[i32]) -> Option<usize> {
    let gone = way.steps.get(number..number + versions.len())?;
    let all = gone.iter().zip(versions).all(|(step, version)| {
        !step.caused
            && matches!(&step.change, Change::Gone { version: gone, .. } if gone == version)
    });
    (all && !versions.is_empty()).then_some(versions.len())
}
