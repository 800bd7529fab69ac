//! Messages as a Confluent Schema Registry gives them, levels, and bounds.

use super::*;
use crate::Schema;

fn schema(text: &str) -> Schema {
    Schema::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn record(fields: &str) -> Schema {
    schema(&format!(
        r#"{{"type":"record","name":"R","fields":[{fields}]}}"#
    ))
}

const A: &str = r#"{"name":"a","type":"int"}"#;
const A_LONG: &str = r#"{"name":"a","type":"long"}"#;
const B: &str = r#"{"name":"b","type":"int"}"#;

#[test]
fn messages_are_confluents() {
    let old = record(A);
    let new = record(&format!("{A},{B}"));
    let existing = [Existing {
        version: Some(3),
        schema: &old,
    }];
    let verdict = check(CompatibilityLevel::Backward, &new, &existing);
    assert!(!verdict.is_compatible());
    assert_eq!(verdict.version, Some(3));
    assert_eq!(
        verdict.messages(false),
        [
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}",
            "{oldSchemaVersion: 3}",
            r#"{oldSchema: '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}'}"#,
            "{validateFields: 'false', compatibility: 'BACKWARD'}",
        ]
    );
    // The other way it is the old schema that reads, and under FULL such failures stand alone.
    let dropped = record(B);
    let verdict = check(
        CompatibilityLevel::Full,
        &dropped,
        &[Existing {
            version: None,
            schema: &record(&format!("{A},{B}")),
        }],
    );
    assert_eq!(
        verdict.messages(true),
        [
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' at path '/fields/0' in the old schema has no default value and is missing in the new schema', additionalInfo:'a'}",
            "{validateFields: 'true', compatibility: 'FULL'}",
        ]
    );
}

#[test]
fn every_kind_has_confluents_words() {
    let entry = |reader: &str, writer: &str| {
        let found = incompatibilities(&schema(reader), &schema(writer));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].entry("new", "old")
    };
    let fixed =
        |name: &str, size: u32| format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#);
    for (reader, writer, words) in [
        (
            fixed("F", 4),
            fixed("F", 8),
            "{errorType:'FIXED_SIZE_MISMATCH', description:'The size of FIXED type field at path '/size' in the new schema does not match with the old schema', additionalInfo:'expected: 8, found: 4'}",
        ),
        (
            fixed("F", 4),
            fixed("n.G", 4),
            "{errorType:'NAME_MISMATCH', description:'The name of the schema has changed (path '/name')', additionalInfo:'expected: n.G'}",
        ),
        (
            "\"int\"".into(),
            "\"string\"".into(),
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: STRING'}",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["C"]}"#.into(),
            r#"{"type":"enum","name":"E","symbols":["B","C","A"]}"#.into(),
            "{errorType:'MISSING_ENUM_SYMBOLS', description:'The new schema is missing enum symbols '[A, B]' at path '/symbols' in the old schema', additionalInfo:'[A, B]'}",
        ),
        (
            r#"["null","int"]"#.into(),
            r#"["null","string"]"#.into(),
            "{errorType:'MISSING_UNION_BRANCH', description:'The new schema is missing a type inside a union field at path '/1' in the old schema', additionalInfo:'reader union lacking writer type: STRING'}",
        ),
    ] {
        assert_eq!(entry(&reader, &writer), words);
    }
}

#[test]
fn a_field_that_matches_two_is_an_error() {
    let reader = record(r#"{"name":"a","type":"int","aliases":["b"]}"#);
    let found = incompatibilities(&reader, &record(&format!("{A},{B}")));
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].entry("new", "old"),
        r#"Unexpected exception during compatibility check: Reader record field a type:INT pos:0 matches multiple fields in writer record schema {"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}"#
    );
}

#[test]
fn levels_say_who_reads_whom_and_how_far_back() {
    // long reads int, not the other way; the older version is the one that clashes.
    let (int, long, text) = (
        record(A),
        record(A_LONG),
        record(r#"{"name":"a","type":"string"}"#),
    );
    let on_int = [
        Existing {
            version: Some(2),
            schema: &int,
        },
        Existing {
            version: Some(1),
            schema: &text,
        },
    ];
    let on_long = [
        Existing {
            version: Some(2),
            schema: &long,
        },
        Existing {
            version: Some(1),
            schema: &text,
        },
    ];
    for (level, long_after_int, int_after_long) in [
        (CompatibilityLevel::None, None, None),
        (CompatibilityLevel::Backward, None, Some(2)),
        (CompatibilityLevel::BackwardTransitive, Some(1), Some(2)),
        (CompatibilityLevel::Forward, Some(2), None),
        (CompatibilityLevel::ForwardTransitive, Some(2), Some(1)),
        (CompatibilityLevel::Full, Some(2), Some(2)),
        (CompatibilityLevel::FullTransitive, Some(2), Some(2)),
    ] {
        assert_eq!(
            check(level, &long, &on_int).version,
            long_after_int,
            "{level}"
        );
        assert_eq!(
            check(level, &int, &on_long).version,
            int_after_long,
            "{level}"
        );
        assert_eq!(level.to_string().to_lowercase().parse(), Ok(level));
        assert!(check(level, &int, &[]).is_compatible());
    }
    assert!("SOMETIMES".parse::<CompatibilityLevel>().is_err());
    let both = check(CompatibilityLevel::Full, &text, &on_int);
    assert_eq!(
        both.findings
            .iter()
            .map(|finding| finding.new_reads)
            .collect::<Vec<_>>(),
        [false, true]
    );
}

#[test]
fn long_old_schemas_are_cut() {
    let doc = "😀".repeat(6_000);
    let old = schema(&format!(
        r#"{{"type":"record","name":"R","doc":"{doc}","fields":[{A}]}}"#
    ));
    let verdict = check(
        CompatibilityLevel::Backward,
        &schema("\"int\""),
        &[Existing {
            version: Some(1),
            schema: &old,
        }],
    );
    let messages = verdict.messages(false);
    let line = &messages[2];
    assert!(
        line.starts_with("{oldSchema: <truncated> '{\"type\":\"record\"")
            && line.ends_with("...'}")
    );
    let shown = line
        .trim_start_matches("{oldSchema: <truncated> '")
        .trim_end_matches("...'}");
    assert!((10 * 1024 - 1..=10 * 1024).contains(&shown.encode_utf16().count()));
}

/// A ring of records, each with a field of the next one's type and another of `other`.
fn ring(length: usize, other: &str) -> Schema {
    let record = |at: usize| {
        let next = (at + 1) % length;
        format!(
            r#"{{"type":"record","name":"R","namespace":"n{at}","fields":[{{"name":"f","type":"n{next}.R"}},{{"name":"g","type":"{other}"}}]}}"#
        )
    };
    let records: Vec<String> = (0..length).map(record).collect();
    schema(&format!(
        r#"{{"type":"record","name":"Top","fields":[{{"name":"t","type":"n0.R"}},{{"name":"u","type":[{}]}}]}}"#,
        records.join(",")
    ))
}

#[test]
fn pairs_of_rings_are_compared_without_recursion() {
    // Every record of one ring meets every record of the other on one path, 97 × 89 pairs deep,
    // and each meeting has something to say, at the end of that path.
    let found = incompatibilities(&ring(97, "int"), &ring(89, "string"));
    let bytes: usize = found
        .iter()
        .map(|one| one.path.len() + one.message.len())
        .sum();
    assert!(
        found.len() > 100 && bytes < 32 << 20,
        "{} {bytes}",
        found.len()
    );
    assert!(incompatibilities(&ring(97, "long"), &ring(89, "int")).is_empty());
}

#[test]
fn unions_too_large_to_compare_say_so() {
    let fixed = |size: u32| {
        let types: Vec<String> = (0..1_000)
            .map(|at| format!(r#"{{"type":"fixed","name":"F{at}","size":{size}}}"#))
            .collect();
        schema(&format!("[{}]", types.join(",")))
    };
    let found = incompatibilities(&fixed(1), &fixed(2));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, IncompatibilityKind::NotComparable);
}

#[test]
fn repeated_incompatibilities_do_not_fill_the_memory() {
    // Two fields of each level's type: Java lists the innermost clash 2^30 times.
    let doubled = |innermost: &str| {
        let mut text = format!(
            r#"{{"type":"record","name":"R0","fields":[{{"name":"a","type":"{innermost}"}}]}}"#
        );
        for level in 1..=30 {
            text = format!(
                r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{text}}},{{"name":"b","type":"R{}"}}]}}"#,
                level - 1
            );
        }
        schema(&text)
    };
    let found = incompatibilities(&doubled("int"), &doubled("string"));
    assert_eq!(found.len(), 10_000);
    assert!(found.iter().all(|one| *one == found[0]));
}

#[test]
fn searches_through_a_long_record_are_counted() {
    // Every branch looks for eight fields that the writer does not have among 20,000.
    let fields = |names: std::ops::Range<usize>, of: &str| -> String {
        names
            .map(|at| format!(r#"{{"name":"{of}{at}","type":"int","default":0}}"#))
            .collect::<Vec<_>>()
            .join(",")
    };
    let written = schema(&format!(
        r#"{{"type":"record","name":"W","fields":[{}]}}"#,
        fields(0..20_000, "w")
    ));
    let missing = fields(0..8, "r");
    let reader = |branches: usize| {
        let records: Vec<String> = (0..branches)
            .map(|at| format!(r#"{{"type":"record","name":"R{at}","fields":[{missing}]}}"#))
            .collect();
        schema(&format!("[{}]", records.join(",")))
    };
    let found = incompatibilities(&reader(500), &written);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, IncompatibilityKind::NotComparable);
    // A few are compared as ever.
    let found = incompatibilities(&reader(10), &written);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, IncompatibilityKind::MissingUnionBranch);
}
