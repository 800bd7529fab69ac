//! Refused attempts in `mesh.audit`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use meshwork_kafka::InRecord;
use meshwork_model::mesh::AuditEvent;
use meshwork_model::mesh::audit::{AuditAction, AuditOutcome, Authentication};
use meshwork_registry::{Config, Standing};
use meshwork_registry_client::MeshReader;
use meshwork_testkit::{Cluster, wait_for, wait_until};
use serde_json::json;

use super::{Pki, User, by_password, metric};
use crate::harness::{Registry, own_cluster, record};

const AUDIT: &str = "mesh.audit";

const UNAUDITED: &str = "meshwork_registry_refusals_unaudited_total";

/// `ann` may register what is hers, `root` may do everything, and what begins with `operations.` is
/// kept for `apply`.
fn config(pki: &Pki) -> Config {
    let mut config = by_password(pki);
    config.tls.as_mut().unwrap().instances_ca_file = Some(pki.ca_file());
    Config {
        topic: "_schemas".to_owned(),
        rules: serde_json::from_value(json!([
            {"principals": ["ann"], "subjects": "ann.", "allow": ["read", "write"]},
            {"principals": ["ann", "apply"], "subjects": "operations.", "allow": ["read", "write"]},
            {"principals": ["root"], "subjects": ":*:", "allow": ["read", "write", "delete", "configure"]},
        ]))
        .unwrap(),
        reserved: serde_json::from_value(json!([
            {"prefix": "operations.", "principals": ["apply"]},
        ]))
        .unwrap(),
        ..config
    }
}

/// An instance that has been elected already, however slow the machine is.
async fn writing(pki: &Pki, kafka: &Cluster) -> Registry {
    let registry = Registry::with_kafka(config(pki), kafka.config()).await;
    wait_until("the instance to write", || async {
        registry.handle.standing() == Standing::Writing
    })
    .await;
    registry
}

/// Records and events of refusals, in the log's order; the schema that they are read under is asked
/// for by `root`.
async fn refusals(pki: &Pki, registry: &Registry, kafka: &Cluster) -> Vec<(InRecord, AuditEvent)> {
    let reader = MeshReader::<AuditEvent>::new(super::our_client(pki, registry, "root"));
    let mut refusals = Vec::new();
    if kafka.admin().topic(AUDIT).await.unwrap().is_none() {
        return refusals;
    }
    for record in kafka.read_all(AUDIT).await {
        let value = record.value.as_deref().unwrap();
        let event = reader.decode(value).await.unwrap();
        if event.outcome != AuditOutcome::Done {
            refusals.push((record, event));
        }
    }
    refusals
}

async fn so_many(
    pki: &Pki,
    registry: &Registry,
    kafka: &Cluster,
    count: usize,
) -> Vec<(InRecord, AuditEvent)> {
    wait_for("refusals in mesh.audit", || async {
        let refusals = refusals(pki, registry, kafka).await;
        (refusals.len() >= count).then_some(refusals)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_refusal_is_told_once_whichever_instance_refuses() {
    let pki = Pki::new();
    let kafka = own_cluster().await;
    let registry = writing(&pki, &kafka).await;
    let other = Registry::with_kafka(config(&pki), kafka.config()).await;
    let [ann, root] = ["ann", "root"].map(|name| User::named(&pki, &registry, name));
    let body = || Some(json!({ "schema": record("R", "") }));

    // Before there is anything in the registry: told once it has been written to, and until then an
    // empty one stays empty.
    let nobody = User::nobody(&pki, &registry);
    assert_eq!(nobody.call("GET", "/subjects", None).await.0, 401);
    let wrong = User {
        name: Some(("ann".to_owned(), "guessed".to_owned())),
        ..nobody.clone()
    };
    let delete = "/subjects/ann.x?permanent=true";
    assert_eq!(wrong.call("DELETE", delete, None).await.0, 401);
    let reading = "/subjects/other/versions";
    ann.denied("GET", reading, None).await;
    assert_eq!(root.register("root.x", "\"string\"").await, 1);

    ann.denied("POST", "/subjects/other/versions", body()).await;
    let kept = "/subjects/operations.x/versions";
    assert_eq!(ann.call("POST", kept, body()).await.1["error_code"], 42_205);
    // By the other instance, which passes on what it does not refuse.
    let there = User::named(&pki, &other, "ann");
    there
        .denied(
            "PUT",
            "/config/ann.x",
            Some(json!({"compatibility": "NONE"})),
        )
        .await;
    there
        .denied("PUT", "/mode", Some(json!({"mode": "READONLY"})))
        .await;
    let reserved = there.call("POST", kept, body()).await;
    assert_eq!(reserved.1["error_code"], 42_205);
    // None of these is a refusal of access.
    assert_eq!(root.call("GET", "/none", None).await.0, 404);
    assert_eq!(root.call("GET", reading, None).await.0, 404);
    let unread = Some(json!({"schema": "no schema"}));
    assert_eq!(
        ann.call("POST", "/subjects/ann.x/versions", unread).await.0,
        422
    );
    ann.register("ann.x", "\"int\"").await;

    so_many(&pki, &registry, &kafka, 8).await;
    // What is still on its way is written when an instance ends.
    let last = "/schemas/ids/1";
    ann.denied("GET", last, None).await;
    let (first, second) = (host(&registry), host(&other));
    registry.stop().await;
    let refusals = refusals(&pki, &other, &kafka).await;
    let mut told: Vec<_> = refusals
        .iter()
        .map(|(_, event)| {
            (
                event.details["request"].as_str(),
                event.instance.as_str(),
                event.actor.as_str(),
                event.authenticated_by,
                event.action,
                event.subject.as_deref(),
                event.outcome,
                event.error_code.unwrap(),
            )
        })
        .collect();
    let (none, basic) = (Authentication::None, Authentication::Basic);
    let (first, second) = (first.as_str(), second.as_str());
    let delete = "DELETE /subjects/ann.x";
    let denied = AuditOutcome::Denied;
    let mut expected = vec![
        (
            "GET /subjects",
            first,
            "anonymous",
            none,
            AuditAction::Read,
            None,
            AuditOutcome::Unauthenticated,
            401,
        ),
        (
            delete,
            first,
            "anonymous",
            none,
            AuditAction::HardDelete,
            Some("ann.x"),
            AuditOutcome::Unauthenticated,
            401,
        ),
        (
            "GET /subjects/other/versions",
            first,
            "ann",
            basic,
            AuditAction::Read,
            Some("other"),
            denied,
            40_301,
        ),
        (
            "POST /subjects/other/versions",
            first,
            "ann",
            basic,
            AuditAction::Register,
            Some("other"),
            denied,
            40_301,
        ),
        (
            "POST /subjects/operations.x/versions",
            first,
            "ann",
            basic,
            AuditAction::Register,
            Some("operations.x"),
            AuditOutcome::Reserved,
            42_205,
        ),
        (
            "PUT /config/ann.x",
            second,
            "ann",
            basic,
            AuditAction::SetConfig,
            Some("ann.x"),
            denied,
            40_301,
        ),
        (
            "PUT /mode",
            second,
            "ann",
            basic,
            AuditAction::SetMode,
            None,
            denied,
            40_301,
        ),
        // What it passed on is refused by the one that writes.
        (
            "POST /subjects/operations.x/versions",
            first,
            "ann",
            basic,
            AuditAction::Register,
            Some("operations.x"),
            AuditOutcome::Reserved,
            42_205,
        ),
        (
            "GET /schemas/ids/1",
            first,
            "ann",
            basic,
            AuditAction::Read,
            None,
            denied,
            40_301,
        ),
    ];
    let key = |told: &(&str, &str, &str, _, _, _, _, _)| format!("{told:?}");
    told.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(told, expected);
    let mut whys = BTreeMap::new();
    for (record, event) in &refusals {
        assert_eq!(record.key.as_deref().unwrap(), event.actor.as_bytes());
        assert_eq!(record.timestamp, Some(event.at));
        assert_eq!(event.client.as_deref(), Some("127.0.0.1"));
        assert_eq!((event.suppressed, event.offset), (0, None));
        whys.insert(event.details["request"].as_str(), event);
    }
    let why = |request: &str| whys[request].details["why"].as_str();
    assert_eq!(why("GET /subjects"), "nothing shows who asks");
    assert_eq!(whys[delete].details["claimed"], "ann");
    assert!(why("PUT /config/ann.x").contains("Subject: ann.x"));
    assert!(why("POST /subjects/operations.x/versions").contains("`meshwork product apply`"));
    let text = format!("{refusals:?}");
    assert!(
        !text.contains("guessed") && !text.contains("ann's"),
        "{text}"
    );
    // Nothing is told twice, and nothing else.
    let mut ids: Vec<_> = refusals.iter().map(|(_, event)| &event.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), expected.len());
    assert_eq!(metric(&other, UNAUDITED), 0);
    other.stop().await;
}

/// Name of an instance, by default.
fn host(registry: &Registry) -> String {
    let url = &registry.url;
    format!("127.0.0.1:{}", url.rsplit_once(':').unwrap().1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_is_counted() {
    let pki = Pki::new();
    let kafka = own_cluster().await;
    let registry = writing(&pki, &kafka).await;
    let [ann, root] = ["ann", "root"].map(|name| User::named(&pki, &registry, name));
    root.register("root.x", "\"string\"").await;
    let mut attempts = 0;
    let flood: Vec<_> = (0..16)
        .map(|_| {
            let ann = ann.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    ann.denied("GET", "/subjects/root.x/versions", None).await;
                }
            })
        })
        .collect();
    for one in flood {
        one.await.unwrap();
        attempts += 100;
    }
    // All are accounted for: by an event of their own, or in the next one's count.
    let (attempts, before) = (AtomicI64::new(attempts), AtomicI64::new(-1));
    let told = wait_for("all refusals to be accounted for", || async {
        let refusals = refusals(&pki, &registry, &kafka).await;
        let told = refusals
            .iter()
            .map(|(_, event)| 1 + event.suppressed)
            .sum::<i64>();
        if told == attempts.load(Ordering::Relaxed) {
            return Some(refusals);
        }
        // Nothing is under way any more: the next attempt brings the count of those before.
        if before.swap(told, Ordering::Relaxed) == told {
            ann.denied("GET", "/subjects/root.x/versions", None).await;
            attempts.fetch_add(1, Ordering::Relaxed);
        }
        None
    })
    .await;
    assert!(told.len() < 400, "{} events", told.len());
    assert!(metric(&registry, UNAUDITED) > 1_000);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_holds_up_no_answer_and_loses_no_refusal() {
    let pki = Pki::new();
    let kafka = own_cluster().await;
    let registry = writing(&pki, &kafka).await;
    let [ann, root] = ["ann", "root"].map(|name| User::named(&pki, &registry, name));
    root.register("root.x", "\"string\"").await;
    ann.denied("GET", "/subjects/a/versions", None).await;
    so_many(&pki, &registry, &kafka, 1).await;

    kafka.dev().pause(1).unwrap();
    // Everybody who asks is refused or answered as ever, all of them before the broker is back.
    let nobody = User::nobody(&pki, &registry);
    for n in 0..4 {
        ann.denied("GET", &format!("/subjects/b{n}/versions"), None)
            .await;
        assert_eq!(nobody.call("GET", "/subjects", None).await.0, 401);
        root.ok("GET", "/subjects/root.x/versions", None).await;
    }
    kafka.dev().resume(1).unwrap();
    let refusals = so_many(&pki, &registry, &kafka, 9).await;
    assert_eq!(refusals.len(), 9);
    assert_eq!(metric(&registry, UNAUDITED), 0);

    // Nor does the end of the process wait for it without end.
    kafka.dev().pause(1).unwrap();
    ann.denied("GET", "/subjects/c/versions", None).await;
    tokio::time::timeout(super::DEADLINE, registry.stop())
        .await
        .unwrap();
    kafka.dev().resume(1).unwrap();
}
