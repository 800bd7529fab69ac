//! The calls of `SchemaRegistryClient` that administer.

use serde_json::json;

use super::{Client, bad, draft, one, two};

/// Lists, deletions and settings.
pub(super) async fn lists_deletions_and_settings(client: &Client<'_>) {
    let subject = client.subject("admin");
    let path = format!("/subjects/{subject}/versions?normalize=false");
    let id = client.post(&path, &draft(&one())).await.has(&json!({}))["id"].clone();
    client
        .post(&path, &draft(&two()))
        .await
        .has(&json!({"version": 2}));

    for path in ["/subjects", "/subjects?deleted=false&deletedOnly=false"] {
        client.get(path).await.has_item(&json!(subject));
    }
    client
        .get(&format!(
            "/subjects?deleted=true&deletedOnly=false&subjectPrefix={subject}"
        ))
        .await
        .has(&json!([subject]));
    client
        .get(&format!(
            "/subjects/{subject}/versions?deleted=false&deletedOnly=false"
        ))
        .await
        .has(&json!([1, 2]));
    let schemas = client
        .get(&format!(
            "/schemas?subjectPrefix={subject}&deleted=false&latestOnly=true"
        ))
        .await
        .body;
    assert_eq!(
        (&schemas[0]["version"], schemas.as_array().unwrap().len()),
        (&json!(2), 1)
    );
    client
        .get(&format!("/schemas/ids/{id}/subjects?deleted=false"))
        .await
        .has_item(&json!(subject));
    client
        .get(&format!("/schemas/ids/{id}/versions?deleted=false"))
        .await
        .has_item(&json!({"subject": subject, "version": 1}));
    client.get("/schemas/types").await.has(&json!(["AVRO"]));
    let contexts = client.get("/contexts").await.body;
    assert_eq!(contexts[0], json!("."));
    let version = client.get("/v1/metadata/version").await.has(&json!({}));
    assert!(
        version["version"].is_string() && version["commitId"].is_string(),
        "{version}"
    );
    let cluster = client.get("/v1/metadata/id").await.has(&json!({}));
    assert_eq!(
        cluster["scope"]["clusters"]["schema-registry-cluster"],
        json!("schema-registry")
    );
    client.get("/v1/metadata/deployment").await.has(&json!({}));

    // Settings: the whole is answered as `compatibility` by PUT and as `compatibilityLevel` by GET.
    let config = format!("/config/{subject}");
    client
        .put(&config, r#"{"compatibility":"FULL_TRANSITIVE"}"#)
        .await
        .has(&json!({"compatibility": "FULL_TRANSITIVE"}));
    client
        .get(&format!("{config}?defaultToGlobal=false"))
        .await
        .has(&json!({"compatibilityLevel": "FULL_TRANSITIVE"}));
    client
        .delete(&config)
        .await
        .has(&json!({"compatibilityLevel": "FULL_TRANSITIVE"}));
    client
        .delete(&config)
        .await
        .refuses(40401, &format!("Subject '{subject}' not found."));
    client
        .get(&format!("{config}?defaultToGlobal=true"))
        .await
        .has(&json!({"compatibilityLevel": "BACKWARD"}));
    client
        .get("/config?defaultToGlobal=false")
        .await
        .has(&json!({"compatibilityLevel": "BACKWARD"}));

    // Compatibility with all versions: the client asks with a slash at the end.
    let all = format!("/compatibility/subjects/{subject}/versions/?normalize=false&verbose=true");
    client
        .post(&all, &draft(&one()))
        .await
        .has(&json!({"is_compatible": true}));
    client
        .post(&all, &draft(&bad()))
        .await
        .has(&json!({"is_compatible": false}));

    client
        .delete(&format!("/subjects/{subject}/versions/2?permanent=false"))
        .await
        .has(&json!(2));
    client
        .delete(&format!("/subjects/{subject}/versions/2?permanent=true"))
        .await
        .has(&json!(2));
    client
        .delete(&format!("/subjects/{subject}?permanent=false"))
        .await
        .has(&json!([1]));
    client
        .get(&format!(
            "/subjects/{subject}/versions?deleted=true&deletedOnly=false"
        ))
        .await
        .has(&json!([1]));
    client
        .delete(&format!("/subjects/{subject}?permanent=true"))
        .await
        .has(&json!([1]));

    // The client leaves colons in a path as they are, and escapes slashes and blanks.
    let odd = format!(":.{}:a%2Fb%20c", client.java.name);
    let path = format!("/subjects/{odd}/versions?normalize=false");
    client
        .post(&path, &draft(&one()))
        .await
        .has(&json!({"id": 1, "version": 1}));
    client
        .get(&format!("/subjects/{odd}/versions/latest"))
        .await
        .has(&json!({"subject": format!(":.{}:a/b c", client.java.name)}));
    // In a query it escapes colons too.
    client
        .get(&format!(
            "/schemas/ids/1?fetchMaxId=true&subject=%3A.{}%3A",
            client.java.name
        ))
        .await
        .has(&json!({"schema": one(), "maxId": 1}));
}

/// Modes, and registering with an id in IMPORT mode.
pub(super) async fn modes(client: &Client<'_>) {
    let subject = client.subject("modes");
    let path = format!("/subjects/{subject}/versions?normalize=false");
    client
        .put(
            &format!("/mode/{subject}?force=false"),
            r#"{"mode":"IMPORT"}"#,
        )
        .await
        .has(&json!({"mode": "IMPORT"}));
    let import = format!(
        r#"{{"version":3,"id":1000,"schemaType":"AVRO","schema":{}}}"#,
        json!(one())
    );
    client
        .post(&path, &import)
        .await
        .has(&json!({"id": 1000, "version": 3}));
    client
        .put(
            &format!("/mode/{subject}?force=false"),
            r#"{"mode":"READONLY"}"#,
        )
        .await
        .has(&json!({"mode": "READONLY"}));
    client.post(&path, &draft(&two())).await.refuses(
        42205,
        &format!("Subject {subject} in context  is in read-only mode"),
    );
    client
        .get(&format!("/mode/{subject}?defaultToGlobal=false"))
        .await
        .has(&json!({"mode": "READONLY"}));
    client
        .delete(&format!("/mode/{subject}"))
        .await
        .has(&json!({"mode": "READONLY"}));
    client
        .get("/mode?defaultToGlobal=false")
        .await
        .has(&json!({"mode": "READWRITE"}));
    client
        .put("/mode?force=false", r#"{"mode":"READWRITE"}"#)
        .await
        .has(&json!({"mode": "READWRITE"}));
    client
        .post(&path, &draft(&two()))
        .await
        .has(&json!({"version": 4}));
}
