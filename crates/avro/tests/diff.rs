//! What `diff` says of random schemas and of changes made to them.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a test may fail loudly"
)]

#[path = "support/generator.rs"]
mod generator;

use generator::Entropy;
use meshwork_avro::Schema;
use meshwork_avro::diff::{ChangeKind, diff, fields, in_words};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// The objects of a schema's text, in order.
fn objects<'j>(json: &'j mut Json, found: &mut Vec<&'j mut serde_json::Map<String, Json>>) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| objects(item, found)),
        Json::Object(object) => found.push(object),
        _ => {}
    }
}

fn holds_objects(json: &Json) -> bool {
    json.is_object()
        || json
            .as_array()
            .is_some_and(|a| a.iter().any(Json::is_object))
}

/// Changes one thing somewhere in the text.
fn change(json: &mut Json, entropy: &mut Entropy<'_>, left: usize) {
    let mut found = Vec::new();
    objects(json, &mut found);
    if found.is_empty() {
        *json = json!("bytes");
        return;
    }
    let object = found.remove(entropy.below(found.len()));
    // Further in, most of the time.
    let inner = ["type", "items", "values", "fields"]
        .into_iter()
        .filter(|key| object.get(*key).is_some_and(holds_objects))
        .collect::<Vec<_>>();
    if left > 0 && !inner.is_empty() && entropy.below(4) != 0 {
        let key = inner[entropy.below(inner.len())];
        return change(object.get_mut(key).unwrap(), entropy, left - 1);
    }
    match entropy.below(7) {
        0 => {
            object.insert("doc".to_owned(), json!("new words"));
        }
        1 => {
            object.insert("note".to_owned(), json!(entropy.byte()));
        }
        2 if object.contains_key("fields") => {
            let fields = object["fields"].as_array_mut().expect("an array");
            fields.push(json!({"name": "added", "type": "int"}));
        }
        3 if object.contains_key("symbols") => {
            object["symbols"]
                .as_array_mut()
                .unwrap()
                .push(json!("MORE"));
        }
        4 if object.contains_key("size") => {
            object.insert("size".to_owned(), json!(77));
        }
        5 if object.contains_key("fields") => {
            let fields = object["fields"].as_array_mut().expect("an array");
            fields.pop();
        }
        _ if object.contains_key("name") => {
            object.insert("aliases".to_owned(), json!(["Former"]));
        }
        _ => {
            object.insert("other".to_owned(), json!("x"));
        }
    }
}

proptest! {
    #[test]
    fn equal_schemas_do_not_differ(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = generator::schema(&mut Entropy::new(&bytes)).to_string();
        let schema = Schema::parse(&text).unwrap();
        let again = Schema::parse(&schema.to_text()).unwrap();
        prop_assert_eq!(diff(&schema, &schema).changes, vec![]);
        prop_assert_eq!(diff(&schema, &again).changes, vec![]);
    }

    #[test]
    fn schemas_of_different_text_differ(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        changes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let old = generator::schema(&mut Entropy::new(&bytes));
        let mut new = old.clone();
        let mut entropy = Entropy::new(&changes);
        for _ in 0..=entropy.below(3) {
            change(&mut new, &mut entropy, 8);
        }
        // A field that went may have held a definition that is used later.
        let (Ok(old), Ok(new)) = (Schema::parse(&old.to_string()), Schema::parse(&new.to_string()))
        else {
            return Ok(());
        };
        let found = diff(&old, &new);
        prop_assert!(found.complete);
        prop_assert_eq!(
            found.changes.is_empty(),
            old.normal_form() == new.normal_form(),
            "{} {} {:?}", old.to_text(), new.to_text(), found
        );
        // What was added stands among the fields of the new schema, under the same name.
        let all: Vec<String> = fields(&new).into_iter().map(|(place, _)| place).collect();
        for change in found.changes.iter().filter(|c| c.kind == ChangeKind::FieldAdded) {
            prop_assert!(all.contains(&change.place), "{} {:?}", change.place, all);
        }
        let back = diff(&new, &old);
        prop_assert_eq!(found.changes.is_empty(), back.changes.is_empty());
        let of = |diff: &meshwork_avro::diff::Diff, kind| {
            diff.changes.iter().filter(|c| c.kind == kind).count()
        };
        prop_assert_eq!(
            of(&found, ChangeKind::FieldAdded),
            of(&back, ChangeKind::FieldRemoved),
            "{:?} {:?}", found, back
        );
    }

    #[test]
    fn any_two_schemas_can_be_compared(
        one in proptest::collection::vec(any::<u8>(), 0..300),
        other in proptest::collection::vec(any::<u8>(), 0..300),
        most in 0usize..400,
    ) {
        let parse = |bytes: &[u8]| {
            Schema::parse(&generator::schema(&mut Entropy::new(bytes)).to_string()).unwrap()
        };
        let (old, new) = (parse(&one), parse(&other));
        let found = diff(&old, &new);
        prop_assert_eq!(found.is_empty(), old.normal_form() == new.normal_form());
        prop_assert!(in_words(&found, most).chars().count() <= most);
        for change in &found.changes {
            prop_assert!(change.old.is_some() || change.new.is_some());
            prop_assert!(change.path.is_empty() || change.path.starts_with('/'));
            prop_assert!(!change.place.is_empty() && !change.place.contains('\n'));
        }
    }
}
