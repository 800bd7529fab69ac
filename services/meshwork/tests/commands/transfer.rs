//! `meshwork schema export` and `import`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use meshwork_testkit::wait_until;
use serde_json::{Value, json};

use crate::harness::{Files, Registry, ended, record, started};

/// Everything that a registry says of its versions, deleted ones included.
async fn contents(registry: &Registry) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let subjects = registry.ok("GET", "/subjects?deleted=true", None).await;
    for subject in subjects.as_array().unwrap() {
        let subject = subject.as_str().unwrap();
        let path = format!("/subjects/{subject}/versions");
        let numbers = registry
            .ok("GET", &format!("{path}?deleted=true"), None)
            .await;
        for number in numbers.as_array().unwrap() {
            let path = format!("{path}/{number}?deleted=true");
            let mut version = registry.ok("GET", &path, None).await;
            // When it was written is each registry's own.
            version.as_object_mut().unwrap().remove("ts");
            all.insert(format!("{subject}@{number}"), version);
        }
    }
    all
}

async fn mode(registry: &Registry) -> Value {
    registry.ok("GET", "/mode", None).await["mode"].clone()
}

/// A registry with some of everything.
async fn filled() -> Registry {
    let registry = Registry::start().await;
    let post = async |subject: &str, body: Value| {
        let path = format!("/subjects/{subject}/versions");
        registry.ok("POST", &path, Some(body)).await;
    };
    let address = record("a.Address", r#"{"name":"city","type":"string"}"#);
    let order = record("a.Order", r#"{"name":"to","type":"a.Address"}"#);
    // The referrer's name comes first in every order by name.
    post("z-address", json!({"schema": address})).await;
    let refers = json!([{"name": "a.Address", "subject": "z-address", "version": 1}]);
    post("a-order", json!({"schema": order, "references": refers})).await;
    post("plain", json!({"schema": "\"int\""})).await;
    registry
        .ok(
            "PUT",
            "/config/plain",
            Some(json!({"compatibility": "NONE"})),
        )
        .await;
    post(
        "plain",
        json!({"schema": "\"string\"", "metadata": {"properties": {"owner": "é"}}}),
    )
    .await;
    registry
        .ok("DELETE", "/subjects/plain/versions/1", None)
        .await;
    post("gone", json!({"schema": "\"bytes\""})).await;
    registry.ok("DELETE", "/subjects/gone", None).await;
    post(":.staging:plain", json!({"schema": "\"long\""})).await;
    // Kept as they are, and taken in IMPORT mode only.
    let mode = json!({"mode": "IMPORT"});
    registry
        .ok("PUT", "/mode/other-languages", Some(mode))
        .await;
    for (version, kind, text) in [
        (3, "JSON", r#"{"type": "object"}"#),
        (5, "PROTOBUF", "syntax = \"proto3\"; message M {}"),
    ] {
        let body =
            json!({"schema": text, "schemaType": kind, "id": 100 + version, "version": version});
        post("other-languages", body).await;
    }
    registry.ok("DELETE", "/mode/other-languages", None).await;
    registry
        .ok("PUT", "/config", Some(json!({"compatibility": "FULL"})))
        .await;
    registry
        .ok(
            "PUT",
            "/config/:.staging:",
            Some(json!({"compatibility": "FORWARD"})),
        )
        .await;
    registry
        .ok("PUT", "/mode/plain", Some(json!({"mode": "READONLY"})))
        .await;
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_the_same_and_made_again_changes_nothing() {
    let (source, target) = tokio::join!(filled(), Registry::start());
    let files = Files::new();
    let file = files.path("schemas.ndjson");
    let exported = source
        .meshwork(&["schema", "export", "--deleted", "--output", &file])
        .await;
    assert!(
        exported.out.is_empty() && exported.err.contains("8 versions"),
        "{exported:?}"
    );
    exported.with(0);
    let lines: Vec<Value> = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let at = |subject: &str| lines.iter().position(|l| l["subject"] == subject).unwrap();
    assert!(at("z-address") < at("a-order"), "references come first");

    let dry = target
        .meshwork(&["schema", "import", &file, "--dry-run", "-o", "json"])
        .await
        .json(0);
    assert_eq!(
        (&dry["registered"], &dry["unchanged"]),
        (&json!(8), &json!(0))
    );
    assert!(contents(&target).await.is_empty(), "nothing is changed");

    let import = ["schema", "import", &file, "-o", "json"];
    let done = target.meshwork(&import).await.json(0);
    assert_eq!(
        (&done["registered"], &done["deleted"]),
        (&json!(8), &json!(2)),
        "{done}"
    );
    assert_eq!(contents(&target).await, contents(&source).await);
    for path in [
        "/config",
        "/config/plain",
        "/config/:.staging:",
        "/mode",
        "/mode/plain",
    ] {
        assert_eq!(
            target.ok("GET", path, None).await,
            source.ok("GET", path, None).await,
            "{path}"
        );
    }
    for scope in ["/mode/:.staging:", "/mode/other-languages"] {
        assert_eq!(target.call("GET", scope, None).await.0, 404, "{scope}");
    }

    let again = target.meshwork(&import).await.json(0);
    assert_eq!(
        (&again["registered"], &again["unchanged"]),
        (&json!(0), &json!(8)),
        "{again}"
    );
    assert_eq!(
        (&again["configurations"], &again["modes"]),
        (&json!(0), &json!(0)),
        "{again}"
    );

    // And back: the copy exports as the original does.
    let back = target
        .meshwork(&["schema", "export", "--deleted"])
        .await
        .with(0);
    let body =
        |text: &str| -> Vec<String> { text.lines().skip(1).map(ToOwned::to_owned).collect() };
    assert_eq!(body(&back), body(&std::fs::read_to_string(&file).unwrap()));

    // Ids go on above all that were brought.
    let new = json!({"schema": "\"float\""});
    let registered = target.ok("POST", "/subjects/new/versions", Some(new)).await;
    assert_eq!(registered["id"], 106);
    source.kill().await;
    target.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_copied_with_what_it_refers_to_beside_what_is_there() {
    let (source, target) = tokio::join!(filled(), Registry::start());
    let body = json!({"schema": "\"boolean\""});
    // Ids 1 to 3 are taken here, so that those of the file must not be among them.
    let clash = target
        .ok("POST", "/subjects/mine/versions", Some(body))
        .await;
    assert_eq!(clash["id"], 1);
    let part = source
        .meshwork(&["schema", "export", "--subjects", "a-"])
        .await
        .with(0);
    let subjects: Vec<&str> = part
        .lines()
        .filter(|l| l.contains("\"kind\":\"version\""))
        .collect();
    assert_eq!(subjects.len(), 2, "{part}");
    assert!(
        !part.contains("\"scope\":null"),
        "a part brings no settings of the whole: {part}"
    );

    let ran = target
        .meshwork_with(&["schema", "import", "-"], &part)
        .await;
    for words in [
        "id 1 is z-address@1 in the file",
        "mine@1",
        "nothing was changed",
    ] {
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
    assert_eq!(ran.code, 1);
    assert_eq!(contents(&target).await.len(), 1);

    let other: String = part
        .replace("\"id\":1,", "\"id\":11,")
        .replace("\"id\":2,", "\"id\":12,");
    let done = target
        .meshwork_with(&["schema", "import", "-"], &other)
        .await
        .with(0);
    assert!(
        done.starts_with("2 versions: 2 registered, 0 unchanged"),
        "{done}"
    );
    assert_eq!(mode(&target).await, "READWRITE");
    for subject in ["a-order", "z-address"] {
        let path = format!("/mode/{subject}");
        assert_eq!(target.call("GET", &path, None).await.0, 404, "{subject}");
    }
    let all = contents(&target).await;
    assert_eq!(all["z-address@1"]["id"], 11);
    assert_eq!(all["mine@1"]["id"], 1);
    source.kill().await;
    target.kill().await;
}

/// Meshwork's own schemas do not take the ids that an import into an empty registry brings, and what
/// the import changed is told afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_registry_that_announces_takes_ids_from_1_on() {
    let target = Registry::announcing().await;
    let done = target
        .meshwork_with(&["schema", "import", "-", "-o", "json"], &export("s", 1, 5))
        .await
        .json(0);
    assert_eq!(done["registered"], 5);
    assert_eq!(mode(&target).await, "READWRITE");
    for id in 1..=5 {
        let answer = target
            .ok("GET", &format!("/schemas/ids/{id}/subjects"), None)
            .await;
        assert_eq!(answer, json!(["s"]), "{id}");
    }
    // Once the mode is another one, the registry tells of what was done.
    wait_until("the mesh's own schemas", || async {
        target
            .call("GET", "/subjects/mesh.audit-value/versions", None)
            .await
            .0
            == 200
    })
    .await;
    let own = target
        .ok("GET", "/subjects/mesh.audit-value/versions/1", None)
        .await;
    assert!(own["id"].as_i64().unwrap() > 5, "{own}");
    target.kill().await;
}

fn header() -> String {
    r#"{"kind":"header","format":1,"source":"http://r","at":"2026-01-01T00:00:00Z","deleted":false}"#.to_owned() + "\n"
}

/// An export of one subject with `count` versions, ids from `first` on.
fn export(subject: &str, first: usize, count: usize) -> String {
    let mut text = header();
    for at in 0..count {
        let schema = record("R", &format!(r#"{{"name":"f{at}","type":"int"}}"#));
        let line = json!({
            "kind": "version", "subject": subject, "version": at + 1, "id": first + at, "schema": schema,
        });
        writeln!(text, "{line}").unwrap();
    }
    let end = json!({"kind": "end", "versions": count, "configurations": 0, "modes": 0});
    writeln!(text, "{end}").unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contradiction_is_an_error_that_names_both_and_a_surplus_needs_force() {
    let target = Registry::start().await;
    let import = ["schema", "import", "-"];
    target
        .meshwork_with(&import, &export("s", 1, 2))
        .await
        .with(0);
    // The same version under another id, and with another text.
    let other_id = export("s", 7, 1);
    let ran = target.meshwork_with(&import, &other_id).await;
    assert!(
        ran.err
            .contains("s@1 has id 7 in the file and id 1 in the registry"),
        "{ran:?}"
    );
    assert_eq!(ran.code, 1);
    let other_text = export("s", 1, 1).replace("f0", "other");
    let ran = target.meshwork_with(&import, &other_text).await;
    assert!(
        ran.err.contains("s@1 with id 1 is another schema") && ran.code == 1,
        "{ran:?}"
    );
    // Version 9 is the file's alone; 1 and 2 are the registry's.
    let added = export("s", 30, 1).replace("\"version\":1", "\"version\":9");
    let ran = target.meshwork_with(&import, &added).await;
    assert!(
        ran.err.contains("s@1") && ran.err.contains("--force") && ran.code == 1,
        "{ran:?}"
    );
    let forced = ["schema", "import", "-", "--force"];
    target.meshwork_with(&forced, &added).await.with(0);
    assert_eq!(
        target.ok("GET", "/subjects/s/versions", None).await,
        json!([1, 2, 9])
    );
    let cut = export("t", 50, 3);
    let cut: String = cut.lines().take(3).map(|l| l.to_owned() + "\n").collect();
    let ran = target.meshwork_with(&import, &cut).await;
    assert!(ran.err.contains("cut short") && ran.code == 1, "{ran:?}");
    assert_eq!(
        target.call("GET", "/subjects/t/versions", None).await.0,
        404
    );
    target.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_are_restored_after_an_error() {
    let target = Registry::start().await;
    target
        .ok("PUT", "/mode", Some(json!({"mode": "READONLY"})))
        .await;
    // A subject that no registry takes.
    let line = json!({"kind": "version", "subject": "bad\u{7}", "version": 1, "id": 9, "schema": "\"int\""});
    let good = export("good", 1, 1);
    let (head, _) = good.rsplit_once("{").unwrap();
    let end = json!({"kind": "end", "versions": 2, "configurations": 0, "modes": 0});
    let bad = format!("{head}{line}\n{end}\n");
    let ran = target.meshwork_with(&["schema", "import", "-"], &bad).await;
    assert!(
        ran.err.contains("42208") && ran.err.contains("modes are as they were"),
        "{ran:?}"
    );
    assert_eq!(ran.code, 1);
    assert_eq!(mode(&target).await, "READONLY");
    target.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_restores_the_mode_and_goes_on_later() {
    let target = Registry::start().await;
    let files = Files::new();
    let count = 400;
    let file = files.write("many.ndjson", &export("many", 1, count));
    let args = ["schema", "import", &file, "--registry-url", &target.url];
    let child = started(&args);
    wait_until("some versions", || async {
        let (status, versions) = target.call("GET", "/subjects/many/versions", None).await;
        status == 200 && versions.as_array().is_some_and(|v| v.len() >= 3)
    })
    .await;
    assert_eq!(mode(&target).await, "IMPORT");
    let pid = child.id().unwrap().to_string();
    let signalled = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    assert!(signalled.success());
    let ran = ended(&args, child).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("interrupted") && ran.err.contains("run again"),
        "{ran:?}"
    );
    assert_eq!(mode(&target).await, "READWRITE");
    let there = target.ok("GET", "/subjects/many/versions", None).await;
    let there = there.as_array().unwrap().len();
    assert!(there < count, "it was interrupted");

    let done = target
        .meshwork(&["schema", "import", &file, "-o", "json"])
        .await
        .json(0);
    assert_eq!(done["unchanged"], there);
    assert_eq!(done["registered"], count - there);
    assert_eq!(contents(&target).await.len(), count);
    assert_eq!(mode(&target).await, "READWRITE");
    target.kill().await;
}
