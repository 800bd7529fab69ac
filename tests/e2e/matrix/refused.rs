//! A bad record in the middle with five requests in flight, and as the very first of a producer: what
//! each client is told of each record is what is in the log, and then it goes on as it does after the
//! broker's own INVALID_RECORD.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meshwork_kafka::{InRecord, NewTopic};
use serde_json::Value;

use crate::kcat;
use crate::mesh::{Mesh, mesh, topic, value};
use crate::programs::{CLIENTS, Client};

/// Records sent at once, and one by one after them.
pub(crate) const FIRST: usize = 5;
pub(crate) const AFTER: usize = 2;
/// Ways to produce.
const WAYS: [&str; 3] = ["plain", "idempotent", "transaction"];
/// Where the bad one is.
pub(crate) const BAD: [usize; 2] = [2, 0];

/// What becomes of a bad record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The gateway refuses its batch.
    Reject,
    /// It is acknowledged and goes elsewhere; in a transaction it is refused.
    Quarantine,
    /// The broker itself refuses its batch: a compacted topic takes no record without a key.
    Broker,
}

impl Mode {
    fn topic(self) -> String {
        match self {
            Self::Reject => topic("reject"),
            Self::Quarantine => topic("quarantine"),
            Self::Broker => "matrix-compacted".to_owned(),
        }
    }
}

impl Mode {
    /// Whether a bad record is acknowledged and taken out. In a transaction it is refused.
    fn takes(self, job: &Job) -> bool {
        self == Self::Quarantine && job.way != "transaction"
    }
}

/// A producer's run: how it sends, where the bad record is, and to which partition.
#[derive(Clone, Debug)]
struct Job {
    way: &'static str,
    bad: usize,
    partition: i32,
}

fn jobs(client: Client) -> Vec<Job> {
    // kcat has no transactions that end by choice.
    let ways = WAYS
        .into_iter()
        .filter(|way| client != Client::Kcat || *way != "transaction");
    let mut jobs = Vec::new();
    for way in ways {
        for bad in BAD {
            let partition = client.number() * WAYS.len() * BAD.len() + jobs.len();
            let partition = partition.try_into().unwrap();
            jobs.push(Job {
                way,
                bad,
                partition,
            });
        }
    }
    jobs
}

/// Key and value of a job's records: the first, then those after.
fn records(mode: Mode, bad: usize, id: u32) -> Vec<(Option<String>, Vec<u8>)> {
    (0..FIRST + AFTER)
        .map(|i| {
            let key = format!("k{i}");
            let mut value = value(id, &key);
            match mode {
                Mode::Broker if i == bad => return (None, value),
                // The last letter is missing.
                Mode::Reject | Mode::Quarantine if i == bad => value.truncate(value.len() - 1),
                _ => {}
            }
            (Some(key), value)
        })
        .collect()
}

pub(crate) fn words(records: &[(Option<String>, Vec<u8>)]) -> String {
    let words: Vec<String> = records
        .iter()
        .map(|(key, value)| {
            let key = key.as_deref().unwrap_or("-");
            format!("{key}:{}", STANDARD.encode(value))
        })
        .collect();
    words.join(",")
}

/// What a producer was told, by record; and how its transactions ended.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) records: BTreeMap<usize, Result<i64, String>>,
    ends: Vec<String>,
}

impl Told {
    pub(crate) fn take(&mut self, line: &Value) {
        if let Some(end) = line["end"].as_str() {
            self.ends.push(end.to_owned());
            return;
        }
        let i = usize::try_from(line["i"].as_u64().unwrap()).unwrap();
        let told = if line["ok"] == true {
            Ok(line["offset"].as_i64().unwrap())
        } else {
            Err(format!("{} {}", line["error"], line["why"]))
        };
        assert!(self.records.insert(i, told).is_none(), "told twice: {line}");
    }

    /// Which of the records sent after the failure were taken.
    fn goes_on(&self) -> Vec<bool> {
        (FIRST..FIRST + AFTER)
            .map(|i| self.records[&i].is_ok())
            .collect()
    }
}

async fn run(mode: Mode, client: Client, bootstrap: &str, id: u32) -> Vec<(Job, Told)> {
    let topic = mode.topic();
    let jobs = jobs(client);
    let mut all = Vec::new();
    if client == Client::Kcat {
        for job in jobs {
            let partition = job.partition.to_string();
            let place = (topic.as_str(), partition.as_str());
            let idempotence = format!("enable.idempotence={}", job.way == "idempotent");
            let settings = [
                idempotence.as_str(),
                "batch.num.messages=1",
                "linger.ms=0",
                "max.in.flight=5",
            ];
            let records = records(mode, job.bad, id);
            let (first, after) = records.split_at(FIRST);
            let mut told = Told::default();
            for line in kcat::produce(bootstrap, place, &settings, first).await {
                told.take(&line);
            }
            for mut line in kcat::produce(bootstrap, place, &settings, after).await {
                line["i"] = (line["i"].as_u64().unwrap() + FIRST as u64).into();
                told.take(&line);
            }
            all.push((job, told));
        }
        return all;
    }
    let listed: Vec<String> = jobs
        .iter()
        .map(|job| format!("{}/{topic}/{}/bad{}", job.way, job.partition, job.bad))
        .collect();
    let listed = listed.join(";");
    let bad2 = records(mode, 2, id);
    let (bad0, bad2, after) = (
        words(&records(mode, 0, id)[..FIRST]),
        words(&bad2[..FIRST]),
        words(&bad2[FIRST..]),
    );
    let arguments = [
        ("bootstrap", bootstrap),
        ("jobs", &listed),
        ("bad0", &bad0),
        ("bad2", &bad2),
        ("after", &after),
    ];
    let mut jobs = jobs.into_iter();
    for line in client.run("send", &arguments).await {
        if line.get("job").is_some() {
            all.push((jobs.next().unwrap(), Told::default()));
        } else {
            all.last_mut().unwrap().1.take(&line);
        }
    }
    assert_eq!(jobs.len(), 0, "not all was run");
    all
}

/// Holds what was told against what is in the log, and gives the log's order of records.
fn judge(mode: Mode, client: Client, job: &Job, told: &Told, log: &[InRecord], id: u32) {
    let who = format!("{} {mode:?} {job:?} {told:?}", client.name());
    let sent = records(mode, job.bad, id);
    assert_eq!(told.records.len(), sent.len(), "{who}: told of each");
    let there: Vec<(usize, i64)> = log
        .iter()
        .filter(|r| r.partition == job.partition)
        .map(|r| {
            let is = |(_, value): &(_, Vec<u8>)| r.value.as_deref() == Some(value);
            let i = sent
                .iter()
                .position(is)
                .unwrap_or_else(|| panic!("{who}: {r:?}"));
            (i, r.offset)
        })
        .collect();
    for (i, told_of_it) in &told.records {
        let found: Vec<i64> = there
            .iter()
            .filter(|(n, _)| n == i)
            .map(|(_, o)| *o)
            .collect();
        let end = told.ends.get(usize::from(*i >= FIRST));
        if end.is_some_and(|end| end == "aborted") {
            assert!(found.is_empty(), "{who}: {i} was aborted");
            continue;
        }
        match told_of_it {
            Ok(offset) if *i == job.bad && mode.takes(job) => {
                assert!(*offset < 0 && found.is_empty(), "{who}: {i} {there:?}");
            }
            // librdkafka gives -1001 where it was told no offset, others -1.
            Ok(offset) if *offset < 0 => assert_eq!(found.len(), 1, "{who}: {i} {there:?}"),
            Ok(offset) => assert_eq!(found, [*offset], "{who}: {i} {there:?}"),
            // franz-go fails what is in flight behind a batch that failed, and without idempotence
            // nothing keeps that from being written: so it is on the broker itself.
            Err(_) if client == Client::FranzGo && job.way == "plain" && *i != job.bad => {}
            Err(_) => assert!(found.is_empty(), "{who}: {i} is there: {there:?}"),
        }
    }
    assert_eq!(
        told.records[&job.bad].is_ok(),
        mode.takes(job),
        "{who}: the bad one"
    );
    if mode.takes(job) {
        assert!(
            told.records.values().all(Result::is_ok),
            "{who}: the others"
        );
    }
    if job.way == "transaction" {
        assert_eq!(
            told.ends.first().map(String::as_str),
            Some("aborted"),
            "{who}"
        );
    }
    // kafkajs does not keep the order of several sends at once, with or without us.
    if job.way == "idempotent" && client != Client::Kafkajs {
        assert!(there.is_sorted(), "{who}: in order: {there:?}");
    }
}

async fn bad_record(client: Client) {
    if !client.is_here() {
        return;
    }
    let mesh = mesh().await;
    let gateway = mesh.meshwork.address("gateway");
    let direct = mesh.kafka.bootstrap_servers();
    compacted(mesh).await;
    let mut goes_on = Vec::new();
    for (mode, bootstrap) in [
        (Mode::Broker, &direct),
        (Mode::Reject, &gateway),
        (Mode::Quarantine, &gateway),
    ] {
        let id = match mode {
            Mode::Broker => 1,
            _ => mesh.schema_id(&mode.topic()).await,
        };
        let told = run(mode, client, bootstrap, id).await;
        let partitions: Vec<i32> = told.iter().map(|(job, _)| job.partition).collect();
        let log = mesh.log(&mode.topic(), &partitions).await;
        for (job, told) in &told {
            judge(mode, client, job, told, &log, id);
        }
        goes_on.push(
            told.iter()
                .map(|(job, told)| (job.way, job.bad, told.goes_on()))
                .collect::<Vec<_>>(),
        );
    }
    if client == Client::Aiokafka {
        // It leaves a gap where a batch failed, and is stuck behind it until it is started again. A
        // broker that has no state of a producer takes what comes after a first batch that failed;
        // the gateway does not, or a client would be told that both arrived.
        for (way, bad, after) in &mut goes_on[0] {
            if *way == "idempotent" && *bad == 0 {
                assert_eq!(*after, [true; AFTER]);
                *after = vec![false; AFTER];
            }
        }
    }
    assert_eq!(
        goes_on[1],
        goes_on[0],
        "{}: goes on as after the broker's own refusal",
        client.name()
    );
    // Where nothing failed, nothing is stuck.
    let mut quarantined = goes_on[0].clone();
    for (way, _, after) in &mut quarantined {
        if *way != "transaction" {
            *after = vec![true; AFTER];
        }
    }
    assert_eq!(goes_on[2], quarantined, "{}: quarantine", client.name());
    let kept = mesh
        .kafka
        .read_all(&format!("{}.quarantine", Mode::Quarantine.topic()))
        .await;
    let id = mesh.schema_id(&Mode::Quarantine.topic()).await;
    for bad in BAD {
        let (_, value) = &records(Mode::Quarantine, bad, id)[bad];
        assert!(
            kept.iter().any(|r| r.value.as_deref() == Some(value)),
            "{}: the bad record is kept",
            client.name()
        );
    }
}

/// The topic on which the broker itself refuses.
async fn compacted(mesh: &Mesh) {
    static MADE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    MADE.get_or_init(|| async {
        let partitions = CLIENTS.len() * WAYS.len() * BAD.len();
        let mut topic = NewTopic::new(Mode::Broker.topic(), partitions.try_into().unwrap());
        let policy = ("cleanup.policy".to_owned(), "compact".to_owned());
        topic.configs.extend([policy]);
        mesh.kafka.create_topic(&topic).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java_4_is_told_what_is_in_the_log() {
    bad_record(Client::Java4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java_3_is_told_what_is_in_the_log() {
    bad_record(Client::Java3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confluent_kafka_python_is_told_what_is_in_the_log() {
    bad_record(Client::Confluent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_is_told_what_is_in_the_log() {
    bad_record(Client::Kcat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkajs_is_told_what_is_in_the_log() {
    bad_record(Client::Kafkajs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aiokafka_is_told_what_is_in_the_log() {
    bad_record(Client::Aiokafka).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn franz_go_is_told_what_is_in_the_log() {
    bad_record(Client::FranzGo).await;
}
