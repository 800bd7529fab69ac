//! Large requests wait for room, and no client takes all of it.

use kafka_protocol::messages::ApiKey;
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::{ByteSize, HumanDuration};
use meshwork_testkit::{DEADLINE, wait_until};
use meshwork_wire::Codec;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch, produce_request};
use super::registry_away::later;
use super::way::Way;

const MIB: u64 = 1 << 20;

/// Room for four requests of 1 MiB.
fn narrow() -> Config {
    Config {
        max_held_bytes: ByteSize::from_bytes(4 * MIB),
        max_produce_bytes: ByteSize::from_bytes(MIB),
        max_request_bytes: ByteSize::from_bytes(MIB),
        ..Config::default()
    }
}

/// A client that says it will send 1 MiB, sends some of it, and stops.
async fn stalled(gateway: &Gateway) -> Raw {
    let mut raw = Raw::connect(&gateway.address).await;
    let mut some = vec![0; 100_000];
    // 1 MiB: Produce, version 9, correlation id 1.
    some[..12].copy_from_slice(&[0, 16, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1]);
    raw.stream.write_all(&some).await.unwrap();
    raw
}

async fn has_room(gateway: &Gateway) {
    wait_until("a request to have room", || async {
        gateway.metric("meshwork_gateway_held_bytes") >= MIB
    })
    .await;
}

/// A value of a product of so many bytes, under the schema of `value`.
fn padded(value: &[u8], bytes: usize) -> Vec<u8> {
    let mut padded = value[..5].to_vec();
    meshwork_wire::varint::write_i64(&mut padded, i64::try_from(bytes).unwrap());
    padded.resize(padded.len() + bytes, b'x');
    padded.extend(&value[7..]);
    padded
}

#[tokio::test]
async fn clients_of_one_address_that_stall_keep_no_other_out() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(narrow()).await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        slow.push(stalled(&gateway).await);
    }
    has_room(&gateway).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(gateway.address.parse().unwrap()).await;
    let mut other = Raw::over(stream.unwrap());
    let large = batch(Codec::None, &[padded(&product.flight("a"), 500_000)]);
    assert_eq!(other.produce(9, product.topic(), &large).await.0, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn requests_that_have_not_come_whole_do_not_hold_up_the_end() {
    let gateway = Gateway::start(narrow()).await;
    let one = stalled(&gateway).await;
    has_room(&gateway).await;
    let waiting = stalled(&gateway).await;
    tokio::time::timeout(DEADLINE, gateway.stop())
        .await
        .expect("the gateway to stop");
    drop((one, waiting));
}

#[tokio::test]
async fn room_is_not_waited_for_without_end() {
    let product = Product::new(EnforcementMode::Reject).await;
    let way = Way::open().await;
    // Long enough for the first to come whole, and less than a schema is waited for.
    let config = Config {
        stalled_after: HumanDuration::from_secs(2),
        ..narrow()
    };
    let gateway = Gateway::start_with(config, way.client()).await;
    let unknown = later(&product, &["gate"]).await;
    let large = batch(Codec::None, &[padded(&unknown, 900_000)]);
    // The first keeps its room while its schema is asked for; the second has none.
    way.hold_up(usize::MAX);
    let mut first = Raw::connect(&gateway.address).await;
    let request = produce_request(product.topic(), &large);
    first.send(ApiKey::Produce, 9, &request).await;
    wait_until("the first to have room", || async {
        gateway.metric("meshwork_gateway_held_bytes") >= 900_000
    })
    .await;
    let mut second = Raw::connect(&gateway.address).await;
    second.send(ApiKey::Produce, 9, &request).await;
    assert_eq!(second.frame().await, None, "closed");
    let (_, answer) = first
        .answer::<kafka_protocol::messages::ProduceResponse>(9)
        .await
        .unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 19);
    gateway.stop().await;
}
