//! What is written to `_schemas`, byte for byte, and what is made of what others wrote there.

use meshwork_kafka::NewTopic;
use meshwork_model::units::HumanDuration;
use meshwork_registry::{Config, Context, Service};
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_testkit::unique;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{Registry, cluster};

#[tokio::test(flavor = "multi_thread")]
async fn writes_what_confluent_writes() {
    let registry = Registry::start().await;
    registry.register("t-value", "{\"type\": \"string\"}").await;
    for (method, path, body) in [
        ("PUT", "/config", Some(json!({ "compatibility": "FULL" }))),
        (
            "PUT",
            "/config/t-value",
            Some(json!({ "compatibility": "FULL" })),
        ),
        ("DELETE", "/config/t-value", None),
        ("DELETE", "/subjects/t-value/versions/1", None),
        (
            "DELETE",
            "/subjects/t-value/versions/1?permanent=true",
            None,
        ),
    ] {
        registry.ok(method, path, body).await;
    }
    registry.register("t", "\"int\"").await;
    registry
        .ok("PUT", "/config/t", Some(json!({ "compatibility": "NONE" })))
        .await;
    registry.ok("DELETE", "/subjects/t", None).await;
    registry
        .ok("DELETE", "/subjects/t?permanent=true", None)
        .await;
    registry.register(":.ctx:s", "\"bytes\"").await;

    let schema = |subject: &str, version: u32| {
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#)
    };
    let own = r#"{"keytype":"NOOP","subject":"__meshwork","magic":0}"#;
    let expected: Vec<(String, Option<&str>)> = vec![
        (
            schema("t-value", 1),
            Some(
                r#"{"subject":"t-value","version":1,"id":1,"schemaType":"AVRO","schema":"\"string\"","deleted":false}"#,
            ),
        ),
        (
            r#"{"keytype":"CONFIG","magic":0}"#.to_owned(),
            Some(r#"{"compatibilityLevel":"FULL"}"#),
        ),
        (
            r#"{"keytype":"CONFIG","subject":"t-value","magic":0}"#.to_owned(),
            Some(r#"{"subject":"t-value","compatibilityLevel":"FULL"}"#),
        ),
        (
            r#"{"keytype":"CONFIG","subject":"t-value","magic":0}"#.to_owned(),
            None,
        ),
        (
            schema("t-value", 1),
            Some(
                r#"{"subject":"t-value","version":1,"id":1,"schemaType":"AVRO","schema":"\"string\"","deleted":true}"#,
            ),
        ),
        (own.to_owned(), Some(r#"{"greatestIds":{".":1}}"#)),
        (schema("t-value", 1), None),
        (
            schema("t", 1),
            Some(
                r#"{"subject":"t","version":1,"id":2,"schemaType":"AVRO","schema":"\"int\"","deleted":false}"#,
            ),
        ),
        (
            r#"{"keytype":"CONFIG","subject":"t","magic":0}"#.to_owned(),
            Some(r#"{"subject":"t","compatibilityLevel":"NONE"}"#),
        ),
        (
            r#"{"keytype":"DELETE_SUBJECT","subject":"t","magic":0}"#.to_owned(),
            Some(r#"{"subject":"t","version":1}"#),
        ),
        (own.to_owned(), Some(r#"{"greatestIds":{".":2}}"#)),
        (schema("t", 1), None),
        (
            r#"{"keytype":"CONFIG","subject":"t","magic":0}"#.to_owned(),
            None,
        ),
        (
            r#"{"keytype":"CONTEXT","tenant":"default","context":".ctx","magic":0}"#.to_owned(),
            Some(r#"{"tenant":"default","context":".ctx"}"#),
        ),
        (
            schema(":.ctx:s", 1),
            Some(
                r#"{"subject":":.ctx:s","version":1,"id":1,"schemaType":"AVRO","schema":"\"bytes\"","deleted":false}"#,
            ),
        ),
    ];
    let log = registry.log().await;
    for (at, (got, expected)) in log.iter().zip(&expected).enumerate() {
        assert_eq!(
            (got.0.as_str(), got.1.as_deref()),
            (expected.0.as_str(), expected.1),
            "record {at}"
        );
    }
    assert_eq!(log.len(), expected.len());
    registry.stop().await;
}

/// Records that other registries wrote, and others that no one should have.
#[tokio::test(flavor = "multi_thread")]
async fn odd_records_are_skipped_counted_and_harmless() {
    let topic = unique("schemas");
    let kafka = cluster().await;
    kafka
        .create_topic(&NewTopic::new(topic.clone(), 1).with("cleanup.policy", "compact"))
        .await;
    let records: Vec<(Vec<u8>, Vec<u8>)> = [
        // Confluent before 8: no schemaType, magic 0 before that.
        (
            r#"{"keytype":"SCHEMA","subject":"old","version":1,"magic":0}"#,
            r#"{"subject":"old","version":1,"id":3,"schema":"\"string\"","deleted":false}"#,
        ),
        // Karapace's key order.
        (
            r#"{"subject":"kara","version":1,"magic":1,"keytype":"SCHEMA"}"#,
            r#"{"subject": "kara", "version": 1, "id": 4, "schema": "\"int\"", "deleted": false}"#,
        ),
        // An id that another schema holds: the first one wins.
        (
            r#"{"keytype":"SCHEMA","subject":"late","version":1,"magic":1}"#,
            r#"{"subject":"late","version":1,"id":4,"schema":"\"long\"","deleted":false}"#,
        ),
        ("not json", "neither"),
        ("\u{0}\u{1}", ""),
        (r#"{"keytype":"SCHEMA","subject":"half","version":1,"magic":1}"#, r#"{"subject":"half","ver"#),
        (r#"{"keytype":"SCHEMA","subject":"half","version":0,"magic":1}"#, "{}"),
        (r#"{"keytype":"SCHEMA","subject":"zero","version":1,"magic":1}"#, r#"{"id":0,"schema":"x"}"#),
        (r#"{"keytype":"ASSOC","tenant":"default"}"#, r#"{"a":1}"#),
        (r#"{"keytype":"CONFIG","magic":0}"#, r#"{"compatibilityLevel":"NONE"}"#),
        (r#"{"keytype":"MODE","subject":"ro","magic":0}"#, r#"{"mode":"READONLY"}"#),
        // A value of no length deletes, as null does.
        (
            r#"{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}"#,
            r#"{"subject":"gone","version":1,"id":9,"schema":"\"bytes\"","deleted":false}"#,
        ),
        (r#"{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}"#, ""),
        // A text that today's parser refuses is kept and served.
        (
            r#"{"keytype":"SCHEMA","subject":"odd","version":1,"magic":1}"#,
            r#"{"subject":"odd","version":1,"id":5,"schema":"{\"type\":\"nope\"}","deleted":false}"#,
        ),
        // Redpanda's mark of a lost race: seq is not the offset.
        (
            r#"{"keytype":"SCHEMA","subject":"red","version":1,"magic":1,"seq":1000,"node":0}"#,
            r#"{"subject":"red","version":1,"id":6,"schema":"\"double\"","deleted":false}"#,
        ),
    ]
    .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
    .to_vec();
    kafka.produce(&topic, &records).await;

    let registry = Registry::on(&topic).await;
    assert_eq!(
        registry.ok("GET", "/subjects", None).await,
        json!(["kara", "odd", "old"])
    );
    assert_eq!(
        registry.ok("GET", "/schemas/ids/3", None).await["schema"],
        json!("\"string\"")
    );
    assert_eq!(
        registry.ok("GET", "/schemas/ids/4", None).await["schema"],
        json!("\"int\"")
    );
    assert_eq!(
        registry.ok("GET", "/schemas/ids/5", None).await["schema"],
        json!("{\"type\":\"nope\"}")
    );
    assert_eq!(
        registry.ok("GET", "/config", None).await,
        json!({ "compatibilityLevel": "NONE" })
    );
    let (status, answer) = registry
        .call(
            "POST",
            "/subjects/ro/versions",
            Some(json!({ "schema": "\"int\"" })),
        )
        .await;
    assert_eq!(
        (status, &answer["message"]),
        (422, &json!("Subject ro in context  is in read-only mode"))
    );
    // Ids go on above every one that the log has seen, hard-deleted ones included.
    assert_eq!(registry.register("new", "\"float\"").await, 10);
    // A key's other form is tombstoned before it is written in ours.
    registry
        .ok("DELETE", "/subjects/kara/versions/1", None)
        .await;
    let log = registry.log().await;
    assert_eq!(
        log[log.len() - 2],
        (
            r#"{"subject":"kara","version":1,"magic":1,"keytype":"SCHEMA"}"#.to_owned(),
            None
        )
    );
    assert_eq!(
        log[log.len() - 1].0,
        r#"{"keytype":"SCHEMA","subject":"kara","version":1,"magic":1}"#
    );

    let metrics = registry.metrics.encode().unwrap();
    for (reason, count) in [
        ("unreadable-key", 2),
        ("unreadable-value", 1),
        ("out-of-range", 2),
        ("unknown-keytype", 1),
        ("id-taken", 1),
        ("lost-race", 1),
    ] {
        let line =
            format!("meshwork_registry_records_skipped_total{{reason=\"{reason}\"}} {count}");
        assert!(metrics.contains(&line), "{line} not in {metrics}");
    }
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_topic_that_is_not_compacted_and_says_how_to_mend_it() {
    let kafka = cluster().await;
    for topic in ["_schemas".to_owned(), unique("schemas")] {
        kafka
            .create_topic(&NewTopic::new(topic.clone(), 1).with("cleanup.policy", "delete"))
            .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config {
            topic: topic.clone(),
            ..Config::default()
        };
        let readiness = Readiness::new();
        let dir = tempfile::tempdir().unwrap();
        let context = Context {
            kafka: kafka.config(),
            data_dir: dir.path().to_owned(),
            readiness: readiness.clone(),
            metrics: Metrics::new(),
        };
        let (service, handle) = Service::new(config, context, listener);
        let error = service
            .run(CancellationToken::new())
            .await
            .unwrap_err()
            .to_string();
        for part in [
            topic.as_str(),
            "cleanup.policy=delete",
            "--add-config cleanup.policy=compact",
        ] {
            assert!(error.contains(part), "{part} not in {error}");
        }
        assert!(!handle.is_ready());
        assert_eq!(readiness.waiting(), ["registry: reading _schemas"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_it_gives_up_in_time_and_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/subjects", listener.local_addr().unwrap());
    let config = Config {
        startup_timeout: HumanDuration::from_secs(1),
        ..Config::default()
    };
    let nobody = meshwork_kafka::KafkaConfig::new("127.0.0.1:1");
    let dir = tempfile::tempdir().unwrap();
    let context = Context {
        kafka: nobody,
        data_dir: dir.path().to_owned(),
        readiness: Readiness::new(),
        metrics: Metrics::new(),
    };
    let (service, _) = Service::new(config, context, listener);
    let running = tokio::spawn(service.run(CancellationToken::new()));
    // Asked meanwhile, it says that it can't answer yet.
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let error = running.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}
