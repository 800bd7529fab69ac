//! What the clients are run against: Kafka, and Meshwork's registry and gateway as processes, with
//! the products of `schemas/flights` and one of each mode of enforcement.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use meshwork_kafka::{Assigned, From, InRecord, LogReader, ReaderOptions};
use meshwork_testkit::{Cluster, DEADLINE, kafka, wait_for};
use meshwork_tests::meshwork;
use meshwork_tests::registry::spawn;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Modes of enforcement, each a product `matrix.<mode>` that is tagged otherwise; and its partitions:
/// each client's run has its own.
const MODES: [(&str, &str, usize); 4] = [
    ("off", "off", 14),
    ("reject", "record", 42),
    ("quarantine", "off", 42),
    ("mark", "batch", 1),
];

/// A process of the binary; killed when dropped, and with the test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    dir: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// `meshwork run --role ROLES …`, once it is ready.
    pub(crate) async fn start(dir: &Path, kafka: &str, roles: &str, more: &[&str]) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let addresses = dir.join("addresses.json");
        let _ = std::fs::remove_file(&addresses);
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.join("log"))
            .unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(meshwork().unwrap())
            .args(["run", "--role", roles, "--bootstrap-server", kafka])
            .args(["--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--log-level", "info,meshwork_gateway::requests=debug"])
            .arg("--data-dir")
            .arg(dir.join("data"))
            .arg("--addresses-file")
            .arg(&addresses)
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = Self {
            child: spawn(command).unwrap(),
            dir: dir.to_owned(),
        };
        wait_for(&format!("{roles} to be ready"), || async {
            let admin = process.known("admin")?;
            let answer = reqwest::get(format!("{admin}/ready")).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        process
    }

    fn known(&self, name: &str) -> Option<String> {
        let file = File::open(self.dir.join("addresses.json")).ok()?;
        let all: Value = serde_json::from_reader(file).ok()?;
        Some(all.get(name)?.as_str()?.to_owned())
    }

    /// One of the addresses that it has bound.
    pub(crate) fn address(&self, name: &str) -> String {
        self.known(name).expect(name)
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap()
    }

    /// Its metrics.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.address("admin"));
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) kafka: &'static Cluster,
    pub(crate) meshwork: Process,
    pub(crate) dir: TempDir,
}

/// The one that all tests share.
pub(crate) async fn mesh() -> &'static Mesh {
    static SHARED: OnceCell<Mesh> = OnceCell::const_new();
    SHARED.get_or_init(start).await
}

async fn start() -> Mesh {
    let kafka = tokio::task::spawn_blocking(kafka).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let listen = [
        "--registry-listen",
        "127.0.0.1:0",
        "--gateway-listen",
        "127.0.0.1:0",
    ];
    let servers = kafka.bootstrap_servers();
    let process = Process::start(
        &dir.path().join("mesh"),
        &servers,
        "registry,gateway",
        &listen,
    )
    .await;
    let mesh = Mesh {
        kafka,
        meshwork: process,
        dir,
    };
    let modes = mesh.dir.path().join("modes");
    for (mode, tag, partitions) in MODES {
        contract(&modes, mode, (mode, tag), partitions);
    }
    mesh.apply(&[
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/flights")),
        &modes,
    ])
    .await;
    for (mode, ..) in MODES {
        mesh.followed(&mesh.meshwork, &topic(mode)).await;
    }
    mesh
}

/// Topic of the product `matrix.<name>`.
pub(crate) fn topic(name: &str) -> String {
    format!("matrix.{name}.v1")
}

/// Writes the contract and schema of `matrix.<name>`.
pub(crate) fn contract(dir: &Path, name: &str, (mode, tag): (&str, &str), partitions: usize) {
    std::fs::create_dir_all(dir).unwrap();
    let mut text = format!(
        "apiVersion: v3.2.0\nkind: DataContract\nid: urn:meshwork:matrix:{name}\nname: {name}\n\
         version: 1.0.0\nstatus: active\ndomain: matrix\nschema:\n- name: {name}\n  \
         physicalName: matrix.{name}.v1\n  physicalType: topic\n  logicalType: object\n  properties:\n"
    );
    for (field, kind, key) in [
        ("id", "string", "primaryKey: true, primaryKeyPosition: 1, "),
        ("at", "timestamp", ""),
        ("pad", "string", ""),
    ] {
        let physical = kind.replace("timestamp", "timestamp-millis");
        writeln!(
            text,
            "  - {{name: {field}, logicalType: {kind}, physicalType: {physical}, {key}required: true}}"
        )
        .unwrap();
    }
    write!(
        text,
        "slaProperties:\n- {{id: latency, property: latency, value: 5, unit: min, element: {name}.at}}\n\
         - {{id: kept, property: retention, value: 25, unit: y}}\nteam:\n  name: tests\n  members:\n  - {{username: tests@example.com, role: owner}}\n\
         customProperties:\n\
         - {{property: enforcement, value: '{mode}', vendor: meshwork}}\n\
         - {{property: tag, value: '{tag}', vendor: meshwork}}\n\
         - {{property: partitions, value: {partitions}, vendor: meshwork}}\n"
    )
    .unwrap();
    std::fs::write(dir.join(format!("matrix.{name}.odcs.yaml")), text).unwrap();
    std::fs::write(dir.join(format!("matrix.{name}.avsc")), schema("")).unwrap();
}

/// The products' schema, with more fields.
pub(crate) fn schema(more: &str) -> String {
    let at = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    format!(
        r#"{{"type":"record","name":"Item","namespace":"matrix","fields":[{{"name":"id","type":"string"}},{{"name":"at","type":{at}}},{{"name":"pad","type":"string"}}{more}]}}"#
    )
}

impl Mesh {
    /// `meshwork product apply`.
    pub(crate) async fn apply(&self, paths: &[&Path]) {
        let output = tokio::process::Command::new(meshwork().unwrap())
            .args(["product", "apply", "--yes"])
            .args(paths)
            .args(["--bootstrap-server", &self.kafka.bootstrap_servers()])
            .args(["--registry-url", &self.meshwork.address("registry")])
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Waits until a gateway knows the product of a topic.
    pub(crate) async fn followed(&self, gateway: &Process, topic: &str) {
        let line = format!("\"topic\":\"{topic}\"");
        wait_for(&format!("{topic} to be followed"), || async {
            gateway
                .log()
                .lines()
                .any(|l| l.contains("product followed") && l.contains(&line))
                .then_some(())
        })
        .await;
    }

    /// What is committed in some partitions now: read directly, and nothing of what other clients are
    /// at meanwhile.
    pub(crate) async fn log(&self, topic: &str, partitions: &[i32]) -> Vec<InRecord> {
        let assigned = partitions.iter().map(|partition| Assigned {
            topic: topic.to_owned(),
            partition: *partition,
            from: From::Beginning,
        });
        let options = ReaderOptions::default();
        let mut reader =
            LogReader::start(&self.kafka.config(), assigned.collect(), options).unwrap();
        let until = Instant::now() + DEADLINE;
        let mut records = Vec::new();
        loop {
            let batch = reader.next(Duration::from_secs(1)).await.unwrap();
            records.extend(batch.records);
            if batch.caught_up {
                records.sort_by_key(|r| (r.partition, r.offset));
                return records;
            }
            assert!(
                Instant::now() < until,
                "{topic} {partitions:?}: {} records in a minute, at {:?}",
                records.len(),
                batch.positions
            );
        }
    }

    /// The id of a subject's latest schema.
    pub(crate) async fn schema_id(&self, topic: &str) -> u32 {
        let url = format!(
            "{}/subjects/{topic}-value/versions/latest",
            self.meshwork.address("registry")
        );
        let found: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        found["id"].as_u64().unwrap().try_into().unwrap()
    }
}

/// A value of the products' schema in Confluent's framing: one fits a batch of a kibibyte, two don't.
pub(crate) fn value(schema_id: u32, key: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(schema_id.to_be_bytes());
    text(&mut bytes, key);
    // Field `at`: 1970.
    bytes.push(0);
    text(&mut bytes, &"p".repeat(700));
    bytes
}

/// A string as Avro writes it: its length zigzag, seven bits a byte.
fn text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len() * 2;
    while length > 127 {
        bytes.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(text.as_bytes());
}
