//! The running lineage role: reads observations, announcements and `mesh.lineage` itself, polls
//! consumer groups, and writes what it finds as facts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::control;
use meshwork_kafka::{
    Admin, Assigned, From, KafkaConfig, KafkaError, LogReader, OutRecord, Producer,
    ProducerOptions, ReadBatch, ReaderOptions, SendError, Trouble,
};
use meshwork_model::mesh::LineageFact;
use meshwork_model::text::with_causes;
use meshwork_model::time::SharedClock;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshWriter, RegistryClient};
use meshwork_state::{Opened, Store, StoreOptions};
use meshwork_telemetry::{Latch, Metrics, Readiness};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::book::{Book, FAMILIES, FORMAT};
use crate::config::Config;
use crate::error::Error;
use crate::graph::Graph;
use crate::groups::{Poll, poll_forever};
use crate::handle::{Handle, Progress, Shared};
use crate::intake::{Intake, Stopped};
use crate::metrics::Counters;

/// How long brokers may be away at the start before the role gives up.
const REACH_WITHIN: Duration = Duration::from_secs(60);
/// First wait before brokers or registry are tried again; doubles up to `retry_at_most`.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest wait for records before looking whether to stop.
const WAIT: Duration = Duration::from_millis(250);
/// How long the last facts have to leave when the role stops; what is left goes at the next start.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// The inputs, in the order in which they are read at a start: what the log knows comes first, so
/// that nothing known is found anew.
const FACTS: [ControlTopic; 1] = [ControlTopic::Lineage];
const INPUTS: [ControlTopic; 2] = [ControlTopic::Observations, ControlTopic::Catalog];

/// What the lineage role stands on.
#[derive(Clone, Debug)]
pub struct Context {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The registry.
    pub registry: RegistryClient,
    /// What time it is in the data.
    pub clock: SharedClock,
    /// Directory of the role's store; made if it is not there.
    pub data_dir: PathBuf,
    /// Where readiness is held back until the topics are read.
    pub readiness: Readiness,
    /// Where metrics are registered.
    pub metrics: Metrics,
}

/// The lineage role.
#[derive(Debug)]
pub struct Service {
    config: Config,
    context: Context,
    book: Book,
    shared: Arc<Shared>,
    counters: Counters,
    latch: Option<Latch>,
}

/// What a run of the role works with, once brokers and registry have answered.
struct Tools {
    producer: Producer,
    writer: MeshWriter<LineageFact>,
    intake: Intake,
}

impl Service {
    /// Opens the store and reads the graph from it. A store that can't be read is set aside and
    /// filled anew from the topics.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn new(config: Config, context: Context) -> Result<(Self, Handle), Error> {
        let latch = context
            .readiness
            .latch("lineage: reading mesh.lineage, mesh.observations and mesh.catalog");
        let options = StoreOptions::new("lineage", FORMAT, &FAMILIES);
        let (store, opened) = Store::open(&context.data_dir, &options)?;
        if opened != Opened::Existing {
            tracing::info!(dir = %context.data_dir.display(), "lineage's store is new and is filled from its topics");
        }
        let book = Book::new(store);
        let mut graph = Graph::new(config.graph_limits());
        book.load(&mut graph)?;
        let shared = Arc::new(Shared {
            graph: RwLock::new(graph),
            progress: RwLock::new(Progress::default()),
            clock: Arc::clone(&context.clock),
        });
        let counters = Counters::register(&context.metrics);
        let service = Self {
            config,
            book,
            counters,
            latch: Some(latch),
            shared: Arc::clone(&shared),
            context,
        };
        Ok((service, Handle { shared }))
    }

    /// Follows the topics until `shutdown`. Brokers or a registry that go away are waited for.
    ///
    /// # Errors
    /// A topic or a store that can't be used as it is, and brokers or a registry that are not there
    /// within 60 s of the start.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let started = Instant::now();
        let mut wait = RETRY_FIRST;
        let mut reached = false;
        loop {
            let error = match self.follow(&shutdown, &mut reached, &mut wait).await {
                Ok(Stopped) => return Ok(()),
                Err(error) => error,
            };
            if !error.may_pass() || (!reached && started.elapsed() > REACH_WITHIN) {
                return Err(error);
            }
            tracing::warn!(error = %with_causes(&error), retry_in_ms = wait.as_millis(), "lineage can't go on for now");
            self.shared.progress.write().trouble = Some(with_causes(&error));
            if stopped_within(&shutdown, wait).await {
                return Ok(());
            }
            wait = (wait * 2).min(self.config.retry_at_most.get());
        }
    }

    async fn follow(
        &mut self,
        shutdown: &CancellationToken,
        reached: &mut bool,
        wait: &mut Duration,
    ) -> Result<Stopped, Error> {
        let admin = Admin::new(&self.context.kafka)?;
        let setup = async {
            // Written by others too: whoever comes first makes them, all in the same way.
            for topic in FACTS.into_iter().chain(INPUTS) {
                control::ensure(&admin, topic).await?;
            }
            let subject = format!("{}-value", ControlTopic::Lineage.name());
            Ok::<_, Error>(Tools {
                producer: Producer::new(&self.context.kafka, &ProducerOptions::default())?,
                writer: MeshWriter::register(&self.context.registry, &subject).await?,
                intake: Intake::new(
                    self.book.clone(),
                    Arc::clone(&self.shared),
                    &self.context.registry,
                    self.config.retry_at_most.get(),
                ),
            })
        };
        let tools = tokio::select! {
            () = shutdown.cancelled() => return Ok(Stopped),
            tools = setup => tools?,
        };
        let mut facts = tokio::select! {
            () = shutdown.cancelled() => return Ok(Stopped),
            facts = self.reader(&admin, &FACTS) => facts?,
        };
        *reached = true;
        loop {
            let read = tokio::select! {
                () = shutdown.cancelled() => return Ok(Stopped),
                read = facts.next(WAIT) => self.survive(read)?,
            };
            if tools.intake.take(&read, shutdown).await?.is_some() {
                return Ok(Stopped);
            }
            if read.caught_up {
                break;
            }
        }
        let inputs = tokio::select! {
            () = shutdown.cancelled() => return Ok(Stopped),
            inputs = self.reader(&admin, &INPUTS) => inputs?,
        };
        *wait = RETRY_FIRST;
        let (tell, polls) = mpsc::channel(1);
        let polling = tokio::spawn(poll_forever(
            admin,
            Arc::clone(&self.context.clock),
            self.config.poll_groups_every.get(),
            self.config.max_groups,
            tell,
        ));
        let ended = self.work(&tools, facts, inputs, polls, shutdown).await;
        polling.abort();
        if ended.is_ok() {
            // Best effort: what does not leave now leaves at the next start.
            let last = tokio::time::timeout(DRAIN_WITHIN, self.write_facts(&tools)).await;
            if !matches!(last, Ok(Ok(()))) {
                tracing::info!(
                    "some facts were not written before the end and will be at the next start"
                );
            }
        }
        ended
    }

    async fn work(
        &mut self,
        tools: &Tools,
        mut facts: LogReader,
        mut inputs: LogReader,
        mut polls: mpsc::Receiver<Poll>,
        shutdown: &CancellationToken,
    ) -> Result<Stopped, Error> {
        let mut writing = tokio::time::interval(self.config.write_every.get());
        writing.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopped = tokio::select! {
                () = shutdown.cancelled() => Some(Stopped),
                read = inputs.next(WAIT) => {
                    let read = self.survive(read)?;
                    let stopped = tools.intake.take(&read, shutdown).await?;
                    self.progress(&read.trouble, read.caught_up);
                    stopped
                }
                read = facts.next(WAIT) => {
                    let read = self.survive(read)?;
                    tools.intake.take(&read, shutdown).await?
                }
                Some(poll) = polls.recv() => {
                    tools.intake.polled(&poll)?;
                    None
                }
                _ = writing.tick() => {
                    tokio::select! {
                        () = shutdown.cancelled() => Some(Stopped),
                        written = self.write_facts(tools) => { written?; None }
                    }
                }
            };
            self.counters
                .follow(&self.shared.graph.read(), &tools.intake);
            if let Some(stopped) = stopped {
                return Ok(stopped);
            }
        }
    }

    /// Writes what the outbox holds and waits for the acknowledgements.
    async fn write_facts(&self, tools: &Tools) -> Result<(), Error> {
        let due = self.book.outbox()?;
        if due.is_empty() {
            return Ok(());
        }
        let topic = ControlTopic::Lineage.name();
        let (tell, mut told) = mpsc::unbounded_channel();
        for (key, fact) in &due {
            let value = tools.writer.encode(fact)?;
            let record = OutRecord {
                topic,
                key: Some(key.as_bytes()),
                value: Some(&value),
                ..OutRecord::default()
            };
            let tell = tell.clone();
            let queued = tools
                .producer
                .queue(
                    &record,
                    Box::new(move |result| {
                        // Nobody listens any more only when the role has ended.
                        let _ = tell.send(result);
                    }),
                )
                .await;
            if let Err(refused) = queued {
                return Err(refused.error.unwrap_or(SendError::Closed).into());
            }
        }
        drop(tell);
        let mut acknowledged = 0;
        while let Some(result) = told.recv().await {
            result?;
            acknowledged += 1;
        }
        if acknowledged != due.len() {
            return Err(SendError::Closed.into());
        }
        let keys: Vec<String> = due.into_iter().map(|(key, _)| key).collect();
        self.counters
            .written
            .inc_by(u64::try_from(keys.len()).unwrap_or(0));
        self.book.written(&keys)?;
        Ok(())
    }

    /// A log that no longer reaches to where it was read is read from its beginning: facts fold,
    /// so that nothing is counted twice.
    fn survive(&self, read: Result<ReadBatch, KafkaError>) -> Result<ReadBatch, Error> {
        if let Err(KafkaError::OffsetOutOfRange { topic, .. }) = &read {
            tracing::warn!(%topic, "the topic does not reach to where it was read; it is read from its beginning");
            if topic == ControlTopic::Lineage.name() {
                self.book.write_all_again()?;
            }
            self.book.read_again(topic)?;
        }
        Ok(read?)
    }

    async fn reader(&self, admin: &Admin, topics: &[ControlTopic]) -> Result<LogReader, Error> {
        let mut partitions = Vec::new();
        for topic in topics {
            let mut from = BTreeMap::new();
            for (known, partition, next) in self.book.store.offsets()? {
                if known == topic.name() && next > 0 {
                    from.insert(partition, next);
                }
            }
            partitions.extend(
                Assigned::all(admin, topic.name(), |partition| {
                    from.get(&partition)
                        .map_or(From::Beginning, |next| From::Offset(*next))
                })
                .await?,
            );
        }
        Ok(LogReader::start(
            &self.context.kafka,
            partitions,
            ReaderOptions::default(),
        )?)
    }

    fn progress(&mut self, trouble: &Option<Trouble>, caught_up: bool) {
        let mut progress = self.shared.progress.write();
        progress.trouble = trouble
            .as_ref()
            .map(|trouble| format!("brokers can't be reached: {}", trouble.said));
        if caught_up && !progress.caught_up {
            progress.caught_up = true;
            if let Some(latch) = self.latch.take() {
                latch.release();
            }
        }
    }
}

/// Waits; true when told to stop.
pub(crate) async fn stopped_within(shutdown: &CancellationToken, wait: Duration) -> bool {
    tokio::time::timeout(wait, shutdown.cancelled())
        .await
        .is_ok()
}
