//! Deleting, softly and for good.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn subjects_are_hidden_first_and_then_deleted() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        DELETE /subjects/s => 404 40401 Subject 's' not found.
        DELETE /subjects/s?permanent=true => 404 40401 Subject 's' not found.
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"version": 2}
        PUT /config/s {"compatibility": "FULL"} ~> 200 {"compatibility": "FULL"}
        PUT /mode/s {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        DELETE /subjects/s?permanent=true => 404 40405 Subject 's' was not deleted first before being permanently deleted
        DELETE /subjects/s => 200 [1, 2]
        DELETE /subjects/s => 404 40404 Subject 's' was soft deleted.Set permanent=true to delete permanently
        # Settings and mode stay until it is deleted for good.
        GET /config/s ~> 200 {"compatibilityLevel": "FULL"}
        GET /mode/s ~> 200 {"mode": "READWRITE"}
        DELETE /subjects/s?permanent=True => 200 [1, 2]
        GET /config/s ~> 404 {"error_code": 40408}
        GET /mode/s ~> 404 {"error_code": 40409}
        GET /subjects?deleted=true => 200 []
        DELETE /subjects/s?permanent=true => 404 40401 Subject 's' not found.
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_hidden_first_and_then_deleted() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        DELETE /subjects/s/versions/1 => 404 40401 Subject 's' not found.
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"version": 2}
        PUT /config/s {"compatibility": "FULL"} ~> 200 {"compatibility": "FULL"}
        PUT /mode/s {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        DELETE /subjects/s/versions/3 => 404 40402 Version 3 not found.
        DELETE /subjects/s/versions/1?permanent=true => 404 40407 Subject 's' Version 1 was not deleted first before being permanently deleted
        DELETE /subjects/s/versions/latest?permanent=true => 404 40407 Subject 's' Version 2 was not deleted first before being permanently deleted
        DELETE /subjects/s/versions/latest => 200 2
        DELETE /subjects/s/versions/2 => 404 40406 Subject 's' Version 2 was soft deleted.Set permanent=true to delete permanently
        DELETE /subjects/s/versions/-1 => 200 1
        DELETE /subjects/s/versions/latest => 404 40402 Version -1 not found.
        DELETE /subjects/s/versions/1?permanent=true => 200 1
        GET /subjects/s/versions?deleted=true => 200 [2]
        # Settings and mode go with the last version.
        GET /config/s ~> 200 {"compatibilityLevel": "FULL"}
        DELETE /subjects/s/versions/2?permanent=true => 200 2
        GET /config/s ~> 404 {"error_code": 40408}
        GET /mode/s ~> 404 {"error_code": 40409}
        DELETE /subjects/s/versions/2 => 404 40401 Subject 's' not found.
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_refer_to_stays() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/a/versions {"schema": "{\"type\":\"record\",\"name\":\"A\",\"fields\":[]}"} ~> 200 {"id": 1}
        POST /subjects/b/versions {"schema": "{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"a\",\"type\":\"A\"}]}", "references": [{"name": "A", "subject": "a", "version": 1}]}
        ~> 200 {"id": 2}
        DELETE /subjects/a => 422 42206 One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=a,version=1}.
        DELETE /subjects/a/versions/1 => 422 42206 One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=a,version=1}.
        # Where a soft-deleted version refers to it, it may be hidden and not deleted.
        DELETE /subjects/b => 200 [1]
        DELETE /subjects/a => 200 [1]
        DELETE /subjects/a?permanent=true => 422 42206 One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=a,version=1}.
        DELETE /subjects/a/versions/1?permanent=true => 422 42206 One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=a,version=1}.
        GET /schemas/ids/2 ~> 200 {"deleted": true}
        DELETE /subjects/b?permanent=true => 200 [1]
        DELETE /subjects/a?permanent=true => 200 [1]
        # A subject's references to itself go with it.
        POST /subjects/c/versions {"schema": "{\"type\":\"record\",\"name\":\"A\",\"fields\":[]}"} ~> 200 {"version": 1}
        POST /subjects/c/versions?force=true {"schema": "{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"a\",\"type\":\"A\"}]}", "references": [{"name": "A", "subject": "c", "version": 1}]}
        ~> 200 {"version": 2}
        DELETE /subjects/c/versions/1 => 422 42206 One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=c,version=1}.
        DELETE /subjects/c => 200 [1, 2]
        DELETE /subjects/c?permanent=true => 200 [1, 2]
        "#,
    )
    .await;
    registry.stop().await;
}
