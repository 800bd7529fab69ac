//! Subjects that are kept for some principals.

use meshwork_registry::Config;
use serde_json::{Value, json};

use super::{Pki, User, by_password, metric};
use crate::harness::{Registry, record};

fn config(pki: &Pki) -> Config {
    Config {
        reserved: serde_json::from_value(json!([
            {"prefix": "operations.", "principals": ["apply"]},
            {"prefix": ":*:kept", "principals": ["apply", "root"]},
        ]))
        .unwrap(),
        ..by_password(pki)
    }
}

async fn reserved(user: &User, method: &str, path: &str, body: Option<Value>) {
    let (status, answer) = user.call(method, path, body).await;
    assert_eq!(
        (status, &answer["error_code"]),
        (422, &json!(42_205)),
        "{method} {path}: {answer}"
    );
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("`meshwork product apply`"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_product_apply_registers_there_and_what_is_live_answers_all() {
    let pki = Pki::new();
    let registry = Registry::with(config(&pki)).await;
    let [apply, ann, root] =
        ["apply", "ann", "root"].map(|name| User::named(&pki, &registry, name));
    let subject = "operations.departures.v1-value";
    let versions = format!("/subjects/{subject}/versions");
    let one = record("R", r#"{"name":"f","type":"int"}"#);
    let two = record(
        "R",
        r#"{"name":"f","type":"int"},{"name":"g","type":"int","default":1}"#,
    );
    let body = |text: &str| Some(json!({ "schema": text }));

    reserved(&ann, "POST", &versions, body(&one)).await;
    let invalid = ann.call("POST", &versions, body("no schema")).await;
    assert_eq!(invalid.1["error_code"], 42_201);
    let id = apply.register(subject, &one).await;
    // As a producer does that registers at its start: written otherwise, and normalized too.
    assert_eq!(ann.register(subject, &one).await, id);
    let spaced = one.replace(',', " , ");
    assert_eq!(ann.register(subject, &spaced).await, id);
    let normalized = ann
        .ok("POST", &format!("{versions}?normalize=true"), body(&one))
        .await;
    assert_eq!(normalized["id"], id);
    ann.ok("POST", &format!("/subjects/{subject}"), body(&one))
        .await;
    ann.ok("GET", &format!("{versions}/latest"), None).await;

    reserved(&ann, "POST", &versions, body(&two)).await;
    reserved(&ann, "POST", &format!("{versions}?force=true"), body(&two)).await;
    reserved(&ann, "DELETE", &format!("/subjects/{subject}"), None).await;
    reserved(&ann, "DELETE", &format!("{versions}/1"), None).await;
    reserved(
        &ann,
        "PUT",
        &format!("/config/{subject}"),
        Some(json!({"compatibility": "NONE"})),
    )
    .await;
    reserved(&ann, "DELETE", &format!("/config/{subject}"), None).await;
    // By another name.
    ann.ok("PUT", "/config/mine", Some(json!({"alias": subject})))
        .await;
    reserved(&ann, "POST", "/subjects/mine/versions", body(&two)).await;
    reserved(&ann, "DELETE", "/subjects/mine", None).await;
    assert_eq!(apply.ok("GET", &versions, None).await, json!([1]));
    apply.register(subject, &two).await;

    reserved(
        &ann,
        "POST",
        "/contexts/dev/subjects/kept-x/versions",
        body(&one),
    )
    .await;
    root.ok("POST", "/contexts/dev/subjects/kept-x/versions", body(&one))
        .await;
    // Elsewhere everybody registers as ever.
    ann.register("other", &two).await;
    ann.ok(
        "POST",
        "/contexts/dev/subjects/operations.x/versions",
        body(&one),
    )
    .await;

    // Once hidden, it is not live, and comes back by the same way only.
    apply.ok("DELETE", &format!("{versions}/2"), None).await;
    reserved(&ann, "POST", &versions, body(&two)).await;
    assert!(
        metric(
            &registry,
            r#"meshwork_registry_requests_refused_total{outcome="reserved"}"#
        ) > 8
    );
    registry.stop().await;
}
