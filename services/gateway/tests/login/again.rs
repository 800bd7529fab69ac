//! Logging in again and again on one connection (KIP-368).

use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, SaslAuthenticateResponse, SaslHandshakeResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::{DEADLINE, PASSWORD, wait_for};
use meshwork_wire::Codec;

use crate::entry::{
    gateway_at, handshake_request, names, observed, plain, plain_token, produce, product,
    token_request,
};
use crate::mesh::Gateway;
use crate::raw::{Raw, batch, produce_request};

/// Logins after the first: three lifetimes at least.
const AGAIN: usize = 6;
/// What the broker answers to a login at the wrong time.
const ILLEGAL_SASL_STATE: i16 = 34;

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
        assert!((1..=3_000).contains(&lifetime), "{lifetime}");
        // The broker takes no second login within a second.
        while began.elapsed() < Duration::from_millis(lifetime / 2) {
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

/// Logs in as `mallory` twice, the second time with another's name sent right behind, before the
/// broker's yes. The broker takes one login a second, refuses to begin the one too many, and keeps the
/// connection. `None`: it looked at the other name.
async fn with_a_name_sent_ahead(gateway: &Gateway) -> Option<Raw> {
    let mut raw = Raw::connect(&gateway.address).await;
    assert_eq!(plain(&mut raw, "mallory", PASSWORD).await.error_code, 0);
    loop {
        for (user, password) in [("mallory", PASSWORD), ("alice", "not known")] {
            let asks = handshake_request("PLAIN");
            raw.send(ApiKey::SaslHandshake, 1, &asks).await;
            let tells = token_request(plain_token(user, password));
            raw.send(ApiKey::SaslAuthenticate, 2, &tells).await;
        }
        let mut codes = Vec::new();
        for _ in 0..2 {
            let (_, answer): (_, SaslHandshakeResponse) = raw.answer(1).await?;
            let (_, told): (_, SaslAuthenticateResponse) = raw.answer(2).await?;
            codes.push((answer.error_code, told.error_code));
        }
        let refused = (ILLEGAL_SASL_STATE, ILLEGAL_SASL_STATE);
        match codes[..] {
            [(0, 0), second] if second == refused => return Some(raw),
            // Not a second since the first one.
            [first, second] if first == refused && second == refused => {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            _ => return None,
        }
    }
}

#[tokio::test]
async fn the_brokers_yes_is_to_the_name_that_it_has_looked_at() {
    let product = product().await;
    let gateway = gateway_at("SASL", Config::default()).await;
    let mut raw = wait_for("a login of another right behind one that is taken", || {
        with_a_name_sent_ahead(&gateway)
    })
    .await;
    produce(&mut raw, &product).await;
    assert_eq!(names(&product).await, ["mallory"]);
    let seen = observed(&product, 1).await;
    assert_eq!(seen, [("mallory".to_owned(), Trust::Principal)]);
    gateway.stop().await;
}
