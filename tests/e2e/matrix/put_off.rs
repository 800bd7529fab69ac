//! The registry is away, and a record comes under a schema that the gateway has not seen: products
//! that fail closed put its batch off, and every later one of its producer. Once the registry is back
//! all is there, in order, and each client was told so.

use meshwork_kafka::{KafkaConfig, OutRecord, Producer, ProducerOptions};
use meshwork_testkit::{DEADLINE, free_ports, wait_for};
use serde_json::json;

use crate::kcat;
use crate::mesh::{Mesh, Process, contract, mesh, schema, topic, value};
use crate::programs::{CLIENTS, Client};
use crate::refused::{AFTER, BAD, FIRST, Told, words};

/// A client whose record in this place can't be checked.
#[derive(Clone, Copy, Debug)]
struct Case {
    client: Client,
    bad: usize,
}

impl Case {
    fn name(self) -> String {
        format!("away{}{}", self.client.number(), self.bad)
    }

    /// Its records: all good, one under the schema that is not known yet.
    fn records(self, known: u32, unknown: u32) -> Vec<(Option<String>, Vec<u8>)> {
        let record = |i: usize| {
            let key = format!("k{i}");
            let mut bytes = value(if i == self.bad { unknown } else { known }, &key);
            if i == self.bad {
                // The field that the second schema adds: null.
                bytes.push(0);
            }
            (Some(key), bytes)
        };
        (0..FIRST + AFTER).map(record).collect()
    }
}

/// Registers the product's second schema; its id.
async fn second_schema(mesh: &Mesh, topic: &str) -> u32 {
    let more = r#",{"name":"note","type":["null","string"],"default":null}"#;
    let url = mesh.meshwork.address("registry");
    let answer = reqwest::Client::new()
        .post(format!("{url}/subjects/{topic}-value/versions"))
        .json(&json!({ "schema": schema(more) }))
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"));
    u32::try_from(id).unwrap()
}

async fn produce_one(gateway: &str, topic: &str, bytes: &[u8]) {
    let producer: Producer =
        Producer::new(&KafkaConfig::new(gateway), &ProducerOptions::default()).unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    let record = OutRecord {
        topic,
        key: Some(b"first"),
        value: Some(bytes),
        ..OutRecord::default()
    };
    let done = Box::new(move |result| {
        let _ = tell.send(result);
    });
    if let Err(e) = producer.queue(&record, done).await {
        panic!("a record for {topic} was not queued: {:?}", e.error);
    }
    tokio::time::timeout(DEADLINE, told)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

async fn run(case: Case, gateway: &str, known: u32, unknown: u32) -> Told {
    let topic = topic(&case.name());
    let records = case.records(known, unknown);
    let (first, after) = records.split_at(FIRST);
    let mut told = Told::default();
    if case.client == Client::Kcat {
        let settings = [
            "enable.idempotence=true",
            "batch.num.messages=1",
            "linger.ms=0",
        ];
        for line in kcat::produce(gateway, (&topic, "0"), &settings, &records).await {
            told.take(&line);
        }
        return told;
    }
    let (first, after) = (words(first), words(after));
    let jobs = format!("idempotent/{topic}/0/first");
    let arguments = [
        ("bootstrap", gateway),
        ("jobs", &jobs),
        ("first", &first),
        ("after", &after),
        ("retries", "1000"),
    ];
    let lines = case.client.run("send", &arguments).await;
    lines.iter().skip(1).for_each(|line| told.take(line));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_off_arrives_in_order_once_the_registry_is_back() {
    let mesh = mesh().await;
    let cases: Vec<Case> = CLIENTS
        .into_iter()
        .filter(|client| client.is_here())
        .flat_map(|client| BAD.map(|bad| Case { client, bad }))
        .collect();
    let contracts = mesh.dir.path().join("away");
    for case in &cases {
        contract(&contracts, &case.name(), ("reject", "off"), 1);
    }
    mesh.apply(&[&contracts]).await;

    // A registry and a gateway of this test's own: the others go on with theirs.
    let servers = mesh.kafka.bootstrap_servers();
    let registry_dir = mesh.dir.path().join("away-registry");
    let at = format!("127.0.0.1:{}", free_ports(1).unwrap()[0]);
    let url = format!("http://{at}");
    let registry = Process::start(
        &registry_dir,
        &servers,
        "registry",
        &["--registry-listen", &at],
    )
    .await;
    let more = ["--gateway-listen", "127.0.0.1:0", "--registry-url", &url];
    let gateway = Process::start(
        &mesh.dir.path().join("away-gateway"),
        &servers,
        "gateway",
        &more,
    )
    .await;
    let bootstrap = gateway.address("gateway");
    let mut ids = Vec::new();
    for case in &cases {
        let topic = topic(&case.name());
        let known = mesh.schema_id(&topic).await;
        ids.push((known, second_schema(mesh, &topic).await));
        mesh.followed(&gateway, &topic).await;
        produce_one(&bootstrap, &topic, &value(known, "first")).await;
    }

    drop(registry);
    let running: Vec<_> = cases
        .iter()
        .zip(&ids)
        .map(|(case, (known, unknown))| {
            let (case, known, unknown) = (*case, *known, *unknown);
            let bootstrap = bootstrap.clone();
            tokio::spawn(async move { run(case, &bootstrap, known, unknown).await })
        })
        .collect();
    for case in &cases {
        let topic = topic(&case.name());
        let refused = |line: &str| {
            line.contains("batches_refused")
                && line.contains(&topic)
                && line.contains("registry-unavailable")
        };
        wait_for(&format!("{case:?} to be put off"), || async {
            gateway.metrics().await.lines().any(refused).then_some(())
        })
        .await;
    }
    let _registry = Process::start(
        &registry_dir,
        &servers,
        "registry",
        &["--registry-listen", &at],
    )
    .await;

    for ((case, (known, unknown)), running) in cases.iter().zip(ids).zip(running) {
        let told = running.await.unwrap();
        let sent = case.records(known, unknown);
        assert_eq!(told.records.len(), sent.len(), "{case:?}: {told:?}");
        let log = mesh.log(&topic(&case.name()), &[0]).await;
        // The first one there is ours.
        let there: Vec<&[u8]> = log
            .iter()
            .skip(1)
            .map(|r| r.value.as_deref().unwrap())
            .collect();
        if case.client != Client::Kafkajs {
            let sent: Vec<&[u8]> = sent.iter().map(|(_, value)| value.as_slice()).collect();
            assert_eq!(there, sent, "{case:?}: in order and whole: {told:?}");
        }
        assert_eq!(there.len(), sent.len(), "{case:?}: {told:?}");
        for (i, (_, value)) in sent.iter().enumerate() {
            let found = log
                .iter()
                .find(|r| r.value.as_deref() == Some(value))
                .unwrap();
            match &told.records[&i] {
                Ok(offset) => assert!(
                    *offset < 0 || *offset == found.offset,
                    "{case:?} {i}: {told:?}"
                ),
                Err(why) => panic!("{case:?}: {i} is there and was said to be not: {why}"),
            }
        }
    }
}
