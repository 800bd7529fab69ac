//! `/compatibility`, and what registrations are refused for.

use serde_json::json;

use crate::harness::{Registry, record};
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_are_those_of_a_registration() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"version": 2}
        POST /compatibility/subjects/s/versions/latest {"schema": "\"float\""} => 200 {"is_compatible": true}
        POST /compatibility/subjects/s/versions/latest?verbose=true {"schema": "\"float\""} => 200 {"is_compatible": true, "messages": []}
        POST /compatibility/subjects/s/versions/latest {"schema": "\"int\""} => 200 {"is_compatible": false}
        POST /compatibility/subjects/s/versions/-1 {"schema": "\"int\""} => 200 {"is_compatible": false}
        POST /compatibility/subjects/s/versions/1 {"schema": "\"int\""} => 200 {"is_compatible": true}
        POST /compatibility/subjects/s/versions {"schema": "\"int\""} => 200 {"is_compatible": false}
        POST /compatibility/subjects/s/versions?verbose=True&normalize=true {"schema": "\"bytes\""}
        => 200 {"is_compatible": false, "messages": ["{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: BYTES not compatible with writer type: LONG'}", "{oldSchemaVersion: 2}", "{oldSchema: '\"long\"'}", "{validateFields: 'false', compatibility: 'BACKWARD'}"]}
        # Nothing to compare with.
        POST /compatibility/subjects/none/versions {"schema": "\"int\""} => 200 {"is_compatible": true}
        POST /compatibility/subjects/none/versions/latest {"schema": "\"int\""} => 200 {"is_compatible": true}
        POST /compatibility/subjects/none/versions/1 {"schema": "\"int\""} => 404 40402 Version 1 not found.
        POST /compatibility/subjects/s/versions/7 {"schema": "\"int\""} => 404 40402 Version 7 not found.
        POST /compatibility/subjects/s/versions/x {"schema": "\"int\""} ~> 422 {"error_code": 42202}
        POST /compatibility/subjects/s/versions/0 {"schema": "\"int\""} ~> 422 {"error_code": 42202}
        # The version is looked for before the schema is read.
        POST /compatibility/subjects/s/versions/7 {"schema": "nope"} => 404 40402 Version 7 not found.
        POST /compatibility/subjects/s/versions/1 {"schema": "nope"} ~> 422 {"error_code": 42201}
        POST /compatibility/subjects/s/versions/1 {} => 422 42201 Empty schema
        POST /compatibility/subjects/s/versions/1?verbose=true {} => 200 {"is_compatible": false, "messages": ["Empty schema"]}
        POST /compatibility/subjects/s/versions?verbose=true {"schema": "nope"} ~> 200 {"is_compatible": false}
        # Soft-deleted versions don't count.
        DELETE /subjects/s/versions/2 => 200 2
        POST /compatibility/subjects/s/versions/latest {"schema": "\"int\""} => 200 {"is_compatible": true}
        POST /compatibility/subjects/s/versions/2 {"schema": "\"int\""} => 404 40402 Version 2 not found.
        # Other levels.
        PUT /config/s {"compatibility": "FORWARD"} ~> 200 {"compatibility": "FORWARD"}
        POST /compatibility/subjects/s/versions {"schema": "\"long\""} => 200 {"is_compatible": false}
        PUT /config/s {"compatibility": "NONE"} ~> 200 {"compatibility": "NONE"}
        POST /compatibility/subjects/s/versions {"schema": "\"bytes\""} => 200 {"is_compatible": true}
        "#,
    )
    .await;
    registry.stop().await;
}

/// A check is as strict as the registration that it is asked instead of.
#[tokio::test(flavor = "multi_thread")]
async fn new_schemas_are_judged_as_strictly_as_the_settings_say() {
    let registry = Registry::start().await;
    let default = json!({"type": "record", "name": "R", "fields": [{"name": "f", "type": "int", "default": "x"}]});
    let name = json!({"type": "record", "name": "R", "namespace": "a-b", "fields": []});
    for bad in [default, name] {
        let body = json!({"schema": bad.to_string()});
        play(
            &registry,
            &format!(
                r#"
                POST /compatibility/subjects/s/versions/latest {body} ~> 422 {{"error_code": 42201}}
                POST /compatibility/subjects/s/versions {body} ~> 422 {{"error_code": 42201}}
                PUT /config {{"validateNewSchemas": false}} ~> 200 {{"validateNewSchemas": false}}
                POST /compatibility/subjects/s/versions/latest {body} => 200 {{"is_compatible": true}}
                POST /compatibility/subjects/s/versions?verbose=true {body} => 200 {{"is_compatible": true, "messages": []}}
                # The subject's own say goes before.
                PUT /config/s {{"validateNewSchemas": true}} ~> 200 {{"validateNewSchemas": true}}
                POST /compatibility/subjects/s/versions {body} ~> 422 {{"error_code": 42201}}
                POST /subjects/s/versions {body} ~> 422 {{"error_code": 42201}}
                POST /subjects/t/versions {body} ~> 200 {{"version": 1}}
                DELETE /subjects/t => 200 [1]
                DELETE /subjects/t?permanent=true => 200 [1]
                DELETE /config/s ~> 200 {{"validateNewSchemas": true}}
                DELETE /config ~> 200 {{"validateNewSchemas": false}}
                "#
            ),
        )
        .await;
    }
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_refused_with_every_reason() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"bytes\""}
        => 409 40901 Schema being registered is incompatible with an earlier schema for subject "s", details: [{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: BYTES not compatible with writer type: LONG'}, {oldSchemaVersion: 1}, {oldSchema: '"long"'}, {validateFields: 'false', compatibility: 'BACKWARD'}]
        POST /subjects/s/versions?force=True {"schema": "\"bytes\""} ~> 200 {"version": 2}
        PUT /config/s {"compatibility": "NONE"} ~> 200 {"compatibility": "NONE"}
        POST /subjects/s/versions {"schema": "\"float\""} ~> 200 {"version": 3}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transitive_levels_look_at_all_versions() {
    let registry = Registry::start().await;
    let one = record("R", r#"{"name":"a","type":"string"}"#);
    // Reads nothing of the first but its name; the third reads the second and not the first.
    let two = record("R", r#"{"name":"b","type":"int","default":1}"#);
    let three = record(
        "R",
        r#"{"name":"a","type":"int","default":0},{"name":"b","type":"int"}"#,
    );
    registry.register("s", &one).await;
    registry.register("s", &two).await;
    let body = json!({ "schema": three });
    play(
        &registry,
        &format!(
            r#"
            POST /compatibility/subjects/s/versions {body} => 200 {{"is_compatible": true}}
            PUT /config/s {{"compatibility": "backward_transitive"}} => 200 {{"compatibility": "BACKWARD_TRANSITIVE"}}
            POST /compatibility/subjects/s/versions {body} => 200 {{"is_compatible": false}}
            POST /compatibility/subjects/s/versions/latest {body} => 200 {{"is_compatible": true}}
            POST /subjects/s/versions {body} ~> 409 {{"error_code": 40901}}
            "#
        ),
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_compared_among_itself() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        PUT /config/s {"compatibilityGroup": "major"} => 200 {"compatibilityGroup": "major"}
        POST /subjects/s/versions {"schema": "\"int\"", "metadata": {"properties": {"major": "1"}}} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"bytes\"", "metadata": {"properties": {"major": "2"}}} ~> 200 {"version": 2}
        POST /subjects/s/versions {"schema": "\"long\"", "metadata": {"properties": {"major": "1"}}} ~> 200 {"version": 3}
        POST /subjects/s/versions {"schema": "\"int\"", "metadata": {"properties": {"major": "2"}}} ~> 409 {"error_code": 40901}
        # Versions outside any group are one of their own.
        POST /subjects/s/versions {"schema": "\"boolean\"", "metadata": {}} ~> 200 {"version": 4}
        POST /subjects/s/versions {"schema": "\"int\"", "metadata": {}} ~> 409 {"error_code": 40901}
        POST /compatibility/subjects/s/versions {"schema": "\"float\"", "metadata": {"properties": {"major": "1"}}} => 200 {"is_compatible": true}
        POST /compatibility/subjects/s/versions/2 {"schema": "\"float\"", "metadata": {"properties": {"major": "1"}}} => 200 {"is_compatible": true}
        "#,
    )
    .await;
    registry.stop().await;
}
