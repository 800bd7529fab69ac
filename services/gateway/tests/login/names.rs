//! A name counts once the broker has said yes to it, and to nothing else.

use meshwork_gateway::Config;
use meshwork_testkit::PASSWORD;

use crate::entry::{gateway_at, handshake, names, plain, produce, product, token};
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
