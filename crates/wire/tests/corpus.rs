//! What fuzzing started from and found, replayed. See `fuzz/`.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;

use meshwork_wire::fuzzing;

fn replay(target: &str, body: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut count = 0;
    for entry in fs::read_dir(corpus.join(target)).unwrap() {
        body(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus");
}

#[test]
fn record_batch() {
    replay("record_batch", fuzzing::batch);
}

#[test]
fn produce() {
    replay("produce", fuzzing::produce);
}

#[test]
fn protocol() {
    replay("protocol", fuzzing::protocol);
}
