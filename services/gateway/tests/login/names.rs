//! A name counts once the broker has said yes to it, and to nothing else.

use kafka_protocol::messages::{ApiKey, SaslAuthenticateResponse, SaslHandshakeResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::{PASSWORD, wait_for};

use crate::entry::{
    gateway_at, handshake, handshake_request, names, observed, plain, plain_token, produce,
    product, token, token_request,
};
use crate::mesh::Gateway;
use crate::raw::Raw;

#[tokio::test]
async fn a_wrong_password_leaves_nothing() {
    let product = product().await;
    let gateway = gateway_at("SASL", Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let refused = plain(&mut raw, "alice", "wrong").await;
    assert_eq!(refused.error_code, 58);
    assert_eq!(
        raw.frame().await,
        None,
        "the broker closes, and so does the gateway"
    );
    let mut raw = Raw::connect(&gateway.address).await;
    assert_eq!(plain(&mut raw, "mallory", PASSWORD).await.error_code, 0);
    produce(&mut raw, &product).await;
    assert_eq!(names(&product).await, ["mallory"]);
    gateway.stop().await;
}

/// Logs in as `mallory` twice, the second time with another's name sent ahead. The broker refuses a
/// third login within a second of the second, and keeps the connection. `None`: it took longer.
async fn with_a_name_sent_ahead(gateway: &Gateway) -> Option<Raw> {
    let mut raw = Raw::connect(&gateway.address).await;
    assert_eq!(plain(&mut raw, "mallory", PASSWORD).await.error_code, 0);
    for (user, password) in [("mallory", PASSWORD), ("alice", "not known")] {
        let asks = handshake_request("PLAIN");
        raw.send(ApiKey::SaslHandshake, 1, &asks).await;
        let tells = token_request(plain_token(user, password));
        raw.send(ApiKey::SaslAuthenticate, 2, &tells).await;
    }
    for code in [0, 34] {
        let (_, answer): (_, SaslHandshakeResponse) = raw.answer(1).await?;
        let (_, told): (_, SaslAuthenticateResponse) = raw.answer(2).await?;
        eprintln!(
            "DEBUG {code} {} {} {:?}",
            answer.error_code, told.error_code, told.error_message
        );
        if (answer.error_code, told.error_code) != (code, code) {
            return None;
        }
    }
    Some(raw)
}

#[tokio::test]
async fn the_brokers_yes_is_to_the_name_that_it_has_looked_at() {
    let product = product().await;
    let gateway = gateway_at("SASL", Config::default()).await;
    let mut raw = wait_for("two logins within a second", || {
        with_a_name_sent_ahead(&gateway)
    })
    .await;
    produce(&mut raw, &product).await;
    assert_eq!(names(&product).await, ["mallory"]);
    let seen = observed(&product, 1).await;
    assert_eq!(seen, [("mallory".to_owned(), Trust::Principal)]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_token_that_is_refused_names_nobody() {
    let _ = product().await;
    let gateway = gateway_at("SASL", Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    assert_eq!(handshake(&mut raw, "OAUTHBEARER").await, 0);
    let old = crate::unnamed::bearer("otto", -100);
    let first = token(&mut raw, old).await;
    // As RFC 7628 has it: why not, and only then no.
    assert_eq!(first.error_code, 0);
    assert!(!first.auth_bytes.is_empty());
    let last = token(&mut raw, vec![1]).await;
    assert_eq!(last.error_code, 58);
    assert_eq!(raw.frame().await, None);
    gateway.stop().await;
}
