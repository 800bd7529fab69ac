//! The serializers of Java, and what the client remembers.

use serde_json::json;

use super::{Client, bad, draft, draft_referring, one, two};
use crate::harness::record;

/// `KafkaAvroSerializer` and `KafkaAvroDeserializer`, with and without auto-registration.
pub(super) async fn work(client: &Client<'_>) {
    let topic = client.subject("orders");
    let subject = format!("{topic}-value");
    let associations =
        format!("/associations/resources/-/{topic}?resourceType=topic&associationType=value");
    client.get(&associations).await.has(&json!([]));
    let path = format!("/subjects/{subject}/versions?normalize=false");
    let first = client.post(&path, &draft(&one())).await.has(&json!({
        "version": 1, "schemaType": "AVRO", "schema": one(),
    }));
    let id = first["id"].as_i64().unwrap();
    let guid = first["guid"].as_str().unwrap();
    assert!(first.get("subject").is_none(), "{first}");

    // `auto.register.schemas=false`, then `use.latest.version=true`, then by metadata.
    let look_up = format!("/subjects/{subject}?normalize=false&deleted=false");
    client
        .post(&look_up, &draft(&one()))
        .await
        .has(&json!({"subject": subject, "version": 1, "id": id, "guid": guid}));
    let latest = format!("/subjects/{subject}/versions/latest");
    client
        .get(&latest)
        .await
        .has(&json!({"id": id, "version": 1}));

    // The deserializer knows the id and, of most records, no subject; rules need the version.
    let by_id = format!("/schemas/ids/{id}?fetchMaxId=false&subject=");
    client
        .get(&by_id)
        .await
        .has(&json!({"schemaType": "AVRO", "schema": one(), "guid": guid}));
    let by_id = format!("/schemas/ids/{id}?fetchMaxId=false&subject={subject}");
    client
        .get(&by_id)
        .await
        .has(&json!({"subject": subject, "version": 1, "schema": one()}));
    client
        .get(&format!("/schemas/guids/{guid}"))
        .await
        .has(&json!({"schema": one(), "guid": guid}));
    let versions = format!("/subjects/{subject}?normalize=false&deleted=true");
    client
        .post(&versions, &draft(&one()))
        .await
        .has(&json!({"version": 1}));

    // A schema that refers to another: the client resolves it by itself, tombstones included.
    let place = client.subject("place");
    let path = format!("/subjects/{place}/versions?normalize=false");
    let street = record("Place", r#"{"name":"street","type":"string"}"#);
    client
        .post(&path, &draft(&street))
        .await
        .has(&json!({"version": 1}));
    let visit = record("Visit", r#"{"name":"at","type":"Place"}"#);
    let path = format!("/subjects/{subject}-visit/versions?normalize=false");
    let referring = draft_referring("Place", &place, 1, &visit);
    let registered = client.post(&path, &referring).await.has(&json!({
        "references": [{"name": "Place", "subject": place, "version": 1}],
    }));
    let id = &registered["id"];
    client
        .get(&format!("/schemas/ids/{id}?fetchMaxId=false&subject="))
        .await
        .has(&json!({"references": [{"name": "Place", "subject": place, "version": 1}]}));
    client
        .get(&format!("/subjects/{place}/versions/1?deleted=true"))
        .await
        .has(&json!({"schema": street}));

    // Incompatible, and not a schema at all.
    let path = format!("/subjects/{subject}/versions?normalize=false");
    let refused = client.post(&path, &draft(&bad())).await;
    assert_eq!(
        (refused.status, &refused.body["error_code"]),
        (409, &json!(40901)),
        "{refused:?}"
    );
    let refused = client.post(&path, &draft("{")).await;
    assert_eq!(
        (refused.status, &refused.body["error_code"]),
        (422, &json!(42201)),
        "{refused:?}"
    );
}

/// The client asks no more for what was answered 404 with 40401, 40402 or 40403.
pub(super) async fn missing(client: &Client<'_>) {
    let subject = client.subject("missing");
    let none = client.subject("none");
    let path = format!("/subjects/{subject}/versions?normalize=true");
    client
        .post(&path, &draft(&one()))
        .await
        .has(&json!({"version": 1}));

    client
        .get("/schemas/ids/2147483647?fetchMaxId=false&subject=")
        .await
        .refuses(40403, "Schema 2147483647 not found");
    let guid = "00000000-0000-0000-0000-000000000000";
    client
        .get(&format!("/schemas/guids/{guid}"))
        .await
        .refuses(40403, &format!("Schema {guid} not found"));
    client
        .post(
            &format!("/subjects/{none}?normalize=false&deleted=false"),
            &draft(&one()),
        )
        .await
        .refuses(40401, &format!("Subject '{none}' not found."));
    client
        .post(
            &format!("/subjects/{subject}?normalize=false&deleted=false"),
            &draft(&two()),
        )
        .await
        .refuses(40403, "Schema not found");
    client
        .get(&format!("/subjects/{subject}/versions/2?deleted=true"))
        .await
        .refuses(40402, "Version 2 not found.");
    client
        .get(&format!("/subjects/{none}/versions/1?deleted=true"))
        .await
        .refuses(40401, &format!("Subject '{none}' not found."));
    client
        .get(&format!("/subjects/{none}/versions/latest"))
        .await
        .refuses(40401, &format!("Subject '{none}' not found."));
    client
        .get(&format!(
            "/subjects/{none}/versions?deleted=false&deletedOnly=false"
        ))
        .await
        .refuses(40401, &format!("Subject '{none}' not found."));

    // What must not be remembered has other codes; what no server of today knows has 404.
    client
        .get(&format!("/config/{none}?defaultToGlobal=false"))
        .await
        .refuses(
            40408,
            &format!("Subject '{none}' does not have subject-level compatibility configured"),
        );
    client
        .get(&format!("/mode/{none}?defaultToGlobal=false"))
        .await
        .refuses(
            40409,
            &format!("Subject '{none}' does not have subject-level mode configured"),
        );
    client
        .get("/dek-registry/v1/keks?deleted=false")
        .await
        .refuses(404, "HTTP 404 Not Found");
    client
        .post("/associations:batchGet", r#"{"requests":[]}"#)
        .await
        .refuses(404, "HTTP 404 Not Found");
}
