//! Tokens, and the keys of those who sign them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use meshwork_registry::Config;
use meshwork_testkit::{unique, wait_until};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Pki, User, unauthenticated};
use crate::harness::Registry;
use crate::signer::Signer;

const CHALLENGE: &str = r#"Bearer realm="registry""#;
const INVALID: &str = r#"Bearer realm="registry", error="invalid_token""#;

pub(super) fn claims(who: &str) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    json!({"iss": "https://idp.example", "aud": ["registry"], "sub": who, "exp": now + 600})
}

/// An identity provider: publishes keys, counts who asks for them, and can be down.
struct Provider {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
}

impl Provider {
    async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            url: format!("http://{}/keys", listener.local_addr().unwrap()),
            keys: Arc::new(Mutex::new(keys)),
            asked: Arc::default(),
            down: Arc::default(),
        };
        let (keys, asked, down) = (
            Arc::clone(&provider.keys),
            Arc::clone(&provider.asked),
            Arc::clone(&provider.down),
        );
        let answer = move || async move {
            asked.fetch_add(1, Ordering::SeqCst);
            // Long enough for others to come while it is asked.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            if down.load(Ordering::SeqCst) {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            let keys = keys.lock().clone();
            (StatusCode::OK, json!({ "keys": keys }).to_string())
        };
        let router = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn config(pki: &Pki, source: &Value) -> Config {
    let mut bearer = json!({"issuer": "https://idp.example", "audiences": ["registry"]});
    bearer
        .as_object_mut()
        .unwrap()
        .extend(source.as_object().unwrap().clone());
    Config {
        topic: unique("schemas"),
        tls: Some(pki.tls()),
        authentication: serde_json::from_value(json!({
            "bearer": bearer,
            "reload_interval": "1s",
        }))
        .unwrap(),
        rules: serde_json::from_value(json!([
            {"principals": ["ann"], "subjects": "", "allow": ["read", "write"]},
            {"principals": ["bob"], "subjects": "", "allow": ["read"]},
        ]))
        .unwrap(),
        ..Config::default()
    }
}

async fn status(user: &User, token: &str) -> u16 {
    let request = user.request("GET", "/subjects").bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_its_principal_in_and_a_new_key_needs_no_restart() {
    let pki = Pki::new();
    let (first, second) = (Signer::rs256(), Signer::es256());
    let provider = Provider::start(vec![first.jwk("1")]).await;
    let registry = Registry::with(config(&pki, &json!({"keys_url": provider.url}))).await;
    let nobody = User::nobody(&pki, &registry);
    let ann = first.token("1", &claims("ann"));
    assert_eq!(status(&nobody, &ann).await, 200);
    let register = |token: String| {
        nobody
            .request("POST", "/subjects/s/versions")
            .bearer_auth(token)
            .body(r#"{"schema":"\"string\""}"#)
            .header("Content-Type", "application/json")
            .send()
    };
    assert_eq!(register(ann.clone()).await.unwrap().status(), 200);
    let bob = first.token("1", &claims("bob"));
    assert_eq!(status(&nobody, &bob).await, 200);
    assert_eq!(register(bob).await.unwrap().status(), 403);
    let response = nobody.request("GET", "/subjects").send().await.unwrap();
    unauthenticated(response, &[CHALLENGE]).await;
    for (token, why) in [
        ("nonsense".to_owned(), "no signed JSON Web Token"),
        (
            Signer::rs256().token("1", &claims("ann")),
            "signature is wrong",
        ),
        (
            first.token(
                "1",
                &json!({"iss": "https://idp.example", "aud": "registry", "sub": "ann", "exp": 1}),
            ),
            "has ended",
        ),
    ] {
        let request = nobody.request("GET", "/subjects").bearer_auth(token);
        let message = unauthenticated(request.send().await.unwrap(), &[INVALID]).await;
        assert!(message.contains(why), "{message}");
    }
    // Those who come with the new key wait for one request, and are let in.
    let before = provider.asked();
    provider.keys.lock().push(second.jwk("2"));
    let new = second.token("2", &claims("ann"));
    wait_until("the new key is known", || async {
        let all: Vec<_> = (0..20)
            .map(|_| {
                let (nobody, new) = (nobody.clone(), new.clone());
                tokio::spawn(async move { status(&nobody, &new).await })
            })
            .collect();
        let mut known = true;
        for one in all {
            known &= one.await.unwrap() == 200;
        }
        known
    })
    .await;
    let rotated = provider.asked();
    assert!(
        rotated > before && rotated <= before + 2,
        "{before} {rotated}"
    );
    assert_eq!(status(&nobody, &ann).await, 200);
    // Made-up key ids don't make it ask for each.
    for number in 0..100 {
        let token = second.token(&format!("made up {number}"), &claims("ann"));
        assert_eq!(status(&nobody, &token).await, 401);
    }
    assert!(
        provider.asked() <= rotated + 2,
        "{rotated} {}",
        provider.asked()
    );
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_is_told_that_their_token_is_wrong() {
    let pki = Pki::new();
    let signer = Signer::es256();
    let provider = Provider::start(vec![signer.jwk("1")]).await;
    provider.down.store(true, Ordering::SeqCst);
    let registry = Registry::with(config(&pki, &json!({"keys_url": provider.url}))).await;
    let nobody = User::nobody(&pki, &registry);
    let token = signer.token("1", &claims("ann"));
    let response = nobody
        .request("GET", "/subjects")
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    provider.down.store(false, Ordering::SeqCst);
    wait_until("keys are had", || async {
        status(&nobody, &token).await == 200
    })
    .await;
    // Once had, they do while the provider is down.
    provider.down.store(true, Ordering::SeqCst);
    let other = signer.token("1", &claims("bob"));
    assert_eq!(status(&nobody, &other).await, 200);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_file_are_looked_at_again() {
    let pki = Pki::new();
    let (first, second) = (Signer::rs256(), Signer::es256());
    let set = |keys: &[Value]| json!({ "keys": keys }).to_string();
    let file = pki.file("keys.json", &set(&[first.jwk("1")]));
    let registry = Registry::with(config(&pki, &json!({"keys_file": file}))).await;
    let nobody = User::nobody(&pki, &registry);
    let (old, new) = (
        first.token("1", &claims("ann")),
        second.token("2", &claims("ann")),
    );
    assert_eq!(status(&nobody, &old).await, 200);
    assert_eq!(status(&nobody, &new).await, 401);
    pki.file("keys.json", &set(&[second.jwk("2")]));
    wait_until("the new key holds", || async {
        status(&nobody, &new).await == 200
    })
    .await;
    // Though it was right a moment ago, and remembered.
    assert_eq!(status(&nobody, &old).await, 401);
    registry.stop().await;
}
