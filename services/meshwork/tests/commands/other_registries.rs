//! Registries that answer otherwise than ours: no paging, no listing of schemas, and whatever else
//! older and other ones do.

use crate::harness::{Files, Other, meshwork, not_found};

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_paging_and_without_a_list_of_schemas_is_listed() {
    let other = Other::start(|line| match line {
        "GET /subjects" => {
            let names: Vec<String> = (0..1_500).map(|at| format!("s{at:04}")).collect();
            (200, serde_json::to_string(&names).unwrap())
        }
        "GET /config" => (200, r#"{"compatibilityLevel":"FORWARD"}"#.to_owned()),
        line if line.ends_with("/versions/latest") => {
            let subject = line.split('/').nth(2).unwrap();
            let answer =
                format!(r#"{{"subject":"{subject}","version":3,"id":7,"schema":"\"int\""}}"#);
            (200, answer)
        }
        _ => not_found(),
    })
    .await;
    let args = [
        "schema",
        "list",
        "s",
        "-o",
        "json",
        "--offset",
        "1400",
        "--limit",
        "70",
        "--registry-url",
        &other.url,
    ];
    let listed = meshwork(&args).await.json(0);
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 70);
    assert_eq!(listed[0]["subject"], "s1400");
    assert_eq!(listed[0]["compatibilityLevel"], "FORWARD");
    assert_eq!(listed[69]["version"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_its_own_and_credentials() {
    let other = Other::start(|line| match line {
        "POST /compatibility/subjects/s/versions/latest" => (
            200,
            r#"{"is_compatible":false,"messages":["reader type: int is unlike string"]}"#
                .to_owned(),
        ),
        "GET /config" => (200, r#"{"compatibilityLevel":"FULL"}"#.to_owned()),
        _ => not_found(),
    })
    .await;
    let files = Files::new();
    let file = files.write("s.avsc", "\"int\"");
    let args = [
        "schema",
        "check",
        &file,
        "--subject",
        "s",
        "--registry-url",
        &other.url,
        "--registry-user",
        "ann",
        "--registry-password",
        "pw",
    ];
    let out = meshwork(&args).await.with(1);
    assert!(out.starts_with("s: incompatible under FULL\n"), "{out}");
    assert!(out.contains("reader type: int is unlike string"), "{out}");
    let asked = other.asked.lock().unwrap();
    assert!(
        asked.iter().all(|line| line.ends_with(" Basic YW5uOnB3")),
        "{asked:?}"
    );
}
