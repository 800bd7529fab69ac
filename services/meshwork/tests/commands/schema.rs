//! `meshwork schema check|list|get|diff|register`.

use serde_json::{Value, json};

use crate::harness::{Files, Registry, meshwork, record};

const ID: &str = r#"{"name":"id","type":"string"}"#;

fn order(more: &str) -> String {
    record("com.acme.Order", &format!("{ID}{more}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_registered_once_and_refused_with_reasons() {
    let registry = Registry::start().await;
    let files = Files::new();
    let first = files.write("order.avsc", &order(""));
    let args = ["schema", "register", &first, "--subject", "orders-value"];
    let out = registry.meshwork(&args).await.with(0);
    let cells: Vec<&str> = out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells, ["orders-value", "1", "1", "registered"]);
    let again = registry
        .meshwork(&[&args[..], &["-o", "json"]].concat())
        .await
        .json(0);
    assert_eq!(again["outcome"], "unchanged");
    assert_eq!((&again["version"], &again["id"]), (&json!(1), &json!(1)));

    // No default: what was written before can't be read.
    let wrong = files.write("wrong.avsc", &order(r#",{"name":"note","type":"string"}"#));
    for more in [&[][..], &["--dry-run"]] {
        let args = ["schema", "register", &wrong, "--subject", "orders-value"];
        let ran = registry.meshwork(&[&args[..], more].concat()).await;
        assert!(ran.out.is_empty(), "{ran:?}");
        for part in [
            "READER_FIELD_MISSING_DEFAULT_VALUE",
            "/fields/1",
            "BACKWARD",
            "version 1",
        ] {
            assert!(ran.err.contains(part), "{part}: {ran:?}");
        }
        assert_eq!(ran.code, 1);
    }
    let right = files.write(
        "right.avsc",
        &order(r#",{"name":"note","type":["null","string"],"default":null}"#),
    );
    let args = [
        "schema",
        "register",
        &right,
        "--subject",
        "orders-value",
        "-o",
        "json",
    ];
    let dry = registry
        .meshwork(&[&args[..], &["--dry-run"]].concat())
        .await
        .json(0);
    assert_eq!(
        dry,
        json!({"outcome": "would register", "subject": "orders-value"})
    );
    assert_eq!(
        registry
            .ok("GET", "/subjects/orders-value/versions", None)
            .await,
        json!([1])
    );
    let second = registry.meshwork(&args).await.json(0);
    assert_eq!(
        (&second["outcome"], &second["version"]),
        (&json!("registered"), &json!(2))
    );
    let name = [
        "schema",
        "register",
        &right,
        "--subject",
        "orders-value",
        "-o",
        "name",
    ];
    assert_eq!(registry.meshwork(&name).await.with(0), "orders-value@2\n");

    // A file that is no schema never reaches the registry.
    let typo = files.write("typo.avsc", "{\n  \"type\": \"recrod\"\n}");
    let ran = registry
        .meshwork(&["schema", "register", &typo, "--subject", "s"])
        .await;
    assert!(
        ran.err.contains("typo.avsc:2:11") && ran.err.contains("recrod"),
        "{ran:?}"
    );
    assert_eq!(ran.code, 1);
    assert_eq!(
        registry.call("GET", "/subjects/s/versions", None).await.0,
        404
    );
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_wrong_where_and_under_which_level() {
    let registry = Registry::start().await;
    let files = Files::new();
    let subject = "orders-value";
    let register = async |text: &str, file: &str| {
        let file = files.write(file, text);
        let args = ["schema", "register", &file, "--subject", subject];
        registry.meshwork(&args).await.with(0);
    };
    register(&order(""), "1.avsc").await;
    register(
        &order(r#",{"name":"n","type":"int","default":0}"#),
        "2.avsc",
    )
    .await;

    // The level asks for less than what is changed here: n is a string, id is gone.
    let new = files.write(
        "new.avsc",
        &record(
            "com.acme.Order",
            r#"{"name":"n","type":"string","default":""}"#,
        ),
    );
    let check = ["schema", "check", &new, "--subject", subject];
    let ran = registry.meshwork(&check).await;
    let out = ran.with(1);
    assert!(
        out.starts_with("orders-value: incompatible under BACKWARD with version 2\n"),
        "{out}"
    );
    let row = out
        .lines()
        .find(|l| l.starts_with("TYPE_MISMATCH"))
        .unwrap();
    assert!(
        row.contains("/fields/0/type") && row.contains("new"),
        "{row}"
    );

    let report = registry
        .meshwork(&[&check[..], &["-o", "json", "--all-levels"]].concat())
        .await;
    let report = report.json(1);
    assert_eq!(
        (&report["compatible"], &report["version"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(
        report["reasons"][0],
        json!({
            "type": "TYPE_MISMATCH",
            "path": "/fields/0/type",
            "reader": "new",
            "message": "reader type: STRING not compatible with writer type: INT",
            "description": "The type (path '/fields/0/type') of a field in the new schema does not match with the old schema",
        })
    );
    let levels: Vec<(&str, bool)> = report["levels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| {
            (
                l["level"].as_str().unwrap(),
                l["compatible"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        levels,
        [
            ("NONE", true),
            ("BACKWARD", false),
            ("BACKWARD_TRANSITIVE", false),
            ("FORWARD", false),
            ("FORWARD_TRANSITIVE", false),
            ("FULL", false),
            ("FULL_TRANSITIVE", false),
        ]
    );
    // id is gone: whoever still has the old schema misses it.
    let full = &report["levels"][5]["reasons"];
    assert!(
        full.as_array().unwrap().iter().any(|r| r["reader"] == "old"
            && r["type"] == "READER_FIELD_MISSING_DEFAULT_VALUE"
            && r["message"] == "id"),
        "{full}"
    );
    let none = registry
        .meshwork(&[&check[..], &["--level", "none"]].concat())
        .await;
    assert_eq!(none.with(0), "orders-value: compatible under NONE\n");

    // Only the first version stands in the way of a transitive level.
    let third = files.write("3.avsc", &order(r#",{"name":"n","type":"int"}"#));
    let check = ["schema", "check", &third, "--subject", subject];
    let out = registry.meshwork(&check).await.with(0);
    assert_eq!(out, "orders-value: compatible under BACKWARD\n");
    let out = registry
        .meshwork(&[&check[..], &["--level", "BACKWARD_TRANSITIVE"]].concat())
        .await
        .with(1);
    assert!(out.contains("with version 1\n"), "{out}");

    // Nothing to be compatible with.
    let fresh = [
        "schema",
        "check",
        &third,
        "--subject",
        "fresh",
        "-o",
        "name",
    ];
    assert_eq!(registry.meshwork(&fresh).await.with(0), "compatible\n");
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_schema_is_told_with_line_and_column() {
    let registry = Registry::start().await;
    let files = Files::new();
    for (text, place, words) in [
        (
            "{\"type\":\"record\",\n \"name\": \"1R\", \"fields\": []}",
            ":2:10",
            "1R",
        ),
        (
            "{\"type\":\"record\",\"name\":\"R\",\n\"fields\":[{\"name\":\"a\",\"type\":\"Missing\"}]}",
            ":2:30",
            "Missing",
        ),
        ("{\"type\": \"int\",\n\n x}", ":3:2", "JSON"),
        ("[\"int\",\n  \"int\"]", ":", "twice"),
    ] {
        let file = files.write("s.avsc", text);
        let args = ["schema", "check", &file, "--subject", "s"];
        let out = registry.meshwork(&args).await.with(1);
        assert!(
            out.contains(&format!("s.avsc{place}")) && out.contains(words),
            "{text}: {out}"
        );
        let report = registry
            .meshwork(&[&args[..], &["-o", "json"]].concat())
            .await
            .json(1);
        assert!(report["fault"]["line"].is_u64(), "{report}");
        assert_eq!(report.get("compatible"), None, "nothing else was asked");
    }
    let missing = files.path("not-there.avsc");
    let ran = registry
        .meshwork(&["schema", "check", &missing, "--subject", "s"])
        .await;
    assert!(
        ran.code == 1 && ran.err.contains("not-there.avsc"),
        "{ran:?}"
    );
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_fetched_resolved_and_missed() {
    let registry = Registry::start().await;
    let files = Files::new();
    let address = files.write(
        "address.avsc",
        &record("com.acme.Address", r#"{"name":"city","type":"string"}"#),
    );
    let args = ["schema", "register", &address, "--subject", "address-value"];
    registry.meshwork(&args).await.with(0);
    let order = files.write(
        "order.avsc",
        &order(r#",{"name":"to","type":"com.acme.Address"}"#),
    );
    let register = |references: &'static str| {
        let (registry, order) = (&registry, &order);
        async move {
            let args = [
                "schema",
                "register",
                order,
                "--subject",
                "orders-value",
                "--references",
                references,
            ];
            registry.meshwork(&args).await
        }
    };
    let missing = register("com.acme.Address=address-value:7").await;
    assert!(
        missing.code == 1 && missing.err.contains("version 7 of subject `address-value`"),
        "{missing:?}"
    );
    register("com.acme.Address=address-value:latest")
        .await
        .with(0);
    let raw = registry
        .meshwork(&["schema", "get", "orders-value"])
        .await
        .with(0);
    assert!(!raw.contains("city"), "{raw}");
    let resolved = registry
        .meshwork(&["schema", "get", "orders-value", "--resolved"])
        .await
        .with(0);
    assert!(resolved.contains("city"), "{resolved}");
    let answer = registry
        .meshwork(&["schema", "get", "orders-value@1", "-o", "json"])
        .await
        .json(0);
    assert_eq!(
        answer["references"][0]["version"], 1,
        "the real one, not the latest"
    );

    // A changed reference is a change of what refers to it.
    let wider = files.write(
        "wider.avsc",
        &record("com.acme.Address", r#"{"name":"city","type":"string"},{"name":"zip","type":["null","string"],"default":null}"#),
    );
    registry
        .meshwork(&["schema", "register", &wider, "--subject", "address-value"])
        .await
        .with(0);
    let diff = [
        "schema",
        "diff",
        "orders-value",
        &order,
        "--references",
        "com.acme.Address=address-value:2",
        "-o",
        "json",
    ];
    let report = registry.meshwork(&diff).await.json(0);
    assert_eq!(
        report["changes"],
        json!([{
            "kind": "field-added",
            "path": "/fields/1/type/fields/1",
            "place": "field to.zip",
            "old": null,
            "new": "null | string (default null)",
        }])
    );
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_filtered_and_tell_the_level_in_force() {
    let registry = Registry::start().await;
    let body = json!({"schema": "\"string\""});
    for at in 0..60 {
        let path = format!("/subjects/sales.s{at:02}/versions");
        registry.ok("POST", &path, Some(body.clone())).await;
    }
    registry
        .ok("POST", "/subjects/other/versions", Some(body.clone()))
        .await;
    registry
        .ok(
            "PUT",
            "/config/sales.s03",
            Some(json!({"compatibility": "FULL"})),
        )
        .await;
    registry.ok("DELETE", "/subjects/other", None).await;

    let all = registry
        .meshwork(&["schema", "list", "-o", "json"])
        .await
        .json(0);
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 60, "all pages");
    let level = |item: &Value| {
        (
            item["compatibilityLevel"].clone(),
            item["levelFrom"].clone(),
        )
    };
    assert_eq!(level(&all[3]), (json!("FULL"), json!("subject")));
    assert_eq!(level(&all[4]), (json!("BACKWARD"), json!("global")));

    let names = [
        "schema", "list", "sales.", "-o", "name", "--offset", "10", "--limit", "3",
    ];
    let names = registry.meshwork(&names).await.with(0);
    assert_eq!(names, "sales.s10\nsales.s11\nsales.s12\n");
    let table = registry
        .meshwork(&["schema", "list", "sales.s0", "-o", "wide"])
        .await
        .with(0);
    let heads: Vec<&str> = table
        .lines()
        .next()
        .unwrap()
        .split("  ")
        .filter(|h| !h.is_empty())
        .collect();
    assert_eq!(heads.len(), 8, "{table}");
    assert_eq!(table.lines().count(), 11, "{table}");
    assert!(table.lines().nth(4).unwrap().contains("FULL"), "{table}");

    let live = registry
        .meshwork(&["schema", "list", "other"])
        .await
        .with(0);
    assert_eq!(live.lines().count(), 1, "the heads alone: {live}");
    let deleted = registry
        .meshwork(&["schema", "list", "other", "--deleted"])
        .await
        .with(0);
    assert!(deleted.contains("1 (deleted)"), "{deleted}");
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_found_by_version_id_and_guid() {
    let registry = Registry::start().await;
    let body = json!({"schema": "\"string\""});
    let registered = registry
        .ok("POST", "/subjects/s/versions", Some(body))
        .await;
    let guid = registered["guid"].as_str().unwrap().to_owned();
    for args in [
        &["schema", "get", "s"][..],
        &["schema", "get", "s@1"],
        &["schema", "get", "s@latest"],
        &["schema", "get", "--id", "1"],
        &["schema", "get", "--guid", &guid],
    ] {
        assert_eq!(
            registry.meshwork(args).await.with(0),
            "\"string\"\n",
            "{args:?}"
        );
        let answer = registry
            .meshwork(&[args, &["-o", "json"]].concat())
            .await
            .json(0);
        assert_eq!(answer["schema"], "\"string\"", "{args:?}");
    }
    let name = registry
        .meshwork(&["schema", "get", "s", "-o", "name"])
        .await
        .with(0);
    assert_eq!(name, "s@1\n");
    let table = registry
        .meshwork(&["schema", "get", "s", "-o", "table"])
        .await
        .with(0);
    assert!(
        table.contains("SUBJECT") && !table.contains("SCHEMA"),
        "{table}"
    );
    for args in [
        &["schema", "get", "nothing"][..],
        &["schema", "get", "s@2"],
        &["schema", "get", "--id", "99"],
        &[
            "schema",
            "get",
            "--guid",
            "00000000-0000-0000-0000-000000000000",
        ],
    ] {
        let ran = registry.meshwork(args).await;
        assert!(ran.code == 1 && ran.err.contains(&registry.url), "{ran:?}");
    }
    registry.ok("DELETE", "/subjects/s/versions/1", None).await;
    assert_eq!(registry.meshwork(&["schema", "get", "s@1"]).await.code, 1);
    let deleted = registry
        .meshwork(&["schema", "get", "s@1", "--deleted"])
        .await
        .with(0);
    assert_eq!(deleted, "\"string\"\n");
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_shows_both_versions_and_every_level() {
    let registry = Registry::start().await;
    let files = Files::new();
    let subject = "orders-value";
    for (file, text) in [
        ("1.avsc", order("")),
        ("2.avsc", order(r#",{"name":"n","type":"int","default":0}"#)),
    ] {
        let file = files.write(file, &text);
        registry
            .meshwork(&["schema", "register", &file, "--subject", subject])
            .await
            .with(0);
    }
    let new = files.write(
        "new.avsc",
        &order(r#",{"name":"n","type":"long","doc":"how many"},{"name":"tags","type":{"type":"array","items":"string"},"default":[]}"#),
    );
    let diff = ["schema", "diff", "orders-value@2", &new];
    let out = registry.meshwork(&diff).await.with(0);
    assert!(out.starts_with("--- orders-value@2 (id 2)\n+++ "), "{out}");
    let rows: Vec<Vec<&str>> = out
        .lines()
        .filter(|l| {
            l.starts_with(['+', '-', '~']) && !l.starts_with("---") && !l.starts_with("+++")
        })
        .map(|l| {
            l.split("  ")
                .map(str::trim)
                .filter(|c| !c.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            vec!["~", "field n", "doc", "-", "\"how many\""],
            vec!["~", "field n", "default", "0", "-"],
            vec!["~", "field n", "type", "int", "long"],
            vec!["+", "field tags", "-", "array of string (default [])"],
        ]
    );
    let verdict = |level: &str| {
        let line = out
            .lines()
            .find(|l| l.split_whitespace().next() == Some(level))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(verdict("NONE"), "compatible");
    assert_eq!(verdict("BACKWARD"), "compatible");
    // Version 1 has no n at all.
    assert_eq!(verdict("BACKWARD_TRANSITIVE"), "incompatible");
    // An int can't hold a long.
    assert_eq!(verdict("FORWARD"), "incompatible");
    assert_eq!(verdict("FULL"), "incompatible");

    let unchanged = registry
        .meshwork(&[&diff[..], &["--unchanged", "-o", "json"]].concat())
        .await
        .json(0);
    let first = &unchanged["changes"][0];
    assert_eq!(first["place"], "field id");
    assert_eq!(
        (&first["kind"], &first["old"], &first["new"]),
        (
            &Value::Null,
            &json!("string (no default)"),
            &json!("string (no default)")
        )
    );
    let names = registry
        .meshwork(&[&diff[..], &["-o", "name"]].concat())
        .await
        .with(0);
    assert_eq!(names, "field n\nfield n\nfield n\nfield tags\n");
    let same = registry
        .meshwork(&["schema", "diff", "orders-value@1", "orders-value@1"])
        .await
        .with(0);
    assert!(
        same.contains("no difference") && !same.contains("incompatible"),
        "{same}"
    );
    let nothing = registry
        .meshwork(&["schema", "diff", "orders-value@9", &new])
        .await;
    assert!(
        nothing.code == 1 && nothing.err.contains("orders-value@9"),
        "{nothing:?}"
    );
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_are_compared_without_a_registry() {
    let files = Files::new();
    let old = files.write("old.avsc", &order(""));
    let new = files.write("new.avsc", &order(r#",{"name":"n","type":"int"}"#));
    let args = [
        "schema",
        "diff",
        &old,
        &new,
        "--registry-url",
        "http://127.0.0.1:1",
        "-o",
        "json",
    ];
    let report = meshwork(&args).await.json(0);
    assert_eq!(report["changes"][0]["new"], "int (no default)");
    assert_eq!(report["levels"].as_array().unwrap().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_is_named() {
    let ran = meshwork(&["schema", "list", "--registry-url", "http://127.0.0.1:1"]).await;
    assert!(
        ran.code == 1 && ran.err.contains("http://127.0.0.1:1"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn help_has_examples_and_wrong_usage_is_exit_code_2() {
    for verb in [
        "check", "list", "get", "diff", "register", "export", "import",
    ] {
        let help = meshwork(&["schema", verb, "--help"]).await.with(0);
        assert!(help.contains("Examples:\n  meshwork schema "), "{help}");
    }
    for args in [
        &["schema", "get"][..],
        &["schema", "get", "s", "--id", "1"],
        &["schema", "check", "f"],
        &[
            "schema",
            "check",
            "f",
            "--subject",
            "s",
            "--level",
            "sideways",
        ],
        &[
            "schema",
            "check",
            "f",
            "--subject",
            "s",
            "--references",
            "x",
        ],
        &["schema", "list", "-o", "xml"],
    ] {
        assert_eq!(meshwork(args).await.code, 2, "{args:?}");
    }
    let completion = meshwork(&["completion", "bash"]).await.with(0);
    assert!(
        completion.contains("--all-levels") && completion.contains("doctor"),
        "completion"
    );
}
