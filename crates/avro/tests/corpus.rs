//! What fuzzing started from and found, replayed. See `fuzz/`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test may fail loudly"
)]

#[path = "support/apache.rs"]
mod apache;

use std::fs;

/// Every file of a target's corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!files.is_empty(), "no corpus of {target}");
    files
}

#[test]
fn avro_schema() {
    for data in corpus("avro_schema") {
        meshwork_avro::fuzzing::schema(&data);
    }
}

#[test]
fn avro_datum() {
    let mut valid = 0;
    for data in corpus("avro_datum") {
        if let Some((schema, datum)) = meshwork_avro::fuzzing::datum(&data) {
            apache::decodes(&schema, datum);
            valid += 1;
        }
    }
    assert!(valid > 20, "{valid} of the corpus are valid");
}
