use super::*;
use crate::slo::{Cadence, DailyHours, Indicator, Severity};

/// A sound contract of 3.2; tests change it line by line.
const ORDERS: &str = "\
apiVersion: v3.2.0
kind: DataContract
id: urn:meshwork:sales:orders
name: orders
version: 1.2.0
status: active
domain: sales
tags: [orders, money]
description: {purpose: What was ordered.}
schema:
- name: orders
  physicalName: sales.orders.v1
  physicalType: topic
  logicalType: object
  properties:
  - {name: order_id, logicalType: string, physicalType: string, primaryKey: true, primaryKeyPosition: 1, required: true}
  - {name: updated_at, logicalType: timestamp, physicalType: timestamp-millis, required: true}
  - {name: email, logicalType: string, required: false, classification: confidential, tags: [pii]}
slaProperties:
- id: fresh
  property: freshness
  value: 5
  unit: m
  element: orders.updated_at
  customProperties:
  - {property: objective, value: 0.999, vendor: meshwork}
  - {property: window, value: 7d, vendor: meshwork}
  - {property: cadence, value: every 2 min, vendor: meshwork}
  - {property: hours, value: \"22:00-06:30 Europe/Berlin\", vendor: meshwork}
  - {property: severity, value: ticket, vendor: meshwork}
- {id: quick, property: Ly, value: PT90S, element: orders.updated_at}
- {property: retention, value: 6, unit: m}
- {property: availability, value: 99.9, unit: percent}
team: {name: sales-data, members: [{username: ann@example.com, role: Data Owner}]}
customProperties:
- {property: compatibility, value: FULL_TRANSITIVE, vendor: meshwork}
- {property: partitions, value: 12, vendor: meshwork}
- {property: enforcement, value: quarantine, vendor: meshwork}
- {property: eventTime, value: updated_at, vendor: meshwork}
- {property: tag, value: off, vendor: meshwork}
- {property: inputs, value: [\"urn:meshwork:shop:carts:v2\", raw.orders], vendor: meshwork}
- {property: cleanup, value: compact, vendor: meshwork}
- {property: anything, value: {at: [all]}, vendor: other}
";

fn read(text: &str) -> Contract {
    Contract::read("orders.odcs.yaml", text).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(text: &str) -> String {
    match Contract::read("orders.odcs.yaml", text) {
        Ok(_) => panic!("was read:\n{text}"),
        Err(findings) => findings.to_string(),
    }
}

fn changed(from: &str, to: &str) -> String {
    assert!(ORDERS.contains(from), "{from}");
    ORDERS.replace(from, to)
}

#[test]
fn all_of_a_contract_is_read() {
    let contract = read(ORDERS);
    assert_eq!(contract.urn.to_string(), "urn:meshwork:sales:orders:v1");
    assert_eq!(contract.version, "1.2.0");
    assert_eq!(contract.status, ProductStatus::Active);
    assert_eq!(contract.owner, "ann@example.com");
    assert_eq!(contract.team.as_deref(), Some("sales-data"));
    assert_eq!(contract.description.as_deref(), Some("What was ordered."));
    assert_eq!(contract.tags, ["orders", "money"]);
    assert_eq!(contract.key_columns, ["order_id"]);
    assert_eq!(contract.retention_ms, Some(180 * 86_400_000));
    let settings = &contract.settings;
    assert_eq!(settings.compatibility.as_str(), "FULL_TRANSITIVE");
    assert_eq!(settings.partitions, 12);
    assert_eq!(
        (settings.enforcement, settings.tag),
        (
            crate::mesh::announcement::EnforcementMode::Quarantine,
            crate::mesh::announcement::TagMode::Off
        )
    );
    assert!(settings.compacted);
    assert_eq!(
        settings.inputs,
        ["urn:meshwork:shop:carts:v2", "raw.orders"]
    );
    let email = contract.column("email").unwrap();
    assert_eq!(email.classification.as_deref(), Some("confidential"));
    assert_eq!((email.required, email.at.line), (false, 18));
    let fresh = &contract.slos[0].slo;
    assert_eq!(fresh.id, "fresh");
    assert_eq!(fresh.indicator, Indicator::Freshness { within_ms: 300_000 });
    assert_eq!(fresh.objective_millionths, 999_000);
    assert_eq!(fresh.window_ms, 7 * 86_400_000);
    assert_eq!(fresh.cadence, Cadence::Every { period_ms: 120_000 });
    assert_eq!(
        fresh.hours,
        Some(DailyHours {
            from_minute: 1320,
            until_minute: 390,
            zone: "Europe/Berlin".to_owned()
        })
    );
    assert_eq!(fresh.severity, Severity::Ticket);
    let quick = &contract.slos[1].slo;
    assert_eq!(quick.indicator, Indicator::Latency { within_ms: 90_000 });
    assert_eq!(quick.objective_millionths, 990_000);
    // What isn't ours is kept.
    let other = contract.tree.get("customProperties").unwrap().elements()[7]
        .get("value")
        .unwrap();
    assert_eq!(other.to_json(), serde_json::json!({"at": ["all"]}));
    assert!(
        contract
            .remarks
            .to_string()
            .contains("`availability` is kept")
    );
}

#[test]
fn a_contract_of_3_1_has_prefixed_names_and_its_slo_on_the_contract() {
    let mut text = ORDERS
        .replace("v3.2.0", "v3.1.0")
        .replace(", vendor: meshwork", "")
        .replace(", vendor: other", "");
    for name in [
        "compatibility",
        "partitions",
        "enforcement",
        "eventTime",
        "tag",
        "inputs",
        "cleanup",
    ] {
        let (first, rest) = name.split_at(1);
        text = text.replace(
            &format!("property: {name},"),
            &format!("property: meshwork{}{rest},", first.to_uppercase()),
        );
    }
    let from = text.find("  customProperties:\n").unwrap();
    let to = text.find("- {id: quick").unwrap();
    text.replace_range(from..to, "");
    text.push_str(
        "- property: meshworkSlo\n  value:\n  - {id: fresh, objective: 99.9%, window: 7d, cadence: every 2 min, \
         hours: {from: \"22:00\", until: \"6:30\", zone: Europe/Berlin}, severity: ticket}\n",
    );
    let (new, old) = (read(&text), read(ORDERS));
    assert_eq!(new.standard, Standard::V3_1);
    assert_eq!(
        new.slos.iter().map(|d| &d.slo).collect::<Vec<_>>(),
        old.slos.iter().map(|d| &d.slo).collect::<Vec<_>>()
    );
    let strip = |mut s: Settings| {
        s.event_time = s.event_time.map(|(field, _)| (field, Position::START));
        s
    };
    assert_eq!(strip(new.settings), strip(old.settings));

    let unknown = text.replace("window: 7d,", "windows: 7d,");
    assert!(
        refused(&unknown)
            .contains("no property `windows` of a service level (did you mean `window`?)"),
        "{}",
        refused(&unknown)
    );
    let nobody = text.replace("{id: fresh, objective", "{id: frsh, objective");
    assert!(refused(&nobody).contains("no slaProperty has that id"));
    let vendor = ORDERS.replace("v3.2.0", "v3.1.0");
    assert!(refused(&vendor).contains("ODCS 3.1 has no key `vendor`"));
}

/// Each: what is changed, the place, the code and words of the finding.
#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (from, to, place, words) in [
        (
            "apiVersion: v3.2.0",
            "apiVersion: v2.2.2",
            ":1:13: error[odcs]",
            "ODCS v3.0.0 to v3.2.0",
        ),
        (
            "apiVersion: v3.2.0\n",
            "",
            ":1:1: error[odcs]",
            "has no `apiVersion`",
        ),
        (
            "kind: DataContract",
            "kind: Contract",
            ":2:7: error[odcs]",
            "`kind` is `Contract`, which is none of DataContract",
        ),
        (
            "id: urn:meshwork:sales:orders",
            "id: orders",
            ":3:5: error[name]",
            "urn:meshwork:<domain>:<product>",
        ),
        (
            "id: urn:meshwork:sales:orders",
            "id: urn:meshwork:sales:orders:v1",
            ":3:5: error[name]",
            "the id has no version",
        ),
        (
            "id: urn:meshwork:sales:orders",
            "id: urn:meshwork:sales:Orders",
            ":3:5: error[name]",
            "lower-case",
        ),
        (
            "domain: sales",
            "domain: retail",
            ":7:9: error[name]",
            "domain is `retail`, but the id says `sales`",
        ),
        (
            "version: 1.2.0",
            "version: 1.2",
            ":5:10: error[odcs]",
            "must be of type string, but is a number (put it in quotes)",
        ),
        (
            "version: 1.2.0",
            "version: \"1.2\"",
            ":5:10: error[version]",
            "major.minor.patch",
        ),
        (
            "status: active",
            "status: actve",
            ":6:9: error[status]",
            "did you mean `active`?",
        ),
        (
            "physicalName: sales.orders.v1",
            "physicalName: sales.orders.v2",
            ":12:17: error[name]",
            "the topic of urn:meshwork:sales:orders:v1 is `sales.orders.v1`",
        ),
        (
            "version: 1.2.0",
            "version: 2.0.0",
            ":12:17: error[name]",
            "sales.orders.v2",
        ),
        (
            "tags: [orders, money]",
            "tagz: [orders, money]",
            ":8:1: error[unknown-key]",
            "no key `tagz` in the contract (did you mean `tags`?)",
        ),
        (
            "logicalType: string, required: false",
            "logicaltype: string, required: false",
            ":18:19: error[unknown-key]",
            "did you mean `logicalType`?",
        ),
        (
            "  physicalType: topic\n",
            "  physicalType: topic\n  colour: red\n",
            ":14:3: error[unknown-key]",
            "no key `colour` in `schema[0]` (what ODCS has no key for goes in `customProperties`)",
        ),
        (
            "logicalType: timestamp",
            "logicalType: instant",
            ":17:37: error[odcs]",
            "none of string, date, timestamp",
        ),
        (
            "role: Data Owner",
            "role: steward",
            ":34:7: error[owner]",
            "no member of the team has the role `owner`",
        ),
        (
            "role: Data Owner",
            "role: owner, dateOut: 2024-01-01",
            ":34:7: error[owner]",
            "no member",
        ),
        (
            "team: {name: sales-data, members: [{username: ann@example.com, role: Data Owner}]}\n",
            "",
            ":1:1: error[owner]",
            "there is no `team`",
        ),
        (
            "value: FULL_TRANSITIVE",
            "value: SIDEWAYS",
            ":36:36: error[setting]",
            "`compatibility` is `SIDEWAYS`",
        ),
        (
            "value: 12",
            "value: 0",
            ":37:33: error[setting]",
            "from 1 to 10000",
        ),
        (
            "value: quarantine",
            "value: warn",
            ":38:34: error[setting]",
            "reject, quarantine, mark, off",
        ),
        (
            "property: partitions",
            "property: partition",
            ":37:14: error[unknown-setting]",
            "did you mean `partitions`?",
        ),
        (
            "property: tag, value: off",
            "property: partitions, value: 3",
            ":40:14: error[setting]",
            "`partitions` is given twice",
        ),
        (
            "value: updated_at, vendor",
            "value: update_at, vendor",
            ":39:32: error[event-time]",
            "did you mean `updated_at`?",
        ),
        (
            "value: updated_at, vendor",
            "value: email, vendor",
            ":24:12: error[service-level]",
            "the event time that is measured is `email`",
        ),
        (
            "logicalType: timestamp",
            "logicalType: integer",
            ":39:32: error[event-time]",
            "declared `integer`, which holds no time",
        ),
        (
            "unit: m\n",
            "unit: parsec\n",
            ":23:9: error[service-level]",
            "unit `parsec` is not known",
        ),
        (
            "value: 5\n",
            "value: soon\n",
            ":22:10: error[service-level]",
            "no length of time",
        ),
        (
            "value: 5\n",
            "value: 1\n",
            ":22:10: error[never-met]",
            "comes every 2 min can't always be fresh within 1 min",
        ),
        (
            "- id: fresh\n  property",
            "- property",
            ":20:3: error[service-level]",
            "has no `id`",
        ),
        (
            "id: quick",
            "id: fresh",
            ":31:3: error[service-level]",
            "two service levels have the id `fresh`",
        ),
        (
            "value: PT90S",
            "value: PT90X",
            ":31:36: error[service-level]",
            "no ISO 8601 duration",
        ),
        (
            "value: 0.999",
            "value: 1",
            ":26:34: error[setting]",
            "`objective` is `1`",
        ),
        (
            "value: 7d",
            "value: 91d",
            ":27:31: error[setting]",
            "from 1d to 90d",
        ),
        (
            "value: every 2 min",
            "value: sometimes",
            ":28:32: error[setting]",
            "`continuous`, `event`",
        ),
        (
            "Europe/Berlin",
            "Europe/Bonn",
            ":29:30: error[setting]",
            "IANA time zone",
        ),
        (
            "value: ticket",
            "value: shout",
            ":30:33: error[setting]",
            "page or ticket",
        ),
        (
            "property: severity",
            "property: sevrity",
            ":30:16: error[unknown-setting]",
            "did you mean `severity`?",
        ),
        (
            "primaryKeyPosition: 1, required: true",
            "primaryKeyPosition: 1, required: false",
            ":16:116: error[key]",
            "key column `order_id` is not required",
        ),
        (
            "name: email",
            "name: order_id",
            ":18:5: error[column]",
            "declared twice",
        ),
        (
            "value: 6, unit: m",
            "value: 0, unit: d",
            ":32:32: error[service-level]",
            "would delete every record at once",
        ),
    ] {
        let text = refused(&changed(from, to));
        let line = text
            .lines()
            .find(|l| l.contains(place) && l.contains(words));
        assert!(
            line.is_some(),
            "{from} -> {to}: no `{place}` with `{words}` in\n{text}"
        );
    }
}

#[test]
fn one_mistake_is_one_finding() {
    for (from, to) in [
        ("tags: [orders, money]", "tagz: [orders, money]"),
        ("logicalType: timestamp", "logicalType: instant"),
        ("role: Data Owner", "role: steward"),
        ("role: Data Owner", "rôle: owner"),
        ("version: 1.2.0", "version: 1.2"),
        ("value: 12", "value: 0"),
    ] {
        let text = refused(&changed(from, to));
        let errors = text.lines().filter(|l| l.contains("error[")).count();
        let allowed = if to.starts_with("rôle") { 2 } else { 1 };
        assert_eq!(errors, allowed, "{to}:\n{text}");
    }
}

#[test]
fn a_contract_without_service_levels_promises_nothing() {
    let from = ORDERS.find("slaProperties").unwrap();
    let to = ORDERS.find("team:").unwrap();
    let mut text = ORDERS.to_owned();
    text.replace_range(from..to, "");
    assert!(refused(&text).contains("error[no-service-level]"));
}

#[test]
fn the_element_names_the_event_time_where_nothing_else_does() {
    let text = changed(
        "- {property: eventTime, value: updated_at, vendor: meshwork}\n",
        "",
    );
    let contract = read(&text);
    let (field, at) = contract.settings.event_time.unwrap();
    assert_eq!((field.as_str(), at.line), ("updated_at", 24));
    let neither = text
        .replace("  element: orders.updated_at\n", "")
        .replace(", element: orders.updated_at", "");
    assert!(refused(&neither).contains("error[event-time]: the contract does not say"));
}

#[test]
fn an_objective_that_can_never_alert_is_refused_with_one_that_can() {
    let page = ORDERS
        .replace("value: ticket", "value: page")
        .replace("value: 7d", "value: 30d")
        .replace(
            "  - {property: hours, value: \"22:00-06:30 Europe/Berlin\", vendor: meshwork}\n",
            "",
        );
    read(&page);
    let text = refused(&page.replace("value: 0.999", "value: 0.9"));
    assert!(
        text.contains("error[never-fires]: `fresh` can never alert: at 90 % over 30 days the 14.4× rule needs 87 bad minutes within 1 hour, which has at most 60 that are due"),
        "{text}"
    );
    assert!(text.contains("an objective of 93.0556 % or more"), "{text}");
    let touchy = read(&page).remarks.to_string();
    assert!(
        touchy.contains("note[touchy]: `fresh`: 2 % of the budget is less than 3 minutes"),
        "{touchy}"
    );
}

#[test]
fn what_datacontract_can_not_judge_is_a_warning() {
    for (from, to, words) in [
        (
            "value: 5\n  unit: m",
            "value: 7.5\n  unit: m",
            "can't judge 7.5 m",
        ),
        (
            "value: 5\n  unit: m",
            "value: 180\n  unit: s",
            "can't judge 180 s",
        ),
        ("value: 5\n  unit: m", "value: 5", "has no `unit`"),
        (
            "element: orders.updated_at\n",
            "element: updated_at\n",
            "other ODCS tools skip",
        ),
        (
            "value: updated_at, vendor: meshwork",
            "value: updated_at",
            "add `vendor: meshwork`",
        ),
    ] {
        let contract = read(&changed(from, to));
        let text = contract.remarks.to_string();
        assert!(
            text.contains("warning[") && text.contains(words),
            "{to}: {text}"
        );
    }
}

#[test]
fn retention_may_be_for_ever() {
    for value in ["value: null", "value: -1", "value: unlimited"] {
        let text = changed("value: 6, unit: m", value);
        assert_eq!(read(&text).retention_ms, None, "{value}");
    }
    let text = changed("value: 6, unit: m", "value: P25Y");
    assert_eq!(read(&text).retention_ms, Some(25 * 365 * 86_400_000));
}

#[test]
fn what_is_no_contract_at_all_is_refused() {
    for (text, words) in [
        ("", "holds no mapping"),
        ("- a\n", "holds no mapping"),
        ("a: [", "error[yaml]"),
        ("apiVersion: v3.2.0\n", "`version`, which ODCS requires"),
    ] {
        assert!(refused(text).contains(words), "{text}: {}", refused(text));
    }
}

#[test]
fn the_contracts_of_the_flights_are_sound() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/flights");
    let mut read_files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".odcs.yaml") {
            let contract = Contract::read(&name, &std::fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(format!("{}.odcs.yaml", contract.urn.name()), name);
            assert!(contract.columns.iter().all(|c| c.classification.is_some()));
            assert_eq!(
                contract.remarks.count(Level::Warning),
                0,
                "{}",
                contract.remarks
            );
            assert_eq!(contract.retention_ms, Some(25 * 365 * 86_400_000));
            assert_eq!(contract.slos[0].slo.objective_millionths, 990_000);
            read_files += 1;
        }
    }
    assert_eq!(read_files, 7);
}

proptest::proptest! {
    /// Whatever is done to one line, it is read or refused, without a panic.
    #[test]
    fn a_damaged_contract_never_panics(line in 0usize..48, junk in "[a-z:{}\\[\\] ,0-9\"'&*-]{0,12}") {
        let mut lines: Vec<&str> = ORDERS.lines().collect();
        if let Some(place) = lines.get_mut(line) {
            *place = &junk;
        }
        let _ = Contract::read("x", &lines.join("\n"));
    }
}

#[test]
fn the_guide_lists_every_code() {
    let guide = include_str!("../../../../docs/contract.md");
    for code in Code::ALL {
        assert!(guide.contains(&format!("| `{code}` |")), "{code}");
    }
}
