//! POST `/subjects/{subject}` and GET `/subjects/{subject}/metadata`.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_found_by_what_it_is() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s {"schema": "\"int\""} => 404 40401 Subject 's' not found.
        # Parsed before the subject is looked for.
        POST /subjects/s {"schema": "nope"} ~> 422 {"error_code": 42201}
        POST /subjects/s {} => 404 40401 Subject 's' not found.
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"long\""} ~> 200 {"version": 2}
        POST /subjects/s {"schema": "\"int\""}
        ~> 200 {"subject": "s", "version": 1, "id": 1, "schemaType": "AVRO", "schema": "\"int\""}
        POST /subjects/s {"schema": "{\"type\":\"long\"}"} ~> 200 {"version": 2, "id": 2}
        POST /subjects/s {"schema": "\"bytes\""} => 404 40403 Schema not found
        POST /subjects/s {} => 404 40403 Schema not found
        POST /subjects/s {"schema": "{}", "schemaType": "JSON"} => 404 40403 Schema not found
        POST /subjects/s {"schema": "{}", "schemaType": "XML"} => 422 42201 Invalid schema type XML
        # Soft-deleted ones only where asked for.
        DELETE /subjects/s/versions/1 => 200 1
        POST /subjects/s {"schema": "\"int\""} => 404 40403 Schema not found
        POST /subjects/s?deleted=true {"schema": "\"int\""} ~> 200 {"version": 1}
        DELETE /subjects/s/versions/2 => 200 2
        POST /subjects/s {"schema": "\"int\""} => 404 40401 Subject 's' not found.
        POST /subjects/s?deleted=True {"schema": "\"long\""} ~> 200 {"version": 2}
        POST /subjects/s?deleted=true {"schema": "\"bytes\""} => 404 40403 Schema not found
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_left_out_is_that_of_the_latest_version() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"int\"", "metadata": {"properties": {"a": "1"}}} ~> 200 {"version": 1}
        POST /subjects/s/versions {"schema": "\"long\"", "metadata": {"properties": {"a": "2"}}} ~> 200 {"version": 2}
        POST /subjects/s {"schema": "\"long\""} ~> 200 {"version": 2}
        POST /subjects/s {"schema": "\"int\""} => 404 40403 Schema not found
        POST /subjects/s {"schema": "\"int\"", "metadata": {"properties": {"a": "1"}}} ~> 200 {"version": 1}
        POST /subjects/s {"schema": "\"int\"", "metadata": {}} => 404 40403 Schema not found
        # A version's own number in its metadata does not count.
        POST /subjects/v/versions {"schema": "\"int\"", "version": 1} ~> 200 {"version": 1}
        POST /subjects/v {"schema": "\"int\""} ~> 200 {"version": 1}
        POST /subjects/v {"schema": "\"int\"", "metadata": {}} ~> 200 {"version": 1}
        POST /subjects/v {"schema": "\"int\"", "metadata": {"properties": {"confluent:version": "1"}}} ~> 200 {"version": 1}
        POST /subjects/v {"schema": "\"int\"", "metadata": {"properties": {"confluent:version": "2"}}} => 404 40403 Schema not found
        # The newest version by its properties.
        GET /subjects/s/metadata?key=a&value=1 ~> 200 {"subject": "s", "version": 1}
        GET /subjects/s/metadata?key=a&value=2 ~> 200 {"version": 2}
        GET /subjects/s/metadata ~> 200 {"version": 2}
        GET /subjects/s/metadata?key=a&value=3 => 404 40403 Schema not found
        GET /subjects/s/metadata?key=a&key=b&value=1 ~> 200 {"version": 1}
        GET /subjects/none/metadata?key=a&value=1 => 404 40401 Subject 'none' not found.
        DELETE /subjects/s/versions/1 => 200 1
        GET /subjects/s/metadata?key=a&value=1 => 404 40403 Schema not found
        GET /subjects/s/metadata?key=a&value=1&deleted=true ~> 200 {"version": 1, "deleted": true}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn normal_form_and_aliases_are_seen_through() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"} ~> 200 {"version": 1}
        POST /subjects/s {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"A\",\"B\"],\"fields\":[]}"} ~> 200 {"version": 1}
        POST /subjects/s?normalize=true {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"A\",\"B\"],\"fields\":[]}"} ~> 200 {"version": 1}
        POST /subjects/s {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"A\"],\"fields\":[]}"} => 404 40403 Schema not found
        # The documentation is a part of a schema.
        POST /subjects/s {"schema": "{\"type\":\"record\",\"name\":\"R\",\"doc\":\"d\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"} => 404 40403 Schema not found
        # An alias in the settings leads to another subject, and no further.
        PUT /config/t {"alias": "s"} => 200 {"alias": "s"}
        PUT /config/u {"alias": "t"} => 200 {"alias": "t"}
        POST /subjects/t {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"A\",\"B\"],\"fields\":[]}"} ~> 200 {"subject": "s", "version": 1}
        POST /subjects/u {"schema": "\"int\""} => 404 40401 Subject 't' not found.
        "#,
    )
    .await;
    registry.stop().await;
}
