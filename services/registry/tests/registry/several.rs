//! Several instances on one log: one writes, the others pass changes on, and none can write that has
//! been replaced.

use meshwork_kafka::{Admin, NewTopic, OutRecord, Producer, ProducerOptions};
use meshwork_model::mesh::audit::{AuditAction, AuditEvent};
use meshwork_model::mesh::change::{Change, ProductChange};
use meshwork_registry::{Config, Standing};
use meshwork_registry_client::MeshReader;
use meshwork_testkit::{OtherRegistry, unique, wait_for, wait_until};
use serde_json::{Value, json};

use crate::harness::{Registry, answer, cluster, own_cluster, record};

fn on(topic: &str) -> Config {
    Config {
        topic: topic.to_owned(),
        announce_changes: false,
        ..Config::default()
    }
}

async fn stands(registry: &Registry, wanted: Standing) {
    wait_until("the instance's standing", || async {
        registry.handle.standing() == wanted
    })
    .await;
}

/// Offset that a change is answered with.
async fn offset_of(registry: &Registry, subject: &str, text: &str) -> i64 {
    let response = registry
        .request(
            "POST".parse().unwrap(),
            &format!("/subjects/{subject}/versions"),
        )
        .body(json!({ "schema": text }).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let offset = response.headers().get("meshwork-offset").unwrap();
    offset.to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writes_and_the_others_pass_on() {
    let topic = unique("schemas");
    let writer = Registry::with(on(&topic)).await;
    stands(&writer, Standing::Writing).await;
    let other = Registry::with(on(&topic)).await;
    stands(&other, Standing::Following).await;
    assert_eq!(writer.handle.standing(), Standing::Writing);

    // What an instance answers, it shows at once; and another one that is told up to where.
    for round in 0..20 {
        let text = record(&format!("R{round}"), "");
        let (asked, shown) = if round % 2 == 0 {
            (&other, &writer)
        } else {
            (&writer, &other)
        };
        let subject = format!("s{round}");
        let offset = offset_of(asked, &subject, &text).await;
        let path = format!("/subjects/{subject}/versions/latest/schema");
        assert_eq!(asked.call("GET", &path, None).await.0, 200);
        let request = shown
            .request("GET".parse().unwrap(), &path)
            .header("Meshwork-Min-Offset", offset.to_string());
        assert_eq!(answer(request).await.0, 200, "round {round}");
    }
    // Refusals come back as the writer words them.
    let path = "/subjects/s0/versions";
    let body = json!({ "schema": record("R0", r#"{"name":"a","type":"int"}"#) });
    let (status, refused) = other.call("POST", path, Some(body)).await;
    assert_eq!((status, &refused["error_code"]), (409, &json!(40901)));
    // One that was passed on already is not passed on again.
    let request = other
        .request("POST".parse().unwrap(), path)
        .header("X-Forward", "true")
        .body(json!({ "schema": "\"int\"" }).to_string());
    let (status, refused) = answer(request).await;
    assert_eq!((status, &refused["error_code"]), (503, &json!(50004)));
    // What is there already needs no writer.
    let request = other
        .request("POST".parse().unwrap(), path)
        .header("X-Forward", "true")
        .body(json!({ "schema": record("R0", "") }).to_string());
    assert_eq!(answer(request).await.0, 200);
    // An offset that does not come is not waited for without end.
    let request = other
        .request("GET".parse().unwrap(), "/subjects")
        .header("Meshwork-Min-Offset", "1000000");
    let (status, refused) = answer(request).await;
    assert_eq!((status, &refused["error_code"]), (503, &json!(50004)));

    // The other takes over when the writer leaves, and ids go on.
    let before = writer.register("last", "\"long\"").await;
    writer.stop().await;
    stands(&other, Standing::Writing).await;
    assert_eq!(other.register("next", "\"double\"").await, before + 1);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_at_once_are_one_after_another() {
    let registry = Registry::start().await;
    // The same content and different contents, all at once.
    let ask = |subject: String, text: String| {
        let request = registry
            .request(
                "POST".parse().unwrap(),
                &format!("/subjects/{subject}/versions"),
            )
            .body(json!({ "schema": text }).to_string());
        tokio::spawn(async move { answer(request).await.1["id"].as_i64().unwrap() })
    };
    let (mut same, mut different) = (Vec::new(), Vec::new());
    for n in 0..40 {
        same.push(ask("same".to_owned(), "\"string\"".to_owned()));
        different.push(ask(format!("s{n}"), record(&format!("R{n}"), "")));
    }
    let (same, different) = (all(same).await, all(different).await);
    assert!(same.iter().all(|id| *id == same[0]), "{same:?}");
    let mut ids = different;
    ids.push(same[0]);
    ids.sort_unstable();
    assert_eq!(ids, (1..=41).collect::<Vec<i64>>());
    assert_eq!(
        registry.ok("GET", "/subjects/same/versions", None).await,
        json!([1])
    );
    // One that is refused harms none of the others of its group.
    let (long, short) = (
        record(
            "Long",
            &format!(
                r#"{{"name":"a","type":"int","doc":"{}"}}"#,
                "x".repeat(995_000)
            ),
        ),
        record("Short", ""),
    );
    let body = json!({ "schema": long });
    let (refused, taken) = tokio::join!(
        registry.call("POST", "/subjects/long/versions", Some(body)),
        registry.register("short", &short),
    );
    assert_eq!((refused.0, &refused.1["error_code"]), (422, &json!(42209)));
    assert_eq!(taken, 42);
    registry.stop().await;
}

async fn all(asked: Vec<tokio::task::JoinHandle<i64>>) -> Vec<i64> {
    let mut ids = Vec::new();
    for asked in asked {
        ids.push(asked.await.unwrap());
    }
    ids
}

/// Somebody else's record behind our election: two writers give one id twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_record_makes_the_writer_step_down() {
    let topic = unique("schemas");
    let registry = Registry::with(on(&topic)).await;
    registry.register("ours", "\"string\"").await;
    write_foreign(&topic, "theirs", 2).await;
    wait_until("the writer to step down", || async {
        matches!(registry.handle.standing(), Standing::Refusing(_))
    })
    .await;
    let body = json!({ "schema": "\"int\"" });
    let (status, refused) = registry
        .call("POST", "/subjects/new/versions", Some(body.clone()))
        .await;
    assert_eq!((status, &refused["error_code"]), (503, &json!(50004)));
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("--force-takeover"), "{message}");
    // Reads go on, and show what the other wrote.
    assert_eq!(
        registry.ok("GET", "/subjects", None).await,
        json!(["ours", "theirs"])
    );
    registry.stop().await;

    // A restart alone is no permission; being told is.
    let registry = Registry::with(on(&topic)).await;
    let refused = registry
        .call("POST", "/subjects/new/versions", Some(body))
        .await;
    assert_eq!(refused.0, 503);
    registry.stop().await;
    let forced = Config {
        force_takeover: true,
        ..on(&topic)
    };
    let registry = Registry::with(forced).await;
    assert_eq!(registry.register("new", "\"int\"").await, 3);
    registry.stop().await;
    // And from then on without.
    let registry = Registry::with(on(&topic)).await;
    assert_eq!(registry.register("newer", "\"long\"").await, 4);
    registry.stop().await;
}

async fn write_foreign(topic: &str, subject: &str, id: i32) {
    write_text(topic, subject, id, "bytes").await;
}

async fn write_text(topic: &str, subject: &str, id: i32, text: &str) {
    let options = ProducerOptions::default();
    let producer: Producer<tokio::sync::oneshot::Sender<_>> =
        Producer::new(&cluster().await.config(), &options).unwrap();
    let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
    let value = format!(
        r#"{{"subject":"{subject}","version":1,"id":{id},"schema":"\"{text}\"","deleted":false}}"#
    );
    let record = OutRecord {
        topic,
        partition: Some(0),
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        ..OutRecord::default()
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    producer.queue(&record, tell).await.unwrap();
    told.await.unwrap().unwrap();
}

/// While another registry's instances are members of their group, they may write.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_another_registry_is_there() {
    let kafka = own_cluster().await;
    let bootstrap = kafka.bootstrap_servers();
    let join = |host: &'static str| {
        let bootstrap = bootstrap.clone();
        tokio::task::spawn_blocking(move || OtherRegistry::join(&bootstrap, host))
    };
    let other = join("confluent.example").await.unwrap();
    let config = Config {
        announce_changes: false,
        ..Config::default()
    };
    let registry = Registry::with_kafka(config, kafka.config()).await;
    let ask = || {
        let body = json!({ "schema": "\"string\"" });
        registry.call("POST", "/subjects/s/versions", Some(body))
    };
    let (status, refused) = ask().await;
    assert_eq!((status, &refused["error_code"]), (503, &json!(50004)));
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("http://confluent.example:8081"),
        "{message}"
    );
    // Once it has left, writing begins by itself.
    tokio::task::spawn_blocking(|| drop(other)).await.unwrap();
    wait_until("the registry to write", || async { ask().await.0 == 200 }).await;
    // One that comes later ends it.
    let late = join("late.example").await.unwrap();
    wait_until("the registry to stop writing", || async {
        matches!(registry.handle.standing(), Standing::Refusing(_))
    })
    .await;
    tokio::task::spawn_blocking(|| drop(late)).await.unwrap();
    wait_until("the registry to write again", || async {
        registry.handle.standing() == Standing::Writing
    })
    .await;
    registry.stop().await;
}

/// Every registration is told once, whoever is killed in between, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_told_once() {
    let kafka = own_cluster().await;
    let start = || Registry::with_kafka(Config::default(), kafka.config());
    let mut registry = start().await;
    let mut expected = Vec::new();
    for round in 0..4 {
        for n in 0..5 {
            let fields = format!(r#"{{"name":"f{round}","type":"int","default":{n}}}"#);
            let (subject, text) = (format!("d.p{n}.v1-value"), record("R", &fields));
            registry.register(&subject, &text).await;
            // What is there already is no change.
            registry.register(&subject, &text).await;
            expected.push((subject, round + 1));
        }
        registry.kill().await;
        registry = start().await;
    }
    let request = registry
        .request("PUT".parse().unwrap(), "/config/s")
        .header("Meshwork-Claimed-By", "ann@host")
        .body(json!({ "compatibility": "NONE" }).to_string());
    assert_eq!(answer(request).await.0, 200);
    let topic = "mesh.catalog.changes";
    let told = kafka.read_until(topic, expected.len()).await;
    let reader = MeshReader::<ProductChange>::new(registry.client());
    let mut got = Vec::new();
    for record in &told {
        let change = reader
            .decode(record.value.as_deref().unwrap())
            .await
            .unwrap();
        let Change::SchemaChange(schema) = change.change else {
            panic!("{change:?}");
        };
        let urn = change.urn.unwrap().to_string();
        assert_eq!(record.key.as_deref().unwrap(), urn.as_bytes());
        assert_eq!(
            schema.from_version,
            Some(schema.to_version - 1).filter(|v| *v > 0)
        );
        assert_eq!(
            schema.in_words.is_empty(),
            schema.to_version == 1,
            "{schema:?}"
        );
        got.push((schema.subject, schema.to_version));
    }
    got.sort();
    expected.sort();
    assert_eq!(got, expected);
    // The audit has all of it, the mesh's own schemas and the setting too.
    let reader = MeshReader::<AuditEvent>::new(registry.client());
    let events = wait_for("the audit", || async {
        let mut events = Vec::new();
        for record in kafka.read_all("mesh.audit").await {
            events.push(
                reader
                    .decode(record.value.as_deref().unwrap())
                    .await
                    .unwrap(),
            );
        }
        let set = |event: &AuditEvent| event.action == AuditAction::SetConfig;
        events.iter().any(set).then_some(events)
    })
    .await;
    let set = |event: &&AuditEvent| event.action == AuditAction::SetConfig;
    let event = events.iter().find(set).unwrap();
    assert_eq!(
        (&*event.actor, &*event.details["claimed"]),
        ("anonymous", "ann@host")
    );
    let registered = events
        .iter()
        .filter(|event| event.action == AuditAction::Register)
        .filter(|event| !event.subject.as_deref().unwrap().starts_with("mesh."));
    assert_eq!(registered.count(), expected.len());
    let mut ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len(), "an event came twice");
    assert_eq!(kafka.read_all(topic).await.len(), expected.len());
    registry.stop().await;
}

/// A record that is ignored because of another one must stay without effect when that one is gone.
#[tokio::test(flavor = "multi_thread")]
async fn ignored_records_are_written_over() {
    let topic = unique("schemas");
    let kafka = cluster().await;
    kafka
        .create_topic(&NewTopic::new(topic.clone(), 1).with("cleanup.policy", "compact"))
        .await;
    write_foreign(&topic, "a", 5).await;
    // Another content under the same id: as a new version, and over one that is there.
    for (subject, id, text) in [("b", 5, "int"), ("c", 6, "long"), ("c", 5, "double")] {
        write_text(&topic, subject, id, text).await;
    }
    let registry = Registry::with(on(&topic)).await;
    assert_eq!(registry.register("d", "\"float\"").await, 7);
    let log = registry.log().await;
    let last = |subject: &str| {
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
        log.iter().rfind(|(k, _)| *k == key).unwrap().1.clone()
    };
    assert_eq!(last("b"), None);
    let c: Value = serde_json::from_str(&last("c").unwrap()).unwrap();
    assert_eq!((&c["id"], &c["schema"]), (&json!(6), &json!("\"long\"")));
    let count = log.len();
    registry.stop().await;
    // Once.
    let registry = Registry::with(on(&topic)).await;
    registry.register("d", "\"float\"").await;
    assert!(registry.log().await.len() <= count + 1);
    registry.stop().await;
}

/// The id of an aborted record may be known to others, and is not given again.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_aborted_records_are_not_given() {
    let topic = unique("schemas");
    let registry = Registry::with(on(&topic)).await;
    assert_eq!(registry.register("a", "\"string\"").await, 1);
    registry.stop().await;
    abort_one(&topic, 9).await;
    let registry = Registry::with(on(&topic)).await;
    assert_eq!(registry.register("b", "\"int\"").await, 10);
    registry.stop().await;
    // Also for the one after, which need not look so far back.
    let registry = Registry::with(on(&topic)).await;
    assert_eq!(registry.register("c", "\"long\"").await, 11);
    let admin = Admin::new(&cluster().await.config()).unwrap();
    let members = admin.members_of_any_kind("schema-registry").await.unwrap();
    assert_eq!(members, []);
    registry.stop().await;
}

/// A transaction with a schema record, which is written, and a record elsewhere that the broker will
/// not take.
async fn abort_one(topic: &str, id: i32) {
    use meshwork_kafka::{OwnedOutRecord, TransactionalOptions, TransactionalProducer};
    let config = cluster().await.config();
    let narrow = unique("narrow");
    cluster()
        .await
        .create_topic(&NewTopic::new(narrow.clone(), 1).with("max.message.bytes", "1000"))
        .await;
    let options = TransactionalOptions::default();
    let producer = TransactionalProducer::open(&config, &unique("abort"), options)
        .await
        .unwrap();
    let key = r#"{"keytype":"SCHEMA","subject":"lost","version":1,"magic":1}"#;
    let value: Value =
        json!({"subject":"lost","version":1,"id":id,"schema":"\"x\"","deleted":false});
    // Of the kind that does not compress.
    let noise: Vec<u8> = (0..5_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let aborted = vec![
        OwnedOutRecord::new(
            topic,
            bytes::Bytes::from(key),
            bytes::Bytes::from(value.to_string()),
        ),
        OwnedOutRecord::new(
            narrow.as_str(),
            bytes::Bytes::from("k"),
            bytes::Bytes::from(noise),
        ),
    ];
    producer.commit_all(aborted).await.unwrap_err();
}
