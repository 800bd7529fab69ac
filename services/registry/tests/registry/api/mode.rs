//! `/mode`, and what each mode lets be done.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn modes_are_set_read_and_removed() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET /mode => 200 {"mode": "READWRITE"}
        GET /mode/s => 404 40409 Subject 's' does not have subject-level mode configured
        GET /mode/s?defaultToGlobal=true => 200 {"mode": "READWRITE"}
        # The answer is the request.
        PUT /mode/s {"mode": "readonly"} => 200 {"mode": "readonly"}
        GET /mode/s => 200 {"mode": "READONLY"}
        DELETE /mode/s => 200 {"mode": "READONLY"}
        DELETE /mode/s => 404 40401 Subject 's' not found.
        DELETE /mode => 200 {"mode": "READWRITE"}
        PUT /mode {"mode": "READONLY_OVERRIDE"} => 200 {"mode": "READONLY_OVERRIDE"}
        GET /mode => 200 {"mode": "READONLY_OVERRIDE"}
        GET /mode/s?defaultToGlobal=true => 200 {"mode": "READONLY_OVERRIDE"}
        # Modes may be changed in any mode. Null removes one.
        PUT /mode {"mode": null} => 200 {"mode": null}
        GET /mode => 200 {"mode": "READWRITE"}
        PUT /mode {"mode": "sideways"} => 422 42204 Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.
        PUT /mode {} => 422 42204 Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.
        PUT /mode {"mode": 1} => 422 42204 Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.
        PUT /mode/__GLOBAL {"mode": "READONLY"} => 422 42208 The specified subject '__GLOBAL' is not a valid.
        PUT /mode/a%0Ab {"mode": "READONLY"} ~> 422 {"error_code": 42208}
        PUT /mode/__GLOBAL {"mode": "sideways"} ~> 422 {"error_code": 42208}
        PUT /mode/s {"mode": "FORWARD"} => 422 42204 Forward mode only supported on global level
        PUT /mode {"mode": "forward"} => 422 42204 Forward mode only supported on global level
        PUT /mode/:.__GLOBAL: {"mode": "FORWARD"} => 200 {"mode": "FORWARD"}
        GET /mode/:.__GLOBAL: => 200 {"mode": "FORWARD"}
        GET /mode => 200 {"mode": "READWRITE"}
        GET /mode?defaultToGlobal=true => 200 {"mode": "FORWARD"}
        GET /mode/s?defaultToGlobal=true => 200 {"mode": "FORWARD"}
        DELETE /mode/:.__GLOBAL: => 200 {"mode": "FORWARD"}
        GET /mode/:.__GLOBAL: => 200 {"mode": "READWRITE"}
        PUT /mode => 422 422 the request has no body; a JSON object is needed
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_stand_in_for_each_other() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        PUT /mode {"mode": "READONLY"} => 200 {"mode": "READONLY"}
        PUT /contexts/.c/mode {"mode": "READONLY_OVERRIDE"} => 200 {"mode": "READONLY_OVERRIDE"}
        GET /mode/s?defaultToGlobal=true => 200 {"mode": "READONLY"}
        GET /mode/:.: => 200 {"mode": "READONLY"}
        GET /mode/:.c: => 200 {"mode": "READONLY_OVERRIDE"}
        GET /contexts/c/mode => 200 {"mode": "READONLY_OVERRIDE"}
        GET /mode/:.c:s?defaultToGlobal=true => 200 {"mode": "READONLY_OVERRIDE"}
        # The mode of the default context is not that of the others.
        GET /mode/:.d:s?defaultToGlobal=true => 200 {"mode": "READWRITE"}
        PUT /mode/:.__GLOBAL: {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        GET /mode/:.d:s?defaultToGlobal=true => 200 {"mode": "IMPORT"}
        GET /mode/s?defaultToGlobal=true => 200 {"mode": "READONLY"}
        # A subject's own comes first.
        PUT /mode/:.c:s {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        GET /mode/:.c:s?defaultToGlobal=true => 200 {"mode": "READWRITE"}
        POST /subjects/:.c:s/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        POST /subjects/:.c:t/versions {"schema": "\"int\""} => 422 42205 Subject :.c:t in context :.c: is in read-only mode
        # Recursively: with all subjects of the context.
        PUT /mode/s {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        PUT /mode/t {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        DELETE /mode/:.c: => 200 {"mode": "READONLY_OVERRIDE"}
        GET /mode/:.c:s => 200 {"mode": "READWRITE"}
        DELETE /contexts/.c/mode?recursive=true => 200 {}
        GET /mode/:.c:s ~> 404 {"error_code": 40409}
        GET /mode/s => 200 {"mode": "READWRITE"}
        DELETE /mode?recursive=true => 200 {"mode": "READONLY"}
        GET /mode/s ~> 404 {"error_code": 40409}
        GET /mode/t ~> 404 {"error_code": 40409}
        GET /mode => 200 {"mode": "READWRITE"}
        GET /mode/:.__GLOBAL: => 200 {"mode": "IMPORT"}
        DELETE /mode/none?recursive=true => 200 {}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_answers_what_is_there_and_takes_nothing() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"} ~> 200 {"id": 1}
        POST /subjects/t/versions {"schema": "\"int\""} ~> 200 {"id": 2}
        DELETE /subjects/t => 200 [1]
        PUT /config/u {"compatibility": "NONE"} ~> 200 {"compatibility": "NONE"}
        PUT /mode {"mode": "READONLY"} => 200 {"mode": "READONLY"}
        # So that producers which register at their start go on.
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"} ~> 200 {"id": 1}
        POST /subjects/s/versions {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"A\",\"B\"],\"fields\":[]}"} ~> 200 {"id": 1}
        POST /subjects/s/versions {"schema": "\"int\""} => 422 42205 Subject s in context  is in read-only mode
        POST /subjects/t/versions {"schema": "\"int\""} => 422 42205 Subject t in context  is in read-only mode
        POST /subjects/s/versions {"schema": "nope"} ~> 422 {"error_code": 42201}
        POST /subjects/s/versions/1/tags {} => 422 42205 Subject s in context  is in read-only mode
        DELETE /subjects/s => 422 42205 Subject s in context  is in read-only mode
        DELETE /subjects/t?permanent=true => 422 42205 Subject t in context  is in read-only mode
        DELETE /subjects/s/versions/1 => 422 42205 Subject s in context  is in read-only mode
        PUT /config/s {"compatibility": "NONE"} => 422 42205 Subject s in context  is in read-only mode
        DELETE /config/u => 422 42205 Subject u in context  is in read-only mode
        # What is not there is that first.
        DELETE /subjects/none => 404 40401 Subject 'none' not found.
        DELETE /subjects/t => 404 40404 Subject 't' was soft deleted.Set permanent=true to delete permanently
        DELETE /subjects/s/versions/7 => 404 40402 Version 7 not found.
        # Reading and comparing go on.
        GET /subjects/s/versions/1 ~> 200 {"id": 1}
        POST /subjects/s {"schema": "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"B\",\"A\"],\"fields\":[]}"} ~> 200 {"id": 1}
        POST /compatibility/subjects/s/versions/latest {"schema": "\"int\""} => 200 {"is_compatible": false}
        PUT /mode/s {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        POST /subjects/s/versions?force=true {"schema": "\"int\""} ~> 200 {"version": 2}
        "#,
    )
    .await;
    registry.stop().await;
}
