//! Frozen: what registries have written. The logs are the corpus of the fuzz target `registry_log`,
//! and are never to be changed, only added to.

use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fuzzing::{check, log, records};
use crate::record::{
    ContextValue, Key, ModeValue, Oddity, OwnValue, ReadKey, SchemaValue, Settings, SubjectValue,
    from_json, to_json,
};
use crate::state::{LogRecord, MemoryRows, State};
use crate::subject::Subject;

const FOLDER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fuzz/corpus/registry_log"
);

fn read(name: &str) -> Vec<u8> {
    fs::read(format!("{FOLDER}/{name}")).unwrap()
}

/// The rows that a log leaves, and what became of each record.
fn folded(name: &str) -> (MemoryRows, Vec<Result<(), Oddity>>) {
    let bytes = read(name);
    let mut rows = MemoryRows::default();
    let mut outcomes = Vec::new();
    for record in records(&bytes) {
        let mut state = State::new(&rows);
        outcomes.push(state.apply(&record).unwrap());
        let changes = state.into_changes();
        rows.commit(changes);
    }
    check(&rows);
    (rows, outcomes)
}

/// The versions of all subjects: name, number, id, deleted.
fn versions(rows: &MemoryRows) -> Vec<String> {
    let state = State::new(rows);
    let mut all = Vec::new();
    for subject in state.subjects("") {
        let (subject, versions) = subject.unwrap();
        for version in versions.all() {
            let deleted = if version.deleted { " deleted" } else { "" };
            all.push(format!(
                "{subject} {} {}{deleted}",
                version.number, version.id
            ));
        }
    }
    all
}

#[test]
fn the_whole_corpus_can_be_read() {
    let mut count = 0;
    for entry in fs::read_dir(FOLDER).unwrap() {
        log(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 7, "{count}");
}

fn round_trip<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let value: T = from_json(bytes).unwrap();
    assert_eq!(
        String::from_utf8(to_json(&value)).unwrap(),
        String::from_utf8(bytes.to_vec()).unwrap()
    );
}

/// Every type of record that Confluent writes, and our own: read and written again, not a byte is
/// another one.
#[test]
fn records_round_trip_byte_for_byte() {
    let mut kinds = std::collections::BTreeSet::new();
    for name in ["confluent", "own"] {
        let bytes = read(name);
        for LogRecord { key, value, .. } in records(&bytes) {
            let key = key.unwrap();
            let ReadKey {
                key: read,
                canonical,
                seq,
            } = ReadKey::parse(key).unwrap();
            assert_eq!(read.to_bytes(), key);
            assert_eq!((canonical, seq), (true, None));
            let Some(value) = value else { continue };
            kinds.insert(match read {
                Key::Schema { .. } => {
                    round_trip::<SchemaValue>(value);
                    "SCHEMA"
                }
                Key::Config { .. } => {
                    round_trip::<Settings>(value);
                    "CONFIG"
                }
                Key::Mode { .. } => {
                    round_trip::<ModeValue>(value);
                    "MODE"
                }
                Key::Noop { .. } => {
                    round_trip::<OwnValue>(value);
                    "NOOP"
                }
                Key::DeleteSubject { .. } => {
                    round_trip::<SubjectValue>(value);
                    "DELETE_SUBJECT"
                }
                Key::ClearSubject { .. } => {
                    round_trip::<SubjectValue>(value);
                    "CLEAR_SUBJECT"
                }
                Key::Context { .. } => {
                    round_trip::<ContextValue>(value);
                    "CONTEXT"
                }
            });
        }
    }
    assert_eq!(kinds.len(), 7, "{kinds:?}");
}

#[test]
fn confluents_log_is_understood() {
    let (rows, outcomes) = folded("confluent");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(
        versions(&rows),
        [
            ":.ctx:b-value 3 6",
            ":.ctx:t 2 7",
            "s/ö \"x\" 2147483647 2147483646",
            "t-value 1 1 deleted",
        ]
    );
    let state = State::new(&rows);
    assert_eq!(state.contexts().unwrap(), [".", ".ctx"]);
    assert_eq!(state.greatest_id(".").unwrap(), 2_147_483_646);
    let b = (Subject::new(":.ctx:b-value"), 3);
    let referrers: Vec<_> = state.referrers(&b).map(Result::unwrap).collect();
    assert_eq!(referrers, [(Subject::new(":.ctx:t"), 2)]);
    assert_eq!(state.resolve("u").unwrap(), Subject::new("t"));
    assert_eq!(state.own_settings(Some(&Subject::new("t"))).unwrap(), None);
    assert_eq!(state.foreign().unwrap().newest, 23);
    assert_eq!(state.writer().unwrap(), None);
    // Full of what we only keep.
    let version = state.version(&Subject::new(":.ctx:t"), 2).unwrap().unwrap();
    assert!(version.content.rule_set.is_some());
    let extra = version.extra.unwrap();
    assert_eq!((extra.offset, extra.ts), (Some(9), Some(1_385_409_600_000)));
}

#[test]
fn our_own_records_say_who_writes_and_up_to_which_id() {
    let (rows, outcomes) = folded("own");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let state = State::new(&rows);
    assert_eq!(state.greatest_id(".").unwrap(), 8);
    assert_eq!(state.greatest_id(".ctx").unwrap(), 2);
    assert_eq!(state.contexts().unwrap(), ["."]);
    let foreign = state.foreign().unwrap();
    assert_eq!((foreign.newest, foreign.after_own), (6, 1));
    // The newest record of ours has no writer.
    let writer = state.writer().unwrap().unwrap();
    assert_eq!((writer.url, writer.offset), (None, 7));
    let bytes = read("own");
    let all: Vec<_> = records(&bytes).collect();
    let empty = MemoryRows::default();
    let mut state = State::new(&empty);
    for record in &all[..7] {
        state.apply(record).unwrap().unwrap();
    }
    let writer = state.writer().unwrap().unwrap();
    assert_eq!(writer.url.as_deref(), Some("https://registry-1:8081"));
    assert_eq!(writer.instance.as_deref(), Some("registry-1"));
    assert_eq!(writer.offset, 3);
}

#[test]
fn karapaces_log_is_understood_and_its_forms_are_remembered() {
    let (rows, outcomes) = folded("karapace");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(versions(&rows), ["kara 1 1 deleted"]);
    let state = State::new(&rows);
    assert_eq!(
        state
            .settings_in(None)
            .unwrap()
            .compatibility_level
            .as_deref(),
        Some("NONE")
    );
    let forms = |key: Key| -> Vec<String> {
        let forms = state.other_forms(&key).unwrap();
        forms
            .into_iter()
            .map(|form| String::from_utf8(form).unwrap())
            .collect()
    };
    assert_eq!(
        forms(Key::Config { subject: None }),
        [
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            r#"{"subject":null,"magic":0,"keytype":"CONFIG"}"#,
        ]
    );
    let kara = |version| Key::Schema {
        subject: "kara".to_owned(),
        version,
    };
    assert_eq!(
        forms(kara(1)),
        [r#"{"subject":"kara","version":1,"magic":1,"keytype":"SCHEMA"}"#]
    );
    // Deleted under this form, so that none of it lives.
    assert!(forms(kara(2)).is_empty());
}

#[test]
fn redpandas_lost_races_have_no_effect() {
    let (rows, outcomes) = folded("redpanda");
    assert_eq!(
        outcomes,
        [Ok(()), Err(Oddity::LostRace), Ok(()), Ok(()), Ok(())]
    );
    // The tombstone is of a form, and of the version with it.
    assert_eq!(versions(&rows), Vec::<String>::new());
}

#[test]
fn each_oddity_is_told_apart_and_harmless() {
    use Oddity::{IdTaken, NullKey, OutOfRange, UnknownKeyType, UnreadableKey, UnreadableValue};
    let (rows, outcomes) = folded("oddities");
    let expected = [
        Ok(()),
        Ok(()),
        Err(IdTaken),
        Ok(()),
        Err(NullKey),
        Err(UnreadableKey),
        Err(UnreadableKey),
        Err(UnreadableKey),
        Err(UnreadableValue),
        Err(OutOfRange),
        Err(OutOfRange),
        Err(OutOfRange),
        Err(UnknownKeyType),
        Ok(()),
        Ok(()),
        Err(UnreadableValue),
        Ok(()),
        Ok(()),
        Ok(()),
        Ok(()),
        Ok(()),
        Ok(()),
        Ok(()),
        Ok(()),
        Ok(()),
        Err(UnreadableValue),
        Ok(()),
        Ok(()),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(
        versions(&rows),
        [
            ":.:x 1 1",
            "a\0b 1 11",
            "first 1 4",
            "nulls 1 7",
            "odd 1 5",
            "old 1 3",
            "rich 1 4",
            "selfish 1 10",
            "text 1 6",
            "twice 1 8",
        ]
    );
    let state = State::new(&rows);
    // One id, one text; what else makes the content may differ in the log of others.
    let rich = state.version(&Subject::new("rich"), 1).unwrap().unwrap();
    let first = state.id(".", 4).unwrap().unwrap();
    assert_eq!(rich.content.text, first.content.text);
    assert_ne!(rich.content.guid, first.content.guid);
    let twice = state.version(&Subject::new("twice"), 1).unwrap().unwrap();
    assert_eq!(&*twice.content.text, "\"boolean\"");
    assert_eq!(state.greatest_id(".").unwrap(), 11);
}

#[test]
fn encrypted_metadata_is_known_by_its_digest() {
    let (rows, outcomes) = folded("encrypted");
    assert_eq!(outcomes, [Ok(()), Ok(()), Ok(())]);
    let state = State::new(&rows);
    let guid = "045b6a40-ea86-9d3d-975b-61762a8d3646";
    let secret = state.version(&Subject::new("secret"), 1).unwrap().unwrap();
    assert_eq!(secret.content.guid.to_string(), guid);
    assert_eq!(
        secret.extra.unwrap().md5.as_deref(),
        Some("BFtqQOqGnT2XW2F2Ko02Rg==")
    );
    // Encrypted anew each time: the digest says that they are one.
    let entry = state.id(".", 1).unwrap().unwrap();
    assert_eq!((entry.live, entry.deleted), (2, 0));
    let plain = state.version(&Subject::new("plain"), 1).unwrap().unwrap();
    assert_ne!(plain.content.guid.to_string(), guid);
}

#[test]
fn places_and_ids_that_change_hands_are_kept_straight() {
    let (rows, outcomes) = folded("places");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(versions(&rows), ["a 1 3", "a 2 2"]);
    let state = State::new(&rows);
    assert!(state.id(".", 1).unwrap().is_none());
    assert!(state.id(".", 4).unwrap().is_none());
    // Id 1 has meant two things by now, and is not given to the first of them again.
    let former = |text: &str| {
        let content = crate::content::Content::new("AVRO", text, Vec::new(), None, None);
        state.former_id_of(".", &content).unwrap()
    };
    assert_eq!(former("\"a\""), None);
    assert_eq!(former("\"d\""), Some(4));
}
