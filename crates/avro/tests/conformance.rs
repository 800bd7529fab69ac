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
use meshwork_avro::{ParseOptions, Schema, Strictness, check_stability, guid};
use proptest::prelude::*;
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

/// The texts of the schemas in a case.
fn schemas(file: &str, case: &Value) -> Vec<String> {
    ["reader", "writer", "schema"]
        .iter()
        .filter_map(|key| match &case[*key] {
            Value::Null => None,
            Value::String(text) if file.starts_with("avro-normal-form") => Some(text.clone()),
            schema => Some(schema.to_string()),
        })
        .collect()
}

#[test]
fn apache_avro_reads_the_interchange_text() {
    for file in [
        "avro-compat/random-pairs.jsonl",
        "avro-compat/pairs.jsonl",
        "avro-normal-form/normal-form.jsonl",
        "avro-datum/datums.jsonl",
    ] {
        agree(&cases(file), |case| {
            for text in schemas(file, case) {
                let options = ParseOptions {
                    strictness: Strictness::Stored,
                    ..ParseOptions::default()
                };
                let schema = Schema::parse_with(&text, &options).map_err(|e| e.to_string())?;
                let text = schema.interchange_text();
                apache_avro::Schema::parse_str(&text).map_err(|e| format!("{text}: {e}"))?;
            }
            Ok(())
        });
    }
}

#[test]
fn texts_of_all_cases_are_stable() {
    for file in [
        "avro-compat/random-pairs.jsonl",
        "avro-normal-form/normal-form.jsonl",
    ] {
        agree(&cases(file), |case| {
            schemas(file, case)
                .iter()
                .try_for_each(|text| check_stability(text))
        });
    }
}

/// A schema text with one piece put in, taken out or copied to another place.
fn mutated() -> impl Strategy<Value = String> {
    let texts: Vec<String> = cases("avro-normal-form/normal-form.jsonl")
        .iter()
        .map(|case| case["schema"].as_str().unwrap().to_owned())
        .collect();
    let pieces = vec![
        "",
        "",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "\"R0\"",
        "\"N1\"",
        "{}",
        "[]",
        "1e999",
        "\\u0000",
        "\\ud800",
        "é",
        "/*",
        "//",
        "\"type\":\"error\",",
        "\"default\":{},",
        "-0",
        "99999999999999999999",
        "\"aliases\":[\".a\",\"b.c\"],",
        "\"namespace\":\"\",",
    ];
    (
        proptest::sample::select(texts),
        proptest::sample::select(pieces),
        any::<[proptest::sample::Index; 3]>(),
    )
        .prop_map(|(text, piece, at)| {
            let cut = |at: usize| text.floor_char_boundary(at);
            let mut at = at.map(|at| cut(at.index(text.len() + 1)));
            at.sort_unstable();
            let [from, to, end] = at;
            let copied = if piece.is_empty() {
                &text[to..end]
            } else {
                piece
            };
            let rest = cut(to.min(from + 20)).max(from);
            format!("{}{copied}{}", &text[..from], &text[rest..])
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in mutated()) {
        check_stability(&text).unwrap();
    }

    #[test]
    fn no_junk_panics(text in "[\\[\\]{}\":,a-z0-9./*\\\\ -]{0,60}") {
        check_stability(&text).unwrap();
    }
}
