//! POST `/subjects/{subject}/versions`: in which order a registration is decided.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_answers_and_what_is_new_gets_the_next_number() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"string\""}
        => 200 {"version": 1, "id": 1, "guid": "095d71cf-1255-6b9d-5e33-0ad575b3df5d", "schemaType": "AVRO", "schema": "\"string\""}
        # The same again, however it is written.
        POST /subjects/s/versions {"schema": "{\"type\": \"string\"}", "schemaType": "AVRO"}
        => 200 {"version": 1, "id": 1, "guid": "095d71cf-1255-6b9d-5e33-0ad575b3df5d", "schemaType": "AVRO", "schema": "\"string\"", "deleted": false}
        # Another subject: the same id.
        POST /subjects/t%2Fu/versions {"schema": "\"string\""}
        => 200 {"version": 1, "id": 1, "guid": "095d71cf-1255-6b9d-5e33-0ad575b3df5d", "schemaType": "AVRO", "schema": "\"string\""}
        GET /subjects => 200 ["s", "t/u"]
        # Another content: another id.
        POST /subjects/v/versions {"schema": "\"long\""} ~> 200 {"version": 1, "id": 2}
        # Another context: ids of its own.
        POST /subjects/:.c:s/versions {"schema": "\"long\""} ~> 200 {"version": 1, "id": 1}
        # The version that is asked for must be the next one. It is written into the metadata.
        POST /subjects/w/versions {"schema": "\"int\"", "version": 2}
        => 422 42201 Version is not one more than previous version
        POST /subjects/w/versions {"schema": "\"int\"", "version": 1}
        ~> 200 {"version": 1, "metadata": {"properties": {"confluent:version": "1"}}}
        # Which does not make it another schema.
        POST /subjects/w/versions {"schema": "\"int\""} ~> 200 {"version": 1, "id": 3}
        POST /subjects/w/versions {"schema": "\"int\"", "version": -1} ~> 200 {"version": 1, "id": 3}
        # Nor is a schema that is the latest one registered anew as the next.
        POST /subjects/s/versions {"schema": "\"string\"", "version": -1} ~> 200 {"version": 1, "id": 1}
        POST /subjects/w/versions {"schema": "\"int\"", "version": 3}
        => 422 42201 Version is not one more than previous version
        # A version that is named is registered even if its schema is there.
        POST /subjects/w/versions {"schema": "\"int\"", "version": 2}
        ~> 200 {"version": 2, "metadata": {"properties": {"confluent:version": "2"}}}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_lacks_comes_from_the_latest_version() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {} => 422 42201 Empty schema
        POST /subjects/s/versions {"schema": "  "} => 422 42201 Empty schema
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"version": 1, "metadata": null}
        POST /subjects/s/versions {"metadata": {"properties": {"a": "b"}}}
        ~> 200 {"version": 2, "schema": "\"int\"", "metadata": {"properties": {"a": "b"}}}
        POST /subjects/s/versions {} ~> 200 {"version": 2}
        POST /subjects/s/versions {"schema": "\"long\""}
        ~> 200 {"version": 3, "schema": "\"long\"", "metadata": {"properties": {"a": "b"}}}
        # Names of versions in the metadata are kept true.
        POST /subjects/s/versions {"schema": "\"float\"", "metadata": {"properties": {"confluent:version": "9"}}}
        ~> 200 {"version": 4, "metadata": {"properties": {"confluent:version": "4"}}}
        POST /subjects/s/versions {"schema": "\"double\""}
        ~> 200 {"version": 5, "metadata": {"properties": {"confluent:version": "5"}}}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_and_overrides_of_the_settings_are_laid_around_a_schema() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"version": 1, "metadata": null}
        PUT /config/s {"defaultMetadata": {"properties": {"a": "1", "b": "1"}}, "overrideMetadata": {"properties": {"c": "3"}, "tags": {"x": ["T"]}}, "overrideRuleSet": {"domainRules": [{"name": "r", "type": "CEL"}]}}
        ~> 200 {"overrideMetadata": {"properties": {"c": "3"}, "tags": {"x": ["T"]}}}
        # So what is there is not what is asked for any more.
        POST /subjects/s/versions {"schema": "\"int\"", "metadata": {"properties": {"b": "2", "c": "2"}}, "ruleSet": {"domainRules": [{"name": "r", "type": "X"}, {"name": "q", "type": "CEL"}]}}
        ~> 200 {"version": 2, "metadata": {"properties": {"a": "1", "b": "2", "c": "3"}, "tags": {"x": ["T"]}}, "ruleSet": {"domainRules": [{"name": "q", "type": "CEL"}, {"name": "r", "type": "CEL", "kind": "TRANSFORM", "mode": "WRITEREAD", "disabled": false}]}}
        # Another subject has no part in it.
        POST /subjects/t/versions {"schema": "\"int\""} ~> 200 {"id": 1, "metadata": null}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_registered_is_told_apart() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        # Rules come before the subject, and that before the schema.
        POST /subjects/__GLOBAL/versions {"schema": "nope", "ruleSet": {"domainRules": [{}]}} => 422 42210 Missing rule name
        POST /subjects/__GLOBAL/versions {"schema": "nope"} => 422 42208 The specified subject '__GLOBAL' is not a valid.
        POST /subjects/__EMPTY/versions {"schema": "nope"} => 422 42208 The specified subject '__EMPTY' is not a valid.
        POST /subjects/:.c:__GLOBAL/versions {"schema": "\"int\""} => 422 42208 The specified subject ':.c:__GLOBAL' is not a valid.
        POST /subjects/:.__GLOBAL:s/versions {"schema": "\"int\""} => 422 42208 The specified subject ':.__GLOBAL:s' is not a valid.
        POST /subjects/:.c:/versions {"schema": "\"int\""} => 422 42208 The specified subject ':.c:' is not a valid.
        POST /subjects/a%0Ab/versions {"schema": "\"int\""} ~> 422 {"error_code": 42208}
        POST /subjects/a%7Fb/versions {"schema": "\"int\""} ~> 422 {"error_code": 42208}
        POST /subjects/s/versions {"schema": "nope"} ~> 422 {"error_code": 42201}
        # Ids are given in mode IMPORT only, unless it is the schema's own.
        POST /subjects/s/versions {"schema": "\"int\"", "id": 7} => 422 42205 Subject s in context  is not in import mode
        POST /subjects/:.c:s/versions {"schema": "\"int\"", "id": 7} => 422 42205 Subject :.c:s in context :.c: is not in import mode
        POST /subjects/s/versions {"schema": "\"int\"", "id": -1} ~> 200 {"id": 1}
        POST /subjects/s/versions {"schema": "\"int\"", "id": 1} ~> 200 {"id": 1, "version": 1}
        POST /subjects/s/versions {"schema": "\"int\"", "id": 2} => 422 42205 Subject s in context  is not in import mode
        # Other kinds are kept, and not taken.
        POST /subjects/s/versions {"schema": "{}", "schemaType": "XML"} => 422 42201 Invalid schema type XML
        POST /subjects/s/versions {"schema": "{}", "schemaType": "JSON"} ~> 422 {"error_code": 42201}
        POST /subjects/s/versions {"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"} ~> 422 {"error_code": 42201}
        GET /subjects?deleted=true => 200 ["s"]
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_keeps_its_id_through_deletes() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"version": 1, "id": 1}
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"version": 2, "id": 2}
        DELETE /subjects/s/versions/1 => 200 1
        # Registered again it is a new version, which takes the place of the deleted one.
        POST /subjects/s/versions?force=true {"schema": "\"int\""} ~> 200 {"version": 3, "id": 1, "deleted": null}
        GET /subjects/s/versions?deleted=true => 200 [2, 3]
        # Also after it was deleted for good.
        DELETE /subjects/s => 200 [2, 3]
        DELETE /subjects/s?permanent=true => 200 [2, 3]
        GET /schemas/ids/2 => 404 40403 Schema 2 not found
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"version": 1, "id": 2}
        # And no other content ever gets it.
        POST /subjects/t/versions {"schema": "\"bytes\""} ~> 200 {"version": 1, "id": 3}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn normal_forms_are_one_schema() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions?normalize=True {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"}
        ~> 200 {"version": 1, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[],\"aliases\":[\"A\",\"B\"]}"}
        # Aliases are a set.
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"}
        ~> 200 {"version": 1}
        # Under another subject it is as it is written, unless settings say otherwise.
        POST /subjects/t/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"}
        ~> 200 {"version": 1, "id": 2}
        PUT /config/u {"normalize": true} => 200 {"normalize": true}
        POST /subjects/u/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"}
        ~> 200 {"version": 1, "id": 1}
        "#,
    )
    .await;
    registry.stop().await;
}
