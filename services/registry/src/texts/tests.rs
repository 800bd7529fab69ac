use serde_json::json;

use super::*;
use crate::state::{LogRecord, MemoryRows};

/// Subjects that each have one version, with references to others.
#[derive(Default)]
struct Stored {
    rows: MemoryRows,
    count: i64,
}

impl Stored {
    fn add(&mut self, subject: &str, text: &str, references: &[String]) {
        self.count += 1;
        let references: Vec<_> = references
            .iter()
            .map(|name| json!({"name": name, "subject": name, "version": 1}))
            .collect();
        let key = json!({"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1});
        let value = json!({
            "subject": subject, "version": 1, "id": self.count, "references": references,
            "schema": text, "deleted": false,
        });
        let mut state = State::new(&self.rows);
        let applied = state.apply(&LogRecord {
            offset: self.count,
            timestamp: self.count,
            key: Some(key.to_string().as_bytes()),
            value: Some(value.to_string().as_bytes()),
            own: true,
        });
        assert_eq!(applied.unwrap(), Ok(()));
        let changes = state.into_changes();
        self.rows.commit(changes);
    }

    fn read(&self, texts: &Texts, subject: &str) -> Result<Arc<Schema>, Refusal> {
        let (state, subject) = (State::new(&self.rows), Subject::new(subject));
        let version = state.version_row(&subject, 1).unwrap().unwrap();
        texts.stored(&state, &subject, &version)
    }
}

/// Much memory of little text.
fn large(name: &str, numbers: usize) -> String {
    let numbers = "1,".repeat(numbers);
    format!(r#"{{"type":"fixed","name":"{name}","size":1,"note":[{numbers}1]}}"#)
}

fn small(name: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[]}}"#)
}

#[test]
fn a_graph_weighs_what_it_keeps_of_others() {
    let mut stored = Stored::default();
    stored.add("Large", &large("Large", 10_000), &[]);
    let users: Vec<String> = (0..10).map(|n| format!("User{n}")).collect();
    for user in &users {
        stored.add(user, &small(user), &["Large".to_owned()]);
    }
    let texts = Texts::default();
    let bytes = stored.read(&texts, "Large").unwrap().memory_bytes() as u64;
    for user in &users {
        assert!((stored.read(&texts, user).unwrap().memory_bytes() as u64) < bytes / 10);
    }
    assert_eq!(texts.parsed.len(), 11);
    assert!(texts.parsed.weight() >= 11 * bytes);
}

#[test]
fn what_is_too_large_to_be_kept_is_read_once_for_each_who_asks() {
    let mut stored = Stored::default();
    // Above what there is room for, so that all above it is too.
    stored.add("A0", &large("A0", 520_000), &[]);
    stored.add("B0", &small("B0"), &[]);
    for level in 1..40 {
        let below = [format!("A{}", level - 1), format!("B{}", level - 1)];
        for name in [format!("A{level}"), format!("B{level}")] {
            stored.add(&name, &small(&name), &below);
        }
    }
    let texts = Texts::default();
    // By one of 2^40 ways.
    assert!(stored.read(&texts, "A39").is_ok());
    assert_eq!(texts.parsed.len(), 1);
}

#[test]
fn references_that_are_too_large_together_are_refused() {
    let mut stored = Stored::default();
    let names: Vec<String> = (0..10).map(|n| format!("L{n}")).collect();
    for name in &names {
        stored.add(name, &large(name, 300_000), &[]);
    }
    stored.add("Few", &small("Few"), &names[..4]);
    stored.add("Many", &small("Many"), &names);
    let texts = Texts::default();
    assert!(stored.read(&texts, "Few").is_ok());
    let refusal = stored.read(&texts, "Many").unwrap_err();
    assert!(refusal.to_string().contains("64 MiB"), "{refusal}");
    // Through another they are as large.
    stored.add("Users", &small("Users"), &["Few".to_owned()]);
    assert!(stored.read(&texts, "Users").is_ok());
    stored.add("More", &small("More"), &names[4..8]);
    let both = ["Few".to_owned(), "More".to_owned()];
    stored.add("Both", &small("Both"), &both);
    assert!(stored.read(&texts, "Both").is_err());
}
