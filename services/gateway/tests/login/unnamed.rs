//! Logins that show no name: the next thing that is trusted counts.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kafka_protocol::messages::{
    ApiKey, CreateDelegationTokenRequest, CreateDelegationTokenResponse,
};
use meshwork_gateway::Config;
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::{PASSWORD, wait_for};

use crate::entry::{gateway_at, handshake, names, observed, plain, produce, product, token};
use crate::raw::Raw;
use crate::scram;

/// OAUTHBEARER's first message with an unsigned token, good for so many seconds from now.
pub(crate) fn bearer(subject: &str, seconds: i64) -> Vec<u8> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let (from, until) = (now - 1_000, now + seconds);
    let claims = format!(r#"{{"sub":"{subject}","iat":{from},"exp":{until}}}"#);
    let claims = URL_SAFE_NO_PAD.encode(claims);
    format!("n,,\u{1}auth=Bearer {header}.{claims}.\u{1}\u{1}").into_bytes()
}

#[tokio::test]
async fn a_token_without_the_claim_is_trusted_by_the_next_thing() {
    let product = product().await;
    let gateway = gateway_at(
        "SASL",
        Config {
            oauth_claim: "email".to_owned(),
            producer: Some("sidecar".to_owned()),
            ..Config::default()
        },
    )
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    assert_eq!(handshake(&mut raw, "OAUTHBEARER").await, 0);
    let answer = token(&mut raw, bearer("otto", 3_600)).await;
    assert_eq!((answer.error_code, answer.auth_bytes.len()), (0, 0));
    produce(&mut raw, &product).await;
    assert_eq!(names(&product).await, ["sidecar"]);
    let seen = observed(&product, 1).await;
    assert_eq!(seen, [("sidecar".to_owned(), Trust::Configured)]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_delegation_token_shows_no_owner() {
    let product = product().await;
    let gateway = gateway_at("SASL", Config::default()).await;
    let mut owner = Raw::connect(&gateway.address).await;
    assert_eq!(plain(&mut owner, "alice", PASSWORD).await.error_code, 0);
    let request = CreateDelegationTokenRequest::default().with_max_lifetime_ms(-1);
    let made: CreateDelegationTokenResponse = owner
        .ask(ApiKey::CreateDelegationToken, 3, &request)
        .await
        .unwrap();
    assert_eq!(made.error_code, 0);
    let secret = STANDARD.encode(&made.hmac);
    // The broker learns of it by its log, like any other.
    let mut raw = wait_for("the token to be known", || {
        scram::by_delegation_token(&gateway.address, &made.token_id, &secret)
    })
    .await;
    produce(&mut raw, &product).await;
    assert_eq!(names(&product).await, ["raw"]);
    let seen = observed(&product, 1).await;
    assert_eq!(seen, [("raw".to_owned(), Trust::ClientId)]);
    gateway.stop().await;
}
