//! Who may do what.

use meshwork_registry::Config;
use serde_json::{Value, json};

use super::{Pki, User, by_password, metric};
use crate::harness::{Registry, record};

fn config(pki: &Pki) -> Config {
    Config {
        rules: serde_json::from_value(json!([
            {"principals": ["root"], "subjects": ":*:", "allow": ["read", "write", "delete", "configure"]},
            {"principals": ["ann"], "subjects": "a-", "allow": ["read", "write", "delete", "configure"]},
            {"principals": ["ann"], "subjects": ":.c:a-", "allow": ["read"]},
            {"principals": ["bob", "ann"], "subjects": "b-", "allow": ["read"]},
        ]))
        .unwrap(),
        ..by_password(pki)
    }
}

fn schema(text: &str) -> Option<Value> {
    Some(json!({ "schema": text }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_allows_is_refused_and_lists_leave_it_out() {
    let pki = Pki::new();
    let registry = Registry::with(config(&pki)).await;
    let [root, ann, bob] = ["root", "ann", "bob"].map(|name| User::named(&pki, &registry, name));
    let text = record("R", r#"{"name":"f","type":"int"}"#);
    root.register("a-x", r#""string""#).await;
    let secret = root.register("s-x", &text).await;
    let common = root.register("s-y", r#""string""#).await;
    root.register("b-x", r#""long""#).await;
    root.ok(
        "POST",
        "/contexts/c/subjects/a-x/versions",
        schema(r#""int""#),
    )
    .await;
    root.ok(
        "POST",
        "/contexts/d/subjects/a-z/versions",
        schema(r#""boolean""#),
    )
    .await;

    // Each action for itself.
    ann.ok("POST", "/subjects/a-x/versions", schema(r#""string""#))
        .await;
    ann.ok("PUT", "/config/a-x", Some(json!({"compatibility": "NONE"})))
        .await;
    ann.ok("GET", "/subjects/b-x/versions/1", None).await;
    for (user, method, path, body) in [
        (&bob, "GET", "/subjects/a-x/versions/1", None),
        (&bob, "GET", "/subjects/a-x/versions/1/schema", None),
        (&bob, "GET", "/subjects/a-x/versions", None),
        (&bob, "GET", "/subjects/a-x/metadata?key=k&value=v", None),
        (&bob, "GET", "/subjects/a-x/versions/1/referencedby", None),
        (&bob, "GET", "/config/a-x", None),
        (&bob, "GET", "/mode/a-x", None),
        (&bob, "POST", "/subjects/a-x", schema(r#""string""#)),
        (&bob, "POST", "/subjects/b-x/versions", schema(r#""long""#)),
        (
            &bob,
            "POST",
            "/compatibility/subjects/a-x/versions/latest",
            schema(r#""string""#),
        ),
        (
            &bob,
            "POST",
            "/compatibility/subjects/a-x/versions",
            schema(r#""string""#),
        ),
        (&bob, "DELETE", "/subjects/b-x", None),
        (&bob, "DELETE", "/subjects/b-x/versions/1", None),
        (
            &bob,
            "PUT",
            "/config/b-x",
            Some(json!({"compatibility": "NONE"})),
        ),
        (&ann, "DELETE", "/subjects/b-x", None),
        (
            &ann,
            "PUT",
            "/config",
            Some(json!({"compatibility": "NONE"})),
        ),
        (&ann, "DELETE", "/config", None),
        (
            &ann,
            "PUT",
            "/config/:.__GLOBAL:",
            Some(json!({"compatibility": "NONE"})),
        ),
        // Whether it is there or not makes no difference.
        (&bob, "GET", "/subjects/none/versions/1", None),
        // Contexts, however they are written.
        (
            &ann,
            "POST",
            "/contexts/c/subjects/a-x/versions",
            schema(r#""int""#),
        ),
        (
            &ann,
            "POST",
            "/contexts/.c/subjects/a-x/versions",
            schema(r#""int""#),
        ),
        (
            &ann,
            "POST",
            "/contexts/:.c:/subjects/a-x/versions",
            schema(r#""int""#),
        ),
        (
            &ann,
            "POST",
            "/subjects/:.c:a-x/versions",
            schema(r#""int""#),
        ),
        (
            &ann,
            "POST",
            "/subjects/%3A.c%3Aa-x/versions",
            schema(r#""int""#),
        ),
        (
            &ann,
            "POST",
            "//subjects//:.c:a-x//versions/",
            schema(r#""int""#),
        ),
        (&ann, "GET", "/contexts/d/subjects/a-z/versions/1", None),
        (
            &ann,
            "GET",
            "/contexts/c/contexts/d/subjects/a-z/versions/1",
            None,
        ),
        (
            &ann,
            "PUT",
            "/contexts/c/config",
            Some(json!({"compatibility": "NONE"})),
        ),
        // Not there in the default context, and so looked for in the others.
        (&ann, "GET", "/subjects/a-z/versions/1", None),
        (&ann, "GET", "/subjects/a-z/versions/1/schema", None),
        (&ann, "POST", "/subjects/a-z", schema(r#""boolean""#)),
    ] {
        user.denied(method, path, body).await;
    }
    ann.ok("GET", "/contexts/c/subjects/a-x/versions/1", None)
        .await;

    // Lists.
    assert_eq!(
        ann.ok("GET", "/subjects", None).await,
        json!([":.c:a-x", "a-x", "b-x"])
    );
    assert_eq!(bob.ok("GET", "/subjects", None).await, json!(["b-x"]));
    assert_eq!(
        bob.ok("GET", "/subjects?limit=1", None).await,
        json!(["b-x"])
    );
    let all = bob.ok("GET", "/schemas", None).await;
    assert_eq!(
        (all.as_array().unwrap().len(), &all[0]["subject"]),
        (1, &json!("b-x"))
    );
    assert_eq!(ann.ok("GET", "/contexts", None).await, json!([".", ".c"]));
    assert_eq!(bob.ok("GET", "/contexts", None).await, json!(["."]));

    // By id: what a subject holds that may be read.
    for path in ["", "/schema", "/subjects", "/versions"] {
        bob.denied("GET", &format!("/schemas/ids/{secret}{path}"), None)
            .await;
        ann.denied(
            "GET",
            &format!("/schemas/ids/{secret}{path}?subject=a-x"),
            None,
        )
        .await;
        bob.denied("GET", &format!("/schemas/ids/{common}{path}"), None)
            .await;
        ann.ok("GET", &format!("/schemas/ids/{common}{path}"), None)
            .await;
        root.ok("GET", &format!("/schemas/ids/{secret}{path}"), None)
            .await;
    }
    let holders = ann
        .ok("GET", &format!("/schemas/ids/{common}/subjects"), None)
        .await;
    assert_eq!(holders, json!(["a-x"]));
    let holder = ann
        .ok("GET", &format!("/schemas/ids/{common}?subject=s-y"), None)
        .await;
    assert_eq!(holder["subject"], "a-x");
    let path = format!("/schemas/ids/{common}?includeSubjects=true");
    assert_eq!(ann.ok("GET", &path, None).await["subjects"], json!(["a-x"]));
    let guid = root
        .ok("GET", &format!("/schemas/ids/{secret}"), None)
        .await["guid"]
        .as_str()
        .unwrap()
        .to_owned();
    root.ok("GET", &format!("/schemas/guids/{guid}"), None)
        .await;
    assert_eq!(
        ann.ok("GET", &format!("/schemas/guids/{guid}/ids"), None)
            .await,
        json!([])
    );
    let (status, _) = ann
        .call("GET", &format!("/schemas/guids/{guid}"), None)
        .await;
    assert!(matches!(status, 403 | 404), "{status}");

    // What everybody who is let in is told.
    for path in [
        "/",
        "/schemas/types",
        "/config",
        "/mode",
        "/v1/metadata/id",
        "/openapi.json",
    ] {
        bob.ok("GET", path, None).await;
    }
    assert_eq!(bob.call("GET", "/none", None).await.0, 404);
    assert!(
        metric(
            &registry,
            r#"meshwork_registry_requests_refused_total{outcome="denied"}"#
        ) > 20
    );
    registry.stop().await;
}

/// A name that points at another, and references, are no way around the rules.
#[tokio::test(flavor = "multi_thread")]
async fn aliases_and_references_show_no_more_than_may_be_read() {
    let pki = Pki::new();
    let registry = Registry::with(config(&pki)).await;
    let [root, ann] = ["root", "ann"].map(|name| User::named(&pki, &registry, name));
    let secret = record("S", r#"{"name":"f","type":"int"}"#);
    root.register("s-x", &secret).await;
    root.register("a-shared", &secret).await;

    ann.ok("PUT", "/config/a-alias", Some(json!({"alias": "s-x"})))
        .await;
    root.ok("GET", "/subjects/a-alias/versions/1", None).await;
    for (method, path, body) in [
        ("GET", "/subjects/a-alias/versions/1", None),
        ("GET", "/subjects/a-alias/versions", None),
        ("POST", "/subjects/a-alias", schema(&secret)),
        ("POST", "/subjects/a-alias/versions", schema(r#""int""#)),
        ("DELETE", "/subjects/a-alias", None),
        (
            "POST",
            "/compatibility/subjects/a-alias/versions",
            schema(r#""int""#),
        ),
    ] {
        ann.denied(method, path, body).await;
    }

    let refers = |subject: &str| {
        Some(json!({
            "schema": record("W", r#"{"name":"s","type":"S"}"#),
            "references": [{"name": "S", "subject": subject, "version": 1}],
        }))
    };
    for path in [
        "/subjects/a-w/versions",
        "/subjects/a-shared",
        "/compatibility/subjects/a-w/versions",
        "/compatibility/subjects/a-w/versions/latest",
    ] {
        ann.denied("POST", path, refers("s-x")).await;
    }
    ann.ok("POST", "/subjects/a-w/versions", refers("a-shared"))
        .await;
    registry.stop().await;
}
