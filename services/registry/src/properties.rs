//! Properties of fold and decisions together: random histories, with the log compacted and the
//! registry restarted in between.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use meshwork_avro::Guid;
use proptest::prelude::*;

use crate::config::Config;
use crate::decide::{
    self, Decision, Draft, Normal, Registration, SettingsChange, Terms, VersionId, delete_subject,
    delete_version, look_up, put_mode, put_settings, register,
};
use crate::fuzzing::check;
use crate::record::{Mode, Record, Reference};
use crate::refusal::{Code, Refusal};
use crate::state::{Changes, LogRecord, MemoryRows, Rows, State};
use crate::store::{self, StoredRows, Topic};
use crate::subject::Subject;
use crate::texts::Texts;

#[derive(Clone, Debug)]
enum Step {
    Register(usize, usize),
    DeleteSubject(usize, bool),
    DeleteVersion(usize, i32, bool),
    /// Brought under an id and a version of its own.
    Import(usize, usize, i32),
    /// What is soft-deleted in a scope is forgotten.
    Clear(usize),
    Level(usize, bool),
    DeleteLevel(usize),
    /// The log keeps the last record of each key; tombstones go or stay; the state is made anew.
    CompactAndRestart(bool),
}

const SUBJECTS: [&str; 4] = ["a", "b", ":.ctx:a", "c"];
/// The last but one is the default context, the last one all contexts.
const SCOPES: [&str; 5] = ["a", ":.ctx:a", ":.ctx:", "", ":.__GLOBAL:"];
const TEXTS: [&str; 5] = [
    "\"string\"",
    "\"bytes\"",
    "\"long\"",
    r#"{"type":"fixed","name":"F","size":4}"#,
    r#"{"type":"record","name":"R","fields":[]}"#,
];

fn step() -> impl Strategy<Value = Step> {
    let subject = 0..SUBJECTS.len();
    prop_oneof![
        6 => (subject.clone(), 0..TEXTS.len()).prop_map(|(s, t)| Step::Register(s, t)),
        2 => (subject.clone(), any::<bool>()).prop_map(|(s, p)| Step::DeleteSubject(s, p)),
        3 => (subject.clone(), 1..5i32, any::<bool>()).prop_map(|(s, v, p)| Step::DeleteVersion(s, v, p)),
        2 => (subject.clone(), 0..TEXTS.len(), 1..6i32).prop_map(|(s, t, v)| Step::Import(s, t, v)),
        1 => (0..SCOPES.len()).prop_map(Step::Clear),
        1 => (subject.clone(), any::<bool>()).prop_map(|(s, f)| Step::Level(s, f)),
        1 => subject.prop_map(Step::DeleteLevel),
        1 => any::<bool>().prop_map(Step::CompactAndRestart),
    ]
}

/// A registry with its log, in memory.
struct World {
    rows: MemoryRows,
    texts: Texts,
    /// Offset, key and value.
    log: Vec<(i64, Record)>,
    next: i64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            rows: MemoryRows::default(),
            texts: Texts::default(),
            log: Vec::new(),
            next: 0,
        };
        // Anything may follow anything here: compatibility has tests of its own.
        let change = SettingsChange::from_iter([("compatibility".to_owned(), "NONE".into())]);
        let scope = Subject::all_contexts();
        let decision = put_settings(&world.state(), Some(&scope), change).unwrap();
        world.write(decision);
        world
    }

    fn state(&self) -> State<'_> {
        State::new(&self.rows)
    }

    fn write<T>(&mut self, decision: Decision<T>) -> T {
        let from = self.log.len();
        for record in decision.records {
            self.log.push((self.next, record));
            self.next += 1;
        }
        let changes = applied(&self.rows, &self.log[from..]);
        self.rows.commit(changes);
        decision.answer
    }

    fn settle<T>(&mut self, decision: Result<Decision<T>, Refusal>) -> Option<T> {
        decision.ok().map(|decision| self.write(decision))
    }

    fn compact(&mut self, drop_tombstones: bool) {
        let last: HashMap<Vec<u8>, i64> = self
            .log
            .iter()
            .map(|(offset, record)| (record.key.clone(), *offset))
            .collect();
        self.log.retain(|(offset, record)| {
            last.get(&record.key) == Some(offset) && !(drop_tombstones && record.value.is_none())
        });
    }

    /// The log folded anew, so many records at a time.
    fn replayed(&self, at_once: usize) -> MemoryRows {
        let mut rows = MemoryRows::default();
        for records in self.log.chunks(at_once) {
            let changes = applied(&rows, records);
            rows.commit(changes);
        }
        rows
    }

    /// What `step` comes to, written to the log.
    fn take(&mut self, step: &Step) -> Option<Registration> {
        match *step {
            Step::Register(subject, text) => {
                let subject = Subject::new(SUBJECTS[subject]);
                let draft = draft(text);
                let decision =
                    register(&self.state(), &self.texts, &subject, &draft, &terms()).unwrap();
                return Some(self.write(decision));
            }
            Step::DeleteSubject(subject, permanent) => {
                let subject = Subject::new(SUBJECTS[subject]);
                let decision = delete_subject(&self.state(), &subject, permanent);
                self.settle(decision);
            }
            Step::DeleteVersion(subject, version, permanent) => {
                let subject = Subject::new(SUBJECTS[subject]);
                let version = VersionId::Number(version);
                let decision = delete_version(&self.state(), &subject, version, permanent);
                self.settle(decision);
            }
            Step::Import(subject, text, version) => {
                let subject = Subject::new(SUBJECTS[subject]);
                let draft = Draft {
                    id: Some(i64::from(brought(text))),
                    version: Some(version.into()),
                    ..draft(text)
                };
                let mode = Ok(Some(Mode::Import));
                let decision = put_mode(&self.state(), Some(&subject), mode, true);
                self.settle(decision);
                let decision = register(&self.state(), &self.texts, &subject, &draft, &terms());
                let answer = self.settle(decision);
                let decision = put_mode(&self.state(), Some(&subject), Ok(None), false);
                self.settle(decision);
                return answer;
            }
            Step::Clear(scope) => {
                let scope = Subject::scope(SCOPES[scope]);
                let mode = Ok(Some(Mode::Import));
                let decision = put_mode(&self.state(), scope.as_ref(), mode, false);
                self.settle(decision);
                let decision = put_mode(&self.state(), scope.as_ref(), Ok(None), false);
                self.settle(decision);
            }
            Step::Level(subject, full) => {
                // Levels that let everything through, told apart by another member.
                let change = SettingsChange::from_iter([
                    ("compatibility".to_owned(), "NONE".into()),
                    ("validateFields".to_owned(), full.into()),
                ]);
                let scope = Subject::new(SUBJECTS[subject]);
                let decision = put_settings(&self.state(), Some(&scope), change);
                self.settle(decision);
            }
            Step::DeleteLevel(subject) => {
                let scope = Subject::new(SUBJECTS[subject]);
                let decision = decide::delete_settings(&self.state(), Some(&scope));
                self.settle(decision);
            }
            Step::CompactAndRestart(drop_tombstones) => {
                self.compact(drop_tombstones);
                self.rows = self.replayed(7);
                self.texts = Texts::default();
            }
        }
        None
    }
}

/// The id that a text is brought under: none that the registry comes to by counting on.
fn brought(text: usize) -> i32 {
    1_000 * (i32::try_from(text).unwrap() + 1)
}

fn draft(text: usize) -> Draft {
    Draft {
        schema: Some(TEXTS[text].to_owned()),
        ..Draft::default()
    }
}

/// What records of ours change.
fn applied(rows: &dyn Rows, records: &[(i64, Record)]) -> Changes {
    let mut state = State::new(rows);
    for (offset, record) in records {
        let record = LogRecord {
            offset: *offset,
            timestamp: *offset,
            key: Some(&record.key),
            value: record.value.as_deref(),
            own: true,
        };
        state.apply(&record).unwrap().unwrap();
    }
    state.into_changes()
}

/// All that clients can see, but for timestamps.
fn view(state: &State<'_>) -> BTreeMap<String, String> {
    let mut view = BTreeMap::new();
    for subject in state.subjects("") {
        let (subject, versions) = subject.unwrap();
        for version in versions.all() {
            view.insert(
                format!("{subject}/{}", version.number),
                format!("{} {} {}", version.id, version.guid, version.deleted),
            );
        }
        view.insert(
            format!("{subject} settings"),
            format!("{:?}", state.settings_of(&subject)),
        );
        let context = subject.context();
        let greatest = state.greatest_id(context).unwrap();
        view.insert(format!("{context} greatest"), greatest.to_string());
        let counted = (0..TEXTS.len()).map(brought).chain([1]);
        for id in counted.flat_map(|first| first..first + 20) {
            let Some(entry) = state.id(context, id).unwrap() else {
                continue;
            };
            let holders: Vec<String> = state
                .holders(context, id, true, None)
                .map(|holder| {
                    let holder = holder.unwrap();
                    format!("{}/{} {}", holder.place.0, holder.place.1, holder.deleted)
                })
                .collect();
            view.insert(
                format!("{context} {id}"),
                format!("{} {holders:?}", entry.content.guid),
            );
        }
    }
    view.insert("contexts".to_owned(), format!("{:?}", state.contexts()));
    view
}

fn terms() -> Terms {
    Terms {
        normal: Normal::AsWritten,
        force: false,
        ids_taken: 0,
        may_register: true,
        max_record_bytes: 1_000_000,
    }
}

/// A history that the property below once came upon: of two deletions of a subject the log keeps
/// the last, which must say what both have hidden.
#[test]
fn a_deletion_of_fewer_versions_brings_none_back() {
    let mut world = World::new();
    for text in [3, 2, 0] {
        world.take(&Step::Register(3, text));
    }
    for step in [
        Step::DeleteSubject(3, false),
        Step::Import(3, 0, 1),
        Step::DeleteSubject(3, false),
    ] {
        world.take(&step);
    }
    let before = view(&world.state());
    assert!(before["c/3"].ends_with(" true"), "{before:?}");
    world.take(&Step::CompactAndRestart(false));
    assert_eq!(view(&world.state()), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_id_means_one_schema_for_ever(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        // Every id ever answered, by context.
        let mut ids: HashMap<(String, i32), Guid> = HashMap::new();
        for step in steps {
            let before = view(&world.state());
            let registration = world.take(&step);
            if let Some(answer) = &registration {
                let place = (answer.subject.context().to_owned(), answer.id);
                let known = *ids.entry(place).or_insert(answer.content.guid);
                prop_assert_eq!(known, answer.content.guid, "id {} has two meanings", answer.id);
            }
            if let (Step::Register(_, text), Some(answer)) = (&step, registration) {
                let subject = &answer.subject;
                // What was answered is what is there, and asking again changes nothing.
                let state = world.state();
                let there = state.version(subject, answer.version).unwrap().unwrap();
                prop_assert_eq!((there.id, there.deleted), (answer.id, false));
                prop_assert_eq!(&there.content, &answer.content);
                let draft = draft(*text);
                let again = register(&state, &world.texts, subject, &draft, &terms()).unwrap();
                prop_assert!(again.records.is_empty());
                prop_assert_eq!((again.answer.id, again.answer.version), (answer.id, answer.version));
                let found = decide::look_up(
                    &state, &world.texts, subject, &draft, Normal::AsWritten, false,
                ).unwrap();
                prop_assert_eq!(found.1.number, answer.version);
            }
            if let Step::CompactAndRestart(_) = step {
                prop_assert_eq!(view(&world.state()), before);
            }
            check(&world.rows);
            for at_once in [1, 3, 1_000] {
                let replayed = world.replayed(at_once);
                prop_assert_eq!(view(&State::new(&replayed)), view(&world.state()));
            }
        }
    }

    /// Whatever stands in the log, it is applied or it is an oddity.
    #[test]
    fn no_record_can_stop_the_fold(
        records in proptest::collection::vec((record_bytes(), record_bytes(), any::<i64>()), 0..40)
    ) {
        let mut rows = MemoryRows::default();
        for (key, value, offset) in &records {
            let record = LogRecord {
                offset: *offset,
                timestamp: *offset,
                key: key.as_deref(),
                value: value.as_deref(),
                own: offset % 2 == 0,
            };
            let mut state = State::new(&rows);
            let _ = state.apply(&record).unwrap();
            let changes = state.into_changes();
            rows.commit(changes);
            let _ = view(&State::new(&rows));
            check(&rows);
        }
        // One after another or all at once, the rows are the same.
        let empty = MemoryRows::default();
        let mut state = State::new(&empty);
        for (key, value, offset) in &records {
            let record = LogRecord {
                offset: *offset,
                timestamp: *offset,
                key: key.as_deref(),
                value: value.as_deref(),
                own: offset % 2 == 0,
            };
            let _ = state.apply(&record).unwrap();
        }
        let mut at_once = MemoryRows::default();
        at_once.commit(state.into_changes());
        prop_assert_eq!(at_once, rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// RocksDB, closed and opened again at any time, holds what memory holds.
    #[test]
    fn a_store_holds_what_memory_holds(
        steps in proptest::collection::vec((step(), 0..8u8), 1..40)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::default();
        let topic = Topic {
            name: "_schemas".to_owned(),
            id: "id".to_owned(),
            start: 0,
            end: i64::MAX,
            tombstones_stay: Duration::from_secs(3_600),
        };
        let open = || store::open(dir.path(), &config, &topic, 1_000).unwrap();
        let (mut disk, _) = open();
        let mut world = World::new();
        let mut from = 0;
        for (step, chance) in steps {
            if let Step::CompactAndRestart(_) = step {
                drop(disk);
                let (again, opened) = open();
                prop_assert_eq!(opened, meshwork_state::Opened::Existing);
                disk = again;
                continue;
            }
            world.take(&step);
            // Not after each step: batches of any size.
            if chance == 0 {
                continue;
            }
            let changes = applied(&StoredRows::now(&disk), &world.log[from..]);
            store::commit(&disk, &changes, &topic, world.next).unwrap();
            from = world.log.len();
            let rows = StoredRows::now(&disk);
            prop_assert_eq!(view(&State::new(&rows)), view(&world.state()));
            prop_assert_eq!(disk.offset("_schemas", 0).unwrap(), Some(world.next));
        }
    }
}

/// Bytes that look more or less like keys or values.
fn record_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    let keytype = prop_oneof![
        Just("SCHEMA"),
        Just("CONFIG"),
        Just("MODE"),
        Just("NOOP"),
        Just("DELETE_SUBJECT"),
        Just("CLEAR_SUBJECT"),
        Just("CONTEXT"),
        Just("ASSOC"),
    ];
    let subject = prop_oneof![
        Just("a"),
        Just(":.ctx:a"),
        Just(":.ctx:"),
        Just("__meshwork")
    ];
    let small = -1..4i64;
    prop_oneof![
        1 => Just(None),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Some),
        6 => (keytype, subject.clone(), small.clone()).prop_map(|(keytype, subject, n)| Some(format!(
            r#"{{"keytype":"{keytype}","subject":"{subject}","version":{n},"context":".ctx","magic":0}}"#
        ).into_bytes())),
        6 => (subject, small.clone(), small, any::<bool>()).prop_map(|(subject, id, version, deleted)| Some(format!(
            r#"{{"subject":"{subject}","version":{version},"id":{id},"schema":"\"s{id}\"","references":[{{"name":"x","subject":"a","version":{version}}}],"deleted":{deleted},"mode":"READONLY","greatestIds":{{".":{id}}},"compatibilityLevel":"FULL","tenant":"t","context":".c"}}"#
        ).into_bytes())),
    ]
}

/// A GUID's parts have no separators, so that other references may have the same one. They are
/// another schema all the same, and no id is given to both, not even one after the other.
#[test]
fn references_that_run_together_never_share_an_id() {
    let mut world = World::new();
    let referring = |name: &str, subject: &str| Draft {
        references: Some(vec![Reference {
            name: name.to_owned(),
            subject: subject.to_owned(),
            version: 1,
        }]),
        ..draft(4)
    };
    let asked = |world: &World, subject: &str, draft: &Draft| {
        let subject = Subject::new(subject);
        register(&world.state(), &world.texts, &subject, draft, &terms())
    };
    for subject in ["c", "bc"] {
        let decision = asked(&world, subject, &draft(0)).unwrap();
        world.write(decision);
    }
    let (one, other) = (referring("ab", "c"), referring("a", "bc"));
    let decision = asked(&world, "one", &one).unwrap();
    let first = world.write(decision);
    // Neither under another subject, nor under the one that has it.
    for subject in ["other", "one"] {
        let refusal = asked(&world, subject, &other).unwrap_err();
        assert_eq!(refusal.code, Code::NotPermitted, "{subject}");
    }
    let (state, subject) = (world.state(), Subject::new("one"));
    let find = |draft: &Draft| {
        look_up(
            &state,
            &world.texts,
            &subject,
            draft,
            Normal::AsWritten,
            true,
        )
    };
    assert_eq!(find(&one).unwrap().1.id, first.id);
    assert_eq!(find(&other).unwrap_err().code, Code::SchemaNotFound);
    for permanent in [false, true] {
        let decision = delete_subject(&world.state(), &Subject::new("one"), permanent);
        world.write(decision.unwrap());
    }
    // Hard-deleted, the id is kept for the same schema, and for no other.
    let decision = asked(&world, "two", &one).unwrap();
    assert_eq!(decision.answer.id, first.id);
    let decision = asked(&world, "other", &other).unwrap();
    let second = world.write(decision);
    assert!(second.id > first.id);
    assert_eq!(second.content.guid, first.content.guid);
    check(&world.rows);
}

/// The kind is no part of a GUID either: the id of a JSON schema from another registry's log is not
/// given to an Avro schema of the same text, even once nothing holds it.
#[test]
fn a_text_of_another_kind_never_has_the_id() {
    let mut world = World::new();
    let text = serde_json::to_string(TEXTS[0]).unwrap();
    for deleted in [false, true] {
        let value = format!(
            r#"{{"subject":"json","version":1,"id":7,"schemaType":"JSON","schema":{text},"deleted":{deleted}}}"#
        );
        world.write(Decision {
            records: vec![Record {
                key: br#"{"keytype":"SCHEMA","subject":"json","version":1,"magic":1}"#.to_vec(),
                value: Some(value.into_bytes()),
            }],
            answer: (),
        });
    }
    let json = world.state().id(".", 7).unwrap().unwrap().content;
    assert_eq!(&*json.kind, "JSON");
    let decision = delete_subject(&world.state(), &Subject::new("json"), true);
    world.write(decision.unwrap());
    let former = |content| world.state().former_id_of(".", content).unwrap();
    assert_eq!(former(&json), Some(7));

    let subject = Subject::new("avro");
    let decision = register(&world.state(), &world.texts, &subject, &draft(0), &terms()).unwrap();
    let avro = world.write(decision);
    assert_eq!(avro.content.guid, json.guid);
    assert_eq!(avro.id, 8);
    check(&world.rows);
}
