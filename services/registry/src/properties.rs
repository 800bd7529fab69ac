//! Properties of fold and decisions together: random histories, with the log compacted and the
//! registry restarted in between.

use std::collections::{BTreeMap, HashMap};

use meshwork_avro::Guid;
use proptest::prelude::*;

use crate::decide::{
    self, Decision, Draft, Normal, SettingsChange, Terms, VersionId, delete_subject,
    delete_version, put_settings, register,
};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::state::{LogRecord, State};
use crate::subject::Subject;
use crate::texts::Texts;

#[derive(Clone, Debug)]
enum Step {
    Register(usize, usize),
    DeleteSubject(usize, bool),
    DeleteVersion(usize, i32, bool),
    Level(usize, bool),
    DeleteLevel(usize),
    /// The log keeps the last record of each key; tombstones go or stay; the state is made anew.
    CompactAndRestart(bool),
}

const SUBJECTS: [&str; 4] = ["a", "b", ":.ctx:a", "c"];
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
        1 => (subject.clone(), any::<bool>()).prop_map(|(s, f)| Step::Level(s, f)),
        1 => subject.prop_map(Step::DeleteLevel),
        1 => any::<bool>().prop_map(Step::CompactAndRestart),
    ]
}

/// A registry with its log, in memory.
struct World {
    state: State,
    texts: Texts,
    /// Offset, key and value.
    log: Vec<(i64, Record)>,
    next: i64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            state: State::new(),
            texts: Texts::default(),
            log: Vec::new(),
            next: 0,
        };
        // Anything may follow anything here: compatibility has tests of its own.
        let change = SettingsChange::from_iter([("compatibility".to_owned(), "NONE".into())]);
        let decision = put_settings(&world.state, None, change).unwrap();
        world.write(decision);
        world
    }

    fn write<T>(&mut self, decision: Decision<T>) -> T {
        for record in decision.records {
            apply(&mut self.state, self.next, &record);
            self.log.push((self.next, record));
            self.next += 1;
        }
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

    fn replayed(&self) -> State {
        let mut state = State::new();
        for (offset, record) in &self.log {
            apply(&mut state, *offset, record);
        }
        state
    }
}

fn apply(state: &mut State, offset: i64, record: &Record) {
    state
        .apply(&LogRecord {
            offset,
            timestamp: offset,
            key: Some(&record.key),
            value: record.value.as_deref(),
        })
        .unwrap();
}

/// All that clients can see, but for timestamps.
fn view(state: &State) -> BTreeMap<String, String> {
    let mut view = BTreeMap::new();
    for (subject, versions) in state.subjects() {
        for (number, version) in versions.all() {
            view.insert(
                format!("{subject}/{number}"),
                format!(
                    "{} {} {}",
                    version.id, version.content.guid, version.deleted
                ),
            );
        }
        view.insert(
            format!("{subject} settings"),
            format!("{:?}", state.settings_of(subject)),
        );
    }
    view
}

fn terms() -> Terms {
    Terms {
        normal: Normal::AsWritten,
        force: false,
        ids_taken: 0,
        max_record_bytes: 1_000_000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_id_means_one_schema_for_ever(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        // Every id ever answered, by context.
        let mut ids: HashMap<(String, i32), Guid> = HashMap::new();
        for step in steps {
            let before = view(&world.state);
            match step {
                Step::Register(subject, text) => {
                    let subject = Subject::new(SUBJECTS[subject]);
                    let draft = Draft { schema: Some(TEXTS[text].to_owned()), ..Draft::default() };
                    let decision =
                        register(&world.state, &world.texts, &subject, &draft, &terms()).unwrap();
                    let answer = world.write(decision);
                    let place = (subject.context().to_owned(), answer.id);
                    let known = *ids.entry(place).or_insert(answer.content.guid);
                    prop_assert_eq!(known, answer.content.guid, "id {} has two meanings", answer.id);
                    // What was answered is what is there, and asking again changes nothing.
                    let there = world.state.version(&subject, answer.version).unwrap();
                    prop_assert_eq!((there.id, there.deleted), (answer.id, false));
                    let again =
                        register(&world.state, &world.texts, &subject, &draft, &terms()).unwrap();
                    prop_assert!(again.records.is_empty());
                    prop_assert_eq!((again.answer.id, again.answer.version), (answer.id, answer.version));
                    let found = decide::look_up(
                        &world.state, &world.texts, &subject, &draft, Normal::AsWritten, false,
                    ).unwrap();
                    prop_assert_eq!(found.1, answer.version);
                }
                Step::DeleteSubject(subject, permanent) => {
                    let decision =
                        delete_subject(&world.state, &Subject::new(SUBJECTS[subject]), permanent);
                    world.settle(decision);
                }
                Step::DeleteVersion(subject, version, permanent) => {
                    let subject = Subject::new(SUBJECTS[subject]);
                    let version = VersionId::Number(version);
                    let decision = delete_version(&world.state, &subject, version, permanent);
                    world.settle(decision);
                }
                Step::Level(subject, full) => {
                    // Levels that let everything through, told apart by another member.
                    let change = SettingsChange::from_iter([
                        ("compatibility".to_owned(), "NONE".into()),
                        ("validateFields".to_owned(), full.into()),
                    ]);
                    let scope = Subject::new(SUBJECTS[subject]);
                    let decision = put_settings(&world.state, Some(&scope), change);
                    world.settle(decision);
                }
                Step::DeleteLevel(subject) => {
                    let scope = Subject::new(SUBJECTS[subject]);
                    let decision = decide::delete_settings(&world.state, Some(&scope));
                    world.settle(decision);
                }
                Step::CompactAndRestart(drop_tombstones) => {
                    world.compact(drop_tombstones);
                    world.state = world.replayed();
                    world.texts = Texts::default();
                    prop_assert_eq!(view(&world.state), before);
                }
            }
            prop_assert_eq!(view(&world.replayed()), view(&world.state));
        }
    }

    /// Whatever stands in the log, it is applied or it is an oddity.
    #[test]
    fn no_record_can_stop_the_fold(
        records in proptest::collection::vec((record_bytes(), record_bytes(), any::<i64>()), 0..40)
    ) {
        let mut state = State::new();
        for (key, value, offset) in records {
            let _ = state.apply(&LogRecord {
                offset,
                timestamp: offset,
                key: key.as_deref(),
                value: value.as_deref(),
            });
            let _ = view(&state);
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
