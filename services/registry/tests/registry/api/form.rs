//! The form of requests and answers: paths, methods, content types, and the API's description.

use serde_json::json;

use crate::harness::{Registry, answer};
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_is_described_and_every_description_has_its_endpoint() {
    let registry = Registry::start().await;
    let document = registry.ok("GET", "/openapi.json", None).await;
    let unknown = json!({ "error_code": 404, "message": "HTTP 404 Not Found" });
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 25, "{}", paths.len());
    for (path, operations) in paths {
        let called = path
            .replace("{id}", "1")
            .replace("{version}", "1")
            .replace("{guid}", "095d71cf-1255-6b9d-5e33-0ad575b3df5d")
            .replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let (_, answer) = registry.call(method, &called, None).await;
            let described = operations.get(method.to_lowercase()).is_some();
            assert_eq!(answer == unknown, !described, "{method} {path}: {answer}");
        }
    }
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_a_json_404_and_never_405() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET /nope => 404 404 HTTP 404 Not Found
        DELETE / => 404 404 HTTP 404 Not Found
        PATCH /subjects => 404 404 HTTP 404 Not Found
        PUT /subjects/s/versions => 404 404 HTTP 404 Not Found
        POST /associations => 404 404 HTTP 404 Not Found
        GET /dek-registry/v1/keks => 404 404 HTTP 404 Not Found
        GET /exporters => 404 404 HTTP 404 Not Found
        GET /contexts/.c => 404 404 HTTP 404 Not Found
        GET /contexts/.c/nope => 404 404 HTTP 404 Not Found
        # Ids are whole numbers of 32 bits.
        GET /schemas/ids/abc => 404 404 HTTP 404 Not Found
        GET /schemas/ids/2147483648 => 404 404 HTTP 404 Not Found
        GET /schemas/ids/2147483647 => 404 40403 Schema 2147483647 not found
        GET /schemas/ids/0 => 404 40403 Schema 0 not found
        GET /schemas/ids/-1 => 404 40403 Schema -1 not found
        # A path that is no UTF-8.
        GET /subjects/%ff/versions => 400 400 HTTP 400 Bad Request
        # Empty segments don't count.
        GET // => 200 {}
        GET /subjects/ => 200 []
        GET //schemas//types/ => 200 ["AVRO"]
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_the_type_that_is_accepted() {
    let registry = Registry::start().await;
    let v1 = "application/vnd.schemaregistry.v1+json";
    for (path, accept, kind) in [
        ("/subjects", "*/*", v1),
        ("/subjects", "application/json", "application/json"),
        (
            "/subjects",
            "text/html, image/gif, image/jpeg, */*; q=0.2",
            v1,
        ),
        // Refusals too.
        ("/nope", "application/json", "application/json"),
        (
            "/contexts/a:b/subjects",
            "application/json",
            "application/json",
        ),
        (
            "/schemas/ids/9",
            "application/vnd.schemaregistry+json",
            "application/vnd.schemaregistry+json",
        ),
    ] {
        let response = registry
            .request("GET".parse().unwrap(), path)
            .header("Accept", accept)
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["content-type"], kind, "{path} {accept}");
    }
    let request = registry
        .request("GET".parse().unwrap(), "/subjects")
        .header("Accept", "text/html");
    let (status, body) = answer(request).await;
    assert_eq!((status, &body["error_code"]), (406, &json!(406)));
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_who_it_is() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET / => 200 {}
        POST / => 200 {}
        POST / {"any": "thing"} => 200 {}
        GET /schemas/types => 200 ["AVRO"]
        GET /v1/metadata/id ~> 200 {"scope": {"path": [], "clusters": {"schema-registry-cluster": "schema-registry"}}}
        GET /v1/metadata/version ~> 200 {"commitId": ""}
        GET /v1/metadata/deployment => 200 {"attributes": []}
        # Soon after the start changes are taken.
        PUT /config/s {"compatibility": "FULL"} => 200 {"compatibility": "FULL"}
        GET /master_available => 200 {"master_available": true}
        GET /associations/resources/-/orders?resourceType=topic&associationType=value => 200 []
        GET /associations/resources/lkc-1/a%2Fb => 200 []
        "#,
    )
    .await;
    let id = registry.ok("GET", "/v1/metadata/id", None).await;
    let cluster = id["scope"]["clusters"]["kafka-cluster"].as_str().unwrap();
    assert!(!cluster.is_empty());
    registry.stop().await;
}
