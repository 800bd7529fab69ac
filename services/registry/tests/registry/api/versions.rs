//! GET of subjects and versions: lists, pages, numbers.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_found_by_number() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET /subjects/s/versions/1 => 404 40401 Subject 's' not found.
        GET /subjects/s/versions/latest => 404 40401 Subject 's' not found.
        POST /subjects/s/versions {"schema": "\"string\""} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"bytes\""} ~> 200 {"version": 2}
        GET /subjects/s/versions/1
        => 200 {"subject": "s", "version": 1, "id": 1, "guid": "095d71cf-1255-6b9d-5e33-0ad575b3df5d", "schemaType": "AVRO", "schema": "\"string\"", "deleted": false}
        GET /subjects/s/versions/latest ~> 200 {"version": 2}
        GET /subjects/s/versions/LATEST ~> 200 {"version": 2}
        GET /subjects/s/versions/-1 ~> 200 {"version": 2}
        GET /subjects/s/versions/%202 ~> 200 {"version": 2}
        GET /subjects/s/versions/02 ~> 200 {"version": 2}
        GET /subjects/s/versions/1/schema => 200 "string"
        GET /subjects/s/versions/latest/schema => 200 "bytes"
        GET /subjects/s/versions/3 => 404 40402 Version 3 not found.
        GET /subjects/s/versions/2147483647 => 404 40402 Version 2147483647 not found.
        GET /subjects/s/versions/0 => 422 42202 The specified version '0' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"
        GET /subjects/s/versions/-2 => 422 42202 The specified version '-2' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"
        GET /subjects/s/versions/2147483648 => 422 42202 The specified version '2147483648' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"
        GET /subjects/s/versions/x => 422 42202 The specified version 'x' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"
        GET /subjects/s/versions/x/schema ~> 422 {"error_code": 42202}
        GET /subjects/s/versions/x/referencedby ~> 422 {"error_code": 42202}
        DELETE /subjects/s/versions/x ~> 422 {"error_code": 42202}
        # Soft-deleted ones only where asked for, and never as the latest.
        DELETE /subjects/s/versions/2 => 200 2
        GET /subjects/s/versions/2 => 404 40402 Version 2 not found.
        GET /subjects/s/versions/2?deleted=true ~> 200 {"version": 2, "deleted": true}
        GET /subjects/s/versions/2/schema => 404 40402 Version 2 not found.
        GET /subjects/s/versions/2/schema?deleted=true => 200 "bytes"
        GET /subjects/s/versions/latest?deleted=true ~> 200 {"version": 1}
        DELETE /subjects/s/versions/1 => 200 1
        GET /subjects/s/versions/1 => 404 40401 Subject 's' not found.
        GET /subjects/s/versions/latest => 404 40401 Subject 's' not found.
        GET /subjects/s/versions/latest?deleted=true => 404 40402 Version -1 not found.
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_and_come_in_pages() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET /subjects => 200 []
        GET /schemas => 200 []
        POST /subjects/b/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        POST /subjects/a/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        POST /subjects/a/versions {"schema": "\"long\""} ~> 200 {"id": 2}
        POST /subjects/a/versions {"schema": "\"float\""} ~> 200 {"id": 3}
        POST /subjects/ab/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        POST /subjects/:.c:a/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        DELETE /subjects/a/versions/1 => 200 1
        DELETE /subjects/ab => 200 [1]
        GET /subjects => 200 [":.c:a", "a", "b"]
        GET /subjects?deleted=TRUE => 200 [":.c:a", "a", "ab", "b"]
        GET /subjects?deletedOnly=true => 200 ["ab"]
        GET /subjects?deletedOnly=true&deleted=true => 200 ["ab"]
        GET /subjects?deleted=yes => 200 [":.c:a", "a", "b"]
        GET /subjects?offset=1&limit=1 => 200 ["a"]
        GET /subjects?offset=5 => 200 []
        GET /subjects?limit=0 => 200 [":.c:a", "a", "b"]
        GET /subjects?limit=-1&offset=0 => 200 [":.c:a", "a", "b"]
        GET /subjects?unknown=1 => 200 [":.c:a", "a", "b"]
        # Prefixes are within the default context, unless they say otherwise.
        GET /subjects?subjectPrefix= => 200 ["a", "b"]
        GET /subjects?subjectPrefix=a => 200 ["a"]
        GET /subjects?subjectPrefix=a&deleted=true => 200 ["a", "ab"]
        GET /subjects?subjectPrefix=:.c: => 200 [":.c:a"]
        GET /subjects?subjectPrefix=:.c:b => 200 []
        GET /subjects?subjectPrefix=:*: => 200 [":.c:a", "a", "b"]
        GET /subjects?subjectPrefix=:*:a => 200 [":.c:a", "a"]
        GET /subjects/a/versions => 200 [2, 3]
        GET /subjects/a/versions?deleted=true => 200 [1, 2, 3]
        GET /subjects/a/versions?deletedOnly=true => 200 [1]
        GET /subjects/a/versions?deletedOnly=true&deleted=true => 200 [1]
        GET /subjects/a/versions?deletedAsNegative=true => 200 [-1, 2, 3]
        GET /subjects/a/versions?deleted=true&offset=1&limit=1 => 200 [2]
        GET /subjects/b/versions?deletedOnly=true => 200 []
        GET /subjects/ab/versions => 404 40401 Subject 'ab' not found.
        GET /subjects/ab/versions?deletedAsNegative=true => 404 40401 Subject 'ab' not found.
        GET /subjects/ab/versions?deletedAsNegative=true&deleted=true => 200 [-1]
        GET /subjects/ab/versions?deletedOnly=true => 200 [1]
        GET /subjects/none/versions?deleted=true => 404 40401 Subject 'none' not found.
        # Versions of subjects, those of the default context.
        GET /schemas ~> 200 [{"subject": "a", "version": 2}, {"subject": "a", "version": 3}, {"subject": "b", "version": 1}]
        GET /schemas?deleted=true&offset=1&limit=3
        ~> 200 [{"subject": "a", "version": 2}, {"subject": "a", "version": 3}, {"subject": "ab", "version": 1, "deleted": true}]
        GET /schemas?latestOnly=true ~> 200 [{"subject": "a", "version": 3}, {"subject": "b", "version": 1}]
        GET /schemas?subjectPrefix=b ~> 200 [{"subject": "b", "version": 1}]
        GET /schemas?subjectPrefix=:.c: ~> 200 [{"subject": ":.c:a", "version": 1}]
        GET /schemas?subjectPrefix=:*:a&latestOnly=true ~> 200 [{"subject": ":.c:a"}, {"subject": "a"}]
        GET /contexts/.c/schemas ~> 200 [{"subject": ":.c:a", "version": 1}]
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_with_aliases_and_by_their_rules() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/a/versions {"schema": "\"int\"", "ruleSet": {"domainRules": [{"name": "r", "type": "CEL"}]}} ~> 200 {"version": 1}
        POST /subjects/a/versions {"schema": "\"long\"", "ruleSet": {"migrationRules": [{"name": "r", "type": "JSONATA", "mode": "UPGRADE"}]}} ~> 200 {"version": 2}
        POST /subjects/b/versions {"schema": "\"int\""} ~> 200 {"version": 1}
        PUT /config/x {"alias": "a"} ~> 200 {"alias": "a"}
        PUT /config/y {"alias": "a"} ~> 200 {"alias": "a"}
        GET /schemas?ruleType=CEL ~> 200 [{"subject": "a", "version": 1}]
        GET /schemas?ruleType=JSONATA ~> 200 [{"subject": "a", "version": 2}]
        # The latest versions, of which those with such rules.
        GET /schemas?ruleType=CEL&latestOnly=true => 200 []
        GET /schemas?aliases=true&latestOnly=true
        ~> 200 [{"subject": "a", "version": 2, "aliases": ["x", "y"]}, {"subject": "b", "version": 1, "aliases": null}]
        GET /schemas?latestOnly=true ~> 200 [{"subject": "a", "aliases": null}, {"subject": "b"}]
        # By the name of an alias.
        GET /schemas?subjectPrefix=x&aliases=true&latestOnly=true ~> 200 [{"subject": "a", "version": 2, "aliases": ["x"]}]
        GET /schemas?subjectPrefix=x => 200 []
        "#,
    )
    .await;
    registry.stop().await;
}
