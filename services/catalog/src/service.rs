//! The running catalog: follows its topics into the view, and answers from it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::control;
use meshwork_kafka::{
    Admin, Assigned, From, InRecord, KafkaConfig, KafkaError, LogReader, ReadBatch, ReaderOptions,
};
use meshwork_model::text::with_causes;
use meshwork_model::time::SharedClock;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::RegistryClient;
use meshwork_state::{Opened, Store, StoreOptions};
use meshwork_telemetry::{Latch, Metrics, Readiness};
use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::Error;
use crate::handle::{Handle, Progress, Shared};
use crate::read::DecodeError;
use crate::view::{Applied, CHANGES, FORMAT, IndexStep, PRODUCTS, UNREADABLE, View};

/// How long brokers may be away at the start before the role gives up.
const REACH_WITHIN: Duration = Duration::from_secs(60);
/// First wait before brokers or registry are tried again; doubles up to `retry_at_most`.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest wait for records before looking whether to stop.
const WAIT: Duration = Duration::from_millis(250);

/// What the catalog role stands on.
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

#[derive(Debug)]
struct Counters {
    announced: Counter,
    changes: Counter,
    skipped: Counter,
    products: Gauge,
}

impl Counters {
    fn register(metrics: &Metrics) -> Self {
        let counters = Self {
            announced: Counter::default(),
            changes: Counter::default(),
            skipped: Counter::default(),
            products: Gauge::default(),
        };
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("catalog");
            registry.register(
                "announcements_read",
                "Announcements taken in from mesh.catalog",
                counters.announced.clone(),
            );
            registry.register(
                "changes_read",
                "Changes taken in from mesh.catalog.changes",
                counters.changes.clone(),
            );
            registry.register(
                "records_skipped",
                "Records that do not decode",
                counters.skipped.clone(),
            );
            registry.register(
                "products",
                "Product versions that are searched",
                counters.products.clone(),
            );
        });
        counters
    }
}

/// The catalog role.
#[derive(Debug)]
pub struct Service {
    config: Config,
    context: Context,
    view: View,
    shared: Arc<Shared>,
    counters: Counters,
    latch: Option<Latch>,
}

impl Service {
    /// Opens the store and reads the index from it. A store that can't be read is set aside and
    /// filled anew from the topics.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn new(config: Config, context: Context) -> Result<(Self, Handle), Error> {
        let latch = context
            .readiness
            .latch("catalog: reading mesh.catalog and mesh.catalog.changes");
        let options = StoreOptions::new("catalog", FORMAT, &[PRODUCTS, CHANGES, UNREADABLE]);
        let (store, opened) = Store::open(&context.data_dir, &options)?;
        if opened != Opened::Existing {
            tracing::info!(dir = %context.data_dir.display(), "the catalog's store is new and is filled from its topics");
        }
        let view = View::new(store, &context.registry, config.max_changes);
        let shared = Arc::new(Shared {
            index: RwLock::new(view.index()?),
            view: view.clone(),
            progress: RwLock::new(Progress::default()),
            clock: Arc::clone(&context.clock),
        });
        let counters = Counters::register(&context.metrics);
        let service = Self {
            config,
            view,
            counters,
            latch: Some(latch),
            shared: Arc::clone(&shared),
            context,
        };
        Ok((service, Handle { shared }))
    }

    /// Follows the topics until `shutdown`. Brokers or a registry that go away are waited for;
    /// meanwhile answers say since when they are old.
    ///
    /// # Errors
    /// A topic or a store that can't be used as it is, and brokers that are not there within 60 s
    /// of the start.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let started = Instant::now();
        let mut wait = RETRY_FIRST;
        let mut reached = false;
        loop {
            let error = match self.follow(&shutdown, &mut reached, &mut wait).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !error.may_pass() || (!reached && started.elapsed() > REACH_WITHIN) {
                return Err(error);
            }
            tracing::warn!(error = %with_causes(&error), retry_in_ms = wait.as_millis(), "the catalog can't read its topics for now");
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
    ) -> Result<(), Error> {
        let admin = Admin::new(&self.context.kafka)?;
        let mut partitions = Vec::new();
        for topic in [ControlTopic::Catalog, ControlTopic::CatalogChanges] {
            // This crate writes them too, with `apply`.
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                made = control::ensure(&admin, topic) => { made?; }
            }
            let mut from = std::collections::BTreeMap::new();
            for (known, partition, next) in self.view.store.offsets()? {
                if known == topic.name() && next > 0 {
                    from.insert(partition, next);
                }
            }
            let assigned = Assigned::all(&admin, topic.name(), |partition| {
                from.get(&partition)
                    .map_or(From::Beginning, |next| From::Offset(*next))
            });
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                assigned = assigned => partitions.extend(assigned?),
            }
        }
        let mut log = LogReader::start(&self.context.kafka, partitions, ReaderOptions::default())?;
        *reached = true;
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                batch = log.next(WAIT) => batch,
            };
            match batch {
                Ok(batch) => {
                    *wait = RETRY_FIRST;
                    if !self.take(&batch, shutdown).await? {
                        return Ok(());
                    }
                }
                Err(KafkaError::OffsetOutOfRange { topic, .. }) => {
                    tracing::warn!(%topic, "the topic does not reach to where it was read: it was made again; what came from it is forgotten and it is read anew");
                    self.view.forget(&topic)?;
                    *self.shared.index.write() = self.view.index()?;
                    self.shared.progress.write().caught_up = false;
                    return Err(Error::Kafka(KafkaError::Ended {
                        what: format!("reading {topic}"),
                        said: Some("the topic was made again".to_owned()),
                    }));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes a batch in; false when told to stop meanwhile.
    async fn take(
        &mut self,
        read: &ReadBatch,
        shutdown: &CancellationToken,
    ) -> Result<bool, Error> {
        let mut batch = self.view.store.write();
        let mut steps = Vec::new();
        let mut applied = Applied::default();
        for record in &read.records {
            let mut wait = RETRY_FIRST;
            while let Err(DecodeError::Registry(error)) = self
                .view
                .apply(record, &mut batch, &mut steps, &mut applied)
                .await
            {
                self.registry_away(record, &error);
                if stopped_within(shutdown, wait).await {
                    return Ok(false);
                }
                wait = (wait * 2).min(self.config.retry_at_most.get());
            }
        }
        for ((topic, partition), next) in &read.positions {
            batch.set_offset(topic, *partition, *next);
        }
        if !batch.is_empty() {
            self.view.store.commit(batch)?;
        }
        self.index(steps);
        self.counters.announced.inc_by(applied.announced);
        self.counters.changes.inc_by(applied.changes);
        self.counters.skipped.inc_by(applied.skipped);
        let mut progress = self.shared.progress.write();
        for ((topic, _), next) in &read.positions {
            if **topic == *ControlTopic::Catalog.name() {
                progress.catalog_offset = progress.catalog_offset.max(*next);
            } else {
                progress.changes_offset = progress.changes_offset.max(*next);
            }
        }
        progress.trouble = read
            .trouble
            .as_ref()
            .map(|trouble| format!("brokers can't be reached: {}", trouble.said));
        if read.caught_up && !progress.caught_up {
            progress.caught_up = true;
            if let Some(latch) = self.latch.take() {
                latch.release();
            }
        }
        Ok(true)
    }

    fn registry_away(&self, record: &InRecord, error: &meshwork_registry_client::MeshError) {
        tracing::warn!(topic = %record.topic, offset = record.offset, %error, "the catalog waits for the registry");
        self.shared.progress.write().trouble =
            Some(format!("the registry can't be reached: {error}"));
    }

    fn index(&self, steps: Vec<IndexStep>) {
        if steps.is_empty() {
            return;
        }
        let mut index = self.shared.index.write();
        for step in steps {
            match step {
                IndexStep::Put(product) => {
                    if index.len() >= self.config.max_products && index.get(&product.urn).is_none()
                    {
                        tracing::warn!(urn = %product.urn, limit = self.config.max_products, "left out of lists and search: too many products");
                        continue;
                    }
                    index.put(&product);
                }
                IndexStep::Remove(urn) => index.remove(&urn),
            }
        }
        self.counters
            .products
            .set(i64::try_from(index.len()).unwrap_or(i64::MAX));
    }
}

/// Waits; true when told to stop.
async fn stopped_within(shutdown: &CancellationToken, wait: Duration) -> bool {
    tokio::time::timeout(wait, shutdown.cancelled())
        .await
        .is_ok()
}
