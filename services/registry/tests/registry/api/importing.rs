//! Mode IMPORT: schemas under given ids and versions, taken as they are.

use serde_json::json;

use crate::harness::Registry;
use crate::script::play;

#[tokio::test(flavor = "multi_thread")]
async fn schemas_keep_the_ids_and_versions_that_they_bring() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        PUT /mode {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        POST /subjects/s/versions {"schema": "\"int\""} => 422 42205 Subject s in context  is not in read-write mode
        POST /subjects/s/versions {"schema": "\"int\"", "id": 100, "version": 7}
        ~> 200 {"id": 100, "version": 7, "metadata": null, "deleted": null}
        POST /subjects/s/versions {"schema": "\"int\"", "id": 100, "version": 7} ~> 200 {"id": 100, "version": 7}
        POST /subjects/s/versions {"schema": "\"int\"", "id": 100} ~> 200 {"id": 100, "version": 7}
        # Without an id what is there answers.
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"id": 100, "version": 7}
        # Without a version it is the next one. Nothing is compared.
        POST /subjects/s/versions {"schema": "\"bytes\"", "id": 90} ~> 200 {"id": 90, "version": 8}
        POST /subjects/s/versions {"schema": "\"string\"", "id": 91, "version": 3} ~> 200 {"id": 91, "version": 3}
        GET /subjects/s/versions => 200 [3, 7, 8]
        # An id stands for one schema.
        POST /subjects/t/versions {"schema": "\"long\"", "id": 100} => 422 42205 Overwrite new schema with id 100 in context  is not permitted.
        POST /subjects/t/versions {"schema": "\"int\"", "id": 100, "metadata": {}} => 422 42205 Overwrite new schema with id 100 in context  is not permitted.
        POST /subjects/:.c:t/versions {"schema": "\"long\"", "id": 100} => 422 42205 Subject :.c:t in context :.c: is not in import mode
        PUT /contexts/.c/mode {"mode": "import"} => 200 {"mode": "import"}
        POST /subjects/:.c:t/versions {"schema": "\"long\"", "id": 100} ~> 200 {"id": 100, "version": 1}
        POST /subjects/:.c:u/versions {"schema": "\"int\"", "id": 100} => 422 42205 Overwrite new schema with id 100 in context :.c: is not permitted.
        POST /subjects/t/versions {"schema": "\"int\"", "id": 100, "version": 1} ~> 200 {"id": 100, "version": 1}
        # One schema may have two.
        POST /subjects/t/versions {"schema": "\"int\"", "id": 101, "version": 2} ~> 200 {"id": 101, "version": 2}
        GET /subjects/t/versions/1 ~> 200 {"id": 100, "schema": "\"int\""}
        GET /subjects/t/versions/2 ~> 200 {"id": 101, "schema": "\"int\""}
        GET /schemas/ids/101 ~> 200 {"schema": "\"int\""}
        # Ids are those of the registry: from 1 to 2^31-1.
        POST /subjects/t/versions {"schema": "\"float\"", "id": 0} ~> 422 {"error_code": 42201}
        POST /subjects/t/versions {"schema": "\"float\"", "id": 2147483648} ~> 422 {"error_code": 42201}
        POST /subjects/t/versions {"schema": "\"float\"", "id": 500, "version": 2147483648} ~> 422 {"error_code": 42202}
        POST /subjects/t/versions {"schema": "nope", "id": 500} ~> 422 {"error_code": 42201}
        # A soft-deleted version comes back.
        DELETE /subjects/t/versions/1 => 200 1
        POST /subjects/t/versions {"schema": "\"int\"", "id": 100, "version": 1} ~> 200 {"id": 100, "version": 1}
        GET /subjects/t/versions => 200 [1, 2]
        # Afterwards new ids are above all that were brought.
        PUT /mode {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        POST /subjects/t/versions?force=true {"schema": "\"double\""} ~> 200 {"id": 102, "version": 3}
        POST /subjects/t/versions {"schema": "\"int\"", "id": 103} => 422 42205 Subject t in context  is not in import mode
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_an_empty_place_unless_forced() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/s/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        POST /subjects/:.c:s/versions {"schema": "\"int\""} ~> 200 {"id": 1}
        PUT /mode/s {"mode": "IMPORT"} => 422 42205 Cannot import since found existing subjects
        PUT /mode {"mode": "IMPORT"} => 422 42205 Cannot import since found existing subjects
        PUT /mode/:.c: {"mode": "IMPORT"} => 422 42205 Cannot import since found existing subjects
        PUT /mode/:.__GLOBAL: {"mode": "IMPORT"} => 422 42205 Cannot import since found existing subjects
        PUT /mode/:.d: {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        PUT /mode/t {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        PUT /mode/s?force=true {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        # What is in the mode already may be put into it again.
        PUT /mode/s {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        POST /subjects/s/versions {"schema": "\"long\"", "id": 50} ~> 200 {"id": 50, "version": 2}
        # What is soft-deleted is deleted for good.
        DELETE /subjects/:.c:s => 200 [1]
        PUT /mode/:.c: {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        GET /subjects?subjectPrefix=:.c:&deleted=true => 200 []
        POST /subjects/:.c:s/versions {"schema": "\"long\"", "id": 1, "version": 1} ~> 200 {"id": 1, "version": 1}
        # Unless something refers to it.
        POST /subjects/:.e:a/versions {"schema": "{\"type\":\"record\",\"name\":\"A\",\"fields\":[]}"} ~> 200 {"id": 1}
        POST /subjects/:.e:b/versions {"schema": "{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"a\",\"type\":\"A\"}]}", "references": [{"name": "A", "subject": "a", "version": 1}]} ~> 200 {"id": 2}
        DELETE /subjects/:.e:b => 200 [1]
        DELETE /subjects/:.e:a => 200 [1]
        PUT /mode/:.e:a {"mode": "IMPORT"} => 422 42206 One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=:.e:a,version=1}.
        PUT /mode/:.e:a?force=true {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        GET /subjects?subjectPrefix=:.e:&deleted=true => 200 [":.e:a", ":.e:b"]
        "#,
    )
    .await;
    // Confluent's registries learn of it by a record of its own, after the tombstones.
    let log = registry.log().await;
    let at = |key: &str, value: Option<&str>| {
        log.iter()
            .position(|(k, v)| k == key && v.as_deref() == value)
            .unwrap_or_else(|| panic!("no {key} {value:?} in {log:#?}"))
    };
    let tombstone = at(
        r#"{"keytype":"SCHEMA","subject":":.c:s","version":1,"magic":1}"#,
        None,
    );
    let cleared = at(
        r#"{"keytype":"CLEAR_SUBJECT","subject":":.c:","magic":0}"#,
        Some(r#"{"subject":":.c:"}"#),
    );
    let mode = at(
        r#"{"keytype":"MODE","subject":":.c:","magic":0}"#,
        Some(r#"{"subject":":.c:","mode":"IMPORT"}"#),
    );
    assert!(tombstone < cleared && cleared < mode, "{log:#?}");
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_kinds_of_schemas_are_kept_as_they_are() {
    let registry = Registry::start().await;
    let json = "{ \"type\" : \"object\" }";
    let proto = "syntax = \"proto3\";\nmessage M { int32 a = 1; }\n";
    play(
        &registry,
        r#"
        PUT /mode {"mode": "IMPORT"} => 200 {"mode": "IMPORT"}
        POST /subjects/j/versions {"schema": "{ \"type\" : \"object\" }", "schemaType": "JSON", "id": 5, "version": 2}
        ~> 200 {"id": 5, "version": 2, "schemaType": "JSON", "schema": "{ \"type\" : \"object\" }"}
        # Nor are their references followed.
        POST /subjects/p/versions {"schema": "syntax = \"proto3\";\nmessage M { int32 a = 1; }\n", "schemaType": "PROTOBUF", "id": 6, "references": [{"name": "x.proto", "subject": "x", "version": 1}]}
        ~> 200 {"id": 6, "version": 1, "schemaType": "PROTOBUF"}
        POST /subjects/x/versions {"schema": "x", "schemaType": "XML", "id": 7} => 422 42201 Invalid schema type XML
        PUT /mode {"mode": "READWRITE"} => 200 {"mode": "READWRITE"}
        GET /schemas/ids/5 ~> 200 {"schemaType": "JSON", "schema": "{ \"type\" : \"object\" }"}
        GET /schemas/ids/5?format=resolved&findTags=* ~> 200 {"schemaType": "JSON", "schema": "{ \"type\" : \"object\" }"}
        GET /schemas/ids/6 ~> 200 {"schemaType": "PROTOBUF", "references": [{"name": "x.proto", "subject": "x", "version": 1}]}
        GET /subjects/j/versions/latest ~> 200 {"schemaType": "JSON", "id": 5}
        # What is there answers its producers, also outside the mode; what is new is refused.
        POST /subjects/j/versions {"schema": "{ \"type\" : \"object\" }", "schemaType": "JSON"} ~> 200 {"id": 5, "version": 2}
        POST /subjects/j {"schema": "{ \"type\" : \"object\" }", "schemaType": "JSON"} ~> 200 {"id": 5, "version": 2}
        POST /subjects/j {"schema": "{}", "schemaType": "JSON"} => 404 40403 Schema not found
        POST /subjects/j/versions {"schema": "{}", "schemaType": "JSON"} ~> 422 {"error_code": 42201}
        POST /compatibility/subjects/j/versions/latest {"schema": "{}", "schemaType": "JSON"} ~> 422 {"error_code": 42201}
        POST /compatibility/subjects/j/versions/latest?verbose=true {"schema": "{}", "schemaType": "JSON"} ~> 200 {"is_compatible": false}
        # An Avro schema is no successor of it.
        POST /compatibility/subjects/j/versions/latest {"schema": "\"int\""} => 200 {"is_compatible": false}
        POST /subjects/j/versions {"schema": "\"int\""} ~> 409 {"error_code": 40901}
        "#,
    )
    .await;
    let text = registry
        .request("GET".parse().unwrap(), "/schemas/ids/6/schema")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(text, proto);
    assert_eq!(
        registry.ok("GET", "/schemas/ids/5/schema", None).await,
        json!({ "type": "object" }),
        "{json}"
    );
    registry.stop().await;
}
