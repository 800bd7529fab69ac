//! Each client does everything that it can, once directly and once through the gateway, with the
//! same outcome. Products whose enforcement and tag are `off` are not touched by as much as a byte.

use serde_json::Value;

use crate::kcat;
use crate::mesh::{mesh, topic};
use crate::programs::Client;
use crate::versions::{self, greatest};

async fn same(client: Client) -> versions::Used {
    if !client.is_here() {
        return versions::Used::new();
    }
    let mesh = mesh().await;
    let product = topic("off");
    let gateway = mesh.meshwork.address("gateway");
    let mut told = Vec::new();
    for (way, bootstrap) in [
        ("direct", mesh.kafka.bootstrap_servers()),
        ("gateway", gateway),
    ] {
        let partition = partition(client, way).to_string();
        let prefix = format!("{way}-{}", client.name());
        let arguments = [
            ("bootstrap", bootstrap.as_str()),
            ("prefix", &prefix),
            ("topic", &product),
            ("partition", &partition),
            ("kip848", if client == Client::Java4 { "yes" } else { "no" }),
        ];
        told.push(match client {
            Client::Kcat => kcat::same(&arguments).await,
            _ => client.run("same", &arguments).await,
        });
    }
    assert_lines(client, &told[0], &told[1]);
    assert!(told[0].len() > 20, "{told:?}");

    let both = ["direct", "gateway"].map(|way| partition(client, way));
    let log = mesh.log(&product, &both).await;
    let of = |way| {
        log.iter()
            .filter(|r| r.partition == partition(client, way))
            .map(|r| {
                // kcat can't say when, so that each record has its own time.
                let at = r.timestamp.filter(|_| client != Client::Kcat);
                (r.offset, &r.key, &r.value, &r.headers, at)
            })
            .collect::<Vec<_>>()
    };
    assert!(!of("direct").is_empty());
    assert_eq!(of("direct"), of("gateway"), "{}", client.name());

    let used = versions::used(&mesh.meshwork, client);
    versions::print(client, &used);
    assert!(
        greatest(&used, "Produce") >= 3 && greatest(&used, "Fetch") >= 4,
        "{used:?}"
    );
    used
}

fn partition(client: Client, way: &str) -> i32 {
    let number = 2 * client.number() + usize::from(way == "gateway");
    number.try_into().unwrap()
}

fn assert_lines(client: Client, direct: &[Value], gateway: &[Value]) {
    for (n, line) in direct.iter().enumerate() {
        let other = gateway.get(n).unwrap_or(&Value::Null);
        assert_eq!(
            line,
            other,
            "{}: directly, and through the gateway",
            client.name()
        );
    }
    assert_eq!(direct.len(), gateway.len(), "{gateway:?}");
}

/// Transactions v2 (KIP-890), topic ids (KIP-516) and the new groups (KIP-848) are reached by none of
/// the others.
#[tokio::test(flavor = "multi_thread")]
async fn java_4_does_the_same() {
    let used = same(Client::Java4).await;
    assert_eq!(greatest(&used, "Produce"), 13, "{used:?}");
    assert_eq!(greatest(&used, "Fetch"), 15, "{used:?}");
    assert_eq!(greatest(&used, "EndTxn"), 5, "{used:?}");
    assert_eq!(greatest(&used, "TxnOffsetCommit"), 5, "{used:?}");
    assert!(greatest(&used, "Metadata") >= 12, "{used:?}");
    assert!(greatest(&used, "ConsumerGroupHeartbeat") >= 0, "{used:?}");
    assert_eq!(greatest(&used, "AddPartitionsToTxn"), -1, "{used:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn java_3_does_the_same() {
    same(Client::Java3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confluent_kafka_python_does_the_same() {
    same(Client::Confluent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_does_the_same() {
    same(Client::Kcat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkajs_does_the_same() {
    same(Client::Kafkajs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aiokafka_does_the_same() {
    same(Client::Aiokafka).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn franz_go_does_the_same() {
    same(Client::FranzGo).await;
}
