//! Ids, over the whole log and all answers.

use std::collections::BTreeMap;

use super::log::{At, Change, context_of};
use super::violation::{Told, Violation};
use crate::history::{Call, End, Op};

/// An id in its context.
pub(super) type Id = (String, i32);

/// Where in the log ids are held: by a version that is live or soft-deleted.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// From an offset to an offset, the latter exclusive; one that is open ends at `i64::MAX`.
    pub(super) spans: BTreeMap<Id, Vec<(i64, i64)>>,
    /// The first text of every id.
    pub(super) texts: BTreeMap<Id, String>,
}

impl Held {
    pub(super) fn of(committed: &[At]) -> Self {
        let mut held = Self::default();
        let mut of_version: BTreeMap<(&str, i32), Id> = BTreeMap::new();
        let mut holders: BTreeMap<Id, usize> = BTreeMap::new();
        for At { offset, change } in committed {
            let (subject, version, now) = match change {
                Change::Schema {
                    subject,
                    version,
                    id,
                    text,
                    ..
                } => {
                    let id = (context_of(subject).to_owned(), *id);
                    held.texts.entry(id.clone()).or_insert_with(|| text.clone());
                    (subject, *version, Some(id))
                }
                Change::Gone { subject, version } => (subject, *version, None),
                _ => continue,
            };
            let before = match &now {
                Some(id) => of_version.insert((subject, version), id.clone()),
                None => of_version.remove(&(subject.as_str(), version)),
            };
            if before == now {
                continue;
            }
            if let Some(id) = now {
                let count = holders.entry(id.clone()).or_default();
                *count += 1;
                if *count == 1 {
                    held.spans.entry(id).or_default().push((*offset, i64::MAX));
                }
            }
            if let Some(id) = before
                && let Some(count) = holders.get_mut(&id)
            {
                *count = count.saturating_sub(1);
                if *count == 0
                    && let Some(span) = held.spans.get_mut(&id).and_then(|spans| spans.last_mut())
                {
                    span.1 = *offset;
                }
            }
        }
        held
    }

    /// Whether the id is held from `floor` on without a gap.
    fn always_from(&self, id: &Id, floor: i64) -> bool {
        self.spans.get(id).is_some_and(|spans| {
            spans
                .iter()
                .any(|(from, to)| *from <= floor && *to == i64::MAX)
        })
    }

    /// Whether it is held at the end.
    pub(super) fn at_end(&self, id: &Id) -> bool {
        self.always_from(id, i64::MAX - 1)
    }
}

pub(super) fn check(
    history: &[Op],
    committed: &[At],
    uncommitted: &[At],
    held: &Held,
) -> Vec<Violation> {
    let mut found = meanings(history, uncommitted);
    found.extend(second_ids(committed));
    found.extend(order(committed, uncommitted));
    found.extend(lost(history, held));
    found.extend(by_id(history, held));
    found
}

/// The id and the text that an answer speaks of.
fn spoken(op: &Op) -> Option<(Id, &str)> {
    match (&op.call, &op.end) {
        (
            Call::Register { subject, text } | Call::LookUp { subject, text },
            End::Registered { id, .. },
        ) => Some(((context_of(subject).to_owned(), *id), text)),
        (Call::ById { context, id }, End::Text { text }) => Some(((context.clone(), *id), text)),
        _ => None,
    }
}

/// One text for an id, in all answers and all records, aborted ones too.
fn meanings(history: &[Op], uncommitted: &[At]) -> Vec<Violation> {
    let mut known: BTreeMap<Id, (String, String)> = BTreeMap::new();
    let mut found = Vec::new();
    let mut learn = |id: Id, text: &str, seen: &dyn Fn() -> String| match known.get(&id) {
        None => {
            known.insert(id, (text.to_owned(), seen()));
        }
        Some(one) if one.0 != text => found.push(Violation::TwoTexts {
            context: id.0,
            id: id.1,
            one: one.clone(),
            other: (text.to_owned(), seen()),
        }),
        Some(_) => {}
    };
    for At { offset, change } in uncommitted {
        if let Change::Schema {
            subject, id, text, ..
        } = change
        {
            let id = (context_of(subject).to_owned(), *id);
            learn(id, text, &|| format!("record at offset {offset}"));
        }
    }
    for op in history {
        if let Some((id, text)) = spoken(op) {
            learn(id, text, &|| Told(op).to_string());
        }
    }
    found
}

/// A text that has an id keeps it, for as long as any version holds it.
fn second_ids(committed: &[At]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut of_version: BTreeMap<(&str, i32), (i32, &str)> = BTreeMap::new();
    for At { offset, change } in committed {
        match change {
            Change::Schema { extras: true, .. } => {}
            Change::Schema {
                subject,
                version,
                id,
                text,
                ..
            } => {
                let context = context_of(subject);
                let other = of_version.iter().find(|((holder, _), (had, held))| {
                    held == text && had != id && context_of(holder) == context
                });
                if let Some((_, (had, _))) = other {
                    found.push(Violation::TwoIds {
                        context: context.to_owned(),
                        text: text.clone(),
                        had: *had,
                        given: *id,
                        offset: *offset,
                    });
                }
                of_version.insert((subject, *version), (*id, text));
            }
            Change::Gone { subject, version } => {
                of_version.remove(&(subject.as_str(), *version));
            }
            _ => {}
        }
    }
    found
}

/// An id that is new in committed records is above all ids that earlier records hold, be they
/// aborted: who applies those must not find it taken.
fn order(committed: &[At], uncommitted: &[At]) -> Vec<Violation> {
    let mut found = Vec::new();
    let is_committed = |offset: i64| {
        committed
            .binary_search_by_key(&offset, |at| at.offset)
            .is_ok()
    };
    // By context: the greatest id and where it is.
    let mut greatest: BTreeMap<&str, (i32, i64)> = BTreeMap::new();
    let mut given: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for At { offset, change } in uncommitted {
        let Change::Schema { subject, id, .. } = change else {
            continue;
        };
        let context = context_of(subject);
        let given = given.entry(context).or_default();
        let (most, at) = greatest.entry(context).or_insert((0, -1));
        if is_committed(*offset)
            && let Err(place) = given.binary_search(id)
        {
            given.insert(place, *id);
            if *id <= *most {
                found.push(Violation::Fell {
                    context: context.to_owned(),
                    id: *id,
                    offset: *offset,
                    greatest: *most,
                    greatest_at: *at,
                });
            }
        }
        if *id > *most {
            (*most, *at) = (*id, *offset);
        }
    }
    found
}

/// An id that a client was given is in the log.
fn lost(history: &[Op], held: &Held) -> Vec<Violation> {
    let mut missing: BTreeMap<Id, &Op> = BTreeMap::new();
    for op in history {
        if let Some((id, _)) = spoken(op)
            && !held.texts.contains_key(&id)
        {
            missing.entry(id).or_insert(op);
        }
    }
    missing
        .into_iter()
        .map(|((context, id), op)| Violation::Lost {
            context,
            id,
            seen: Told(op).to_string(),
        })
        .collect()
}

/// A read by id finds what its `Meshwork-Min-Offset`, or an earlier answer of the same instance,
/// says is there, unless it was deleted for good in between.
fn by_id(history: &[Op], held: &Held) -> Vec<Violation> {
    let mut found = Vec::new();
    // By instance and id: when it was seen there, and from which offset on it was there.
    let mut seen: BTreeMap<(usize, Id), (u64, i64)> = BTreeMap::new();
    let mut ops: Vec<&Op> = history.iter().filter(|op| op.ended.is_some()).collect();
    ops.sort_by_key(|op| op.ended);
    for op in ops {
        if let Some((id, _)) = spoken(op) {
            let first = held.spans.get(&id).and_then(|spans| spans.first());
            if let (Some((from, _)), Some(ended)) = (first, op.ended) {
                seen.entry((op.instance, id)).or_insert((ended, *from));
            }
        }
        let (Call::ById { context, id }, End::Refused { .. }) = (&op.call, &op.end) else {
            continue;
        };
        let id = (context.clone(), *id);
        let shown = seen
            .get(&(op.instance, id.clone()))
            .filter(|(ended, _)| *ended < op.began)
            .map(|(_, from)| *from);
        let floor = op.min_offset.max(shown).unwrap_or(-1);
        if held.always_from(&id, floor) {
            found.push(Violation::Unexplained {
                op: Box::new(op.clone()),
            });
        }
    }
    found
}
