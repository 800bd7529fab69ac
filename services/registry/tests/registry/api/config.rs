//! `/config`.

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_merged_and_cleared() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        GET /config => 200 {"compatibilityLevel": "BACKWARD"}
        GET /config?defaultToGlobal=true => 200 {"compatibilityLevel": "BACKWARD"}
        GET /config/s => 404 40408 Subject 's' does not have subject-level compatibility configured
        GET /config/s?defaultToGlobal=true => 200 {"compatibilityLevel": "BACKWARD"}
        DELETE /config/s => 404 40401 Subject 's' not found.
        DELETE /config => 200 {"compatibilityLevel": "BACKWARD"}
        PUT /config {"compatibility": "full"} => 200 {"compatibility": "FULL"}
        GET /config => 200 {"compatibilityLevel": "FULL"}
        GET /config/s?defaultToGlobal=true => 200 {"compatibilityLevel": "FULL"}
        PUT /config/s {"compatibility": "NONE"} => 200 {"compatibility": "NONE"}
        GET /config/s => 200 {"compatibilityLevel": "NONE"}
        # What is absent stays, what is null is cleared, what is unknown is ignored.
        PUT /config/s {"normalize": true, "compatibilityGroup": "g", "unknown": 1}
        => 200 {"normalize": true, "compatibility": "NONE", "compatibilityGroup": "g"}
        PUT /config/s {"compatibilityGroup": null} => 200 {"normalize": true, "compatibility": "NONE"}
        PUT /config/s {} => 200 {"normalize": true, "compatibility": "NONE"}
        # Without a level of its own a subject has the server's default, not the global one.
        PUT /config/s {"compatibility": null} => 200 {"normalize": true}
        GET /config/s => 200 {"normalize": true, "compatibilityLevel": "BACKWARD"}
        DELETE /config/s => 200 {"normalize": true, "compatibilityLevel": "BACKWARD"}
        GET /config/s ~> 404 {"error_code": 40408}
        DELETE /config => 200 {"compatibilityLevel": "FULL"}
        GET /config => 200 {"compatibilityLevel": "BACKWARD"}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_kept() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        PUT /config/s {"alias": "t", "aliasForDeks": "u", "normalize": false, "validateFields": true, "validateNewSchemas": true, "validateRules": false, "compatibility": "FORWARD_TRANSITIVE", "compatibilityPolicy": "lenient", "compatibilityGroup": "g", "defaultMetadata": {"tags": {"x": ["B", "A"]}}, "overrideMetadata": {"properties": {"a": "b"}, "sensitive": ["a"]}, "defaultRuleSet": {"migrationRules": [{"name": "r", "type": "JSONATA", "mode": "UPDOWN"}]}, "overrideRuleSet": {"domainRules": [{"name": "q", "type": "CEL"}], "encodingRules": [{"name": "e", "type": "ENCRYPT"}]}}
        => 200 {"alias": "t", "aliasForDeks": "u", "normalize": false, "validateFields": true, "validateNewSchemas": true, "validateRules": false, "compatibility": "FORWARD_TRANSITIVE", "compatibilityPolicy": "LENIENT", "compatibilityGroup": "g", "defaultMetadata": {"tags": {"x": ["A", "B"]}}, "overrideMetadata": {"properties": {"a": "b"}, "sensitive": ["a"]}, "defaultRuleSet": {"migrationRules": [{"name": "r", "kind": "TRANSFORM", "mode": "UPDOWN", "type": "JSONATA", "disabled": false}]}, "overrideRuleSet": {"domainRules": [{"name": "q", "kind": "TRANSFORM", "mode": "WRITEREAD", "type": "CEL", "disabled": false}], "encodingRules": [{"name": "e", "kind": "TRANSFORM", "mode": "WRITEREAD", "type": "ENCRYPT", "disabled": false}]}}
        GET /config/s
        ~> 200 {"alias": "t", "aliasForDeks": "u", "normalize": false, "validateFields": true, "validateNewSchemas": true, "validateRules": false, "compatibilityLevel": "FORWARD_TRANSITIVE", "compatibilityPolicy": "LENIENT", "compatibilityGroup": "g"}
        # Text that is empty is none.
        PUT /config/s {"alias": ""} ~> 200 {"alias": null, "aliasForDeks": "u"}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_setting_is_refused() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        # The level comes before the rules, these before the subject, and that before the mode.
        PUT /mode {"mode": "READONLY"} => 200 {"mode": "READONLY"}
        PUT /config/__GLOBAL {"compatibility": "sideways", "defaultRuleSet": {"domainRules": [{}]}}
        => 422 42203 Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive
        PUT /config/__GLOBAL {"defaultRuleSet": {"domainRules": [{}]}} => 422 42210 Missing rule name
        PUT /config {"overrideRuleSet": {"domainRules": [{"name": "r"}]}} => 422 42210 Missing rule type
        PUT /config/__GLOBAL {"compatibility": "NONE"} => 422 42208 The specified subject '__GLOBAL' is not a valid.
        PUT /config/__EMPTY {"compatibility": "NONE"} => 422 42208 The specified subject '__EMPTY' is not a valid.
        PUT /config/a%0Ab {"compatibility": "NONE"} ~> 422 {"error_code": 42208}
        PUT /config/s {"compatibility": "NONE"} => 422 42205 Subject s in context  is in read-only mode
        PUT /config {"compatibility": "NONE"} => 422 42205 Subject null in context  is in read-only mode
        DELETE /config/s => 404 40401 Subject 's' not found.
        DELETE /config => 422 42205 Subject null in context  is in read-only mode
        PUT /mode {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        PUT /config/s {"compatibility": "NONE"} => 200 {"compatibility": "NONE"}
        PUT /mode/s {"mode": "READONLY"} => 200 {"mode": "READONLY"}
        DELETE /config/s => 422 42205 Subject s in context  is in read-only mode
        PUT /config/:.c:s {"compatibility": "NONE"} => 200 {"compatibility": "NONE"}
        PUT /mode/:.c:s {"mode": "READONLY"} => 200 {"mode": "READONLY"}
        PUT /config/:.c:s {"compatibility": "FULL"} => 422 42205 Subject :.c:s in context :.c: is in read-only mode
        PUT /config/t {"compatibility": 1} ~> 422 {"error_code": 42203}
        PUT /config/t {"normalize": "perhaps"} ~> 400 {"error_code": 400}
        PUT /config/t => 422 422 the request has no body; a JSON object is needed
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
        # The default context by its other names.
        PUT /config/:.: {"compatibility": "FULL"} => 200 {"compatibility": "FULL"}
        GET /config => 200 {"compatibilityLevel": "FULL"}
        GET /config/:.: => 200 {"compatibilityLevel": "FULL"}
        GET /contexts/:.:/config => 200 {"compatibilityLevel": "FULL"}
        DELETE /config/:.: => 200 {"compatibilityLevel": "FULL"}
        # All contexts: below every other scope.
        GET /config/:.__GLOBAL: => 200 {"compatibilityLevel": "BACKWARD"}
        PUT /config/:.__GLOBAL: {"compatibility": "FORWARD"} => 200 {"compatibility": "FORWARD"}
        GET /config/:.__GLOBAL: => 200 {"compatibilityLevel": "FORWARD"}
        GET /config => 200 {"compatibilityLevel": "BACKWARD"}
        GET /config?defaultToGlobal=true => 200 {"compatibilityLevel": "FORWARD"}
        GET /config/s?defaultToGlobal=true => 200 {"compatibilityLevel": "FORWARD"}
        GET /config/:.c:s?defaultToGlobal=true => 200 {"compatibilityLevel": "FORWARD"}
        # The first scope that has settings counts, as a whole.
        PUT /config {"compatibility": "FULL", "normalize": true} ~> 200 {"compatibility": "FULL"}
        PUT /contexts/.c/config {"compatibilityGroup": "g"} => 200 {"compatibilityGroup": "g"}
        GET /config/:.c: => 200 {"compatibilityLevel": "BACKWARD", "compatibilityGroup": "g"}
        GET /config/:.c => 200 {"compatibilityLevel": "BACKWARD", "compatibilityGroup": "g"}
        GET /config/:.c:s?defaultToGlobal=true => 200 {"compatibilityLevel": "BACKWARD", "compatibilityGroup": "g"}
        GET /contexts/c/config/s?defaultToGlobal=true => 200 {"compatibilityLevel": "BACKWARD", "compatibilityGroup": "g"}
        GET /config/:.d:s?defaultToGlobal=true => 200 {"compatibilityLevel": "FORWARD"}
        GET /config/s?defaultToGlobal=true => 200 {"normalize": true, "compatibilityLevel": "FULL"}
        # But what a subject's own settings leave open of how schemas are read and compared comes
        # from the global ones.
        PUT /config/s {"validateFields": true, "defaultMetadata": {}} => 200 {"validateFields": true, "defaultMetadata": {}}
        GET /config/s => 200 {"validateFields": true, "compatibilityLevel": "BACKWARD", "defaultMetadata": {}}
        GET /config/s?defaultToGlobal=true => 200 {"normalize": true, "validateFields": true, "compatibilityLevel": "BACKWARD", "defaultMetadata": {}}
        PUT /config {"overrideMetadata": {"properties": {"a": "b"}}, "alias": "x"} ~> 200 {"alias": "x"}
        GET /config/s?defaultToGlobal=true ~> 200 {"overrideMetadata": null, "alias": null}
        DELETE /contexts/.c/config => 200 {"compatibilityLevel": "BACKWARD", "compatibilityGroup": "g"}
        DELETE /contexts/.c/config => 404 40401 Subject ':.c:' not found.
        GET /contexts/.c/config => 404 40408 Subject ':.c:' does not have subject-level compatibility configured
        DELETE /config/:.__GLOBAL: => 200 {"compatibilityLevel": "FORWARD"}
        "#,
    )
    .await;
    registry.stop().await;
}
