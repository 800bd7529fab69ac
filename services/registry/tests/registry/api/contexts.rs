//! Contexts: their list, their end, and paths that name them.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn contexts_are_listed_and_deleted() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET /contexts => 200 ["."]
        POST /subjects/:.c:s/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        POST /subjects/:.b:s/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        POST /contexts/cc/subjects/s/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        GET /contexts => 200 [".", ".b", ".c", ".cc"]
        GET /contexts?offset=1&limit=2 => 200 [".b", ".c"]
        GET /contexts?contextPrefix=.c => 200 [".c", ".cc"]
        GET /contexts?contextPrefix=.c&offset=1 => 200 [".cc"]
        GET /contexts?contextPrefix=. => 200 [".", ".b", ".c", ".cc"]
        GET /contexts?contextPrefix= => 200 [".", ".b", ".c", ".cc"]
        GET /contexts?contextPrefix=.C => 200 []
        GET /contexts/.b/contexts => 200 [".", ".b", ".c", ".cc"]
        # Only where no subject is left, not even a soft-deleted one.
        DELETE /contexts/.c => 422 42211 The specified context ':.c:' is not empty.
        DELETE /subjects/:.c:s => 200 [1]
        DELETE /contexts/c => 422 42211 The specified context ':.c:' is not empty.
        DELETE /contexts/:.c:/subjects/s?permanent=true => 200 [1]
        GET /contexts => 200 [".", ".b", ".c", ".cc"]
        DELETE /contexts/:.c: => 204
        GET /contexts => 200 [".", ".b", ".cc"]
        DELETE /contexts/.c => 204
        DELETE /contexts/none => 204
        # The ids that it gave are not given again.
        POST /subjects/:.c:s/versions {"schema": "\"long\""} ~> 200 {"id": 2}
        GET /contexts => 200 [".", ".b", ".c", ".cc"]
        GET /contexts/a:b/subjects => 400 400 Context name 'a:b' cannot contain a colon
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_may_stand_behind_a_context() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /contexts/.c/subjects/s/versions {"schema": "\"string\""} ~> 200 {"id": 1, "version": 1}
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"id": 1, "version": 1}
        GET /contexts/.c/subjects => 200 [":.c:s"]
        GET /contexts/:.:/subjects => 200 ["s"]
        GET /contexts/:.:/subjects => 200 ["s"]
        GET /contexts/.c/subjects?subjectPrefix=t => 200 []
        GET /contexts/.c/subjects?subjectPrefix=:*: => 200 [":.c:s", "s"]
        GET /contexts/.c/subjects/s/versions => 200 [1]
        GET /contexts/c/subjects/s/versions/1 ~> 200 {"subject": ":.c:s", "schema": "\"string\""}
        GET /contexts/c/subjects/:.c:s/versions/1 ~> 200 {"subject": ":.c:s"}
        GET /contexts/c/subjects/%3A.c%3As/versions/1/schema => 200 "string"
        POST /contexts/:.c:/subjects/s {"schema": "\"string\""} ~> 200 {"subject": ":.c:s", "version": 1}
        POST /contexts/.c/compatibility/subjects/s/versions/latest {"schema": "\"int\""} => 200 {"is_compatible": false}
        POST /contexts/.d/compatibility/subjects/s/versions/latest {"schema": "\"int\""} => 200 {"is_compatible": true}
        GET /contexts/.c/schemas ~> 200 [{"subject": ":.c:s"}]
        GET /contexts/.c/schemas/types => 200 ["AVRO"]
        GET /contexts/.c/schemas/ids/1 ~> 200 {"subject": ":.c:s", "schema": "\"string\""}
        GET /contexts/.c/schemas/ids/1/versions => 200 [{"subject": ":.c:s", "version": 1}]
        GET /contexts/.c/schemas/guids/095d71cf-1255-6b9d-5e33-0ad575b3df5d/ids => 200 [{"context": ".c", "id": 1}]
        PUT /contexts/.c/config/s {"compatibility": "NONE"} => 200 {"compatibility": "NONE"}
        GET /config/:.c:s => 200 {"compatibilityLevel": "NONE"}
        PUT /contexts/.c/mode {"mode": "READONLY"} => 200 {"mode": "READONLY"}
        GET /mode/:.c: => 200 {"mode": "READONLY"}
        GET /contexts/.c/v1/metadata/version ~> 200 {"commitId": ""}
        GET /contexts/.c/associations/resources/-/orders?resourceType=topic => 200 []
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_context_is_looked_for_in_all_of_them() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/:.c:s/versions {"schema": "\"int\""} ~> 200 {"version": 1}
        POST /subjects/:.c:s/versions {"schema": "\"long\""} ~> 200 {"version": 2}
        POST /subjects/:.d:s/versions {"schema": "\"bytes\""} ~> 200 {"version": 1}
        GET /subjects/s/versions/1 ~> 200 {"subject": ":.c:s", "schema": "\"int\""}
        GET /subjects/s/versions/latest ~> 200 {"subject": ":.c:s", "version": 2}
        GET /subjects/s/versions/3 => 404 40401 Subject 's' not found.
        POST /subjects/s {"schema": "\"bytes\""} ~> 200 {"subject": ":.d:s", "version": 1}
        POST /subjects/s {"schema": "\"float\""} => 404 40401 Subject 's' not found.
        # Version by version: what the default context lacks comes from another.
        POST /subjects/s/versions {"schema": "\"double\""} ~> 200 {"version": 1}
        GET /subjects/s/versions/1 ~> 200 {"subject": "s", "schema": "\"double\""}
        GET /subjects/s/versions/2 ~> 200 {"subject": ":.c:s", "schema": "\"long\""}
        GET /subjects/s/versions/latest ~> 200 {"subject": "s", "version": 1}
        GET /subjects/s/versions/3 => 404 40402 Version 3 not found.
        POST /subjects/s {"schema": "\"long\""} ~> 200 {"subject": ":.c:s", "version": 2}
        POST /subjects/s {"schema": "\"float\""} => 404 40403 Schema not found
        # Not for lists, comparing and deleting; nor for a name with a context.
        GET /subjects/s/versions => 200 [1]
        POST /compatibility/subjects/s/versions/2 {"schema": "\"int\""} => 404 40402 Version 2 not found.
        DELETE /subjects/s/versions/2 => 404 40402 Version 2 not found.
        GET /subjects/:.e:s/versions/1 => 404 40401 Subject ':.e:s' not found.
        GET /subjects/:.d:s/versions/2 => 404 40402 Version 2 not found.
        # Odd names.
        POST /subjects/:x:s/versions {"schema": "\"int\""} ~> 200 {"version": 1}
        GET /subjects/:x:s/versions/1 ~> 200 {"subject": ":x:s"}
        GET /subjects/:.:s/versions/1 ~> 200 {"subject": "s"}
        "#,
    )
    .await;
    registry.stop().await;
}
