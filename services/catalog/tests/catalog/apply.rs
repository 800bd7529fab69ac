//! `plan` and `apply`: what they make, that they can be repeated, and what they refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use meshwork_catalog::apply::{ApplyContext, ApplyError, Progress, apply_products, plan_products};
use meshwork_catalog::check::check;
use meshwork_catalog::contract_files::{ContractFiles, SourceFile};
use meshwork_catalog::plan::Step;
use meshwork_catalog::read_catalog;
use meshwork_kafka::{Admin, NewTopic};
use meshwork_model::finding::Findings;
use meshwork_model::mesh::change::Change;
use meshwork_model::mesh::{ProductAnnouncement, ProductChange};
use meshwork_model::product::Product;
use meshwork_model::time::{Clock, Timestamp};
use meshwork_registry_client::MeshReader;
use meshwork_testkit::{registry, unique, wait_for, wait_until};

const SCHEMA: &str = r#"{"type": "record", "name": "Order", "fields": [
  {"name": "id", "type": "string"},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
]}"#;

/// A product of a domain of its own.
pub(crate) struct Sample {
    domain: String,
    retention_days: u32,
    settings: Vec<(&'static str, String)>,
    schema: String,
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self {
            domain: unique("sales").to_lowercase().replace('_', "-"),
            retention_days: 7,
            settings: Vec::new(),
            schema: SCHEMA.to_owned(),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.retain(|(n, _)| *n != name);
        self.settings.push((name, value.to_string()));
        self
    }

    pub(crate) fn product(&self) -> Product {
        let settings: String = self
            .settings
            .iter()
            .map(|(name, value)| {
                format!("- {{property: {name}, value: {value}, vendor: meshwork}}\n")
            })
            .collect();
        let contract = format!(
            "apiVersion: v3.2.0\nkind: DataContract\nid: urn:meshwork:{}:orders\nversion: 1.0.0\n\
             schema:\n- name: orders\n  properties:\n\
             \x20 - {{name: id, logicalType: string, primaryKey: true, required: true}}\n\
             \x20 - {{name: at, logicalType: timestamp, required: true}}\n\
             slaProperties:\n\
             - {{id: fresh, property: freshness, value: 30, unit: min, element: orders.at}}\n\
             - {{property: retention, value: {}, unit: d}}\n\
             team: {{members: [{{username: ann, role: owner}}]}}\ncustomProperties:\n\
             - {{property: other, value: 1}}\n{settings}",
            self.domain, self.retention_days
        );
        let file = |path: &str, text: &str| SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let files = ContractFiles {
            contract: file("orders.odcs.yaml", &contract),
            value_schema: Some(file("orders.avsc", &self.schema)),
            key_schema: None,
        };
        let checked = check(&[files], Findings::new());
        let mut products = checked.into_products().unwrap_or_else(|e| panic!("{e}"));
        products.pop().unwrap()
    }
}

/// A clock that stands until it is set.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) async fn context(clock: &Arc<TestClock>) -> ApplyContext {
    let registry = registry();
    wait_until("the registry to answer", || async {
        registry.subjects().await.is_ok()
    })
    .await;
    ApplyContext {
        kafka: meshwork_testkit::kafka().config(),
        registry,
        clock: clock.clone(),
        who: "ann@test".to_owned(),
    }
}

pub(crate) fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(AtomicI64::new(1_357_016_400_000)))
}

/// Announcements of one product on `mesh.catalog`, all that were ever committed and are not yet
/// compacted away.
async fn announcements(context: &ApplyContext, product: &Product) -> Vec<ProductAnnouncement> {
    let reader = MeshReader::<ProductAnnouncement>::new(context.registry.clone());
    let mut found = Vec::new();
    for record in meshwork_testkit::kafka().read_all("mesh.catalog").await {
        if record.key.as_deref() == Some(product.urn.to_string().as_bytes()) {
            found.push(
                reader
                    .decode(record.value.as_deref().unwrap())
                    .await
                    .unwrap(),
            );
        }
    }
    found
}

async fn changes(context: &ApplyContext, product: &Product) -> Vec<ProductChange> {
    let reader = MeshReader::<ProductChange>::new(context.registry.clone());
    let mut found = Vec::new();
    for record in meshwork_testkit::kafka()
        .read_all("mesh.catalog.changes")
        .await
    {
        if record.key.as_deref() == Some(product.urn.to_string().as_bytes()) {
            found.push(
                reader
                    .decode(record.value.as_deref().unwrap())
                    .await
                    .unwrap(),
            );
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_makes_all_and_a_second_one_nothing() {
    let clock = clock();
    let context = context(&clock).await;
    let sample = Sample::new()
        .with("partitions", "3")
        .with("enforcement", "quarantine")
        .with("compatibility", "FULL");
    let compacted = Sample::new().with("cleanup", "compact").product();
    let product = sample.product();
    let products = [product.clone(), compacted.clone()];

    let mut done = 0;
    let applied = apply_products(&context, &products, |progress| {
        done += usize::from(matches!(progress, Progress::Done { .. }));
    })
    .await
    .unwrap();
    let steps: Vec<usize> = applied.iter().map(|a| a.steps.len()).collect();
    assert_eq!((steps, done), (vec![5, 4], 9));

    let admin = Admin::new(&context.kafka).unwrap();
    for (topic, policy) in [
        (product.topic(), "delete"),
        (product.quarantine_topic(), "delete"),
        (compacted.topic(), "compact"),
    ] {
        let info = admin.topic(&topic).await.unwrap().unwrap();
        let partitions = if topic == compacted.topic() { 1 } else { 3 };
        assert_eq!(info.partitions, partitions, "{topic}");
        let configs = admin.topic_configs(&topic).await.unwrap();
        let value = |key: &str| configs[key].value.clone().unwrap();
        assert_eq!(value("cleanup.policy"), policy);
        assert_eq!(value("retention.ms"), (7 * 86_400_000).to_string());
    }
    let level = context.registry.level(&product.urn.value_subject()).await;
    assert_eq!(level.unwrap().as_deref(), Some("FULL"));
    let latest = context.registry.latest(&product.urn.value_subject()).await;
    let latest = latest.unwrap().unwrap();

    let announced = announcements(&context, &product).await;
    let [announced] = announced.as_slice() else {
        panic!("{announced:?}");
    };
    assert_eq!(announced, &applied[0].announcement);
    assert_eq!(announced.value_schema.id, latest.id.as_i32());
    assert_eq!(announced.value_schema.schema, latest.schema);
    assert_eq!(announced.announced_at.as_millis(), 1_357_016_400_000);
    assert_eq!(announced.contract, product.contract);
    // The contract's is apply's own; the schema's comes from the registry, once the record is there.
    let first = told(&context, &product, 2).await;
    let mut kinds: Vec<&str> = first.iter().map(kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["contract", "schema"]);
    // The registry does not know who asks, and takes apply's word for it.
    assert!(first.iter().all(|c| c.who == "ann@test"), "{first:?}");

    clock.set(1_357_020_000_000);
    let plan = plan_products(&context.kafka, &context.registry, &products)
        .await
        .unwrap();
    assert!(plan.is_empty(), "{plan}");
    let again = apply_products(&context, &products, |_| {}).await.unwrap();
    assert!(again.iter().all(|a| a.steps.is_empty()));
    assert_eq!(again[0].announcement, applied[0].announcement);
    assert_eq!(announcements(&context, &product).await.len(), 1);
    assert_eq!(changes(&context, &product).await.len(), 2);
}

/// The changes once there are as many.
async fn told(context: &ApplyContext, product: &Product, count: usize) -> Vec<ProductChange> {
    wait_for("the changes", || async {
        let told = changes(context, product).await;
        (told.len() >= count).then_some(told)
    })
    .await
}

fn kind(change: &ProductChange) -> &'static str {
    match change.change {
        Change::ContractChange(_) => "contract",
        Change::SchemaChange(_) => "schema",
        Change::StatusChange(_) => "status",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_alters_what_is_there_and_is_announced_anew() {
    let clock = clock();
    let context = context(&clock).await;
    let mut sample = Sample::new();
    let old = sample.product();
    apply_products(&context, std::slice::from_ref(&old), |_| {})
        .await
        .unwrap();

    clock.set(1_357_020_000_000);
    sample.retention_days = 30;
    sample.schema = SCHEMA.replace(
        "\n]}",
        ",\n  {\"name\": \"note\", \"type\": [\"null\", \"string\"], \"default\": null}\n]}",
    );
    let contract_line = "  - {name: note, logicalType: string, required: false}\n";
    let sample = sample
        .with("partitions", "2")
        .with("enforcement", "quarantine");
    // The column is declared by hand, since the sample's contract has two.
    let new = {
        let product = Product {
            value_schema: sample.schema.clone(),
            ..Sample {
                schema: SCHEMA.to_owned(),
                ..sample
            }
            .product()
        };
        let contract = product
            .contract
            .replace("slaProperties:", &format!("{contract_line}slaProperties:"));
        Product {
            contract_digest: meshwork_model::contract::digest(&contract),
            contract,
            ..product
        }
    };
    let plan = plan_products(
        &context.kafka,
        &context.registry,
        std::slice::from_ref(&new),
    )
    .await
    .unwrap();
    let text = plan.to_string();
    for line in [
        "~ topic",
        "partitions 1 → 2",
        "~ retention.ms: 604800000 (7 days) → 2592000000 (30 days)",
        "+ topic",
        "+ field note: null | string (default null)",
        "~ enforcement: reject → quarantine",
        "1 to change",
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }

    let applied = apply_products(&context, std::slice::from_ref(&new), |_| {})
        .await
        .unwrap();
    let announcement = &applied[0].announcement;
    assert_eq!(announcement.announced_at.as_millis(), 1_357_016_400_000);
    assert_eq!(announcement.changed_at.as_millis(), 1_357_020_000_000);
    assert_eq!(announcement.partitions, 2);
    let versions = context.registry.versions(&new.urn.value_subject()).await;
    assert_eq!(versions.unwrap(), [1, 2]);
    let all = told(&context, &new, 4).await;
    let ids: std::collections::BTreeSet<&str> = all.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), 4, "{all:?}");
    let schemas = all.iter().filter_map(|c| match &c.change {
        Change::SchemaChange(schema) => Some(schema),
        _ => None,
    });
    let schema = schemas.max_by_key(|schema| schema.to_version).unwrap();
    assert_eq!((schema.from_version, schema.to_version), (Some(1), 2));
    assert_eq!(
        schema.in_words,
        ["+ field note: null | string (default null)"]
    );
    let plan = plan_products(&context.kafka, &context.registry, &[new]).await;
    assert!(plan.unwrap().is_empty());
}

/// Dropped after each of its steps, as if killed there, an apply is done by the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_was_killed_anywhere_is_simply_done_again() {
    let clock = clock();
    let context = context(&clock).await;
    let steps = 5;
    for kill_after in 0..=steps {
        let product = Sample::new().with("enforcement", "quarantine").product();
        let products = std::slice::from_ref(&product);
        let (tell, told) = tokio::sync::oneshot::channel();
        let mut tell = Some(tell);
        let mut done = 0;
        let apply = apply_products(&context, products, |progress| {
            if matches!(progress, Progress::Done { .. }) {
                done += 1;
                if done == kill_after
                    && let Some(tell) = tell.take()
                {
                    let _ = tell.send(());
                }
            }
        });
        tokio::select! {
            biased;
            () = async { if kill_after == 0 { } else { let _ = told.await; } } => {}
            result = apply => { result.unwrap(); }
        }
        let applied = apply_products(&context, products, |_| {}).await.unwrap();
        let announced = announcements(&context, &product).await;
        assert_eq!(announced.len(), 1, "after {kill_after}");
        assert_eq!(announced[0], applied[0].announcement);
        let plan = plan_products(&context.kafka, &context.registry, products)
            .await
            .unwrap();
        assert!(plan.is_empty(), "after {kill_after}: {plan}");
        assert_eq!(
            context
                .registry
                .versions(&product.urn.value_subject())
                .await
                .unwrap(),
            [1]
        );
    }
}

/// Of several at once each is done or shut out, and the product is announced once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_applies_at_once_one_announces() {
    let clock = clock();
    let context = context(&clock).await;
    let product = Sample::new().product();
    let products = [product.clone()];
    let results = tokio::join!(
        apply_products(&context, &products, |_| {}),
        apply_products(&context, &products, |_| {}),
        apply_products(&context, &products, |_| {}),
    );
    let results = [results.0, results.1, results.2];
    for result in &results {
        match result {
            Ok(_) | Err(ApplyError::Fenced { .. } | ApplyError::TopicAppeared { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    apply_products(&context, &products, |_| {}).await.unwrap();
    assert_eq!(announcements(&context, &product).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_lose_data_is_refused_and_nothing_is_done() {
    let clock = clock();
    let context = context(&clock).await;
    let sample = Sample::new().with("partitions", "2");
    let old = sample.product();
    apply_products(&context, std::slice::from_ref(&old), |_| {})
        .await
        .unwrap();
    let fine = Sample::new().product();
    let narrower = Product {
        partitions: 1,
        retention_ms: Some(60_000),
        ..old.clone()
    };
    let breaking = Product {
        value_schema: SCHEMA.replace("\"id\"", "\"order_id\""),
        ..old.clone()
    };
    let compacting = Product {
        compacted: true,
        ..old.clone()
    };
    for (bad, words) in [
        (narrower, "fewer (1) would lose the records"),
        (breaking, "breaks BACKWARD with version 1"),
        (compacting, "all but the latest record of each key"),
    ] {
        let error = apply_products(&context, &[fine.clone(), bad], |_| {})
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ApplyError::Refused(_)), "{text}");
        assert!(text.contains(words) && text.contains(".v2"), "{text}");
    }
    let admin = Admin::new(&context.kafka).unwrap();
    assert!(admin.topic(&fine.topic()).await.unwrap().is_none());
    let configs = admin.topic_configs(&old.topic()).await.unwrap();
    assert_eq!(configs["retention.ms"].value.as_deref(), Some("604800000"));
    let versions = context.registry.versions(&old.urn.value_subject()).await;
    assert_eq!(versions.unwrap(), [1]);
}

/// A topic that somebody else made with other settings is shown and altered, or refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_other_settings_is_shown() {
    let clock = clock();
    let context = context(&clock).await;
    let product = Sample::new().with("partitions", "2").product();
    let admin = Admin::new(&context.kafka).unwrap();
    let topic = NewTopic::new(product.topic(), 1)
        .with("retention.ms", "1000")
        .with("max.message.bytes", "2000000");
    admin.create_topic(&topic).await.unwrap();
    let plan = plan_products(
        &context.kafka,
        &context.registry,
        std::slice::from_ref(&product),
    )
    .await
    .unwrap();
    let text = plan.to_string();
    assert!(text.contains("partitions 1 → 2"), "{text}");
    assert!(
        text.contains("retention.ms: 1000 (1 s) → 604800000 (7 days)"),
        "{text}"
    );
    let applied = apply_products(&context, std::slice::from_ref(&product), |_| {})
        .await
        .unwrap();
    assert!(
        applied[0]
            .steps
            .iter()
            .any(|s| matches!(s, Step::SetConfigs { .. }))
    );
    // What the contract says nothing of stays.
    let configs = admin.topic_configs(&product.topic()).await.unwrap();
    assert_eq!(
        configs["max.message.bytes"].value.as_deref(),
        Some("2000000")
    );

    let compacted = Sample::new().product();
    let topic = NewTopic::new(compacted.topic(), 1).with("cleanup.policy", "compact");
    admin.create_topic(&topic).await.unwrap();
    let error = apply_products(&context, &[compacted], |_| {})
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("has cleanup.policy=compact"),
        "{error}"
    );
    let snapshot = read_catalog(&context.kafka, &context.registry)
        .await
        .unwrap();
    assert!(snapshot.products.iter().any(|p| p.urn == product.urn));
}
