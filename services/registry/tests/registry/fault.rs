//! Brokers that stop answering, and what they have of writes that nobody heard of again.

use std::collections::BTreeMap;

use meshwork_kafka::{NewTopic, OwnedOutRecord, TransactionalOptions, TransactionalProducer};
use meshwork_model::units::HumanDuration;
use meshwork_registry::Config;
use meshwork_testkit::{unique, wait_for};
use serde_json::{Value, json};

use crate::harness::{Registry, cluster, own_cluster, record};

/// A transaction marker as the last offset is no record, and must not be waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_marker_at_the_end_is_no_obstacle() {
    let topic = unique("schemas");
    let kafka = cluster().await;
    kafka
        .create_topic(&NewTopic::new(topic.clone(), 1).with("cleanup.policy", "compact"))
        .await;
    let producer = TransactionalProducer::open(
        &kafka.config(),
        &unique("writer"),
        TransactionalOptions::default(),
    )
    .await
    .unwrap();
    let key = r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
    let value = r#"{"subject":"s","version":1,"id":5,"schema":"\"string\"","deleted":false}"#;
    let written = OwnedOutRecord::new(topic.as_str(), Some(key.into()), Some(value.into()));
    producer.commit_all(vec![written]).await.unwrap();

    let registry = Registry::on(&topic).await;
    assert_eq!(registry.ok("GET", "/subjects", None).await, json!(["s"]));
    assert_eq!(registry.register("t", "\"int\"").await, 6);
    registry.stop().await;
}

/// A registration that "timed out" may have succeeded: the retry must give the same id, and no id
/// may ever mean two schemas.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_unknown_fate_never_gives_an_id_twice() {
    let kafka = own_cluster().await;
    let config = Config {
        write_timeout: HumanDuration::from_secs(2),
        ..Config::default()
    };
    let registry = Registry::with_kafka(config.clone(), kafka.config()).await;
    // With so little time the first one may come before the instance is elected.
    let first = registered(&registry, "before", "Before").await;
    for round in 0..3 {
        kafka.dev().pause(1).unwrap();
        let subject = format!("during{round}");
        let text = record(&format!("R{round}"), r#"{"name":"a","type":"int"}"#);
        let path = format!("/subjects/{subject}/versions");
        let body = json!({ "schema": text });
        let (status, answer) = registry.call("POST", &path, Some(body.clone())).await;
        // Whether it was written is not known; or, once the group has given this instance up, it
        // certainly was not.
        let expected: &[u16] = if round == 0 { &[500] } else { &[500, 503] };
        assert!(expected.contains(&status), "{status} {answer}");
        let code = if status == 500 { 50002 } else { 50004 };
        assert_eq!(answer["error_code"], json!(code), "{answer}");
        // Reads go on.
        let path_of_first = format!("/schemas/ids/{first}");
        registry.ok("GET", &path_of_first, None).await;
        kafka.dev().resume(1).unwrap();
        // First another one, which must not get the id that the lost write may have.
        let other = registered(&registry, &format!("after{round}"), &format!("S{round}")).await;
        let retried = wait_for("the retry", || async {
            let (status, answer) = registry.call("POST", &path, Some(body.clone())).await;
            (status == 200).then_some(answer)
        })
        .await;
        assert_eq!(retried["version"], json!(1));
        assert_ne!(retried["id"], json!(other));
    }
    // Every id in the log has one text, and is what the registry says, now and after a restart.
    let log = kafka.read_all("_schemas").await;
    let mut texts: BTreeMap<i64, String> = BTreeMap::new();
    for value in log.iter().filter_map(|record| record.value.as_deref()) {
        let value: Value = serde_json::from_slice(value).unwrap();
        let (Some(id), Some(text)) = (value["id"].as_i64(), value["schema"].as_str()) else {
            continue;
        };
        assert_eq!(texts.entry(id).or_insert_with(|| text.to_owned()), text);
    }
    // That of before, and two of each round.
    assert!(texts.len() >= 7, "{texts:?}");
    let mut registry = registry;
    for _ in 0..2 {
        for (id, text) in &texts {
            // The last write's transaction may have ended only just now.
            let path = format!("/schemas/ids/{id}");
            let answer = wait_for("the registry to have read the log", || async {
                let (status, answer) = registry.call("GET", &path, None).await;
                (status == 200).then_some(answer)
            })
            .await;
            assert_eq!(answer["schema"], json!(text));
        }
        registry.stop().await;
        registry = Registry::with_kafka(config.clone(), kafka.config()).await;
    }
    registry.stop().await;
}

async fn registered(registry: &Registry, subject: &str, name: &str) -> i64 {
    let path = format!("/subjects/{subject}/versions");
    let body = json!({ "schema": record(name, "") });
    wait_for("a registration", || async {
        let (status, answer) = registry.call("POST", &path, Some(body.clone())).await;
        (status == 200).then(|| answer["id"].as_i64().unwrap())
    })
    .await
}
