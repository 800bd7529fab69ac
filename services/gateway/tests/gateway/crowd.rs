//! Five thousand clients at once, and nothing in any cache.

use kafka_protocol::messages::{ApiKey, ProduceResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_wire::Codec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpSocket;

use super::mesh::{Gateway, Product, framed};
use super::raw::{Raw, batch, produce_request};
use super::registry_away::later;
use super::way::Way;

/// As many as a gateway takes by default; a thousand from each address.
const CLIENTS: usize = 5_000;

/// A client of its own address in 127.0.0.0/8, one for every thousand.
async fn connect(gateway: &Gateway, number: usize) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    let from = format!("127.0.0.{}:0", 2 + number / 1_000);
    socket.bind(from.parse().unwrap()).unwrap();
    let to = gateway.address.parse().unwrap();
    Raw::over(socket.connect(to).await.unwrap())
}

/// Error codes that the clients are told of their batches.
async fn produced(clients: &mut [Raw], topic: &str, batch: &[u8]) -> Vec<i16> {
    let request = produce_request(topic, batch);
    for client in &mut *clients {
        client.send(ApiKey::Produce, 9, &request).await;
    }
    let mut codes = Vec::new();
    for client in clients {
        let (_, answer) = client.answer::<ProduceResponse>(9).await.unwrap();
        codes.push(answer.responses[0].partition_responses[0].error_code);
    }
    codes
}

/// Fault 27: one question for each schema, not one for each client; of a schema that is not there
/// too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_asked_for_once_however_many_clients_wait_for_it() {
    // Here are both ends of their connections, and the gateway's to the broker.
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, raised).unwrap();

    let product = Product::new(EnforcementMode::Reject).await;
    let way = Way::open().await;
    let gateway = Gateway::start_with(Config::default(), way.client()).await;
    let unseen = later(&product, &["gate"]).await;
    let id = i32::from_be_bytes(*unseen[1..].first_chunk().unwrap());
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(connect(&gateway, number).await);
    }
    let path = |id: i32| format!("/schemas/ids/{id}");
    assert_eq!(way.asked(&path(id)), 0, "nobody has asked yet");

    let good = batch(Codec::None, &[unseen]);
    let codes = produced(&mut clients, product.topic(), &good).await;
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), CLIENTS);
    assert_eq!(way.asked(&path(id)), 1);
    assert_eq!(product.log().await.len(), CLIENTS);

    // Nobody has registered it. That is believed for five seconds, however long all take here.
    let absent = i32::MAX - 1;
    let bad = batch(Codec::None, &[framed(absent, "a")]);
    let began = std::time::Instant::now();
    let codes = produced(&mut clients, product.topic(), &bad).await;
    let most = 1 + began.elapsed().as_secs() / 5;
    assert_eq!(codes.iter().filter(|code| **code == 87).count(), CLIENTS);
    let asked = u64::try_from(way.asked(&path(absent))).unwrap();
    assert!((1..=most).contains(&asked), "asked {asked} times");
    drop(clients);
    gateway.stop().await;
}
