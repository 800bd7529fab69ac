use super::*;

const CONTRACT: &str = "\
apiVersion: v3.2.0
kind: DataContract
id: urn:meshwork:sales:orders
version: 1.0.0
schema:
- name: orders
  properties:
  - {name: id, logicalType: string, physicalType: string, primaryKey: true, required: true}
  - {name: at, logicalType: timestamp, physicalType: timestamp-millis, required: true}
  - {name: amount, logicalType: number, physicalType: \"decimal(9, 2)\", required: true}
  - name: address
    logicalType: object
    required: false
    properties:
    - {name: city, logicalType: string, required: true}
    - {name: zip, logicalType: string, required: false}
  - name: lines
    logicalType: array
    required: true
    items:
      logicalType: object
      properties:
      - {name: sku, logicalType: string, required: true}
slaProperties:
- {id: fresh, property: freshness, value: 30, unit: min, element: orders.at}
team: {members: [{username: ann, role: owner}]}
";

const SCHEMA: &str = r#"{
  "type": "record", "name": "Order", "namespace": "sales",
  "fields": [
    {"name": "id", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "address", "default": null, "type": ["null", {"type": "record", "name": "Address", "fields": [
      {"name": "city", "type": "string"},
      {"name": "zip", "type": ["null", "string"], "default": null}
    ]}]},
    {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
      {"name": "sku", "type": "string"}
    ]}}}
  ]
}"#;

fn files(contract: &str, schema: &str, key: Option<&str>) -> ContractFiles {
    let file = |path: &str, text: &str| SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    ContractFiles {
        contract: file("o.odcs.yaml", contract),
        value_schema: Some(file("o.avsc", schema)),
        key_schema: key.map(|text| file("o.key.avsc", text)),
    }
}

fn found(contract: &str, schema: &str, key: Option<&str>) -> String {
    check(&[files(contract, schema, key)], Findings::new())
        .findings
        .to_string()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

#[test]
fn a_contract_and_a_schema_that_agree() {
    assert_eq!(found(CONTRACT, SCHEMA, None), "");
    let checked = check(&[files(CONTRACT, SCHEMA, None)], Findings::new());
    let product = &checked.products[0].product;
    assert_eq!(product.topic(), "sales.orders.v1");
    assert_eq!(product.event_time.as_deref(), Some("at"));
    assert_eq!(checked.into_products().unwrap().len(), 1);
}

/// Each: what is changed in the contract, in the schema, and what is said.
#[test]
fn what_they_disagree_on_is_said_with_its_place() {
    let mut missing = String::new();
    for (in_contract, in_schema, said) in [
        // Names.
        (
            None,
            Some((r#""name": "zip""#, r#""name": "zap""#)),
            "o.odcs.yaml:16:7: error[missing-field]: column `address.zip` is no field of the schema (did you mean `zap`?)",
        ),
        (
            None,
            Some((r#""name": "zip""#, r#""name": "zap""#)),
            "o.avsc:9:7: error[undeclared-field]: field `address.zap` is no column of the contract",
        ),
        (
            Some((
                "  - {name: id,",
                "  - {name: colour, logicalType: string, required: true}\n  - {name: id,",
            )),
            None,
            "o.odcs.yaml:8:5: error[missing-field]: column `colour` is no field of the schema (add it to o.avsc",
        ),
        (
            None,
            Some((
                r#"{"name": "sku", "type": "string"}"#,
                r#"{"name": "sku", "type": "string"}, {"name": "n", "type": "int"}"#,
            )),
            "o.avsc:12:42: error[undeclared-field]: field `lines[].n` is no column",
        ),
        (
            Some(("name: id,", "name: Id,")),
            Some((r#""name": "id""#, r#""name": "Id""#)),
            "o.avsc:4:5: warning[name]: field `Id` is not in lower_snake_case",
        ),
        // Types.
        (
            None,
            Some((
                r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
                "\"long\"",
            )),
            "o.odcs.yaml:9:29: error[type-mismatch]: column `at` has logicalType timestamp, but the schema has long (for long write integer)",
        ),
        (
            Some((
                "physicalType: timestamp-millis",
                "physicalType: timestamp-micros",
            )),
            None,
            "error[type-mismatch]: column `at` has physicalType timestamp-micros, but the schema has timestamp-millis",
        ),
        (
            Some(("decimal(9, 2)", "decimal(9, 3)")),
            None,
            "column `amount` has physicalType decimal(9, 3), but the schema has decimal(9,2)",
        ),
        (
            None,
            Some((
                r#""name": "sku", "type": "string""#,
                r#""name": "sku", "type": "int""#,
            )),
            "o.odcs.yaml:23:34: error[type-mismatch]: column `lines[].sku` has logicalType string, but the schema has int",
        ),
        // Presence.
        (
            None,
            Some((
                r#"{"name": "zip", "type": ["null", "string"], "default": null}"#,
                r#"{"name": "zip", "type": "string"}"#,
            )),
            "o.odcs.yaml:16:50: error[nullability]: column `address.zip` is not required, but the schema always has it",
        ),
        (
            Some((
                "name: city, logicalType: string, required: true",
                "name: city, logicalType: string",
            )),
            None,
            "o.odcs.yaml:15:7: error[nullability]: column `address.city` is not required",
        ),
        (
            None,
            Some((
                r#"{"name": "city", "type": "string"}"#,
                r#"{"name": "city", "type": ["null", "string"]}"#,
            )),
            "error[nullability]: column `address.city` is required, but the schema lets it be null",
        ),
        // Event time.
        (
            Some((
                "logicalType: timestamp, physicalType: timestamp-millis",
                "logicalType: string",
            )),
            Some((
                r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
                r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#,
            )),
            "o.odcs.yaml:25:67: error[event-time]: event-time field `at` can't hold an event time in the schema",
        ),
        (
            Some((
                "timestamp-millis, required: true",
                "timestamp-millis, required: false",
            )),
            Some((
                r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
                r#"["null", {"type": "long", "logicalType": "timestamp-millis"}]"#,
            )),
            "warning[event-time]: event-time field `at` may be null",
        ),
        // Keys.
        (
            Some((
                "name: id, logicalType: string, physicalType: string",
                "name: id, logicalType: integer",
            )),
            Some((
                r#""name": "id", "type": "string""#,
                r#""name": "id", "type": "long""#,
            )),
            "o.odcs.yaml:8:5: error[key]: key column `id` is long in the schema, but a key of one column is its text",
        ),
        (
            Some((
                "team:",
                "customProperties: [{property: cleanup, value: compact, vendor: meshwork}]\nteam:",
            )),
            None,
            "",
        ),
        // Schemas that are none.
        (
            None,
            Some((
                r#""name": "sku", "type": "string""#,
                r#""name": "sku", "type": "strin""#,
            )),
            "o.avsc:12:31: error[schema]: the schema does not parse: \"sales.strin\" is not defined",
        ),
        (
            None,
            Some((r#""fields": ["#, r#""fields": [,"#)),
            "o.avsc:3:14: error[schema]: the schema does not parse",
        ),
        (
            None,
            Some((SCHEMA, "\"string\"")),
            "o.avsc:1:1: error[schema]: the value's schema is no record",
        ),
    ] {
        let contract = in_contract.map_or(CONTRACT.to_owned(), |(a, b)| replaced(CONTRACT, a, b));
        let schema = in_schema.map_or(SCHEMA.to_owned(), |(a, b)| replaced(SCHEMA, a, b));
        let text = found(&contract, &schema, None);
        let as_said = if said.is_empty() {
            text.is_empty()
        } else {
            text.lines().any(|l| l.contains(said))
        };
        if !as_said {
            missing += &format!("{said}\nnot in\n{text}\n\n");
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

#[test]
fn keys_of_several_columns_are_avro() {
    let two = replaced(
        CONTRACT,
        "timestamp-millis, required: true",
        "timestamp-millis, primaryKey: true, required: true",
    );
    let checked = check(&[files(&two, SCHEMA, None)], Findings::new());
    let made = checked.products[0].product.key_schema.clone().unwrap();
    assert!(made.contains("OrderKey"), "{made}");
    let agrees = r#"{"type": "record", "name": "K", "fields": [{"name": "id", "type": "string"}, {"name": "at", "type": "long"}]}"#;
    assert_eq!(found(&two, SCHEMA, Some(agrees)), "");
    let other = replaced(agrees, r#""name": "at""#, r#""name": "day""#);
    let text = found(&two, SCHEMA, Some(&other));
    assert!(
        text.contains("key column `at` is no field of the key's schema"),
        "{text}"
    );
    assert!(
        text.contains("field `day` of the key's schema is no key column"),
        "{text}"
    );
    let text = found(&two, SCHEMA, Some("\"string\""));
    assert!(text.contains("2 key columns"), "{text}");
    let none = replaced(CONTRACT, "primaryKey: true, ", "");
    let compacted = format!(
        "{none}customProperties: [{{property: cleanup, value: compact, vendor: meshwork}}]\n"
    );
    let text = found(&compacted, SCHEMA, None);
    assert!(text.contains("error[key]: a compacted topic"), "{text}");
}

fn registered(versions: &[&str]) -> BTreeMap<String, SubjectVersions> {
    let newest_first = versions
        .iter()
        .enumerate()
        .map(|(i, text)| {
            (
                i32::try_from(versions.len() - i).unwrap(),
                (*text).to_owned(),
            )
        })
        .collect();
    BTreeMap::from([(
        "sales.orders.v1-value".to_owned(),
        SubjectVersions { newest_first },
    )])
}

#[test]
fn a_change_that_breaks_readers_is_said_with_the_way_out() {
    let check_against = |contract: &str, schema: &str, versions: &[&str]| {
        check(&[files(contract, schema, None)], Findings::new())
            .against(&registered(versions))
            .findings
            .to_string()
    };
    assert_eq!(check_against(CONTRACT, SCHEMA, &[SCHEMA]), "");
    assert_eq!(check_against(CONTRACT, SCHEMA, &[]), "");
    let without = replaced(SCHEMA, r#"{"name": "id", "type": "string"},"#, "");
    let text = check_against(CONTRACT, SCHEMA, &[&without]);
    assert_eq!(
        text,
        "o.avsc:4:5: error[incompatible]: breaks BACKWARD with registered version 1 at /fields/0: \
         field `id` has no default, so the new schema can't read what the registered one writes \
         (make it compatible, or make a new major version beside this one: `version: 2.0.0`, topic sales.orders.v2)"
    );
    // Not transitive: only the newest counts.
    assert_eq!(check_against(CONTRACT, SCHEMA, &[SCHEMA, &without]), "");
    let level = |level: &str| {
        format!(
            "{CONTRACT}customProperties: [{{property: compatibility, value: {level}, vendor: meshwork}}]\n"
        )
    };
    assert!(
        check_against(&level("BACKWARD_TRANSITIVE"), SCHEMA, &[SCHEMA, &without])
            .contains("registered version 1"),
    );
    assert_eq!(check_against(&level("NONE"), SCHEMA, &[&without]), "");
    assert_eq!(check_against(&level("FORWARD"), SCHEMA, &[&without]), "");
}

#[test]
fn two_contracts_of_one_product_are_one_too_many() {
    let mut other = files(CONTRACT, SCHEMA, None);
    other.contract.path = "p.odcs.yaml".to_owned();
    let checked = check(&[files(CONTRACT, SCHEMA, None), other], Findings::new());
    assert_eq!(checked.products.len(), 1);
    assert!(checked.findings.to_string().contains(
        "error[duplicate]: urn:meshwork:sales:orders:v1 is also described by o.odcs.yaml"
    ));
    assert!(checked.into_products().is_err());
}

#[test]
fn the_contracts_of_the_flights_agree_with_their_schemas() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/flights");
    let (files, findings) = contract_files::load(&[folder.into()]);
    let checked = check(&files, findings);
    let left: Vec<_> = checked
        .findings
        .as_slice()
        .iter()
        .filter(|f| f.level != meshwork_model::finding::Level::Note)
        .collect();
    assert!(left.is_empty(), "{}", checked.findings);
    assert_eq!(checked.products.len(), 7);
}
