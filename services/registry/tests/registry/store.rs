//! The store lost, damaged, of another log, on a full disk, killed while it is filled: what is
//! answered is always what the log says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::{KafkaConfig, NewTopic};
use meshwork_model::units::HumanDuration;
use meshwork_registry::Config;
use meshwork_state::{Opened, Store, StoreOptions};
use meshwork_testkit::{unique, wait_for, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Registry, cluster, record};
use crate::restart::{everything, records_read};

/// Version of keys and values of the store's rows.
const FORMAT: u32 = 4;

/// Something of everything.
async fn filled() -> Registry {
    let registry = Registry::start().await;
    for n in 0..20 {
        let text = record(&format!("R{n}"), r#"{"name":"a","type":"int"}"#);
        registry.register(&format!("s{}", n % 7), &text).await;
        if n == 0 {
            registry
                .ok("PUT", "/config", Some(json!({ "compatibility": "NONE" })))
                .await;
        }
    }
    registry.register("gone", "\"int\"").await;
    registry.ok("DELETE", "/subjects/gone", None).await;
    registry
        .ok("DELETE", "/subjects/gone?permanent=true", None)
        .await;
    registry.ok("DELETE", "/subjects/s1", None).await;
    registry
}

async fn again(registry: Registry) -> Registry {
    let (dir, config) = stopped(registry).await;
    Registry::in_dir(config, cluster().await.config(), dir).await
}

async fn stopped(registry: Registry) -> (Arc<TempDir>, Config) {
    let told = (Arc::clone(&registry.dir), registry.config.clone());
    registry.stop().await;
    told
}

/// Stores that were set aside.
fn set_aside(dir: &Path) -> usize {
    std::fs::read_dir(dir)
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("registry.corrupt-")
        })
        .count()
}

/// Files of the store whose name ends so.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    std::fs::read_dir(dir.join("registry"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect()
}

/// Changes a byte in the middle of a file's data.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 4;
    bytes[at] ^= 0xFF;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_damaged_or_of_another_topic_it_is_filled_anew() {
    let registry = filled().await;
    let before = everything(&registry).await;
    let read = records_read(&registry);

    // Lost.
    let (dir, config) = stopped(registry).await;
    std::fs::remove_dir_all(dir.path().join("registry")).unwrap();
    let kafka = cluster().await.config();
    let registry = Registry::in_dir(config, kafka.clone(), dir).await;
    assert_eq!(everything(&registry).await, before);
    assert_eq!(records_read(&registry), read);

    // Unreadable as a whole.
    let (dir, config) = stopped(registry).await;
    std::fs::write(dir.path().join("registry/CURRENT"), "nonsense\n").unwrap();
    let registry = Registry::in_dir(config, kafka.clone(), dir).await;
    assert_eq!(everything(&registry).await, before);
    assert_eq!(set_aside(registry.dir.path()), 1);

    // Opened once more, so that what was in the write-ahead log is in files; then a block is damaged
    // that nobody reads at the start.
    let registry = again(registry).await;
    let (dir, config) = stopped(registry).await;
    let tables = files(dir.path(), ".sst");
    let rows = tables
        .iter()
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    damage(rows);
    let registry = Registry::in_dir(config, kafka.clone(), dir).await;
    let seen = wait_for("the damage to be found and mended", || async {
        // 50001 where the block is read, 503 while the store is filled.
        let (status, _) = registry.call("GET", "/subjects?deleted=true", None).await;
        let (by_id, _) = registry.call("GET", "/schemas/ids/3", None).await;
        let mended = set_aside(registry.dir.path()) == 2 && status == 200 && by_id == 200;
        mended.then_some(())
    });
    seen.await;
    assert_eq!(everything(&registry).await, before);

    // Of another topic.
    let (dir, config) = stopped(registry).await;
    let other = Config {
        topic: unique("schemas"),
        ..config.clone()
    };
    let registry = Registry::in_dir(other, kafka.clone(), dir).await;
    assert_eq!(registry.ok("GET", "/subjects", None).await, json!([]));
    assert_eq!(registry.register("s", "\"long\"").await, 1);

    // An offset that the log does not reach to: it was truncated.
    let (dir, _) = stopped(registry).await;
    let registry = Registry::in_dir(config, kafka.clone(), dir).await;
    let (dir, config) = stopped(registry).await;
    let opened = set_offset(
        &dir.path().join("registry"),
        &config.topic,
        1_000_000,
        FORMAT,
    );
    assert_eq!(opened, Opened::Existing);
    let registry = Registry::in_dir(config, kafka, dir).await;
    assert_eq!(everything(&registry).await, before);
    // No more are kept than that.
    assert_eq!(set_aside(registry.dir.path()), 2);

    // Of the format before, whose rows mean something else; it says that it is far along.
    let (dir, config) = stopped(registry).await;
    let path = dir.path().join("registry");
    std::fs::remove_dir_all(&path).unwrap();
    let opened = set_offset(&path, &config.topic, 5, FORMAT - 1);
    assert_eq!(opened, Opened::Created);
    let registry = Registry::in_dir(config, cluster().await.config(), dir).await;
    assert_eq!(everything(&registry).await, before);
    assert_eq!(registry.register("new", "\"long\"").await, 22);
    registry.stop().await;
}

/// Of the store that is there, or of a new one.
fn set_offset(dir: &Path, topic: &str, next: i64, format: u32) -> Opened {
    let options = StoreOptions::new("registry", format, &["rows", "about"]);
    let (store, opened) = Store::open(dir, &options).unwrap();
    let mut batch = store.write();
    batch.set_offset(topic, 0, next);
    store.commit(batch).unwrap();
    opened
}

/// A topic that was deleted and made again under its name is another log, however long it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_another_log() {
    let registry = filled().await;
    let (dir, config) = stopped(registry).await;
    let kafka = cluster().await;
    kafka.admin().delete_topic(&config.topic).await.unwrap();
    let topic = NewTopic::new(config.topic.clone(), 1).with("cleanup.policy", "compact");
    wait_until("the topic's name to be free", || async {
        let created = kafka.admin().create_topic(&topic).await;
        matches!(created, Ok(meshwork_kafka::Creation::Created))
    })
    .await;
    let records: Vec<_> = (1..=60).map(schema).collect();
    kafka.produce(&config.topic, &records).await;
    let registry = Registry::in_dir(config, kafka.config(), dir).await;
    let subjects = registry.ok("GET", "/subjects", None).await;
    assert_eq!(subjects.as_array().unwrap().len(), 60);
    assert_eq!(registry.register("new", "\"long\"").await, 61);
    registry.stop().await;
}

/// A record of another registry.
fn schema(n: i32) -> (String, String) {
    let text = record(&format!("R{n}"), "").replace('"', "\\\"");
    (
        format!(r#"{{"keytype":"SCHEMA","subject":"log{n:06}","version":1,"magic":1}}"#),
        format!(
            r#"{{"subject":"log{n:06}","version":1,"id":{n},"schema":"{text}","deleted":false}}"#
        ),
    )
}

const CHILD: &str = "MESHWORK_REGISTRY_CHILD";

/// Not a test by itself: what the next one starts and kills.
#[test]
fn child_that_follows() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let told: Vec<&str> = told.split('|').collect();
    let [bootstrap, topic, dir] = told[..] else {
        panic!("{told:?}");
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let context = meshwork_registry::Context {
            kafka: KafkaConfig::new(bootstrap),
            data_dir: Path::new(dir).join("registry"),
            readiness: meshwork_telemetry::Readiness::new(),
            metrics: meshwork_telemetry::Metrics::new(),
        };
        let config = Config {
            topic: topic.to_owned(),
            ..Config::default()
        };
        let (service, handle) = meshwork_registry::Service::new(config, context, listener);
        let telling = async {
            loop {
                println!("applied {} {}", handle.applied(), handle.is_ready());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            ended = service.run(tokio_util::sync::CancellationToken::new()) => ended.unwrap(),
            () = telling => {}
            // Ended by the parent; should that die, nobody needs this any more.
            () = tokio::time::sleep(Duration::from_secs(300)) => {}
        }
    });
}

fn child(topic: &str, dir: &Path, kafka: &KafkaConfig) -> Child {
    let told = format!("{}|{topic}|{}", kafka.bootstrap_servers, dir.display());
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::child_that_follows", "--nocapture"])
        .env(CHILD, told)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads what the child tells until it has applied so much, then SIGKILL.
fn killed_at(mut child: Child, offset: i64) -> i64 {
    use std::io::BufRead as _;
    let told = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut at = -1;
    for line in told.lines() {
        let line = line.unwrap();
        let Some((next, _)) = line
            .strip_prefix("applied ")
            .and_then(|told| told.split_once(' '))
        else {
            continue;
        };
        at = next.parse().unwrap();
        if at >= offset {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    at
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_catches_up_it_goes_on_and_is_as_if_it_had_not_been() {
    const RECORDS: i32 = 30_000;
    let topic = unique("schemas");
    let kafka = cluster().await;
    kafka
        .create_topic(&NewTopic::new(topic.clone(), 1).with("cleanup.policy", "compact"))
        .await;
    let records: Vec<_> = (1..=RECORDS).map(schema).collect();
    kafka.produce(&topic, &records).await;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut last = 0;
    for share in [1, 4, 9] {
        let (topic, dir, config) = (topic.clone(), Arc::clone(&dir), kafka.config());
        let offset = i64::from(RECORDS) / 10 * share;
        let at = tokio::task::spawn_blocking(move || {
            killed_at(child(&topic, dir.path(), &config), offset)
        })
        .await
        .unwrap();
        assert!(at >= last, "went back from {last} to {at}");
        last = at;
    }
    let config = Config {
        topic: topic.clone(),
        ..Config::default()
    };
    let killed = Registry::in_dir(config.clone(), kafka.config(), dir).await;
    let read = records_read(&killed);
    assert!(
        read <= u64::try_from(i64::from(RECORDS) - last).unwrap(),
        "what was applied before is not applied again: {read}"
    );
    let fresh = Registry::with_kafka(config, kafka.config()).await;
    assert_eq!(records_read(&fresh), u64::try_from(RECORDS).unwrap());
    for path in ["/subjects", "/schemas?limit=1000&offset=29500", "/contexts"] {
        assert_eq!(
            killed.ok("GET", path, None).await,
            fresh.ok("GET", path, None).await
        );
    }
    for id in [1, 2_999, 3_000, 3_001, 12_000, 27_000, 27_001, 30_000] {
        let path = format!("/schemas/ids/{id}");
        assert_eq!(
            killed.ok("GET", &path, None).await,
            fresh.ok("GET", &path, None).await
        );
    }
    assert_eq!(set_aside(killed.dir.path()), 0);
    fresh.stop().await;
    killed.stop().await;
}

/// An id that was hard-deleted and whose records compaction has removed is not given again, not
/// even by a registry that has nothing but the log.
#[tokio::test(flavor = "multi_thread")]
async fn the_greatest_id_outlives_compaction_and_the_store() {
    let topic = unique("schemas");
    let kafka = cluster().await;
    let new = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "50"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("min.compaction.lag.ms", "0"),
        ("max.compaction.lag.ms", "100"),
        ("delete.retention.ms", "0"),
    ]
    .into_iter()
    .fold(NewTopic::new(topic.clone(), 1), |new, (key, value)| {
        new.with(key, value)
    });
    kafka.create_topic(&new).await;
    let registry = Registry::on(&topic).await;
    registry.register("kept", "\"string\"").await;
    assert_eq!(registry.register("newest", "\"int\"").await, 2);
    assert_eq!(registry.register(":.ctx:newest", "\"int\"").await, 1);
    for subject in ["newest", ":.ctx:newest"] {
        for query in ["", "?permanent=true"] {
            registry
                .ok("DELETE", &format!("/subjects/{subject}{query}"), None)
                .await;
        }
    }
    // Known as long as this store is.
    assert_eq!(registry.register("again", "\"int\"").await, 2);
    for query in ["", "?permanent=true"] {
        registry
            .ok("DELETE", &format!("/subjects/again{query}"), None)
            .await;
    }
    // Segments are closed by what is written behind them; then the cleaner comes round.
    let mut levels = ["FULL", "BACKWARD"].into_iter().cycle();
    wait_until("compaction", || {
        let change = json!({ "compatibility": levels.next() });
        let (topic, registry) = (topic.clone(), &registry);
        async move {
            registry.ok("PUT", "/config/kept", Some(change)).await;
            let log = crate::harness::log_of(&topic).await;
            // Nothing that names these ids; tombstones may take another round.
            !log.iter().any(|(key, value)| {
                key.contains("SCHEMA")
                    && (key.contains("newest") || key.contains("again"))
                    && value.is_some()
            })
        }
    })
    .await;
    registry.stop().await;

    let registry = Registry::on(&topic).await;
    assert_eq!(
        registry.ok("GET", "/subjects?deleted=true", None).await,
        json!(["kept"])
    );
    assert_eq!(registry.call("GET", "/schemas/ids/2", None).await.0, 404);
    assert_eq!(registry.register("next", "\"long\"").await, 3);
    assert_eq!(registry.register(":.ctx:next", "\"long\"").await, 2);
    registry.stop().await;
}

/// A file system of a fixed size, in memory; none where this process may not mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn is_degraded(registry: &Registry) -> bool {
    let metrics = registry.metrics.encode().unwrap();
    metrics
        .lines()
        .any(|line| line == "meshwork_registry_store_degraded 1")
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_reads_go_on_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::new("24m") else {
        eprintln!("not tried: mounting a small file system needs root");
        return;
    };
    let kafka = cluster().await;
    let config = Config {
        topic: unique("schemas"),
        write_timeout: HumanDuration::from_secs(10),
        ..Config::default()
    };
    // The harness keeps stores in temporary directories: one on the small disk.
    let dir = Arc::new(TempDir::new_in(disk.0.path()).unwrap());
    let registry = Registry::in_dir(config, kafka.config(), dir).await;
    assert_eq!(registry.register("first", "\"string\"").await, 1);
    let ballast = disk.0.path().join("ballast");
    fill(&ballast);
    // Written to the log all the same; only not answered with an id before it is read back.
    let text = record(&format!("R{}", "x".repeat(400_000)), "");
    let body = json!({ "schema": text });
    let (status, answer) = registry
        .call("POST", "/subjects/large/versions", Some(body.clone()))
        .await;
    assert_eq!(status, 500, "{answer}");
    wait_until("it to say so", || async { is_degraded(&registry) }).await;
    for path in ["/subjects", "/schemas/ids/1", "/subjects/first/versions/1"] {
        registry.ok("GET", path, None).await;
    }
    std::fs::remove_file(ballast).unwrap();
    wait_until("it to go on", || async { !is_degraded(&registry) }).await;
    let answer: Value = wait_for("the retry", || async {
        let (status, answer) = registry
            .call("POST", "/subjects/large/versions", Some(body.clone()))
            .await;
        (status == 200).then_some(answer)
    })
    .await;
    assert_eq!(
        (&answer["id"], &answer["version"]),
        (&json!(2), &json!(1)),
        "{answer}"
    );
    let before = everything(&registry).await;
    let registry = again(registry).await;
    assert_eq!(everything(&registry).await, before);
    registry.stop().await;
    drop(disk);
}

/// Leaves no byte.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1 << 8, 1] {
        let bytes = vec![0; size];
        while file.write_all(&bytes).is_ok() {}
    }
}
