//! What fuzzing started from and found, replayed. See `fuzz/`.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fs;

#[test]
fn record_batch() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/record_batch"
    );
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        meshwork_wire::fuzzing::batch(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus");
}
