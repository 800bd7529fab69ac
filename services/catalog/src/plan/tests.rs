use std::collections::BTreeMap;

use meshwork_model::contract::Contract;
use meshwork_model::topic::{MAX_MESSAGE, MIN_IN_SYNC};

use super::*;

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;

fn product(settings: &[(&str, &str)]) -> Product {
    let settings: String = settings
        .iter()
        .map(|(name, value)| format!("- {{property: {name}, value: {value}, vendor: meshwork}}\n"))
        .collect();
    let text = format!(
        "apiVersion: v3.2.0\nkind: DataContract\nid: urn:meshwork:sales:orders\nversion: 1.0.0\n\
         schema:\n- name: orders\n  properties:\n\
         \x20 - {{name: id, logicalType: string, primaryKey: true, required: true}}\n\
         \x20 - {{name: at, logicalType: timestamp, required: true}}\n\
         slaProperties:\n- {{id: fresh, property: freshness, value: 30, unit: min, element: orders.at}}\n\
         - {{property: retention, value: 7, unit: d}}\n\
         team: {{members: [{{username: ann, role: owner}}]}}\ncustomProperties:\n\
         - {{property: kept, value: 1}}\n{settings}"
    );
    let contract = Contract::read("o", &text).unwrap_or_else(|e| panic!("{e}"));
    Product::new(&contract, SCHEMA, None).unwrap()
}

fn registered(product: &Product, id: i32) -> RegisteredSchema {
    RegisteredSchema {
        subject: product.urn.value_subject(),
        id,
        guid: "g".to_owned(),
        schema: product.value_schema.clone(),
    }
}

/// What is there once `product` has been applied.
fn applied(product: &Product) -> Actual {
    let topic = |configs: Vec<(&str, String)>| ActualTopic {
        partitions: product.partitions,
        replication: 3,
        configs: configs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    };
    let mut topics = BTreeMap::from([(product.topic(), topic(product.topic_configs()))]);
    if product.enforcement == EnforcementMode::Quarantine {
        topics.insert(
            product.quarantine_topic(),
            topic(product.quarantine_configs(3)),
        );
    }
    let subject = ActualSubject {
        level: Some(product.compatibility.to_string()),
        registered: BTreeMap::from([(product.value_schema.clone(), registered(product, 7))]),
        newest_first: Vec::new(),
    };
    let then = Timestamp::from_millis(1_000);
    let announcement = product.announcement(registered(product, 7), None, then, then);
    Actual {
        brokers: 3,
        topics,
        subjects: BTreeMap::from([(product.urn.value_subject(), subject)]),
        announcements: BTreeMap::from([(product.urn.clone(), announcement)]),
        ..Actual::default()
    }
}

fn said(product: &Product, actual: &Actual) -> String {
    plan(std::slice::from_ref(product), actual).to_string()
}

#[test]
fn all_is_to_be_made_where_nothing_is_there() {
    let product = product(&[("partitions", "3"), ("enforcement", "quarantine")]);
    let text = said(&product, &Actual::default());
    assert_eq!(
        text,
        "+ urn:meshwork:sales:orders:v1
  + topic sales.orders.v1: 3 partitions, cleanup.policy=delete, retention.ms=604800000 (7 days)
  + topic sales.orders.v1.quarantine: 3 partitions, cleanup.policy=delete, retention.ms=604800000 (7 days), max.message.bytes=17825792
  + subject sales.orders.v1-value: compatibility BACKWARD
  + subject sales.orders.v1-value: first version
  + announcement on mesh.catalog
1 to add"
    );
}

#[test]
fn what_is_applied_needs_nothing() {
    for settings in [
        vec![],
        vec![("enforcement", "quarantine")],
        vec![("cleanup", "compact")],
    ] {
        let product = product(&settings);
        let plan = plan(std::slice::from_ref(&product), &applied(&product));
        assert!(plan.is_empty(), "{plan}");
        assert_eq!(plan.summary(), "1 as announced");
    }
}

#[test]
fn a_quarantine_takes_what_is_large_and_is_on_two_brokers_where_it_can_be() {
    let product = product(&[("enforcement", "quarantine")]);
    let mut actual = applied(&product);
    let name = product.quarantine_topic();
    let set = |actual: &mut Actual, replication, bytes: &str, in_sync: &str| {
        let there = actual.topics.get_mut(&name).unwrap();
        there.replication = replication;
        for (key, value) in [(MAX_MESSAGE, bytes), (MIN_IN_SYNC, in_sync)] {
            there.configs.insert(key.to_owned(), value.to_owned());
        }
        said(&product, actual)
    };
    // As the brokers' defaults have it.
    assert_eq!(
        set(&mut actual, 3, "1048588", "1"),
        "~ urn:meshwork:sales:orders:v1
  ~ topic sales.orders.v1.quarantine: settings
    ~ max.message.bytes: 1048588 → 17825792
    ~ min.insync.replicas: 1 → 2
1 to change"
    );
    // What has one replica could not be written to any more; and more is not taken back.
    for (replication, bytes, in_sync) in [(1, "17825792", "1"), (3, "33554432", "3")] {
        let said = set(&mut actual, replication, bytes, in_sync);
        assert_eq!(said, "1 as announced");
    }
    actual.topics.remove(&name);
    for (brokers, has) in [(1, false), (3, true)] {
        actual.brokers = brokers;
        let text = said(&product, &actual);
        assert_eq!(text.contains("min.insync.replicas=2"), has, "{text}");
    }
}

#[test]
fn an_apply_that_was_killed_goes_on_with_what_is_left() {
    let product = product(&[("enforcement", "quarantine")]);
    let end = applied(&product);
    // After each step what it made is there, and only what is left is planned.
    let mut now = Actual {
        brokers: 3,
        ..Actual::default()
    };
    let all = plan_one(&product, &now).steps;
    for (done, step) in all.iter().enumerate() {
        assert_eq!(plan_one(&product, &now).steps, all[done..], "after {done}");
        match step {
            Step::CreateTopic { topic, .. } => {
                now.topics.insert(topic.clone(), end.topics[topic].clone());
            }
            Step::SetLevel { subject, .. } => {
                now.subjects.entry(subject.clone()).or_default().level =
                    end.subjects[subject].level.clone();
            }
            Step::Register { subject, .. } => {
                now.subjects.entry(subject.clone()).or_default().registered =
                    end.subjects[subject].registered.clone();
            }
            Step::Announce { .. } => now.announcements = end.announcements.clone(),
            other => panic!("{other:?}"),
        }
    }
    assert!(plan_one(&product, &now).steps.is_empty());
}

#[test]
fn what_changes_is_shown_with_what_it_was() {
    let old = product(&[("enforcement", "reject")]);
    let mut new = product(&[
        ("partitions", "4"),
        ("enforcement", "mark"),
        ("tag", "batch"),
    ]);
    new.retention_ms = Some(86_400_000);
    new.owner = "bob".to_owned();
    new.slos[0].objective_millionths = 995_000;
    new.value_schema = SCHEMA.replace(
        "]}",
        r#",{"name":"note","type":["null","string"],"default":null}]}"#,
    );
    let mut actual = applied(&old);
    let subject = actual.subjects.get_mut("sales.orders.v1-value").unwrap();
    subject.newest_first = vec![(1, SCHEMA.to_owned())];
    subject.level = Some("NONE".to_owned());
    assert_eq!(
        said(&new, &actual),
        "~ urn:meshwork:sales:orders:v1
  ~ topic sales.orders.v1: partitions 1 → 4
      keys move: new records of a key may go to another partition than its old ones
  ~ topic sales.orders.v1: settings
    ~ retention.ms: 604800000 (7 days) → 86400000 (1 day)
    - records older than 1 day: Kafka deletes them
  ~ subject sales.orders.v1-value: compatibility NONE → BACKWARD
  ~ subject sales.orders.v1-value: a version after 1
    + field note: null | string (default null)
  ~ announcement on mesh.catalog
    ~ owner: ann → bob
    ~ partitions: 1 → 4
    ~ retention: 7 days → 1 day
    ~ enforcement: reject → mark
    ~ tag: record → batch
    ~ value schema
    ~ slo fresh: freshness within 30 min, 99 % over 30 days, continuous, page → freshness within 30 min, 99.5 % over 30 days, continuous, page
1 to change"
    );
}

/// Each: what is desired, what is there, and what is said.
#[test]
fn what_would_lose_data_is_refused_with_the_right_way() {
    let base = product(&[("partitions", "3")]);
    let with = |settings: &[(&str, &str)]| product(settings);
    let there = |change: &dyn Fn(&mut Actual)| {
        let mut actual = applied(&base);
        change(&mut actual);
        actual
    };
    let policy = |policy: &'static str| {
        there(&move |actual| {
            let topic = actual.topics.get_mut("sales.orders.v1").unwrap();
            topic
                .configs
                .insert("cleanup.policy".to_owned(), policy.to_owned());
        })
    };
    let mut other_key = base.clone();
    other_key.key_columns = vec!["at".to_owned()];
    let mut avro_key = base.clone();
    avro_key.key_schema = Some(r#""string""#.to_owned());
    let mut narrow = base.clone();
    narrow.value_schema = SCHEMA.replace(r#""name":"id""#, r#""name":"order_id""#);
    let versions = there(&|actual| {
        actual
            .subjects
            .get_mut("sales.orders.v1-value")
            .unwrap()
            .newest_first = vec![(4, SCHEMA.to_owned())];
    });
    for (desired, actual, what, instead) in [
        (
            with(&[("partitions", "2")]),
            applied(&base),
            "has 3 partitions, and fewer (2) would lose the records",
            "say `partitions: 3` in the contract, or make it compatible",
        ),
        (
            with(&[("partitions", "3"), ("cleanup", "compact")]),
            applied(&base),
            "all but the latest record of each key would be lost",
            "say `cleanup: delete`",
        ),
        (
            base.clone(),
            policy("compact"),
            "the latest record of a key would be lost once it is old",
            "say `cleanup: compact`",
        ),
        (
            base.clone(),
            policy("compact,delete"),
            "cleanup.policy=compact,delete",
            "say `cleanup: compact`",
        ),
        (
            with(&[("partitions", "4"), ("cleanup", "compact")]),
            applied(&with(&[("partitions", "3"), ("cleanup", "compact")])),
            "beside older ones in other partitions",
            "new major version",
        ),
        (
            other_key,
            applied(&base),
            "the key would change from (id) to (at)",
            "`version: 2.0.0`, topic sales.orders.v2",
        ),
        (
            avro_key,
            applied(&base),
            "the key would change from UTF-8 to Avro",
            "new major version",
        ),
        (
            narrow,
            versions,
            "breaks BACKWARD with version 4 of sales.orders.v1-value: READER_FIELD_MISSING_DEFAULT_VALUE at /fields/0: order_id",
            "`version: 2.0.0`",
        ),
    ] {
        let plan = plan(std::slice::from_ref(&desired), &actual);
        assert!(plan.is_refused(), "{what}: {plan}");
        let text = plan.to_string();
        assert!(text.contains(what), "{what} not in\n{text}");
        assert!(text.contains(instead), "{instead} not in\n{text}");
        assert!(text.ends_with("1 refused"), "{text}");
    }
}

#[test]
fn the_first_announcement_keeps_its_moment() {
    let old = product(&[]);
    let actual = applied(&old);
    let announced = actual.announcements.get(&old.urn);
    let now = Timestamp::from_millis(9_000);
    let same = new_announcement(&old, announced, registered(&old, 7), None, now);
    assert_eq!(same, None);
    let mut new = old.clone();
    new.owner = "bob".to_owned();
    let changed = new_announcement(&new, announced, registered(&new, 7), None, now).unwrap();
    assert_eq!(
        (
            changed.announced_at.as_millis(),
            changed.changed_at.as_millis()
        ),
        (1_000, 9_000)
    );
    let first = new_announcement(&new, None, registered(&new, 7), None, now).unwrap();
    assert_eq!(first.announced_at, now);
}

#[test]
fn what_was_replaced_by_something_that_can_not_be_read_is_announced_again() {
    let product = product(&[]);
    let mut now = applied(&product);
    assert_eq!(plan_one(&product, &now).steps, []);
    now.unreadable.insert(product.urn.clone());
    let wanted = Step::Announce {
        differences: Some(vec!["~ what is there last can't be read".to_owned()]),
    };
    assert_eq!(plan_one(&product, &now).steps, [wanted]);
}
