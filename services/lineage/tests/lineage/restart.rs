//! What is counted stays counted: killed at any moment, with its store lost, or corrupt.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use meshwork_kafka::KafkaConfig;
use meshwork_lineage::answer::LineageAnswer;
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use meshwork_testkit::{kafka, registry_url, wait_until};

use crate::mesh::{Lineage, Mesh, NOON, product};

const CHILD: &str = "MESHWORK_TEST_LINEAGE_CHILD";

/// Not a test of its own: the process that [`killed_at_any_moment_it_counts_each_offset_once`]
/// kills. Runs the role until it is.
#[test]
fn child_that_runs_lineage() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let [bootstrap, registry, dir] = told.splitn(3, '|').collect::<Vec<_>>()[..] else {
        panic!("{CHILD}={told}");
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let registry = RegistryClient::new(&RegistryClientConfig::new(registry)).unwrap();
        let _lineage = Lineage::start_on(KafkaConfig::new(bootstrap), registry, dir.into());
        // Ended by the parent; should that die, nobody needs this any more.
        tokio::time::sleep(Duration::from_secs(300)).await;
    });
}

fn child(dir: &std::path::Path) -> Child {
    let told = format!(
        "{}|{}|{}",
        kafka().bootstrap_servers(),
        registry_url(),
        dir.display()
    );
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restart::child_that_runs_lineage", "--nocapture"])
        .env(CHILD, told)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The answer without what changes with the time it is asked at.
fn timeless(mut answer: LineageAnswer) -> LineageAnswer {
    answer.as_of = meshwork_lineage::answer::LineageAsOf::default();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_counts_each_offset_once() {
    let mesh = Mesh::new().await;
    let (source, made) = (product("source"), product("made"));
    let name = format!("{}:v1", made.name());
    let dir = tempfile::tempdir().unwrap();
    mesh.announce(&made, &[source.to_string()], NOON).await;

    let mut next = 0;
    let mut feed = async |mesh: &Mesh, observations: i64| {
        for _ in 0..observations {
            mesh.observe(&source, "ops", next, next + 7).await;
            // Every other one is told twice.
            if next % 2 == 0 {
                mesh.observe(&source, "ops", next, next + 7).await;
            }
            next += 7;
        }
        next
    };
    for round in 1..=4 {
        let mut child = child(dir.path());
        feed(&mesh, 20 * round).await;
        // SIGKILL, wherever it is.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let total = feed(&mesh, 5).await;

    let lineage = Lineage::start(dir.path()).await;
    let up = settled(&lineage, &name, total).await;
    lineage.stop().await;

    // Another instance, which never saw an observation counted, builds the same from the log.
    let other = tempfile::tempdir().unwrap();
    let lineage = Lineage::start(other.path()).await;
    assert_eq!(settled(&lineage, &name, total).await, up);
    lineage.stop().await;

    // A corrupt store is set aside and built anew.
    std::fs::write(dir.path().join("CURRENT"), b"MANIFEST-nonsense\n").unwrap();
    let lineage = Lineage::start(dir.path()).await;
    assert_eq!(settled(&lineage, &name, total).await, up);
    let beside: Vec<String> = std::fs::read_dir(dir.path().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| {
            let own = dir.path().file_name().unwrap().to_string_lossy();
            name.starts_with(&*own) && *name != own
        })
        .collect();
    assert_eq!(beside.len(), 1, "set aside once: {beside:?}");
    lineage.stop().await;
    for name in beside {
        std::fs::remove_dir_all(dir.path().parent().unwrap().join(name)).unwrap();
    }
}

/// Waits until all is counted, and gives the answer.
async fn settled(lineage: &Lineage, name: &str, total: i64) -> LineageAnswer {
    wait_until("all offsets to be counted once", || {
        let up = lineage.handle.up(name, 5);
        async move {
            let counted = up
                .unwrap()
                .edges
                .iter()
                .find(|edge| edge.from.name == "producer:ops")
                .and_then(|edge| edge.records);
            assert!(counted.unwrap_or(0) <= total, "{counted:?} of {total}");
            counted == Some(total)
        }
    })
    .await;
    timeless(lineage.handle.up(name, 5).unwrap())
}
