//! Stored text, normal form and GUID through HTTP, as a Confluent Schema Registry gave them.

use serde_json::{Value, json};

use crate::harness::Registry;

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_guids_are_confluents() {
    let registry = Registry::start().await;
    // Each case has a subject of its own.
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/conformance/data/avro-normal-form/normal-form.jsonl"
    );
    let cases = std::fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for (n, line) in cases.lines().enumerate().step_by(5) {
        let case: Value = serde_json::from_str(line).unwrap();
        let body = json!({ "schema": case["schema"] });
        for (subject, query, text, guid) in [
            (format!("stored{n}"), "", &case["stored"], &case["guid"]),
            (
                format!("normal{n}"),
                "?normalize=true",
                &case["normalized"],
                &case["guidNormalized"],
            ),
        ] {
            let path = format!("/subjects/{subject}/versions{query}");
            let answer = registry.ok("POST", &path, Some(body.clone())).await;
            assert_eq!(
                (&answer["schema"], &answer["guid"]),
                (text, guid),
                "case {n}"
            );
            let path = format!("/schemas/guids/{}", guid.as_str().unwrap());
            assert_eq!(&registry.ok("GET", &path, None).await["schema"], text);
            let path = format!("/subjects/{subject}{query}");
            let found = registry.ok("POST", &path, Some(body.clone())).await;
            assert_eq!(found["id"], answer["id"], "case {n}");
        }
        seen += 1;
    }
    assert!(seen >= 50, "{seen} cases");
    registry.stop().await;
}
