//! Instances on a cluster, and what is left of their work.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use meshwork_kafka::{Admin, KafkaConfig};
use meshwork_testkit::{Cluster, Nodes};
use serde_json::Value;
use tempfile::TempDir;

use super::calls::{Client, by_id};
use super::instance::Instance;
use super::log::{Tail, read_whole};
use crate::history::{self, Call, End, Recorder};
use crate::oracle::{
    Evidence, LogRecord, Served, ServedVersion, Violation, elections, judge as verdict,
};

/// How long recovery may take after everything is healed: a busy machine is no failure.
const RECOVERY: Duration = Duration::from_secs(120);
/// How often is looked.
const PAUSE: Duration = Duration::from_millis(100);
/// Topics whose replicas must be in sync before the next broker may go.
const INTERNAL: [&str; 2] = ["__transaction_state", "__consumer_offsets"];
/// Most violations that a message shows.
const SHOWN: usize = 20;

/// The cluster of three brokers that all scenarios share, one after another.
///
/// # Panics
/// If Kafka can't be had, with the reason.
pub async fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    let started =
        tokio::task::spawn_blocking(|| SHARED.get_or_init(|| Cluster::start(Nodes::Three)));
    match started.await {
        Ok(cluster) => cluster,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// Something that must never be has been seen.
#[derive(Clone, Debug)]
pub struct Violated(pub String);

impl fmt::Display for Violated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violation: {}", self.0)
    }
}

impl std::error::Error for Violated {}

/// Instances of the registry on one topic.
#[derive(Debug)]
pub struct Mesh {
    cluster: &'static Cluster,
    topic: String,
    dir: TempDir,
    instances: Vec<Instance>,
    history: Recorder,
    committed: Tail,
}

impl Mesh {
    /// Starts `count` instances on a topic of their own, and waits until they are ready, one writes,
    /// and what it registers for itself after the first change is there.
    ///
    /// # Errors
    /// They can't be started.
    pub async fn start(topic: &str, count: usize) -> Result<Self> {
        let cluster = cluster().await;
        let dir = tempfile::Builder::new()
            .prefix("meshwork-test-registry-")
            .tempdir()?;
        let servers = cluster.bootstrap_servers();
        let instances = (0..count)
            .map(|number| {
                let dir = dir.path().join(format!("instance-{number}"));
                Instance::new(number, &dir, topic, &servers)
            })
            .collect::<Result<Vec<_>>>()?;
        for instance in &instances {
            instance.start()?;
        }
        for instance in &instances {
            instance.ready().await?;
        }
        let mesh = Self {
            history: Recorder::create(&dir.path().join("history"))?,
            committed: Tail::start(&cluster.config(), topic, true)?,
            cluster,
            topic: topic.to_owned(),
            dir,
            instances,
        };
        mesh.writable().await?;
        mesh.committed
            .wait_for("the registry's own schemas", RECOVERY, is_own)
            .await?;
        Ok(mesh)
    }

    /// The brokers.
    #[must_use]
    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// How clients reach the brokers.
    #[must_use]
    pub fn kafka(&self) -> KafkaConfig {
        self.cluster.config()
    }

    /// The instances' topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// All instances.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// One instance; the first one where there is no such number.
    ///
    /// # Errors
    /// There is none at all.
    pub fn instance(&self, number: usize) -> Result<&Instance> {
        self.instances
            .get(number)
            .with_context(|| format!("there is no instance {number}"))
    }

    /// Where requests are noted.
    #[must_use]
    pub fn history(&self) -> &Recorder {
        &self.history
    }

    /// The log as it grows, without what is aborted.
    #[must_use]
    pub fn committed(&self) -> &Tail {
        &self.committed
    }

    /// Where everything is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asks an instance, and notes it.
    ///
    /// # Errors
    /// An answer that no registry may give.
    pub async fn ask(
        &self,
        who: (&Client, usize),
        instance: usize,
        call: &Call,
        min_offset: Option<i64>,
    ) -> Result<super::Heard> {
        let (client, number) = who;
        let url = self.instance(instance)?.url();
        let op = self.history.began(number, instance, call, min_offset)?;
        let heard = client
            .ask(&url, call, min_offset)
            .await
            .map_err(|error| Violated(format!("{error:#}")))?;
        self.history.ended(op, &heard.end, heard.offset)?;
        Ok(heard)
    }

    /// The instance that took office last, by the log.
    #[must_use]
    pub fn writer(&self) -> Option<&Instance> {
        let last = elections(&self.committed.records()).pop()?;
        self.instances
            .iter()
            .find(|instance| instance.url() == last.url.trim_end_matches('/'))
    }

    /// How often somebody has taken office.
    #[must_use]
    pub fn terms(&self) -> usize {
        elections(&self.committed.records()).len()
    }

    /// Waits until somebody has taken office for more than the `terms`th time, and gives who.
    ///
    /// # Errors
    /// Nobody did.
    pub async fn next_writer(&self, terms: usize) -> Result<&Instance> {
        let until = Instant::now() + RECOVERY;
        while Instant::now() < until {
            if self.terms() > terms
                && let Some(writer) = self.writer()
            {
                return Ok(writer);
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("nobody took office within {} s", RECOVERY.as_secs())
    }

    /// Waits until every instance takes a change.
    ///
    /// # Errors
    /// One does not.
    pub async fn writable(&self) -> Result<()> {
        let client = Client::new(Duration::from_secs(15))?;
        for instance in &self.instances {
            // What it comes to is noted like any other request.
            let call = Call::Register {
                subject: format!("probe-{}", instance.number()),
                text: r#""string""#.to_owned(),
            };
            let until = Instant::now() + RECOVERY;
            loop {
                let who = (&client, usize::MAX);
                let heard = self.ask(who, instance.number(), &call, None).await?;
                if matches!(heard.end, End::Registered { .. }) {
                    break;
                }
                if Instant::now() > until {
                    bail!(
                        "instance {} took no change within {} s: {heard:?}\n{}",
                        instance.number(),
                        RECOVERY.as_secs(),
                        instance.tail()
                    );
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Waits until every replica of what the registry needs is in sync.
    ///
    /// # Errors
    /// One is not.
    pub async fn in_sync(&self) -> Result<()> {
        let admin = Admin::new(&self.kafka())?.with_timeout(Duration::from_secs(10));
        let until = Instant::now() + RECOVERY;
        let mut behind = String::new();
        while Instant::now() < until {
            behind.clear();
            for topic in INTERNAL.into_iter().chain([self.topic.as_str()]) {
                match admin.partition_states(topic).await {
                    Ok(states) if states.is_empty() => behind = format!("{topic} is not there"),
                    Ok(states) => {
                        if let Some(state) = states.iter().find(|state| {
                            state.leader.is_none() || state.in_sync.len() < state.replicas.len()
                        }) {
                            behind = format!("{topic}: {state:?}");
                        }
                    }
                    Err(error) => behind = error.to_string(),
                }
            }
            if behind.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!(
            "replicas are not in sync after {} s: {behind}",
            RECOVERY.as_secs()
        )
    }

    /// Makes sure that no instance has ended but by our hand.
    ///
    /// # Errors
    /// One has.
    pub fn all_run(&self) -> Result<()> {
        for instance in &self.instances {
            if let Some(status) = instance.ended()? {
                bail!(Violated(format!(
                    "instance {} ended by itself ({status}):\n{}",
                    instance.number(),
                    instance.tail()
                )));
            }
        }
        Ok(())
    }

    /// Undoes every fault and waits until everything serves again.
    ///
    /// # Errors
    /// It does not.
    pub async fn heal(&self) -> Result<()> {
        let dev = self.cluster.dev();
        for node in 1..=dev.nodes() {
            blocking(move || {
                let _ = dev.resume(node);
                dev.start_node(node)
            })
            .await??;
        }
        self.in_sync().await?;
        self.all_run()?;
        for instance in &self.instances {
            let _ = instance.resume();
            instance.start()?;
        }
        for instance in &self.instances {
            instance.ready().await?;
        }
        self.writable().await
    }

    /// All that is left: the history, the log, and what every instance serves.
    ///
    /// # Errors
    /// It can't be read.
    pub async fn evidence(&self) -> Result<Evidence> {
        let kafka = self.kafka();
        let (committed, end) = read_whole(&kafka, &self.topic, true).await?;
        let (uncommitted, _) = read_whole(&kafka, &self.topic, false).await?;
        if committed.first().is_none_or(|first| first.offset != 0) {
            bail!("the log does not begin with offset 0: it was compacted, and can't be judged");
        }
        let mut evidence = Evidence {
            history: history::read(&self.dir.path().join("history"))?,
            committed,
            uncommitted,
            served: Vec::new(),
        };
        let ids = ids_spoken_of(&evidence);
        for instance in &self.instances {
            evidence.served.push(served(instance, end - 1, &ids).await?);
        }
        Ok(evidence)
    }

    /// Leaves its directory where it is, and says where.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }
}

/// Runs what blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// Judges what is left.
///
/// # Errors
/// [`Violated`] with all that is wrong; anything else means that it could not be judged.
pub async fn judge(mesh: &Mesh) -> Result<Evidence> {
    let evidence = mesh.evidence().await?;
    let found = verdict(&evidence);
    if found.is_empty() {
        return Ok(evidence);
    }
    let shown: String = found
        .iter()
        .take(SHOWN)
        .map(|violation: &Violation| format!("\n  {violation}"))
        .collect();
    bail!(Violated(format!("{} in all:{shown}", found.len())))
}

/// Whether this is the last schema that a registry registers for itself.
fn is_own(record: &LogRecord) -> bool {
    let key = record.key.as_deref().unwrap_or_default();
    serde_json::from_slice::<Value>(key)
        .is_ok_and(|key| key.get("subject").and_then(Value::as_str) == Some("mesh.audit-value"))
}

type Id = (String, i32);

/// Every id in the log.
fn ids_spoken_of(evidence: &Evidence) -> Vec<Id> {
    let mut ids: Vec<Id> = evidence
        .committed
        .iter()
        .filter_map(|record| {
            let value: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
            let id = i32::try_from(value.get("id")?.as_i64()?).ok()?;
            let subject = value.get("subject")?.as_str()?;
            Some((crate::oracle::context_of(subject).to_owned(), id))
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

async fn served(instance: &Instance, offset: i64, ids: &[Id]) -> Result<Served> {
    let client = Client::new(Duration::from_secs(60))?;
    let url = instance.url();
    let get = async |path: String| client.get(&url, &path, offset).await;
    let mut versions = BTreeMap::new();
    let subjects = get("/subjects?deleted=true".to_owned()).await?;
    for subject in list(subjects.as_ref())? {
        let subject = subject.as_str().context("a subject is a text")?;
        let numbers = get(format!("/subjects/{subject}/versions?deleted=true")).await?;
        for number in list(numbers.as_ref())? {
            let path = format!("/subjects/{subject}/versions/{number}?deleted=true");
            let version = get(path.clone()).await?.with_context(|| path.clone())?;
            let number = number
                .as_i64()
                .and_then(|number| i32::try_from(number).ok());
            let id = version.get("id").and_then(Value::as_i64);
            let served = ServedVersion {
                id: id.and_then(|id| i32::try_from(id).ok()).context("no id")?,
                text: version
                    .get("schema")
                    .and_then(Value::as_str)
                    .context("no schema")?
                    .to_owned(),
                deleted: version.get("deleted").and_then(Value::as_bool) == Some(true),
            };
            versions.insert(
                (subject.to_owned(), number.context("a version is a number")?),
                served,
            );
        }
    }
    let mut texts = BTreeMap::new();
    for (context, id) in ids {
        let found = get(by_id(context, *id)).await?;
        let text = found
            .as_ref()
            .and_then(|found| found.get("schema")?.as_str())
            .map(str::to_owned);
        texts.insert((context.clone(), *id), text);
    }
    Ok(Served {
        instance: instance.number(),
        versions,
        texts,
    })
}

fn list(value: Option<&Value>) -> Result<&Vec<Value>> {
    value
        .and_then(Value::as_array)
        .context("a list was expected")
}
