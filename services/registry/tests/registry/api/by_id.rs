//! `/schemas/ids/…` and `/schemas/guids/…`.

use serde_json::{Value, json};

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_guids_stand_for_schemas() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET /schemas/ids/1 => 404 40403 Schema 1 not found
        GET /schemas/ids/1/schema => 404 40403 Schema 1 not found
        GET /schemas/ids/1/subjects => 404 40403 Schema not found
        GET /schemas/ids/1/versions => 404 40403 Schema not found
        POST /subjects/s/versions {"schema": "\"string\""} ~> 200 {"id": 1}
        POST /subjects/t/versions {"schema": "\"string\""} ~> 200 {"id": 1}
        GET /schemas/ids/1
        => 200 {"guid": "095d71cf-1255-6b9d-5e33-0ad575b3df5d", "schemaType": "AVRO", "schema": "\"string\"", "deleted": false}
        GET /schemas/ids/1?fetchMaxId=false&subject= ~> 200 {"subject": null, "version": null, "maxId": null}
        GET /schemas/ids/1?fetchMaxId=true ~> 200 {"maxId": 1}
        GET /schemas/ids/1?includeSubjects=True ~> 200 {"subject": null, "subjects": ["s", "t"], "schema": "\"string\""}
        GET /schemas/ids/1/schema => 200 "string"
        GET /schemas/ids/1/subjects => 200 ["s", "t"]
        GET /schemas/ids/1/subjects?offset=1 => 200 ["t"]
        GET /schemas/ids/1/subjects?limit=1 => 200 ["s"]
        GET /schemas/ids/1/versions => 200 [{"subject": "s", "version": 1}, {"subject": "t", "version": 1}]
        GET /schemas/ids/1/versions?offset=1&limit=1 => 200 [{"subject": "t", "version": 1}]
        GET /schemas/guids/095d71cf-1255-6b9d-5e33-0ad575b3df5d
        => 200 {"guid": "095d71cf-1255-6b9d-5e33-0ad575b3df5d", "schemaType": "AVRO", "schema": "\"string\"", "deleted": false}
        GET /schemas/guids/095d71cf-1255-6b9d-5e33-0ad575b3df5d/ids => 200 [{"context": ".", "id": 1}]
        GET /schemas/guids/00000000-0000-0000-0000-000000000000 => 404 40403 Schema 00000000-0000-0000-0000-000000000000 not found
        GET /schemas/guids/00000000-0000-0000-0000-000000000000/ids => 200 []
        GET /schemas/guids/nonsense => 404 40403 Schema nonsense not found
        GET /schemas/guids/nonsense/ids => 200 []
        # Where versions are soft-deleted, ids still answer.
        DELETE /subjects/s => 200 [1]
        GET /schemas/ids/1 ~> 200 {"deleted": false}
        GET /schemas/ids/1/subjects => 200 ["t"]
        GET /schemas/ids/1/subjects?deleted=true => 200 ["s", "t"]
        DELETE /subjects/t => 200 [1]
        GET /schemas/ids/1 ~> 200 {"deleted": true}
        GET /schemas/ids/1/versions => 200 []
        GET /schemas/ids/1/versions?deleted=true => 200 [{"subject": "s", "version": 1}, {"subject": "t", "version": 1}]
        GET /schemas/guids/095d71cf-1255-6b9d-5e33-0ad575b3df5d ~> 200 {"deleted": true}
        # And no more when they are deleted for good.
        DELETE /subjects/s?permanent=true => 200 [1]
        DELETE /subjects/t?permanent=true => 200 [1]
        GET /schemas/ids/1 => 404 40403 Schema 1 not found
        GET /schemas/guids/095d71cf-1255-6b9d-5e33-0ad575b3df5d/ids => 200 []
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_says_where_to_look_for_an_id() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"string\""} ~> 200 {"id": 1}
        POST /subjects/t/versions {"schema": "\"long\""} ~> 200 {"id": 2}
        POST /subjects/:.c:s/versions {"schema": "\"bytes\""} ~> 200 {"id": 1}
        POST /subjects/:.c:u/versions {"schema": "\"int\""} ~> 200 {"id": 2}
        POST /subjects/:.c:w/versions {"schema": "\"float\""} ~> 200 {"id": 3}
        GET /schemas/ids/1?subject=s ~> 200 {"subject": "s", "version": 1, "id": null, "schema": "\"string\""}
        # In the default context one that does not hold it is no error: its namesakes in other
        # contexts are tried, then any subject.
        GET /schemas/ids/1?subject=t ~> 200 {"subject": "s", "version": 1}
        GET /schemas/ids/2?subject=u ~> 200 {"subject": ":.c:u", "version": 1, "schema": "\"int\""}
        GET /schemas/ids/1?subject=none ~> 200 {"subject": "s"}
        GET /schemas/ids/9?subject=s => 404 40403 Schema 9 not found
        GET /schemas/ids/3?subject=s => 404 40403 Schema 3 not found
        # One with a context must hold it, unless it is the context.
        GET /schemas/ids/1?subject=:.c:s ~> 200 {"subject": ":.c:s", "schema": "\"bytes\""}
        GET /schemas/ids/2?subject=:.c:s => 404 40403 Schema 2 not found
        GET /schemas/ids/2?subject=:.c: ~> 200 {"subject": ":.c:u"}
        GET /schemas/ids/2?subject=:.c ~> 200 {"subject": ":.c:u"}
        GET /schemas/ids/2?subject=:.none: => 404 40403 Schema 2 not found
        GET /contexts/.c/schemas/ids/2 ~> 200 {"subject": ":.c:u"}
        GET /contexts/c/schemas/ids/1?subject=s ~> 200 {"subject": ":.c:s"}
        GET /contexts/:.c:/schemas/ids/1/schema => 200 "bytes"
        GET /schemas/ids/1/schema?subject=:.c: => 200 "bytes"
        GET /schemas/ids/3?subject=:.c:&fetchMaxId=true ~> 200 {"maxId": 3}
        # All holders of the id in the context where it is found: is the subject among them?
        POST /subjects/v/versions {"schema": "\"string\""} ~> 200 {"id": 1}
        GET /schemas/ids/1/versions?subject=v => 200 [{"subject": "s", "version": 1}, {"subject": "v", "version": 1}]
        GET /schemas/ids/1/subjects?subject=t => 200 ["s", "v"]
        GET /schemas/ids/1/subjects?subject=:.c:s => 200 [":.c:s"]
        GET /schemas/ids/1/subjects?subject=:.c:u => 404 40403 Schema not found
        GET /contexts/.c/schemas/ids/2/versions => 200 [{"subject": ":.c:u", "version": 1}]
        # An alias in the settings leads to its subject.
        PUT /config/a {"alias": "s"} ~> 200 {"alias": "s"}
        GET /schemas/ids/1?subject=a ~> 200 {"subject": "s"}
        # One content has one GUID, in every context.
        POST /subjects/:.d:s/versions {"schema": "\"string\""} ~> 200 {"id": 1}
        GET /schemas/guids/095d71cf-1255-6b9d-5e33-0ad575b3df5d/ids => 200 [{"context": ".", "id": 1}, {"context": ".d", "id": 1}]
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_tags_are_told_where_they_are_asked_for() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"confluent:tags\":[\"PII\"]},{\"name\":\"b\",\"type\":\"int\",\"confluent:tags\":[\"X\"]}],\"confluent:tags\":[\"T\"]}"}
        ~> 200 {"id": 1}
        GET /schemas/ids/1 ~> 200 {"schemaTags": null}
        GET /schemas/ids/1?findTags=PII
        ~> 200 {"schemaTags": [{"schemaEntity": {"entityPath": "n.R.a", "entityType": "sr_field"}, "tags": ["PII"]}]}
        GET /schemas/ids/1?findTags=X&findTags=T
        ~> 200 {"schemaTags": [{"schemaEntity": {"entityPath": "n.R", "entityType": "sr_record"}, "tags": ["T"]}, {"schemaEntity": {"entityPath": "n.R.b", "entityType": "sr_field"}, "tags": ["X"]}]}
        GET /schemas/ids/1?findTags=none ~> 200 {"schemaTags": null}
        GET /subjects/s/versions/1?findTags=T
        ~> 200 {"subject": "s", "schemaTags": [{"schemaEntity": {"entityPath": "n.R", "entityType": "sr_record"}, "tags": ["T"]}]}
        "#,
    )
    .await;
    registry.stop().await;
}

/// More versions than are listed at once.
#[tokio::test(flavor = "multi_thread")]
async fn ids_that_many_versions_hold_are_listed_alike() {
    let registry = Registry::start().await;
    let subjects: Vec<String> = (0..70).map(|n| format!("s{n:02}")).collect();
    for subject in &subjects {
        assert_eq!(registry.register(subject, "\"string\"").await, 1);
    }
    let place = |subject: &String| json!({"subject": subject, "version": 1});
    let versions: Vec<Value> = subjects.iter().map(place).collect();
    let get = async |path: &str| registry.ok("GET", path, None).await;
    assert_eq!(get("/schemas/ids/1/subjects").await, json!(subjects));
    assert_eq!(get("/schemas/ids/1/versions").await, json!(versions));
    let page = get("/schemas/ids/1/versions?offset=64&limit=3").await;
    assert_eq!(page, json!(versions[64..67]));
    // Of those that are left, few enough are live; with the soft-deleted ones they are many.
    for subject in &subjects[..10] {
        let path = format!("/subjects/{subject}");
        registry.ok("DELETE", &path, None).await;
    }
    assert_eq!(get("/schemas/ids/1/subjects").await, json!(subjects[10..]));
    let all = get("/schemas/ids/1/subjects?deleted=true").await;
    assert_eq!(all, json!(subjects));
    registry.stop().await;
}
