//! Verdicts and texts against those of Avro Java 1.12 and a Confluent Schema Registry, case by
//! case from `tests/conformance/data`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::path::Path;

use meshwork_avro::compatibility::incompatibilities;
use meshwork_avro::{ParseOptions, Schema, Strictness, guid};
use serde_json::Value;

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/data")
        .join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Collects what disagrees, so that one run shows all of it.
fn agree(cases: &[Value], check: impl Fn(&Value) -> Result<(), String>) {
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|why| format!("{why}\n  in {case}")))
        .collect();
    let shown = failures
        .iter()
        .take(10)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        failures.is_empty(),
        "{} of {} disagree\n{shown}",
        failures.len(),
        cases.len()
    );
}

#[test]
fn parsing_agrees_with_java() {
    agree(&cases("avro-compat/parse.jsonl"), |case| {
        let result = Schema::parse(&case["schema"].to_string());
        if result.is_ok() == case["parses"].as_bool().unwrap() {
            Ok(())
        } else {
            Err(format!("{:?}", result.map(|schema| schema.to_text())))
        }
    });
}

fn pairs(file: &str) {
    agree(&cases(file), |case| {
        let parse = |key: &str| {
            let options = ParseOptions {
                strictness: Strictness::Stored,
                ..ParseOptions::default()
            };
            Schema::parse_with(&case[key].to_string(), &options)
                .map_err(|error| format!("{key}: {error}"))
        };
        let found: Vec<Value> = incompatibilities(&parse("reader")?, &parse("writer")?)
            .into_iter()
            .map(|one| {
                serde_json::json!({"type": one.kind.as_str(), "path": one.path, "message": one.message})
            })
            .collect();
        let expected = case["incompatibilities"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if found == expected && found.is_empty() == case["compatible"].as_bool().unwrap() {
            Ok(())
        } else {
            Err(format!("found {}", Value::from(found)))
        }
    });
}

#[test]
fn compatibility_agrees_with_java() {
    pairs("avro-compat/pairs.jsonl");
}

#[test]
fn compatibility_of_random_pairs_agrees_with_java() {
    pairs("avro-compat/random-pairs.jsonl");
}

#[test]
fn texts_and_guids_agree_with_confluent() {
    agree(&cases("avro-normal-form/normal-form.jsonl"), |case| {
        let text = |key: &str| case[key].as_str().unwrap();
        let options = ParseOptions {
            strictness: Strictness::Stored,
            ..ParseOptions::default()
        };
        let schema =
            Schema::parse_with(text("schema"), &options).map_err(|error| error.to_string())?;
        let (stored, normal) = (schema.to_text(), schema.normal_form());
        for (found, key) in [
            (stored.clone(), "stored"),
            (normal.clone(), "normalized"),
            (guid(&stored, &[], None, None).to_string(), "guid"),
            (guid(&normal, &[], None, None).to_string(), "guidNormalized"),
        ] {
            if found != text(key) {
                return Err(format!("{key}: {found}"));
            }
        }
        Ok(())
    });
}
