//! Any bytes as a log, for `cargo fuzz` and for the tests that replay its corpus.
//!
//! A log is lines: one with a record's key, behind `+` where a registry of ours wrote it and `-`
//! where another one did, then one with its value. `~` alone is none.

use std::collections::{BTreeMap, BTreeSet};

use crate::state::{LogRecord, MemoryRows, State};
use crate::subject::Subject;

/// The records of a log that is written as lines.
pub fn records(log: &[u8]) -> impl Iterator<Item = LogRecord<'_>> {
    const NONE: &[u8] = b"~";
    let mut lines = log.split(|byte| *byte == b'\n');
    let mut offset = -1;
    std::iter::from_fn(move || {
        let (own, key) = lines.next()?.split_first()?;
        let value = lines.next().unwrap_or(NONE);
        offset += 1;
        Some(LogRecord {
            offset,
            timestamp: 1_700_000_000_000 + offset,
            key: (key != NONE).then_some(key),
            value: (value != NONE).then_some(value),
            own: *own == b'+',
        })
    })
}

/// Applies a log one record at a time, and all at once, and checks the rows.
///
/// # Panics
/// The rows are not as they must be.
pub fn log(bytes: &[u8]) {
    let mut rows = MemoryRows::default();
    for record in records(bytes).take(1_000) {
        let mut state = State::new(&rows);
        let applied = state.apply(&record);
        assert!(applied.is_ok(), "memory can be read: {applied:?}");
        let changes = state.into_changes();
        rows.commit(changes);
    }
    check(&rows);
    let empty = MemoryRows::default();
    let mut state = State::new(&empty);
    for record in records(bytes).take(1_000) {
        let applied = state.apply(&record);
        assert!(applied.is_ok(), "memory can be read: {applied:?}");
    }
    let mut at_once = MemoryRows::default();
    at_once.commit(state.into_changes());
    assert_eq!(at_once, rows, "at once or one by one");
}

/// What holds of the rows whatever the log holds.
///
/// # Panics
/// It does not hold.
#[expect(
    clippy::unwrap_used,
    reason = "what can't be read is what is looked for"
)]
pub fn check(rows: &MemoryRows) {
    let state = State::new(rows);
    // Who holds what, as the subjects have it: subject, version, whether it is deleted, timestamp.
    type Held = BTreeSet<(Subject, i32, bool, i64)>;
    let mut holders: BTreeMap<(String, i32), Held> = BTreeMap::new();
    let mut last: Option<Subject> = None;
    for subject in state.subjects("") {
        let (subject, versions) = subject.unwrap();
        assert!(last.as_ref() < Some(&subject), "subjects are in order");
        assert_eq!(
            state.subject(&subject).unwrap().as_ref(),
            Some(&versions),
            "a subject is as the list has it"
        );
        assert!(versions.all().next().is_some(), "a subject has versions");
        assert!(
            versions.all().map(|version| version.number).is_sorted(),
            "versions are in order"
        );
        for version in versions.all() {
            let content = state.content_of(&subject, version).unwrap();
            assert_eq!(content.guid, version.guid, "a version has its content");
            for reference in &content.references {
                let place = (subject.sibling(&reference.subject), reference.version);
                let referrer = (subject.clone(), version.number);
                assert!(
                    state.referrers(&place).any(|r| r.unwrap() == referrer),
                    "a reference is known where it leads to"
                );
            }
            let context = subject.context().to_owned();
            assert!(state.has_context(&context).unwrap(), "its context is there");
            assert!(version.id <= state.greatest_id(&context).unwrap());
            assert!(
                state.id_of(&context, &version.guid).unwrap().is_some(),
                "a content that is held has an id"
            );
            holders.entry((context, version.id)).or_default().insert((
                subject.clone(),
                version.number,
                version.deleted,
                version.timestamp,
            ));
        }
        last = Some(subject);
    }
    for ((context, id), expected) in &holders {
        let entry = state.id(context, *id).unwrap().unwrap();
        let live = expected.iter().filter(|holder| !holder.2).count();
        assert_eq!(
            (entry.live, entry.deleted),
            (live as u64, (expected.len() - live) as u64),
            "holders are counted"
        );
        let held: Vec<_> = state
            .holders(context, *id, true, None)
            .map(|holder| {
                let holder = holder.unwrap();
                let (subject, version) = holder.place;
                (subject, version, holder.deleted, holder.timestamp)
            })
            .collect();
        let expected: Vec<_> = expected.iter().cloned().collect();
        assert_eq!(held, expected, "holders are listed");
        let first = expected
            .iter()
            .find(|holder| !holder.2)
            .or(expected.first());
        let holder = state.first_holder(context, *id).unwrap();
        assert_eq!(
            holder.map(|holder| holder.place),
            first.map(|holder| (holder.0.clone(), holder.1))
        );
    }
    for context in state.contexts().unwrap() {
        let greatest = state.greatest_id(&context).unwrap();
        for id in 1..=greatest.min(64) {
            assert_eq!(
                state.id(&context, id).unwrap().is_some(),
                holders.contains_key(&(context.clone(), id)),
                "an id that nothing holds is not there"
            );
        }
    }
}
