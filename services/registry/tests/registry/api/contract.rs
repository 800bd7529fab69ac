//! Metadata, rules and tags: kept, returned, and a part of a schema's identity.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_rules_are_a_part_of_identity() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"string\"", "metadata": {"tags": {"**.ssn": ["PRIVATE", "PII"]}, "properties": {"owner": "Bob", "email": "b@x"}, "sensitive": ["s2", "s1"]}}
        => 200 {"id": 1, "version": 1, "guid": "5df41ac9-48a7-37b8-6c9d-3686140acad9", "schemaType": "AVRO", "schema": "\"string\"", "metadata": {"tags": {"**.ssn": ["PII", "PRIVATE"]}, "properties": {"owner": "Bob", "email": "b@x"}, "sensitive": ["s1", "s2"]}}
        POST /subjects/t/versions {"schema": "\"string\""} ~> 200 {"id": 2}
        POST /subjects/u/versions {"schema": "\"string\"", "metadata": {}} ~> 200 {"id": 3, "guid": "cecc02e2-232b-87f1-1b0c-aa0e70dbb74d", "metadata": {}}
        POST /subjects/v/versions {"schema": "\"string\"", "ruleSet": {"domainRules": [{"name": "checkLen", "doc": "d", "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "tags": ["PII", "A"], "params": {"k2": "v2", "k1": "v1"}, "expr": "size(message)<10", "onSuccess": "NONE", "onFailure": "ERROR", "disabled": true}]}}
        ~> 200 {"id": 4, "guid": "da7e8804-77e1-103c-6851-40b4e430a92d", "ruleSet": {"domainRules": [{"name": "checkLen", "tags": ["A", "PII"], "params": {"k1": "v1", "k2": "v2"}, "disabled": true}]}}
        GET /subjects/v/versions/1 ~> 200 {"ruleSet": {"domainRules": [{"name": "checkLen", "expr": "size(message)<10"}]}}
        GET /schemas/ids/4 ~> 200 {"ruleSet": {"domainRules": [{"name": "checkLen"}]}}
        # What a rule leaves open is filled in, so that it is the same however it is written.
        POST /subjects/w/versions {"schema": "\"string\"", "ruleSet": {"domainRules": [{"name": "r", "type": "CEL"}]}} ~> 200 {"id": 5}
        POST /subjects/w/versions {"schema": "\"string\"", "ruleSet": {"domainRules": [{"name": "r", "type": "CEL", "kind": "TRANSFORM", "mode": "WRITEREAD", "disabled": false}]}} ~> 200 {"id": 5}
        POST /subjects/w/versions {"schema": "\"string\"", "ruleSet": {"domainRules": [{"name": "r", "type": "CEL", "mode": "UPGRADE"}]}}
        => 422 42210 Domain rules can only be WRITE, READ, WRITEREAD
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_of_a_version_make_a_new_one() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions/1/tags {} => 404 40401 Subject 's' not found.
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}"} ~> 200 {"version": 1, "id": 1}
        POST /subjects/s/versions/2/tags {} => 404 40402 Version 2 not found.
        POST /subjects/s/versions/x/tags {} ~> 422 {"error_code": 42202}
        POST /subjects/__GLOBAL/versions/1/tags {} ~> 422 {"error_code": 42208}
        POST /subjects/s/versions/1/tags {"tagsToAdd": [{"schemaEntity": {"entityPath": "R.a", "entityType": "sr_field"}, "tags": ["PII", "X"]}, {"schemaEntity": {"entityPath": "R", "entityType": "sr_record"}, "tags": ["T"]}], "metadata": {"properties": {"p": "q"}}}
        ~> 200 {"version": 2, "id": 2, "metadata": {"properties": {"confluent:version": "2", "p": "q"}}, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"confluent:tags\":[\"PII\",\"X\"]}],\"confluent:tags\":[\"T\"]}"}
        POST /subjects/s/versions/latest/tags {"newVersion": 3, "tagsToRemove": [{"schemaEntity": {"entityPath": "R.a", "entityType": "sr_field"}, "tags": ["PII"]}, {"schemaEntity": {"entityPath": "R", "entityType": "sr_record"}, "tags": ["T"]}]}
        ~> 200 {"version": 3, "metadata": {"properties": {"confluent:version": "3", "p": "q"}}, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"confluent:tags\":[\"X\"]}]}"}
        POST /subjects/s/versions/3/tags {"newVersion": 7} => 422 42201 Version is not one more than previous version
        POST /subjects/s/versions/3/tags {"tagsToAdd": [{"schemaEntity": {"entityPath": "R.z", "entityType": "sr_field"}, "tags": ["Y"]}]}
        => 422 42201 Invalid schema: No matching path 'R.z' found in the schema
        # Rules of the version before are merged and removed by name.
        POST /subjects/s/versions/3/tags {"rulesToMerge": {"domainRules": [{"name": "r", "type": "CEL"}, {"name": "q", "type": "CEL"}]}}
        ~> 200 {"version": 4, "ruleSet": {"domainRules": [{"name": "r"}, {"name": "q"}]}}
        POST /subjects/s/versions/4/tags {"rulesToMerge": {"domainRules": [{"name": "r", "type": "X"}]}, "rulesToRemove": ["q"]}
        ~> 200 {"version": 5, "ruleSet": {"domainRules": [{"name": "r", "type": "X"}]}}
        POST /subjects/s/versions/5/tags {"ruleSet": {}, "rulesToRemove": ["r"]}
        => 422 42210 ruleSet should be omitted if specifying rulesToMerge or rulesToRemove
        POST /subjects/s/versions/5/tags {"ruleSet": {"domainRules": [{}]}} => 422 42210 Missing rule name
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_may_come_with_a_registration() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}", "schemaTagsToAdd": [{"schemaEntity": {"entityPath": "R.a", "entityType": "sr_field"}, "tags": ["PII"]}]}
        ~> 200 {"version": 1, "metadata": {"properties": {"confluent:version": "1"}}, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"confluent:tags\":[\"PII\"]}]}"}
        # Those of the latest version, carried on.
        POST /subjects/s/versions {"propagateSchemaTags": true, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\",\"default\":1}]}"}
        ~> 200 {"version": 2, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"confluent:tags\":[\"PII\"]},{\"name\":\"b\",\"type\":\"int\",\"default\":1}]}"}
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"confluent:tags\":[\"PII\"]},{\"name\":\"b\",\"type\":\"int\",\"default\":1}]}", "schemaTagsToRemove": [{"schemaEntity": {"entityPath": "R.a", "entityType": "sr_field"}, "tags": ["PII"]}]}
        ~> 200 {"version": 3, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\",\"default\":1}]}"}
        "#,
    )
    .await;
    registry.stop().await;
}
