//! `meshwork doctor` before each thing that it must recognise.

use std::time::Duration;

use meshwork_kafka::{GroupConsumer, GroupOptions, NewTopic, OutRecord};
use meshwork_model::time::{Clock as _, WallClock};
use meshwork_testkit::{Cluster, Nodes, unique, wait_until};
use serde_json::{Value, json};

use crate::harness::{Other, Registry, brokers, configuration, meshwork, not_found};

const ELECTION: &str = r#"{"keytype":"NOOP","subject":"__meshwork","magic":0}"#;

/// The findings with this code.
fn with_code<'v>(report: &'v Value, code: &str) -> Vec<&'v Value> {
    let all = report.as_array().unwrap().iter();
    all.filter(|f| f["code"] == code).collect()
}

/// State and what was found, of those with this code.
fn found(report: &Value, code: &str) -> Vec<(String, String)> {
    with_code(report, code)
        .iter()
        .map(|f| {
            let text = |key: &str| f[key].as_str().unwrap_or_default().to_owned();
            if f["state"] != "ok" {
                assert!(!text("mend").is_empty() && text("page").ends_with(&format!("{code}.md")));
            }
            (
                text("state"),
                format!("{}: {}", text("where"), text("found")),
            )
        })
        .collect()
}

#[track_caller]
fn expect(report: &Value, code: &str, state: &str, words: &[&str]) {
    let found = found(report, code);
    assert!(
        found
            .iter()
            .any(|(s, text)| s == state && words.iter().all(|word| text.contains(word))),
        "{code} {state} {words:?}: {report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_answers() {
    let nowhere = "http://127.0.0.1:1";
    let args = [
        "doctor",
        "-o",
        "json",
        "--bootstrap-server",
        "127.0.0.1:1",
        "--registry-url",
        nowhere,
        "--server",
        nowhere,
        "--admin-url",
        nowhere,
    ];
    let report = meshwork(&args).await.json(1);
    expect(&report, "no-broker", "error", &["127.0.0.1:1"]);
    expect(&report, "registry-unreachable", "error", &[nowhere]);
    let mend = with_code(&report, "registry-unreachable")[0]["mend"]
        .as_str()
        .unwrap();
    assert!(mend.contains("--registry-url"), "{mend}");
    assert_eq!(with_code(&report, "role-not-ready").len(), 2);
    expect(&report, "role-not-ready", "warning", &[nowhere]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_set_up_has_no_errors() {
    let registry = Registry::start().await;
    let body = json!({"schema": "\"string\""});
    registry
        .ok("POST", "/subjects/s/versions", Some(body))
        .await;
    let config = registry.config().await;
    let args = [
        "doctor",
        "--config",
        config.to_str().unwrap(),
        "--admin-url",
        &registry.admin,
    ];
    let report = registry
        .meshwork(&[&args[..], &["-o", "json"]].concat())
        .await
        .json(0);
    for code in [
        "no-broker",
        "control-topic",
        "schemas-topic",
        "two-writers",
        "registry-unreachable",
        "registry-other-cluster",
        "registry-mode",
        "old-schema",
        "clock-skew",
        "role-not-ready",
    ] {
        expect(&report, code, "ok", &[]);
    }
    let table = registry.meshwork(&args).await;
    assert!(table.out.starts_with("ok       no-broker"), "{table:?}");
    assert!(table.err.contains("0 errors"), "{table:?}");
    let names = registry
        .meshwork(&[&args[..], &["-o", "name"]].concat())
        .await
        .with(0);
    assert_eq!(names, "role-not-ready\n", "no other role runs: {names}");
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_would_lose_something() {
    let kafka = tokio::task::spawn_blocking(|| Cluster::start(Nodes::Three))
        .await
        .unwrap();
    let topic = |name: &str, partitions, policy: &str| {
        NewTopic::new(name, partitions).with("cleanup.policy", policy)
    };
    kafka.create_topic(&topic("_schemas", 2, "delete")).await;
    kafka
        .create_topic(&topic("mesh.catalog", 1, "compact,delete"))
        .await;
    kafka
        .create_topic(&topic("mesh.observations", 8, "compact"))
        .await;
    kafka
        .create_topic(&topic("mesh.lineage", 1, "compact"))
        .await;
    let mut one = topic("one-replica", 1, "compact");
    one.replication = Some(1);
    kafka.create_topic(&one).await;
    let servers = kafka.bootstrap_servers();
    let args = [
        "doctor",
        "-o",
        "json",
        "--bootstrap-server",
        &servers,
        "--registry-url",
        "http://127.0.0.1:1",
    ];
    let report = meshwork(&args).await.json(1);
    for (name, found, wanted) in [
        ("_schemas", "delete", "compact"),
        ("mesh.catalog", "compact,delete", "compact"),
        ("mesh.observations", "compact", "delete"),
    ] {
        expect(
            &report,
            "control-topic",
            "error",
            &[name, &format!("cleanup.policy={found} must be {wanted}")],
        );
        let commands = with_code(&report, "control-topic");
        let mend = format!("--entity-name {name} --add-config cleanup.policy={wanted}");
        assert!(
            commands
                .iter()
                .any(|f| f["mend"].as_str().is_some_and(|m| m.contains(&mend)))
        );
    }
    expect(&report, "control-topic", "ok", &["mesh.lineage"]);
    expect(
        &report,
        "control-topic",
        "ok",
        &["mesh.slo.alerts", "not there yet"],
    );
    expect(
        &report,
        "schemas-topic",
        "error",
        &["_schemas", "2 partitions"],
    );

    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "one-replica", &servers);
    let args = [
        "doctor",
        "-o",
        "json",
        "--config",
        config.to_str().unwrap(),
        "--registry-url",
        "http://127.0.0.1:1",
    ];
    let report = meshwork(&args).await.json(1);
    expect(
        &report,
        "schemas-topic",
        "warning",
        &["one-replica", "1 replica on 3 brokers"],
    );
}

/// Writes a record as one of Meshwork's registries does, or as somebody else does.
async fn write(kafka: &Cluster, topic: &str, own: bool, key: &str, value: &str) {
    let (tell, told) = tokio::sync::oneshot::channel();
    let headers: &[(&str, &[u8])] = if own {
        &[("meshwork-writer", b"one")]
    } else {
        &[]
    };
    let record = OutRecord {
        topic,
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers,
        ..OutRecord::default()
    };
    let producer = kafka.producer();
    let queued = producer
        .queue(&record, Box::new(move |result| drop(tell.send(result))))
        .await;
    assert!(queued.is_ok());
    told.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers() {
    let kafka = tokio::task::spawn_blocking(|| Cluster::start(Nodes::One))
        .await
        .unwrap();
    let servers = kafka.bootstrap_servers();
    let topic = "_schemas";
    kafka
        .create_topic(&NewTopic::new(topic, 1).with("cleanup.policy", "compact"))
        .await;
    let args = [
        "doctor",
        "-o",
        "json",
        "--bootstrap-server",
        &servers,
        "--registry-url",
        "http://127.0.0.1:1",
    ];
    let schema = |version: u8| {
        format!(r#"{{"keytype":"SCHEMA","subject":"s","version":{version},"magic":1}}"#)
    };

    // Confluent's alone is no error: it may be what is used.
    write(&kafka, topic, false, &schema(1), "{}").await;
    let report = meshwork(&args).await.json(1);
    expect(
        &report,
        "two-writers",
        "ok",
        &["no registry has been elected"],
    );

    // What was there before the election is taken over, not foreign.
    let elected = r#"{"url":"http://ours:8081","instance":"one"}"#;
    write(&kafka, topic, true, ELECTION, elected).await;
    write(&kafka, topic, true, &schema(2), "{}").await;
    let report = meshwork(&args).await.json(1);
    expect(
        &report,
        "two-writers",
        "ok",
        &["one writer, http://ours:8081", "offset 1"],
    );

    write(&kafka, topic, false, &schema(3), "{}").await;
    write(&kafka, topic, false, r#"{"keytype":"NOOP","magic":0}"#, "").await;
    let report = meshwork(&args).await.json(1);
    expect(
        &report,
        "two-writers",
        "error",
        &[
            "_schemas offset 3",
            "2 records",
            "http://ours:8081",
            "\"version\":3",
        ],
    );

    // A newer election has read it.
    write(&kafka, topic, true, ELECTION, elected).await;
    let report = meshwork(&args).await.json(1);
    expect(&report, "two-writers", "ok", &["offset 5"]);

    // Another registry that runs beside ours, whether it has written or not.
    let mut member = GroupConsumer::subscribe(
        &kafka.config(),
        "schema-registry",
        &[topic],
        GroupOptions::default(),
    )
    .unwrap();
    let group = ["schema-registry".to_owned()];
    let admin = kafka.admin();
    let reading =
        tokio::spawn(async move { while member.next(Duration::from_millis(100)).await.is_ok() {} });
    wait_until("a member of the group", || async {
        let described = admin.describe_groups(&group).await.unwrap();
        described.iter().any(|g| !g.members.is_empty())
    })
    .await;
    let report = meshwork(&args).await.json(1);
    expect(
        &report,
        "two-writers",
        "error",
        &["consumer group schema-registry", "http://ours:8081"],
    );
    reading.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_old_code_wrote() {
    let kafka = tokio::task::spawn_blocking(meshwork_testkit::kafka)
        .await
        .unwrap();
    let topic = unique("schemas");
    kafka
        .create_topic(&NewTopic::new(&topic, 1).with("cleanup.policy", "compact"))
        .await;
    // Old Avro looked at neither namespaces nor defaults.
    let namespace = r#"{"type":"record","name":"R","namespace":"a-b","fields":[]}"#;
    let default =
        r#"{"type":"record","name":"D","fields":[{"name":"n","type":"int","default":"x"}]}"#;
    for (id, text) in [(1, namespace), (2, default), (3, "\"string\""), (4, "{}")] {
        let key =
            format!(r#"{{"keytype":"SCHEMA","subject":"old{id}-value","version":1,"magic":1}}"#);
        let value = json!({"subject": format!("old{id}-value"), "version": 1, "id": id, "schema": text, "deleted": false});
        write(kafka, &topic, false, &key, &value.to_string()).await;
    }
    let registry = Registry::on(&topic).await;
    let config = registry.config().await;
    let args = ["doctor", "-o", "json", "--config", config.to_str().unwrap()];
    let report = registry.meshwork(&args).await.json(0);
    expect(
        &report,
        "old-schema",
        "warning",
        &["old1-value@1 (id 1)", "a-b", "leniently"],
    );
    expect(
        &report,
        "old-schema",
        "warning",
        &["old2-value@1 (id 2)", "default"],
    );
    expect(
        &report,
        "old-schema",
        "warning",
        &["old4-value@1 (id 4)", "even leniently"],
    );
    assert_eq!(
        with_code(&report, "old-schema").len(),
        3,
        "old3 is sound: {report:#}"
    );
    registry.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ() {
    let kafka = tokio::task::spawn_blocking(meshwork_testkit::kafka)
        .await
        .unwrap();
    let topic = unique("schemas");
    kafka
        .create_topic(&NewTopic::new(&topic, 1).with("cleanup.policy", "compact"))
        .await;
    let producer = kafka.producer();
    let (tell, told) = tokio::sync::oneshot::channel();
    let record = OutRecord {
        topic: &topic,
        key: Some(b"{}"),
        timestamp: Some(WallClock.now().plus_millis(1_800_000)),
        ..OutRecord::default()
    };
    let done = Box::new(move |result| drop(tell.send(result)));
    assert!(producer.queue(&record, done).await.is_ok());
    told.await.unwrap().unwrap();
    let old = Other::start(|line| match line {
        "GET /subjects" | "GET /schemas" => (200, "[]".to_owned()),
        "GET /mode" => (200, r#"{"mode":"IMPORT"}"#.to_owned()),
        "GET /v1/metadata/id" => (
            200,
            r#"{"scope":{"clusters":{"kafka-cluster":"elsewhere"}}}"#.to_owned(),
        ),
        "GET /ready" => (503, "waiting for\n- the log\n".to_owned()),
        "date" => (0, "Sat, 01 Jan 2000 00:00:00 GMT".to_owned()),
        _ => not_found(),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), &topic, &brokers().await);
    let args = [
        "doctor",
        "-o",
        "json",
        "--config",
        config.to_str().unwrap(),
        "--registry-url",
        &old.url,
        "--admin-url",
        &old.url,
    ];
    let report = meshwork(&args).await.json(1);
    expect(
        &report,
        "clock-skew",
        "warning",
        &[&topic, "offset 0", "is stamped"],
    );
    expect(
        &report,
        "clock-skew",
        "warning",
        &[&old.url, "2000-01-01T00:00:00Z there"],
    );
    expect(&report, "registry-other-cluster", "error", &["elsewhere"]);
    expect(&report, "registry-mode", "warning", &["IMPORT"]);
    expect(&report, "role-not-ready", "warning", &["503", "the log"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_a_password() {
    let other = Other::start(|_| {
        (
            401,
            r#"{"error_code":401,"message":"Unauthorized"}"#.to_owned(),
        )
    })
    .await;
    let args = [
        "doctor",
        "-o",
        "json",
        "--bootstrap-server",
        "127.0.0.1:1",
        "--registry-url",
        &other.url,
    ];
    let report = meshwork(&args).await.json(1);
    expect(&report, "registry-unreachable", "error", &["Unauthorized"]);
    let mend = with_code(&report, "registry-unreachable")[0]["mend"]
        .as_str()
        .unwrap();
    assert!(mend.contains("--registry-user"), "{mend}");
}
