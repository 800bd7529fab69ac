//! The life of the role: prepare topics and schemas, open the shards, catch up, then follow. What can be
//! waited for is waited for; a store that fails is opened anew; only a mistake that a person must mend,
//! or another owner of the same shards, ends it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::control::{self, ControlTopicError};
use meshwork_kafka::{
    Admin, Assigned, From, KafkaConfig, KafkaError, LogReader, Producer, ProducerOptions,
    ReaderOptions,
};
use meshwork_model::mesh::{ProductAnnouncement, SloStatus, StreamObservation};
use meshwork_model::time::{Clock as _, SharedClock, WallClock};
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{
    MeshError, MeshReader, MeshWriter, RegistryClient, RegistryClientError,
};
use meshwork_state::{Opened, Store};
use meshwork_telemetry::{Latch, Readiness};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::announced::{Announced, follower};
use crate::config::{Config, millis};
use crate::decoder::Decoder;
use crate::error::FreshnessError;
use crate::handle::Handle;
use crate::observer::{Known, Observer};
use crate::publisher::{Publisher, Writers, blocking};
use crate::shard::{Shard, store_options};
use crate::shared::Shared;
use crate::sink::Sink;
use crate::ticker;
use crate::worker::{Batch, Worker};

/// Pause before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Batches that may wait for a shard; the reader stops beyond.
const BATCHES_WAITING: usize = 4;

/// What the role stands on.
#[derive(Clone, Debug)]
pub struct Context {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The registry.
    pub registry: RegistryClient,
    /// What time it is in the data.
    pub clock: SharedClock,
    /// Where stores are: `<data_dir>/freshness/shard-<n>`.
    pub data_dir: PathBuf,
    /// Holds the process back until the role has caught up.
    pub readiness: Readiness,
}

/// The freshness role.
#[derive(Debug)]
pub struct Service {
    config: Config,
    context: Context,
    shared: Arc<Shared>,
    latch: Option<Latch>,
}

/// What is the same in every generation.
#[derive(Clone)]
struct Prepared {
    admin: Admin,
    shards: i32,
    writers: Writers,
    observations: MeshWriter<StreamObservation>,
    decoder: Decoder,
    sink: Sink,
    announced: Announced,
}

impl Service {
    /// Takes its configuration; talks to nobody yet.
    ///
    /// # Errors
    /// None at present.
    pub fn new(config: Config, context: Context) -> Result<(Self, Handle), FreshnessError> {
        let shared = Arc::new(Shared::new());
        let latch = context
            .readiness
            .latch("freshness: preparing topics and schemas");
        let handle = Handle::new(Arc::clone(&shared));
        let service = Self {
            config,
            context,
            shared,
            latch: Some(latch),
        };
        Ok((service, handle))
    }

    /// Runs until `shutdown`, then writes what is left and ends.
    ///
    /// # Errors
    /// What a person must mend; see [`FreshnessError`].
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), FreshnessError> {
        let Some(prepared) = self.prepare(&shutdown).await? else {
            return Ok(());
        };
        let mut discard: BTreeMap<i32, String> = BTreeMap::new();
        loop {
            let result = self.generation(&prepared, &mut discard, &shutdown).await;
            self.shared.close();
            let error = match result {
                Ok(()) => return Ok(()),
                Err(_) if shutdown.is_cancelled() => return Ok(()),
                Err(error) => error,
            };
            match &error {
                FreshnessError::Kafka(
                    e @ KafkaError::OffsetOutOfRange {
                        topic, partition, ..
                    },
                ) if topic == ControlTopic::Observations.name() => {
                    discard.insert(*partition, e.to_string());
                }
                FreshnessError::Kafka(_)
                | FreshnessError::State(_)
                | FreshnessError::Registry(_) => {}
                _ => return Err(error),
            }
            tracing::warn!(%error, "freshness starts anew from its stores");
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Creates or checks the topics and registers the schemas, waiting for brokers and registry.
    async fn prepare(
        &self,
        shutdown: &CancellationToken,
    ) -> Result<Option<Prepared>, FreshnessError> {
        let mut told = false;
        loop {
            let error = tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                prepared = self.try_prepare() => match prepared {
                    Ok(prepared) => return Ok(Some(prepared)),
                    Err(error) => error,
                }
            };
            let wait = match &error {
                FreshnessError::Kafka(e)
                | FreshnessError::ControlTopic(ControlTopicError::Kafka(e)) => {
                    matches!(
                        e,
                        KafkaError::Unreachable { .. } | KafkaError::UnknownTopic { .. }
                    )
                }
                FreshnessError::Registry(e) => passes(e),
                _ => false,
            };
            if !wait {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(%error, "freshness waits to prepare its topics and schemas");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_prepare(&self) -> Result<Prepared, FreshnessError> {
        let admin = Admin::new(&self.context.kafka)?;
        control::ensure(&admin, ControlTopic::Catalog).await?;
        let shards = control::ensure(&admin, ControlTopic::Observations).await?;
        for topic in [ControlTopic::SloSlices, ControlTopic::SloStatus] {
            let found = control::ensure(&admin, topic).await?;
            if found != shards {
                return Err(FreshnessError::Partitions {
                    topic: topic.name(),
                    found,
                    expected: shards,
                });
            }
        }
        control::ensure(&admin, ControlTopic::SloAlerts).await?;
        let registry = &self.context.registry;
        let subject = |topic: ControlTopic| format!("{}-value", topic.name());
        let writers = Writers {
            slices: MeshWriter::register(registry, &subject(ControlTopic::SloSlices)).await?,
            statuses: MeshWriter::register(registry, &subject(ControlTopic::SloStatus)).await?,
            alerts: MeshWriter::register(registry, &subject(ControlTopic::SloAlerts)).await?,
        };
        let observations =
            MeshWriter::register(registry, &subject(ControlTopic::Observations)).await?;
        let producer = Producer::new(&self.context.kafka, &ProducerOptions::default())?;
        let epoch = WallClock.now().as_millis();
        let instance = self.config.instance();
        Ok(Prepared {
            sink: Sink::new(producer, observations.clone(), &instance, epoch, shards),
            admin,
            shards,
            writers,
            observations,
            decoder: Decoder::default(),
            announced: Announced::default(),
        })
    }

    /// Opens everything, runs until the end or a failure, and closes everything.
    async fn generation(
        &mut self,
        prepared: &Prepared,
        discard: &mut BTreeMap<i32, String>,
        shutdown: &CancellationToken,
    ) -> Result<(), FreshnessError> {
        let stop = shutdown.child_token();
        let mut tasks = JoinSet::new();
        let started = self.start(prepared, discard, &stop, &mut tasks);
        let mut result = tokio::select! {
            started = started => started,
            () = shutdown.cancelled() => Ok(()),
        };
        if result.is_ok()
            && let Some(done) = tasks.join_next().await
        {
            result = outcome(done);
        }
        stop.cancel();
        while let Some(done) = tasks.join_next().await {
            let done = outcome(done);
            if result.is_ok() {
                result = done;
            }
        }
        result
    }

    async fn start(
        &mut self,
        prepared: &Prepared,
        discard: &mut BTreeMap<i32, String>,
        stop: &CancellationToken,
        tasks: &mut JoinSet<Result<(), FreshnessError>>,
    ) -> Result<(), FreshnessError> {
        // The catalog first: whatever is observed must find its product.
        let (versions, version) = watch::channel(0_u64);
        let reader = MeshReader::<ProductAnnouncement>::new(self.context.registry.clone());
        let (following, chase) = follower(prepared.announced.clone(), reader);
        let (kafka, end) = (self.context.kafka.clone(), stop.clone());
        tasks.spawn(async move {
            let tell = |_| versions.send_modify(|v| *v = v.saturating_add(1));
            following.run(&kafka, end, tell).await
        });
        self.say("freshness: reading mesh.catalog");
        first_failure(tasks, chase.first_time()).await?;

        self.say("freshness: opening its stores");
        let mut senders = BTreeMap::new();
        let mut assigned = Vec::new();
        let statuses = MeshReader::<SloStatus>::new(self.context.registry.clone());
        for number in 0..prepared.shards {
            let shard = self.open(number, prepared, discard.remove(&number)).await?;
            assigned.push(Assigned {
                topic: ControlTopic::Observations.name().to_owned(),
                partition: number,
                from: shard.next_offset().map_or(From::Beginning, From::Offset),
            });
            let (send, receive) = mpsc::channel(BATCHES_WAITING);
            senders.insert(number, send);
            let (committed, sees_committed) = watch::channel(0);
            let (left, sees_left) = watch::channel(0);
            let publisher = Publisher {
                shard: number,
                store: shard.store().clone(),
                kafka: self.context.kafka.clone(),
                writers: prepared.writers.clone(),
                statuses: statuses.clone(),
                every: self.config.commit_every,
                committed: sees_committed,
                left,
            };
            tasks.spawn(publisher.run(stop.clone()));
            let worker = Worker {
                shards: prepared.shards,
                registry: self.context.registry.clone(),
                decoder: prepared.decoder.clone(),
                announced: prepared.announced.clone(),
                chase: chase.clone(),
                shared: Arc::clone(&self.shared),
                version: version.clone(),
                committed,
                left: sees_left,
            };
            tasks.spawn(worker.run(shard, receive));
        }
        self.catch_up(prepared, assigned, senders, stop, tasks)
            .await
    }

    /// Reads the log of observations; once all that was there is folded, asks the brokers, reads back
    /// what is missing, and lets time pass.
    async fn catch_up(
        &mut self,
        prepared: &Prepared,
        assigned: Vec<Assigned>,
        senders: BTreeMap<i32, mpsc::Sender<Batch>>,
        stop: &CancellationToken,
        tasks: &mut JoinSet<Result<(), FreshnessError>>,
    ) -> Result<(), FreshnessError> {
        self.say("freshness: reading mesh.observations");
        let began = Instant::now();
        let log = LogReader::start(&self.context.kafka, assigned, ReaderOptions::default())?;
        let (caught_up, mut catches_up) = watch::channel(None);
        tasks.spawn(pump(log, senders, caught_up, stop.clone()));
        let shared = Arc::clone(&self.shared);
        let folded = async {
            let Ok(ends) = catches_up
                .wait_for(Option::is_some)
                .await
                .map(|e| e.clone())
            else {
                return;
            };
            for (shard, next) in ends.into_iter().flatten() {
                shared.folded(shard, next.saturating_sub(1)).await;
            }
        };
        first_failure(tasks, folded).await?;
        tracing::info!(
            seconds = began.elapsed().as_secs_f64(),
            "freshness has caught up"
        );

        self.say("freshness: asking the brokers for ends");
        let mut observer = Observer {
            config: self.config.clone(),
            kafka: self.context.kafka.clone(),
            registry: self.context.registry.clone(),
            admin: prepared.admin.clone(),
            clock: Arc::clone(&self.context.clock),
            announced: prepared.announced.clone(),
            shared: Arc::clone(&self.shared),
            sink: prepared.sink.clone(),
            known: Known::default(),
        };
        first_failure(tasks, observer.start(stop)).await?;
        let ticks = ticker::run(
            prepared.sink.clone(),
            Arc::clone(&self.context.clock),
            prepared.shards,
            millis(self.config.tick_every),
            stop.clone(),
        );
        tasks.spawn(async move {
            ticks.await;
            Ok(())
        });
        let end = stop.clone();
        tasks.spawn(async move {
            observer.run(end).await;
            Ok(())
        });
        if let Some(latch) = self.latch.take() {
            latch.release();
        }
        tracing::debug!(schema = %prepared.observations.id(), "freshness follows");
        Ok(())
    }

    async fn open(
        &self,
        number: i32,
        prepared: &Prepared,
        discard: Option<String>,
    ) -> Result<Shard, FreshnessError> {
        let dir = self
            .context
            .data_dir
            .join("freshness")
            .join(format!("shard-{number}"));
        let settings = self.config.settings();
        let decoder = prepared.decoder.clone();
        let shared = Arc::clone(&self.shared);
        let (shard, opened) = blocking(move || -> Result<_, FreshnessError> {
            if let Some(why) = discard {
                drop(Store::set_aside(&dir, &store_options(), &why)?);
            }
            let (mut shard, opened) = Shard::open(number, &dir, settings, decoder)?;
            shard.show(&shared)?;
            Ok((shard, opened))
        })
        .await??;
        match opened {
            Opened::Existing => {}
            Opened::Created => {
                tracing::info!(shard = number, "freshness fills a new store from the log");
            }
            Opened::SetAside { to, why } => tracing::warn!(
                shard = number, set_aside_as = %to.display(), %why,
                "freshness rebuilds a store from the log"
            ),
        }
        Ok(shard)
    }

    fn say(&self, what: &str) {
        if let Some(latch) = &self.latch {
            latch.progress(what);
        }
    }
}

/// Whether waiting helps.
pub(crate) fn passes(e: &MeshError) -> bool {
    matches!(
        e,
        MeshError::Registry(RegistryClientError::Unavailable { .. })
    )
}

fn outcome(
    done: Result<Result<(), FreshnessError>, tokio::task::JoinError>,
) -> Result<(), FreshnessError> {
    done.unwrap_or_else(|e| {
        Err(FreshnessError::Ended {
            part: "a task",
            said: e.to_string(),
        })
    })
}

/// Does `work`, unless a task ends before it is done: with its failure, or with none.
async fn first_failure(
    tasks: &mut JoinSet<Result<(), FreshnessError>>,
    work: impl Future<Output = ()>,
) -> Result<(), FreshnessError> {
    tokio::select! {
        () = work => Ok(()),
        Some(done) = tasks.join_next() => outcome(done).and(Err(FreshnessError::Ended {
            part: "a task",
            said: "before the start was complete".to_owned(),
        })),
    }
}

/// Hands what is read to the shards, partition by partition.
async fn pump(
    mut log: LogReader,
    senders: BTreeMap<i32, mpsc::Sender<Batch>>,
    caught_up: watch::Sender<Option<BTreeMap<i32, i64>>>,
    stop: CancellationToken,
) -> Result<(), FreshnessError> {
    let mut ends = BTreeMap::new();
    let mut in_trouble = false;
    loop {
        let read = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            read = log.next(Duration::from_secs(1)) => read?,
        };
        match &read.trouble {
            Some(trouble) if !in_trouble => {
                tracing::warn!(said = %trouble.said, "mesh.observations can't be read for now");
                in_trouble = true;
            }
            Some(_) => {}
            None => in_trouble = false,
        }
        let mut batches: BTreeMap<i32, Batch> = BTreeMap::new();
        for record in read.records {
            batches
                .entry(record.partition)
                .or_default()
                .records
                .push(record);
        }
        for ((_, partition), next) in read.positions {
            ends.insert(partition, next);
            batches.entry(partition).or_default().next = Some(next);
        }
        for (partition, batch) in batches {
            let Some(send) = senders.get(&partition) else {
                continue;
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                sent = send.send(batch) => if sent.is_err() {
                    // The shard says itself why it ended.
                    return Ok(());
                }
            }
        }
        if read.caught_up && caught_up.borrow().is_none() {
            caught_up.send_replace(Some(ends.clone()));
        }
    }
}
