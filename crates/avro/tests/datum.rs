//! The validator against the conformance cases, against what apache-avro writes
//! and against its own exact walk.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test may fail loudly"
)]

#[path = "support/generator.rs"]
mod generator;

use apache_avro::writer::datum::GenericDatumWriter;
use generator::Entropy;
use meshwork_avro::{Schema, Validator};
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    schema: serde_json::Value,
    hex: String,
    valid: bool,
    #[serde(default)]
    why: String,
}

/// Our words for the cases' words; `None` where theirs cover several of ours.
fn code_of(why: &str) -> Option<&'static str> {
    Some(match why {
        "truncated" => "truncated",
        "trailing bytes" => "trailing-bytes",
        "utf8" => "utf8",
        "union index" => "union-index",
        "enum index" => "enum-index",
        "boolean" => "boolean",
        "negative length" => "negative-length",
        "varint too long" => "varint-too-long",
        "varint out of range" => "varint-out-of-range",
        "block count" => "block-count",
        "block count beyond the datum" => "block-count-beyond",
        "block size beyond the datum" => "block-size-beyond",
        "block size mismatch" => "block-size-mismatch",
        "block size negative" => "block-size-negative",
        _ => return None,
    })
}

#[test]
fn agrees_with_the_conformance_cases() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/conformance/data/avro-datum/datums.jsonl"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut other_words = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let schema = Schema::parse(&case.schema.to_string()).unwrap();
        let validator = Validator::compile(&schema, None).unwrap();
        let datum = hex::decode(&case.hex).unwrap();
        let verdict = validator.validate(&datum);
        assert_eq!(
            verdict.is_ok(),
            case.valid,
            "{}: {verdict:?}, {}",
            case.name,
            case.why
        );
        assert_eq!(verdict, validator.explain(&datum), "{}", case.name);
        if let Err(fault) = verdict {
            assert!(fault.offset <= datum.len(), "{}: {fault:?}", case.name);
            let code = fault.reason.code();
            // We look ahead where they read on: at least sizes of items, at indices as `int`.
            let ahead = code == "block-count-beyond" || code.starts_with("varint");
            if code_of(&case.why) != Some(code) && !ahead {
                other_words.push(format!("{}: {} here, {} there", case.name, fault, case.why));
            }
        }
        count += 1;
    }
    assert_eq!(count, 3_000);
    assert!(
        other_words.is_empty(),
        "{} differ in words: {other_words:#?}",
        other_words.len()
    );
}

/// A schema in both libraries and a datum that apache-avro wrote, where it can.
fn written(bytes: &[u8]) -> Option<(Schema, Vec<u8>)> {
    let mut entropy = Entropy::new(bytes);
    let text = generator::schema(&mut entropy).to_string();
    let schema = Schema::parse(&text).expect(&text);
    let theirs = apache_avro::Schema::parse_str(&text).ok()?;
    let value = generator::value(&mut entropy, &schema, schema.root(), 0)?;
    let writer = GenericDatumWriter::builder(&theirs).build().ok()?;
    let datum = writer.write_value_to_vec(value).ok()?;
    Some((schema, datum))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn accepts_what_apache_avro_writes_and_nothing_shorter_or_longer(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let Some((schema, datum)) = written(&bytes) else { return Ok(()) };
        let validator = Validator::compile(&schema, None).unwrap();
        prop_assert_eq!(validator.validate(&datum).map(|_| ()), Ok(()));
        prop_assert_eq!(validator.explain(&datum).map(|_| ()), Ok(()));
        for length in 0..datum.len() {
            prop_assert!(validator.validate(&datum[..length]).is_err(), "prefix of {length}");
        }
        let mut longer = datum;
        longer.push(0);
        for byte in 0..=u8::MAX {
            *longer.last_mut().unwrap() = byte;
            let fault = validator.validate(&longer).unwrap_err();
            prop_assert_eq!(fault.reason.code(), "trailing-bytes");
            prop_assert_eq!(fault.offset, longer.len() - 1);
        }
    }

    #[test]
    fn quick_and_exact_walk_agree_on_mutations(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        edits in proptest::collection::vec((0_u8..4, any::<u16>(), any::<u8>()), 1..4),
    ) {
        let Some((schema, mut datum)) = written(&bytes) else { return Ok(()) };
        let validator = Validator::compile(&schema, None).unwrap();
        for (kind, at, byte) in edits {
            let at = usize::from(at) % (datum.len() + 1);
            match kind {
                0 => datum.insert(at, byte),
                1 => datum.truncate(at),
                _ if at == datum.len() => {}
                2 => datum[at] = byte,
                _ => {
                    datum.remove(at);
                }
            }
        }
        prop_assert_eq!(validator.validate(&datum), validator.explain(&datum));
    }

    #[test]
    fn arbitrary_bytes_under_arbitrary_schemas(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        datum in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let text = generator::schema(&mut Entropy::new(&bytes)).to_string();
        let schema = Schema::parse(&text).unwrap();
        let validator = Validator::compile(&schema, None).unwrap();
        prop_assert_eq!(validator.validate(&datum), validator.explain(&datum));
    }
}
