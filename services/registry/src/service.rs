//! The registry as a service of the process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use meshwork_kafka::control::{self, ControlTopicError};
use meshwork_kafka::{Admin, KafkaConfig, KafkaError, NewTopic};
use meshwork_model::topic::ControlTopic;
use meshwork_telemetry::{Latch, Metrics, Readiness};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::access::{Access, AccessError, Auditor};
use crate::changes::Teller;
use crate::config::Config;
use crate::election::{Candidate, Lease, Vote};
use crate::http::{self, Forwarder};
use crate::metrics::RegistryMetrics;
use crate::reader::{self, Follower};
use crate::shared::Shared;
use crate::standing::Standing;
use crate::writer::{Worker, Writer};

/// How long one question to Kafka may take while the registry starts.
const ASK: Duration = Duration::from_secs(10);

/// How long leaving the group of the instances may take.
const LEAVE: Duration = Duration::from_secs(5);

/// Why the registry can't run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `_schemas` can't be used as it is.
    #[error("the registry can't start: {0}")]
    Topic(ControlTopicError),
    /// A topic of another name can't be used as it is.
    #[error(
        "topic {topic} has cleanup.policy={found}, and the latest record of every key must be kept for ever; mend it with: kafka-configs.sh --bootstrap-server <address> --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=compact"
    )]
    Cleanup {
        /// The topic.
        topic: String,
        /// What it has.
        found: String,
    },
    /// The topic has more than one partition.
    #[error(
        "topic {topic} has {partitions} partitions and must have one: records in several have no order; copy it to a topic with one"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// As many as it has.
        partitions: i32,
    },
    /// Kafka can't be used.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// Who may be let in can't be told.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] meshwork_state::StateError),
    /// The store can't be read.
    #[error(transparent)]
    Unreadable(crate::state::StateError),
    /// The store is of no use though it was just filled anew.
    #[error(
        "the registry's store is of no use though it was just filled anew: {why}; check the disk, then start again"
    )]
    NoUse {
        /// Why.
        why: String,
    },
}

/// What the registry is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// The brokers.
    pub kafka: KafkaConfig,
    /// Directory of the store; it is of this registry alone.
    pub data_dir: PathBuf,
    /// Waits for the registry to catch up.
    pub readiness: Readiness,
    /// Where metrics are registered.
    pub metrics: Metrics,
}

/// A registry that is about to run.
pub struct Service {
    kafka: KafkaConfig,
    data_dir: PathBuf,
    listener: TcpListener,
    shared: Arc<Shared>,
    latch: Latch,
}

/// Asks a running registry. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Whether `_schemas` has been read to what was its end at the start.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.caught_up.load(Ordering::Acquire)
    }

    /// Whether this instance writes.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.shared.standing.borrow().clone()
    }

    /// Up to which offset `_schemas` has been applied.
    #[must_use]
    pub fn applied(&self) -> i64 {
        *self.shared.applied.borrow()
    }
}

impl Service {
    /// A registry on `_schemas` of the cluster, which answers on a bound listener. Talks to nobody
    /// yet.
    #[must_use]
    pub fn new(config: Config, context: Context, listener: TcpListener) -> (Self, Handle) {
        let Context {
            kafka,
            data_dir,
            readiness,
            metrics,
        } = context;
        let latch = readiness.latch("registry: reading _schemas");
        let address = listener
            .local_addr()
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let metrics = RegistryMetrics::register(&metrics);
        let shared = Arc::new(Shared::new(config, address, metrics));
        let handle = Handle {
            shared: Arc::clone(&shared),
        };
        let service = Self {
            kafka,
            data_dir,
            listener,
            shared,
            latch,
        };
        (service, handle)
    }

    /// Runs until `shutdown`, then lets requests in flight finish.
    ///
    /// # Errors
    /// Kafka can't be reached within the start's limit, or `_schemas` can't be used.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self {
            kafka,
            data_dir,
            listener,
            shared,
            latch,
        } = self;
        // However this ends, aborted too, the store is closed with it.
        let _closing = Closing(Arc::clone(&shared));
        let instance = shared.instance.to_string();
        let access = Access::open(&shared.config, shared.metrics.access(), instance)?;
        let tls = http::Tls::open(&shared.config)?;
        let (ask, questions) = mpsc::channel(1);
        let lease = Lease::new(ask);
        let (writer, jobs) = Writer::new(&shared, lease.clone());
        let limit = shared.config.request_timeout.get();
        let api = http::Api {
            shared: Arc::clone(&shared),
            forwarder: Forwarder::new(&shared.url, tls.outgoing(), limit),
            writer: writer.clone(),
            access: access.clone(),
        };
        let stop = shutdown.child_token();
        let refusals = access.refusals();
        let _watching = AbortOnDropHandle::new(tokio::spawn({
            let (tls, stop) = (tls.clone(), stop.clone());
            let metrics = shared.metrics.access().clone();
            async move {
                tokio::join!(access.watch(stop.clone()), tls.watch(metrics, stop));
            }
        }));
        // Asked before it is ready, the registry says so: that is better than not answering.
        let serving = http::serve(
            listener,
            http::router(api),
            tls,
            &shared.config,
            stop.clone(),
        );
        let (prepared, is_prepared) = watch::channel(false);
        let follower = {
            let (kafka, shared) = (kafka.clone(), Arc::clone(&shared));
            async move {
                prepare(&kafka, &shared).await?;
                prepared.send_replace(true);
                let topic = reader::describe(&kafka, &shared.config.topic).await?;
                let follower = Follower {
                    kafka,
                    shared,
                    dir: data_dir,
                    topic,
                    latch: Some(latch),
                };
                follower.run().await
            }
        };
        let (vote, votes) = watch::channel(Vote::Open);
        let worker = Worker {
            kafka: kafka.clone(),
            shared: Arc::clone(&shared),
            jobs,
            vote: votes,
            lease,
        };
        let candidate = Candidate {
            kafka: kafka.clone(),
            shared: Arc::clone(&shared),
            vote,
            questions,
        };
        let auditor = refusals.map(|refusals| Auditor {
            kafka: kafka.clone(),
            shared: Arc::clone(&shared),
            refusals,
        });
        let teller = Teller {
            kafka,
            shared: Arc::clone(&shared),
            writer,
            audits_refusals: auditor.is_some(),
        };
        // The log is followed until the last request is answered: the writer waits for what is
        // read. And only then another instance is elected.
        let left = CancellationToken::new();
        let mut following = AbortOnDropHandle::new(tokio::spawn(follower));
        let _working = AbortOnDropHandle::new(tokio::spawn(worker.run()));
        let standing =
            AbortOnDropHandle::new(tokio::spawn(candidate.run(is_prepared, left.clone())));
        let _telling = AbortOnDropHandle::new(tokio::spawn(teller.run()));
        let auditing =
            auditor.map(|auditor| AbortOnDropHandle::new(tokio::spawn(auditor.run(left.clone()))));
        tokio::pin!(serving);
        let ended = tokio::select! {
            () = &mut serving => Ok(()),
            followed = &mut following => {
                stop.cancel();
                serving.await;
                match followed {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                }
            }
        };
        left.cancel();
        if tokio::time::timeout(LEAVE, standing).await.is_err() {
            tracing::warn!(
                "registry did not leave its group within {LEAVE:?}; another is elected once it is missed"
            );
        }
        if let Some(auditing) = auditing
            && tokio::time::timeout(LEAVE, auditing).await.is_err()
        {
            tracing::warn!("registry left refusals unwritten at its end");
        }
        ended
    }
}

/// Closes the store when dropped.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        drop(self.0.close());
    }
}

/// Makes sure of the topic, and waits for Kafka as long as a start may.
async fn prepare(kafka: &KafkaConfig, shared: &Shared) -> Result<(), Error> {
    let admin = Admin::new(kafka)?.with_timeout(ASK);
    let topic = &shared.config.topic;
    let started = Instant::now();
    let limit = shared.config.startup_timeout.get();
    let partitions = loop {
        match ensure(&admin, topic).await {
            Ok(partitions) => break partitions,
            Err(error) if passes(&error) && started.elapsed() < limit => {
                tracing::warn!(%error, "registry waits for Kafka");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    if partitions != 1 {
        return Err(Error::Partitions {
            topic: topic.clone(),
            partitions,
        });
    }
    // Only shown to clients that ask for it: the registry runs without.
    if let Ok(cluster) = admin.cluster().await {
        let _ = shared
            .cluster_id
            .set(cluster.cluster_id.unwrap_or_default());
    }
    Ok(())
}

/// Whether it may pass by itself. A broker that has not heard of a new topic yet gives no settings
/// of it.
fn passes(error: &Error) -> bool {
    match error {
        Error::Kafka(error) => error.is_passing(),
        Error::Cleanup { found, .. }
        | Error::Topic(ControlTopicError::WrongCleanup { found, .. }) => found.is_empty(),
        Error::Topic(ControlTopicError::Missing { .. }) => true,
        _ => false,
    }
}

/// Creates the topic where it is not there, checks it, and gives its partitions.
async fn ensure(admin: &Admin, topic: &str) -> Result<i32, Error> {
    if topic == ControlTopic::Schemas.name() {
        return control::ensure(admin, ControlTopic::Schemas)
            .await
            .map_err(|error| match error {
                ControlTopicError::Kafka(error) => Error::Kafka(error),
                error => Error::Topic(error),
            });
    }
    if admin.topic(topic).await?.is_none() {
        let new = NewTopic::new(topic, 1).with("cleanup.policy", "compact");
        admin.create_topic(&new).await?;
    }
    let configs = admin.topic_configs(topic).await?;
    let found = configs
        .get("cleanup.policy")
        .and_then(|config| config.value.clone())
        .unwrap_or_default();
    if found != "compact" {
        return Err(Error::Cleanup {
            topic: topic.to_owned(),
            found,
        });
    }
    Ok(admin.topic(topic).await?.map_or(1, |info| info.partitions))
}
