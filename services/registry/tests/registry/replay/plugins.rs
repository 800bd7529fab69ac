//! What the plug-ins for Maven (Confluent's) and Gradle (ImFlog's) ask, goal by goal.

use serde_json::{Value, json};

use super::{Client, bad, draft, draft_referring, one, two};
use crate::harness::record;

/// `schema-registry:test-compatibility`, `:register`, `:download` and `:set-compatibility`.
pub(super) async fn maven(client: &Client<'_>) {
    let subject = client.subject("maven");
    let test =
        format!("/compatibility/subjects/{subject}/versions/latest?normalize=false&verbose=true");
    // Nothing is there yet: compatible.
    client
        .post(&test, &draft(&one()))
        .await
        .has(&json!({"is_compatible": true}));

    let register = format!("/subjects/{subject}/versions?normalize=false");
    let registered = client
        .post(&register, &draft(&one()))
        .await
        .has(&json!({"version": 1}));
    // It looks up what it was answered, references and all.
    let look_up = format!("/subjects/{subject}?normalize=false&deleted=true");
    let answered = draft(registered["schema"].as_str().unwrap());
    client
        .post(&look_up, &answered)
        .await
        .has(&json!({"version": 1, "id": registered["id"]}));
    client
        .post(&test, &draft(&two()))
        .await
        .has(&json!({"is_compatible": true}));
    let verdict = client
        .post(&test, &draft(&bad()))
        .await
        .has(&json!({"is_compatible": false}));
    assert!(
        verdict["messages"].as_array().is_some_and(|messages| {
            messages.len() > 1 && messages.iter().all(Value::is_string)
        }),
        "{verdict}"
    );

    // A reference without a version is -1, in the path that resolves it too.
    let place = client.subject("maven-place");
    let path = format!("/subjects/{place}/versions?normalize=false");
    let street = record("Place", r#"{"name":"street","type":"string"}"#);
    client
        .post(&path, &draft(&street))
        .await
        .has(&json!({"version": 1}));
    client
        .get(&format!("/subjects/{place}/versions/-1?deleted=true"))
        .await
        .has(&json!({"version": 1, "schema": street}));
    let visit = record("Visit", r#"{"name":"at","type":"Place"}"#);
    let referring = client.subject("maven-visit");
    client
        .post(
            &format!("/subjects/{referring}/versions?normalize=false"),
            &draft_referring("Place", &place, -1, &visit),
        )
        .await
        .has(&json!({"references": [{"name": "Place", "subject": place, "version": 1}]}));
    client
        .post(
            &format!("/subjects/{referring}?normalize=false&deleted=true"),
            &draft_referring("Place", &place, 1, &visit),
        )
        .await
        .has(&json!({"version": 1}));

    // Metadata and rules from the POM.
    let contract = client.subject("maven-contract");
    let body = format!(
        r#"{{"schemaType":"AVRO","metadata":{{"tags":{{"**.id":["PII"]}},"properties":{{"owner":"ann"}},"sensitive":["owner"]}},"ruleSet":{{"domainRules":[{{"name":"checkId","kind":"CONDITION","mode":"WRITE","type":"CEL","tags":["PII"],"params":{{"k":"v"}},"expr":"size(message.id) < 9","onFailure":"ERROR","disabled":false}}]}},"schema":{}}}"#,
        json!(one())
    );
    let path = format!("/subjects/{contract}/versions?normalize=true");
    let registered = client.post(&path, &body).await.has(&json!({"version": 1}));
    assert_eq!(
        (
            &registered["metadata"]["properties"]["owner"],
            &registered["ruleSet"]["domainRules"][0]["name"]
        ),
        (&json!("ann"), &json!("checkId"))
    );
    client
        .post(
            &format!("/subjects/{contract}?normalize=true&deleted=true"),
            &body,
        )
        .await
        .has(&json!({"version": 1}));

    client.get("/subjects").await.has_item(&json!(subject));
    client
        .get(&format!("/subjects/{subject}/versions/latest"))
        .await
        .has(&json!({"version": 1, "schema": one()}));
    client
        .get(&format!("/subjects/{subject}/versions/1?deleted=false"))
        .await
        .has(&json!({"schema": one()}));

    let config = format!("/config/{subject}");
    client
        .put(&config, r#"{"compatibility":"NONE"}"#)
        .await
        .has(&json!({"compatibility": "NONE"}));
    client
        .get(&format!("{config}?defaultToGlobal=false"))
        .await
        .has(&json!({"compatibilityLevel": "NONE"}));
    client
        .delete(&config)
        .await
        .has(&json!({"compatibilityLevel": "NONE"}));
    client
        .put("/config", r#"{"compatibility":"BACKWARD"}"#)
        .await
        .has(&json!({"compatibility": "BACKWARD"}));
}

/// `testSchemasTask`, `registerSchemasTask`, `downloadSchemasTask` and `configSubjectsTask`.
pub(super) async fn gradle(client: &Client<'_>) {
    let subject = client.subject("gradle");
    let register = format!("/subjects/{subject}/versions?normalize=true");
    client
        .post(&register, &draft(&one()))
        .await
        .has(&json!({"version": 1}));
    // Once for the verdict and, if it is bad, once more for the reasons.
    let test =
        format!("/compatibility/subjects/{subject}/versions/latest?normalize=false&verbose=");
    let verdict = client
        .post(&format!("{test}false"), &draft(&bad()))
        .await
        .has(&json!({"is_compatible": false}));
    assert!(verdict.get("messages").is_none(), "{verdict}");
    let verdict = client
        .post(&format!("{test}true"), &draft(&bad()))
        .await
        .has(&json!({"is_compatible": false}));
    assert!(!verdict["messages"].as_array().unwrap().is_empty());
    client
        .post(&format!("{test}false"), &draft(&two()))
        .await
        .has(&json!({"is_compatible": true}));

    client.get("/subjects").await.has_item(&json!(subject));
    client
        .get(&format!("/subjects/{subject}/versions/1?deleted=false"))
        .await
        .has(&json!({"version": 1, "schema": one()}));
    client
        .put(
            &format!("/config/{subject}"),
            r#"{"compatibility":"FORWARD_TRANSITIVE"}"#,
        )
        .await
        .has(&json!({"compatibility": "FORWARD_TRANSITIVE"}));
    let refused = client
        .put(
            &format!("/config/{subject}"),
            r#"{"compatibility":"SIDEWAYS"}"#,
        )
        .await;
    assert_eq!(
        (refused.status, &refused.body["error_code"]),
        (422, &json!(42203)),
        "{refused:?}"
    );
}
