//! A client that asks for more than it takes.

use kafka_protocol::messages::ApiKey;
use meshwork_testkit::kafka;
use meshwork_wire::Codec;

use crate::child::Child;
use crate::leaders::leader;
use crate::raw::{Raw, batch, fetch_request};
use crate::turn;

/// What the gateway may have more than before, KiB: no more than a few answers' pieces.
const MORE_KIB: u64 = 16 << 10;
const MIB: i32 = 1 << 20;

#[tokio::test]
async fn a_slow_consumer_costs_no_memory() {
    let _turn = turn().await;
    let topic = kafka().topic("wide", 1).await;
    let gateway = Child::start().await;
    let address = format!("127.0.0.1:{}", gateway.port() + leader(&topic).await);
    let mut raw = Raw::connect(&address).await;
    let large = batch(Codec::None, &vec![vec![7; 100 << 10]; 9]);
    for _ in 0..60 {
        assert_eq!(raw.produce(9, &topic, &large).await.0, 0);
    }
    let before = gateway.most_kib();
    let asks = fetch_request(&topic, 100, 1, 50 * MIB);
    // 50 MiB for each of them, none of which is read, until the gateway takes no more requests.
    let asked = raw.flood(ApiKey::Fetch, 11, &asks, 1_000_000).await;
    let more = gateway.most_kib() - before;
    assert!(more < MORE_KIB, "{more} KiB more after {asked} requests");
}
