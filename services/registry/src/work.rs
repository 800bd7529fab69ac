//! How many rows an operation reads, however many there are.

use std::cell::Cell;

use crate::content::Content;
use crate::decide::{
    Draft, Normal, Terms, VersionId, delete_subject, delete_version, find_version, register,
};
use crate::record::{Key, Record};
use crate::state::{Direction, KeyRange, LogRecord, MemoryRows, Rows, Scanned, State, StateError};
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::texts::Texts;

/// Rows that count what is read.
struct Counted<'r> {
    rows: &'r MemoryRows,
    read: Cell<usize>,
}

impl Rows for Counted<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.read.set(self.read.get() + 1);
        self.rows.get(key)
    }

    fn scan<'r>(&'r self, range: &KeyRange, direction: Direction) -> Scanned<'r> {
        self.read.set(self.read.get() + 1);
        Box::new(
            self.rows
                .scan(range, direction)
                .inspect(|_| self.read.set(self.read.get() + 1)),
        )
    }
}

/// What `ask` gives, and how many rows it reads.
fn counted<T>(rows: &MemoryRows, ask: impl FnOnce(&mut State<'_>) -> T) -> (T, usize) {
    let counted = Counted {
        rows,
        read: Cell::new(0),
    };
    let mut state = State::new(&counted);
    let answer = ask(&mut state);
    (answer, counted.read.get())
}

fn record(subject: &str, version: i32, id: i32, text: &str) -> Record {
    let key = Key::Schema {
        subject: subject.to_owned(),
        version,
    };
    let value = serde_json::json!({ "subject": subject, "version": version, "id": id, "schema": text, "deleted": false });
    Record {
        key: key.to_bytes(),
        value: Some(value.to_string().into_bytes()),
    }
}

fn apply(state: &mut State<'_>, record: &Record) {
    let record = LogRecord {
        offset: 0,
        timestamp: 0,
        key: Some(&record.key),
        value: record.value.as_deref(),
        own: true,
    };
    state.apply(&record).unwrap().unwrap();
}

/// What is looked at, and how: all of it must read few rows.
fn operations(rows: &MemoryRows) -> Vec<(&'static str, usize)> {
    let texts = Texts::default();
    let draft = Draft {
        schema: Some("\"string\"".to_owned()),
        ..Draft::default()
    };
    let terms = Terms {
        normal: Normal::AsWritten,
        force: false,
        ids_taken: 0,
        max_record_bytes: 1_000_000,
        may_register: true,
    };
    let guid = Content::new("AVRO", "\"string\"", Vec::new(), None, None).guid;
    let (last, new) = (Subject::new("s004999"), Subject::new("z"));
    let mut all = Vec::new();
    let mut note = |what, count| all.push((what, count));
    note("an id", counted(rows, |s| s.id(".", 1).unwrap().unwrap()).1);
    note(
        "its first holder",
        counted(rows, |s| s.first_holder(".", 1)).1,
    );
    note(
        "its last holder",
        counted(rows, |s| s.last_holder(".", 1, None)).1,
    );
    note(
        "whether one holds it",
        counted(rows, |s| {
            s.last_holder(".", 1, Some(&last)).unwrap().unwrap()
        })
        .1,
    );
    note(
        "ids of a GUID",
        counted(rows, |s| s.ids_of(&guid).unwrap()).1,
    );
    note(
        "a page of holders",
        counted(rows, |s| {
            let page: Vec<_> = s.holders(".", 1, true, None).take(10).collect();
            assert_eq!(page.len(), 10);
        })
        .1,
    );
    note(
        "a page of subjects",
        counted(rows, |s| assert_eq!(s.subjects("s").take(10).count(), 10)).1,
    );
    note(
        "a version",
        counted(rows, |s| {
            find_version(s, &last, VersionId::Latest, false).unwrap()
        })
        .1,
    );
    let (decision, count) = counted(rows, |s| register(s, &texts, &new, &draft, &terms).unwrap());
    assert_eq!(decision.answer.id, 1);
    note("registering it elsewhere", count);
    for record in &decision.records {
        note("applying that", counted(rows, |s| apply(s, record)).1);
    }
    let (decision, count) = counted(rows, |s| delete_subject(s, &last, false).unwrap());
    note("soft-deleting a subject", count);
    for record in &decision.records {
        note("applying that", counted(rows, |s| apply(s, record)).1);
    }
    let (decision, count) = counted(rows, |s| {
        for record in &decision.records {
            apply(s, record);
        }
        delete_version(s, &last, VersionId::Number(1), true).unwrap()
    });
    note("hard-deleting one", count);
    for record in &decision.records {
        note("applying that", counted(rows, |s| apply(s, record)).1);
    }
    all
}

#[test]
fn an_id_that_many_hold_costs_no_more_than_one_that_few_hold() {
    let held_by = |count: i32| {
        let mut rows = MemoryRows::default();
        let mut state = State::new(&rows);
        for n in (5_000 - count)..5_000 {
            apply(&mut state, &record(&format!("s{n:06}"), 1, 1, "\"string\""));
        }
        let changes = state.into_changes();
        rows.commit(changes);
        rows
    };
    let (few, many) = (operations(&held_by(50)), operations(&held_by(5_000)));
    assert_eq!(few, many);
    assert!(few.iter().all(|(_, count)| *count <= 40), "{few:?}");
}

/// A change reads and writes one chunk of a subject's versions.
#[test]
fn a_change_of_a_subject_with_many_versions_rewrites_few_of_them() {
    let mut rows = MemoryRows::default();
    let subject = Subject::new("s");
    let mut state = State::new(&rows);
    for version in 1..=3_000 {
        apply(
            &mut state,
            &record("s", version, version, &format!("\"t{version}\"")),
        );
    }
    let changes = state.into_changes();
    rows.commit(changes);
    crate::fuzzing::check(&rows);
    let next = record("s", 3_001, 3_001, "\"new\"");
    let ((), read) = counted(&rows, |s| apply(s, &next));
    let mut state = State::new(&rows);
    apply(&mut state, &next);
    let changed = state.into_changes().rows;
    let bytes: usize = changed.values().flatten().map(Vec::len).sum();
    assert!(bytes < 8_000, "{bytes} bytes");
    assert!(read <= 40, "{read} rows");
    let state = State::new(&rows);
    let versions = state.subject(&subject).unwrap().unwrap();
    assert_eq!(versions.all().count(), 3_000);
    assert_eq!(versions.latest().map(|latest| latest.number), Some(3_000));
    assert_eq!(versions.next(), Some(3_001));
    assert_eq!(versions.version(129).map(|version| version.id), Some(129));
    assert_eq!(state.greatest_id(DEFAULT_CONTEXT).unwrap(), 3_000);
    // All soft-deleted, then cleared, chunk by chunk.
    let mut state = State::new(&rows);
    let told = |key: Key, value: &str| Record {
        key: key.to_bytes(),
        value: Some(value.as_bytes().to_vec()),
    };
    let delete = Key::DeleteSubject {
        subject: "s".to_owned(),
    };
    apply(
        &mut state,
        &told(delete, r#"{"subject":"s","version":2999}"#),
    );
    let versions = state.subject(&subject).unwrap().unwrap();
    let live: Vec<i32> = versions.live().map(|version| version.number).collect();
    assert_eq!(live, [3_000]);
    let clear = Key::ClearSubject {
        subject: "s".to_owned(),
    };
    apply(&mut state, &told(clear, r#"{"subject":"s"}"#));
    let changes = state.into_changes();
    rows.commit(changes);
    crate::fuzzing::check(&rows);
    let state = State::new(&rows);
    let versions = state.subject(&subject).unwrap().unwrap();
    assert_eq!(versions.all().count(), 1);
}
