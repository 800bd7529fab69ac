//! What was answered is there after a restart and after a kill, under the same ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshwork_testkit::wait_until;
use serde_json::{Value, json};

use crate::harness::{Registry, record, shared};

/// All that can be asked for, as one value.
pub(crate) async fn everything(registry: &Registry) -> Value {
    let subjects = registry.ok("GET", "/subjects?deleted=true", None).await;
    let mut versions = BTreeMap::new();
    for subject in subjects.as_array().unwrap() {
        let subject = subject.as_str().unwrap();
        let numbers = registry
            .ok(
                "GET",
                &format!("/subjects/{subject}/versions?deleted=true"),
                None,
            )
            .await;
        for number in numbers.as_array().unwrap() {
            let path = format!("/subjects/{subject}/versions/{number}?deleted=true");
            versions.insert(path.clone(), registry.ok("GET", &path, None).await);
        }
        let (_, config) = registry
            .call("GET", &format!("/config/{subject}"), None)
            .await;
        versions.insert(format!("config {subject}"), config);
    }
    json!({ "subjects": subjects, "versions": versions, "config": registry.ok("GET", "/config", None).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_nothing() {
    let registry = Registry::start().await;
    registry.register("a", "\"string\"").await;
    registry.register("a", "\"bytes\"").await;
    registry.register("b", "\"string\"").await;
    registry.register("gone", "\"int\"").await;
    registry.ok("DELETE", "/subjects/a/versions/1", None).await;
    registry.ok("DELETE", "/subjects/gone", None).await;
    registry
        .ok("DELETE", "/subjects/gone?permanent=true", None)
        .await;
    registry
        .ok("PUT", "/config/b", Some(json!({ "compatibility": "FULL" })))
        .await;
    registry
        .ok("PUT", "/config", Some(json!({ "compatibility": "NONE" })))
        .await;
    let before = everything(&registry).await;
    let topic = registry.stop().await;

    let registry = Registry::on(&topic).await;
    assert_eq!(everything(&registry).await, before);
    // The id of what was hard-deleted is not given to anything else.
    assert_eq!(registry.register("c", "\"long\"").await, 4);
    assert_eq!(registry.register("gone", "\"int\"").await, 3);
    registry.stop().await;
}

/// How many records of the log were applied since the start.
pub(crate) fn records_read(registry: &Registry) -> u64 {
    let metrics = registry.metrics.encode().unwrap();
    metrics
        .lines()
        .find_map(|line| line.strip_prefix("meshwork_registry_records_applied_total "))
        .expect("the counter")
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_the_store_without_reading_the_log_again() {
    let mut registry = Registry::start().await;
    registry.register("a", "\"string\"").await;
    registry.register("a", "\"bytes\"").await;
    registry
        .ok("PUT", "/config/a", Some(json!({ "compatibility": "NONE" })))
        .await;
    registry.register("gone", "\"int\"").await;
    registry.ok("DELETE", "/subjects/gone", None).await;
    registry
        .ok("DELETE", "/subjects/gone?permanent=true", None)
        .await;
    let before = everything(&registry).await;
    let read = records_read(&registry);
    assert!(read >= 7, "{read}");
    for kill in [false, true] {
        let (dir, config) = (Arc::clone(&registry.dir), registry.config.clone());
        let kafka = crate::harness::cluster().await.config();
        if kill {
            registry.kill().await;
        } else {
            registry.stop().await;
        }
        registry = Registry::in_dir(config, kafka, dir).await;
        // Only that it was elected.
        assert!(records_read(&registry) <= 1);
        assert_eq!(everything(&registry).await, before);
    }
    assert_eq!(registry.register("b", "\"long\"").await, 4);
    assert_eq!(records_read(&registry), 2);
    // Hard-deleted, and known all the same.
    assert_eq!(registry.register("gone", "\"int\"").await, 3);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_writing_and_answering_a_retry_gives_the_same_id() {
    let registry = Registry::start().await;
    registry.register("first", "\"string\"").await;
    let before = registry.log().await.len();
    let text = record("Late", r#"{"name":"a","type":"int"}"#);
    // Asked without waiting for the answer; killed as soon as the record is in the log.
    let request = registry
        .request("POST".parse().unwrap(), "/subjects/late/versions")
        .body(json!({ "schema": text }).to_string());
    let asked = tokio::spawn(request.send());
    let topic = registry.topic.clone();
    wait_until("the record in the log", || {
        let topic = topic.clone();
        async move {
            let log = crate::harness::log_of(&topic).await;
            log.len() > before
        }
    })
    .await;
    let topic = registry.kill().await;
    asked.abort();

    let registry = Registry::on(&topic).await;
    let id = registry.register("late", &text).await;
    assert_eq!(id, 2);
    assert_eq!(registry.register("late", &text).await, id);
    assert_eq!(
        registry.ok("GET", "/subjects/late/versions", None).await,
        json!([1])
    );
    let log = registry.log().await;
    let written = log.iter().filter(|(key, _)| key.contains("SCHEMA"));
    assert_eq!(written.count(), 2, "written once");
    registry.stop().await;
}

/// Kills under load: what was acknowledged must be there afterwards, and no id may mean two schemas.
#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_nothing_acknowledged_is_lost() {
    let mut topic = meshwork_testkit::unique("schemas");
    let mut acknowledged: BTreeMap<String, i64> = BTreeMap::new();
    for round in 0..3 {
        let registry = shared(Registry::on(&topic).await);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let registry = Arc::clone(&registry);
                let tell = tell.clone();
                tokio::spawn(async move {
                    for n in 0.. {
                        let name = format!("R{round}x{client}x{n}");
                        let text = record(&name, r#"{"name":"a","type":"int"}"#);
                        let request = registry
                            .request(
                                "POST".parse().unwrap(),
                                &format!("/subjects/{name}/versions"),
                            )
                            .body(json!({ "schema": text }).to_string());
                        let Ok(response) = request.send().await else {
                            return;
                        };
                        if response.status() != 200 {
                            return;
                        }
                        let Ok(answer) = response.json::<Value>().await else {
                            return;
                        };
                        let id = answer["id"].as_i64().unwrap();
                        if tell.send((name, id)).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        drop(tell);
        for _ in 0..40 {
            let (name, id) = told.recv().await.unwrap();
            acknowledged.insert(name, id);
        }
        for client in &clients {
            client.abort();
        }
        for client in clients {
            let _ = client.await;
        }
        while let Ok((name, id)) = told.try_recv() {
            acknowledged.insert(name, id);
        }
        let registry = Arc::into_inner(registry).unwrap();
        topic = registry.kill().await;
    }
    let registry = Registry::on(&topic).await;
    let mut names: BTreeMap<i64, String> = BTreeMap::new();
    for (name, id) in acknowledged {
        let there = registry
            .ok("GET", &format!("/subjects/{name}/versions/1"), None)
            .await;
        assert_eq!(there["id"], json!(id), "{name}");
        let schema = registry
            .ok("GET", &format!("/schemas/ids/{id}"), None)
            .await;
        assert!(
            schema["schema"]
                .as_str()
                .unwrap()
                .contains(&format!("\"{name}\""))
        );
        if let Some(other) = names.insert(id, name.clone()) {
            panic!("id {id} means {other} and {name}");
        }
    }
    assert!(names.len() >= 120);
    registry.stop().await;
}
