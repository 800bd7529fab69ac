//! The mesh's own schemas read all that their earlier versions wrote: those are kept for ever in
//! `schemas/mesh/frozen`, as `<name>.<version>.avsc`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may fail loudly"
)]

use std::path::Path;

use meshwork_avro::Schema;
use meshwork_avro::compatibility::incompatibilities;

#[test]
fn what_earlier_versions_wrote_is_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/mesh");
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).expect("a schema's file");
        Schema::parse(&text).expect("a schema")
    };
    let mut checked = 0;
    for entry in std::fs::read_dir(dir.join("frozen")).expect("the frozen schemas") {
        let frozen = entry.unwrap().path();
        let name = frozen.file_name().unwrap().to_str().unwrap();
        let (name, _) = name.split_once('.').expect("<name>.<version>.avsc");
        let now = read(&dir.join(format!("{name}.avsc")));
        let found = incompatibilities(&now, &read(&frozen));
        assert!(found.is_empty(), "{}: {found:?}", frozen.display());
        checked += 1;
    }
    assert!(checked >= 2);
}
