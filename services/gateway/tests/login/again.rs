//! Logging in again and again on one connection (KIP-368).

use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiKey;
use meshwork_gateway::Config;
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::{DEADLINE, PASSWORD};
use meshwork_wire::Codec;

use crate::entry::{gateway_at, names, observed, plain, produce, product};
use crate::raw::{Raw, batch, produce_request};

/// Logins after the first: longer than one is good for.
const AGAIN: u32 = 6;
/// Between two of them; a broker takes no second one within a second.
const EVERY: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_producer_logs_in_again_and_goes_on() {
    let product = product().await;
    let gateway = gateway_at("REAUTH", Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let mut produced = 0;
    for _ in 0..=AGAIN {
        let began = Instant::now();
        let answer = plain(&mut raw, "alice", PASSWORD).await;
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        let lifetime = u64::try_from(answer.session_lifetime_ms).unwrap();
        let all = EVERY * (AGAIN + 1);
        assert!(lifetime > 0 && Duration::from_millis(lifetime) < all);
        while began.elapsed() < EVERY {
            produce(&mut raw, &product).await;
            produced += 1;
        }
    }
    assert_eq!(names(&product).await, vec!["alice"; produced]);
    let seen = observed(&product, i64::try_from(produced).unwrap()).await;
    assert_eq!(seen, [("alice".to_owned(), Trust::Principal)]);

    // Who does not is closed by the broker, and so by the gateway.
    let good = batch(Codec::None, &[product.flight("a")]);
    let request = produce_request(product.topic(), &good);
    let until = Instant::now() + DEADLINE;
    loop {
        raw.send(ApiKey::Produce, 9, &request).await;
        if raw.frame().await.is_none() {
            break;
        }
        assert!(Instant::now() < until, "still open after {DEADLINE:?}");
    }
    gateway.stop().await;
}
