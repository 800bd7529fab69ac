//! Every endpoint's answers, error codes and messages included.

mod form;

use serde_json::{Value, json};

use crate::harness::{Registry, record};

/// A call and what it must answer: status and body.
type Step = (&'static str, String, Option<Value>, u16, Value);

fn step(
    method: &'static str,
    path: impl Into<String>,
    body: impl Into<Option<Value>>,
    status: u16,
    answer: Value,
) -> Step {
    (method, path.into(), body.into(), status, answer)
}

fn refused(code: u32, message: &str) -> Value {
    json!({ "error_code": code, "message": message })
}

async fn play(registry: &Registry, steps: Vec<Step>) {
    for (method, path, body, status, expected) in steps {
        let (got, mut answer) = registry.call(method, &path, body.clone()).await;
        // Timestamps are the log's.
        if expected.get("ts").is_none()
            && let Some(members) = answer.as_object_mut()
        {
            members.remove("ts");
        }
        assert_eq!(
            (got, &answer),
            (status, &expected),
            "{method} {path} {body:?}"
        );
    }
}

const STRING_GUID: &str = "095d71cf-1255-6b9d-5e33-0ad575b3df5d";

#[tokio::test(flavor = "multi_thread")]
async fn registers_finds_and_deletes() {
    let registry = Registry::start().await;
    let string = || json!({ "schema": "\"string\"" });
    let long = || json!({ "schema": "{\"type\": \"long\"}" });
    let registered = json!({
        "id": 1, "version": 1, "guid": STRING_GUID, "schemaType": "AVRO", "schema": "\"string\"",
    });
    let again = json!({
        "id": 1, "version": 1, "guid": STRING_GUID, "schemaType": "AVRO", "schema": "\"string\"",
        "deleted": false,
    });
    let version = json!({
        "subject": "s", "version": 1, "id": 1, "guid": STRING_GUID, "schemaType": "AVRO",
        "schema": "\"string\"", "deleted": false,
    });
    let by_id = json!({
        "guid": STRING_GUID, "schemaType": "AVRO", "schema": "\"string\"", "deleted": false,
    });
    play(
        &registry,
        vec![
            step("GET", "/", None, 200, json!({})),
            step("POST", "/", None, 200, json!({})),
            step("GET", "/subjects", None, 200, json!([])),
            step("GET", "/schemas/types", None, 200, json!(["AVRO"])),
            step("POST", "/subjects/s/versions", string(), 200, registered),
            step("POST", "/subjects/s/versions", string(), 200, again),
            step("POST", "/subjects/s", string(), 200, version.clone()),
            step("GET", "/subjects/s/versions/1", None, 200, version.clone()),
            step("GET", "/subjects/s/versions/latest", None, 200, version.clone()),
            step("GET", "/subjects/s/versions/-1", None, 200, version.clone()),
            step("GET", "/subjects/s/versions/1/schema", None, 200, json!("string")),
            step("GET", "/schemas/ids/1", None, 200, by_id.clone()),
            step("GET", "/schemas/ids/1?fetchMaxId=false&subject=", None, 200, by_id.clone()),
            step("GET", "/schemas/ids/1/schema", None, 200, json!("string")),
            step("GET", "/schemas/ids/1/subjects", None, 200, json!(["s"])),
            step(
                "GET",
                "/schemas/ids/1/versions",
                None,
                200,
                json!([{ "subject": "s", "version": 1 }]),
            ),
            step("GET", format!("/schemas/guids/{STRING_GUID}"), None, 200, by_id),
            step(
                "GET",
                format!("/schemas/guids/{STRING_GUID}/ids"),
                None,
                200,
                json!([{ "context": ".", "id": 1 }]),
            ),
            step(
                "GET",
                "/schemas/guids/00000000-0000-0000-0000-000000000000/ids",
                None,
                200,
                json!([]),
            ),
            // The same content under another subject has the same id.
            step(
                "POST",
                "/subjects/t%2Fu/versions",
                string(),
                200,
                json!({
                    "id": 1, "version": 1, "guid": STRING_GUID, "schemaType": "AVRO",
                    "schema": "\"string\"",
                }),
            ),
            step("GET", "/subjects", None, 200, json!(["s", "t/u"])),
            step("GET", "/subjects?subjectPrefix=t", None, 200, json!(["t/u"])),
            step("GET", "/subjects?offset=1&limit=1", None, 200, json!(["t/u"])),
            step("GET", "/subjects/s/versions", None, 200, json!([1])),
            // What is not there.
            step(
                "POST",
                "/subjects/s",
                long(),
                404,
                refused(40403, "Schema not found"),
            ),
            step(
                "POST",
                "/subjects/none",
                string(),
                404,
                refused(40401, "Subject 'none' not found."),
            ),
            step(
                "GET",
                "/subjects/none/versions",
                None,
                404,
                refused(40401, "Subject 'none' not found."),
            ),
            step(
                "GET",
                "/subjects/none/versions/1",
                None,
                404,
                refused(40401, "Subject 'none' not found."),
            ),
            step(
                "GET",
                "/subjects/s/versions/2",
                None,
                404,
                refused(40402, "Version 2 not found."),
            ),
            step(
                "GET",
                "/subjects/s/versions/0",
                None,
                422,
                refused(
                    42202,
                    "The specified version '0' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"",
                ),
            ),
            step("GET", "/schemas/ids/9", None, 404, refused(40403, "Schema 9 not found")),
            step("GET", "/schemas/ids/0", None, 404, refused(40403, "Schema 0 not found")),
            step(
                "GET",
                "/schemas/ids/9/versions",
                None,
                404,
                refused(40403, "Schema not found"),
            ),
            step(
                "GET",
                "/schemas/ids/abc",
                None,
                404,
                refused(404, "HTTP 404 Not Found"),
            ),
            step(
                "GET",
                "/schemas/guids/nonsense",
                None,
                404,
                refused(40403, "Schema nonsense not found"),
            ),
            // Deleting.
            step(
                "DELETE",
                "/subjects/s?permanent=true",
                None,
                404,
                refused(
                    40405,
                    "Subject 's' was not deleted first before being permanently deleted",
                ),
            ),
            step(
                "DELETE",
                "/subjects/s/versions/1?permanent=true",
                None,
                404,
                refused(
                    40407,
                    "Subject 's' Version 1 was not deleted first before being permanently deleted",
                ),
            ),
            step("DELETE", "/subjects/s", None, 200, json!([1])),
            step(
                "DELETE",
                "/subjects/s",
                None,
                404,
                refused(
                    40404,
                    "Subject 's' was soft deleted.Set permanent=true to delete permanently",
                ),
            ),
            step(
                "DELETE",
                "/subjects/s/versions/1",
                None,
                404,
                refused(
                    40406,
                    "Subject 's' Version 1 was soft deleted.Set permanent=true to delete permanently",
                ),
            ),
            step("GET", "/subjects", None, 200, json!(["t/u"])),
            step("GET", "/subjects?deleted=True", None, 200, json!(["s", "t/u"])),
            step("GET", "/subjects?deletedOnly=true", None, 200, json!(["s"])),
            step("GET", "/subjects/s/versions?deletedAsNegative=true", None, 200, json!([-1])),
            step(
                "GET",
                "/subjects/s/versions/1",
                None,
                404,
                refused(40401, "Subject 's' not found."),
            ),
            // Soft-deleted and registered again: the same id, a new version.
            step(
                "POST",
                "/subjects/s/versions",
                string(),
                200,
                json!({
                    "id": 1, "version": 2, "guid": STRING_GUID, "schemaType": "AVRO",
                    "schema": "\"string\"",
                }),
            ),
            step("GET", "/subjects/s/versions?deleted=true", None, 200, json!([2])),
            step("DELETE", "/subjects/s/versions/latest", None, 200, json!(2)),
            step("DELETE", "/subjects/s/versions/2?permanent=true", None, 200, json!(2)),
            step(
                "DELETE",
                "/subjects/s",
                None,
                404,
                refused(40401, "Subject 's' not found."),
            ),
            step("DELETE", "/subjects/t%2Fu", None, 200, json!([1])),
            step("DELETE", "/subjects/t%2Fu?permanent=true", None, 200, json!([1])),
            step("GET", "/schemas/ids/1", None, 404, refused(40403, "Schema 1 not found")),
            // After a hard delete the same content has its id back, another a greater one.
            step(
                "POST",
                "/subjects/v/versions",
                long(),
                200,
                json!({
                    "id": 2, "version": 1, "guid": guid_of(&registry, "\"long\"").await,
                    "schemaType": "AVRO", "schema": "\"long\"",
                }),
            ),
            step(
                "POST",
                "/subjects/v2/versions",
                string(),
                200,
                json!({
                    "id": 1, "version": 1, "guid": STRING_GUID, "schemaType": "AVRO",
                    "schema": "\"string\"",
                }),
            ),
        ],
    )
    .await;
    registry.stop().await;
}

async fn guid_of(_: &Registry, text: &str) -> String {
    meshwork_avro::guid(text, &[], None, None).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_to_the_level_and_gives_every_reason() {
    let registry = Registry::start().await;
    let one = record("R", r#"{"name":"a","type":"string"}"#);
    let two = record(
        "R",
        r#"{"name":"a","type":"string"},{"name":"b","type":"int","default":1}"#,
    );
    let bad = record(
        "R",
        r#"{"name":"a","type":"int"},{"name":"c","type":"string"}"#,
    );
    let body = |text: &str| Some(json!({ "schema": text }));
    registry.register("s", &one).await;
    registry.register("s", &two).await;

    let path = "/compatibility/subjects/s/versions/latest";
    play(
        &registry,
        vec![
            step("POST", path, body(&two), 200, json!({ "is_compatible": true })),
            step("POST", path, body(&bad), 200, json!({ "is_compatible": false })),
            step(
                "POST",
                format!("{path}?verbose=true"),
                body(&two),
                200,
                json!({ "is_compatible": true, "messages": [] }),
            ),
            step(
                "POST",
                "/compatibility/subjects/none/versions/latest",
                body(&bad),
                200,
                json!({ "is_compatible": true }),
            ),
            step(
                "POST",
                "/compatibility/subjects/none/versions",
                body(&bad),
                200,
                json!({ "is_compatible": true }),
            ),
            step(
                "POST",
                "/compatibility/subjects/s/versions/7",
                body(&bad),
                404,
                refused(40402, "Version 7 not found."),
            ),
            step(
                "POST",
                "/compatibility/subjects/s/versions/x",
                body(&bad),
                422,
                refused(
                    42202,
                    "The specified version 'x' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"",
                ),
            ),
        ],
    )
    .await;

    let (_, verdict) = registry
        .call("POST", &format!("{path}?verbose=True"), body(&bad))
        .await;
    let messages = verdict["messages"].as_array().unwrap();
    let text = format!("{messages:?}");
    for part in [
        "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does not match with the old schema'",
        "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'c' at path '/fields/1' in the new schema has no default value and is missing in the old schema'",
        "{oldSchemaVersion: 2}",
        "{validateFields: 'false', compatibility: 'BACKWARD'}",
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert_eq!(messages.len(), 5, "{text}");

    let (status, answer) = registry
        .call("POST", "/subjects/s/versions", body(&bad))
        .await;
    assert_eq!((status, &answer["error_code"]), (409, &json!(40901)));
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "Schema being registered is incompatible with an earlier schema for subject \"s\", details: [{errorType:"
        ),
        "{message}"
    );

    // An invalid schema is an error, and verbosely a verdict.
    let (status, answer) = registry
        .call("POST", path, body("{\"type\":\"nope\"}"))
        .await;
    assert_eq!((status, &answer["error_code"]), (422, &json!(42201)));
    let verdict = registry
        .ok(
            "POST",
            &format!("{path}?verbose=true"),
            body("{\"type\":\"nope\"}"),
        )
        .await;
    assert_eq!(verdict["is_compatible"], json!(false));
    assert_eq!(verdict["messages"].as_array().unwrap().len(), 1);

    // Skipped when forced, or when the level is NONE.
    let forced = registry
        .ok("POST", "/subjects/s/versions?force=True", body(&bad))
        .await;
    assert_eq!(forced["version"], json!(3));
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
    let body = Some(json!({ "schema": three }));
    let path = "/compatibility/subjects/s/versions";
    assert_eq!(
        registry.ok("POST", path, body.clone()).await["is_compatible"],
        json!(true)
    );
    registry
        .ok(
            "PUT",
            "/config/s",
            Some(json!({ "compatibility": "backward_transitive" })),
        )
        .await;
    assert_eq!(
        registry.ok("POST", path, body.clone()).await["is_compatible"],
        json!(false)
    );
    let (status, answer) = registry.call("POST", "/subjects/s/versions", body).await;
    assert_eq!((status, &answer["error_code"]), (409, &json!(40901)));
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configures() {
    let registry = Registry::start().await;
    let level = |level: &str| json!({ "compatibility": level });
    let is = |level: &str| json!({ "compatibilityLevel": level });
    play(
        &registry,
        vec![
            step("GET", "/config", None, 200, is("BACKWARD")),
            step(
                "GET",
                "/config/s",
                None,
                404,
                refused(
                    40408,
                    "Subject 's' does not have subject-level compatibility configured",
                ),
            ),
            step("GET", "/config/s?defaultToGlobal=true", None, 200, is("BACKWARD")),
            step("PUT", "/config", level("full"), 200, level("FULL")),
            step("GET", "/config", None, 200, is("FULL")),
            step("GET", "/config/s?defaultToGlobal=true", None, 200, is("FULL")),
            step("PUT", "/config/s", level("NONE"), 200, level("NONE")),
            step("GET", "/config/s", None, 200, is("NONE")),
            // Merged: what is absent stays, what is null is cleared.
            step(
                "PUT",
                "/config/s",
                json!({ "normalize": true, "compatibilityGroup": "g" }),
                200,
                json!({ "normalize": true, "compatibility": "NONE", "compatibilityGroup": "g" }),
            ),
            step(
                "PUT",
                "/config/s",
                json!({ "compatibilityGroup": null }),
                200,
                json!({ "normalize": true, "compatibility": "NONE" }),
            ),
            step(
                "PUT",
                "/config/s",
                level("sideways"),
                422,
                refused(
                    42203,
                    "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive",
                ),
            ),
            step(
                "PUT",
                "/config/__GLOBAL",
                level("NONE"),
                422,
                refused(42208, "The specified subject '__GLOBAL' is not a valid."),
            ),
            step(
                "DELETE",
                "/config/s",
                None,
                200,
                json!({ "normalize": true, "compatibilityLevel": "NONE" }),
            ),
            step(
                "DELETE",
                "/config/s",
                None,
                404,
                refused(40401, "Subject 's' not found."),
            ),
            step("DELETE", "/config", None, 200, is("FULL")),
            step("GET", "/config", None, 200, is("BACKWARD")),
            step("GET", "/mode", None, 200, json!({ "mode": "READWRITE" })),
            step(
                "GET",
                "/mode/s",
                None,
                404,
                refused(40409, "Subject 's' does not have subject-level mode configured"),
            ),
            step(
                "GET",
                "/mode/s?defaultToGlobal=true",
                None,
                200,
                json!({ "mode": "READWRITE" }),
            ),
            step("GET", "/contexts", None, 200, json!(["."])),
            step(
                "GET",
                "/associations/resources/-/orders?resourceType=topic&associationType=value",
                None,
                200,
                json!([]),
            ),
        ],
    )
    .await;
    let id = registry.ok("GET", "/v1/metadata/id", None).await;
    let clusters = &id["scope"]["clusters"];
    assert_eq!(
        clusters["schema-registry-cluster"],
        json!("schema-registry")
    );
    assert!(!clusters["kafka-cluster"].as_str().unwrap().is_empty());
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_references() {
    let registry = Registry::start().await;
    let address = record("Address", r#"{"name":"street","type":"string"}"#);
    let customer = record("Customer", r#"{"name":"address","type":"Address"}"#);
    let id = registry.register("address", &address).await;
    let body = json!({
        "schema": customer,
        "references": [{ "name": "Address", "subject": "address", "version": -1 }],
    });
    let answer = registry
        .ok("POST", "/subjects/customer/versions", Some(body.clone()))
        .await;
    // -1 became the real version before the schema was hashed.
    assert_eq!(
        answer["references"],
        json!([{ "name": "Address", "subject": "address", "version": 1 }])
    );
    assert_eq!(answer["schema"].as_str().unwrap(), customer);
    let customer_id = answer["id"].as_i64().unwrap();
    assert_ne!(id, customer_id);

    let resolved = registry
        .ok(
            "GET",
            &format!("/schemas/ids/{customer_id}?format=resolved"),
            None,
        )
        .await;
    assert!(
        resolved["schema"].as_str().unwrap().contains("street"),
        "{resolved}"
    );
    let path = "/subjects/address/versions/1/referencedby";
    assert_eq!(registry.ok("GET", path, None).await, json!([customer_id]));

    // A text with its references inlined is the same version.
    let inlined = record(
        "Customer",
        &format!(r#"{{"name":"address","type":{address}}}"#),
    );
    let found = registry
        .ok(
            "POST",
            "/subjects/customer",
            Some(json!({ "schema": inlined })),
        )
        .await;
    assert_eq!(found["version"], json!(1));

    let in_use = "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=address,version=1}.";
    play(
        &registry,
        vec![
            step(
                "DELETE",
                "/subjects/address",
                None,
                422,
                refused(42206, in_use),
            ),
            step(
                "DELETE",
                "/subjects/address/versions/1",
                None,
                422,
                refused(42206, in_use),
            ),
            step("DELETE", "/subjects/customer", None, 200, json!([1])),
            step("DELETE", "/subjects/address", None, 200, json!([1])),
            // A soft-deleted one still refers to it.
            step(
                "DELETE",
                "/subjects/address?permanent=true",
                None,
                422,
                refused(42206, in_use),
            ),
        ],
    )
    .await;
    // New schemas may not refer to what is soft-deleted, or not there.
    let (status, answer) = registry
        .call("POST", "/subjects/other/versions", Some(body))
        .await;
    assert_eq!(
        (status, &answer["error_code"]),
        (422, &json!(42201)),
        "{answer}"
    );
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_metadata_and_rules_as_a_part_of_identity() {
    let registry = Registry::start().await;
    let body = json!({
        "schema": "\"string\"",
        "metadata": {
            "tags": { "**.ssn": ["PRIVATE", "PII"] },
            "properties": { "owner": "Bob", "email": "b@x" },
            "sensitive": ["s2", "s1"],
        },
    });
    let answer = registry
        .ok("POST", "/subjects/s/versions", Some(body))
        .await;
    assert_eq!(
        answer["guid"],
        json!("5df41ac9-48a7-37b8-6c9d-3686140acad9")
    );
    assert_eq!(
        answer["metadata"]["tags"]["**.ssn"],
        json!(["PII", "PRIVATE"])
    );
    let plain = registry
        .ok(
            "POST",
            "/subjects/t/versions",
            Some(json!({ "schema": "\"string\"" })),
        )
        .await;
    assert_ne!(plain["id"], answer["id"]);
    // What a later version lacks comes from the latest one.
    let rules = json!({
        "schema": "\"string\"",
        "ruleSet": { "domainRules": [{ "name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "expr": "true" }] },
    });
    let next = registry
        .ok("POST", "/subjects/s/versions", Some(rules))
        .await;
    assert_eq!(
        (&next["version"], &next["metadata"]),
        (&json!(2), &answer["metadata"])
    );
    assert_eq!(next["ruleSet"]["domainRules"][0]["disabled"], json!(false));
    let found = registry
        .ok("GET", "/subjects/s/metadata?key=owner&value=Bob", None)
        .await;
    assert_eq!(found["version"], json!(2));
    let (status, _) = registry
        .call("GET", "/subjects/s/metadata?key=owner&value=Eve", None)
        .await;
    assert_eq!(status, 404);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_told_with_a_subject_where_asked_for() {
    let registry = Registry::start().await;
    registry.register("s", "\"string\"").await;
    registry.register("t", "\"long\"").await;
    let told = registry
        .ok("GET", "/schemas/ids/1?subject=s&fetchMaxId=true", None)
        .await;
    assert_eq!(
        (&told["subject"], &told["version"], &told["maxId"]),
        (&json!("s"), &json!(1), &json!(2))
    );
    // A subject that does not hold the id is no error in the default context.
    let told = registry.ok("GET", "/schemas/ids/1?subject=t", None).await;
    assert_eq!(told["subject"], json!("s"));
    let (status, answer) = registry
        .call("GET", "/schemas/ids/1?subject=:.ctx:s", None)
        .await;
    assert_eq!((status, &answer["error_code"]), (404, &json!(40403)));

    // Ids are given per context.
    let id = registry.register(":.ctx:s", "\"bytes\"").await;
    assert_eq!(id, 1);
    let told = registry
        .ok("GET", "/schemas/ids/1?subject=:.ctx:s", None)
        .await;
    assert_eq!(told["schema"], json!("\"bytes\""));
    assert_eq!(
        registry.ok("GET", "/contexts", None).await,
        json!([".", ".ctx"])
    );
    let all = registry.ok("GET", "/schemas?latestOnly=true", None).await;
    let subjects: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["s", "t"]);
    registry.stop().await;
}
