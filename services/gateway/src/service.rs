//! The running gateway: its parts, and what all connections share.

mod clients;
mod refresh;

use std::sync::Arc;

use meshwork_client::SchemaCache;
use meshwork_kafka::KafkaConfig;
use meshwork_model::time::SharedClock;
use meshwork_registry_client::RegistryClient;
use meshwork_telemetry::{Latch, Readiness, host_name};
use meshwork_wire::Limits;
use meshwork_wire::protocol::Uuid;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::brokers::{Bound, Brokers, advertised_host};
use crate::catalog;
use crate::config::Config;
use crate::connection::frames::Buffers;
use crate::consumption::{Consumption, Names};
use crate::error::Error;
use crate::handle::Handle;
use crate::held::Held;
use crate::metrics::Metrics;
use crate::observe::{self, Observations, Writer};
use crate::own::OwnConnections;
use crate::products::Products;
use crate::quarantine::{self, Quarantine};
use crate::refusals::Refusals;
use crate::tls::{BrokerNames, BrokerTls, ClientTls};
use crate::topics::Topics;
use crate::traces::Traces;
use crate::upstream::Upstream;
use clients::{Connections, accept};
use refresh::refresh;

/// What the gateway stands on.
#[derive(Clone, Debug)]
pub struct Context {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The registry.
    pub registry: RegistryClient,
    /// What time it is in the data.
    pub clock: SharedClock,
    /// Where readiness is held back until the products are known.
    pub readiness: Readiness,
    /// Where metrics are registered.
    pub metrics: meshwork_telemetry::Metrics,
    /// Whether the listener's port was asked for. Else each broker's listener takes any free port.
    pub ports_are_fixed: bool,
}

/// Byte limits, as numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteLimits {
    pub(crate) produce: usize,
    pub(crate) request: usize,
    /// The greater of both.
    pub(crate) largest: usize,
    pub(crate) rewritten: usize,
    pub(crate) held_kib: u32,
    /// Whether the brokers want a login, as our own connections' settings say.
    pub(crate) login_expected: bool,
}

/// What every connection works with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) limits: ByteLimits,
    pub(crate) kafka: KafkaConfig,
    pub(crate) registry: RegistryClient,
    pub(crate) clock: SharedClock,
    pub(crate) brokers: Brokers,
    pub(crate) upstream: Upstream,
    /// With clients; none: plain text.
    tls: Option<ClientTls>,
    pub(crate) own: OwnConnections,
    pub(crate) topics: Arc<Topics>,
    pub(crate) products: Products,
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) schemas: Arc<SchemaCache>,
    pub(crate) observations: Arc<Observations>,
    pub(crate) consumption: Arc<Consumption>,
    pub(crate) refusals: Refusals,
    pub(crate) traces: Traces,
    pub(crate) metrics: Metrics,
    /// Room for large requests.
    pub(crate) held: Arc<Held>,
    /// Large buffers that no connection needs now.
    pub(crate) buffers: Arc<Buffers>,
    connections: Mutex<Connections>,
}

impl Shared {
    /// Names of the topics that are known.
    pub(crate) fn names(&self) -> Names<'_> {
        Names {
            topics: &self.topics,
            products: &self.products,
        }
    }

    /// Notes a topic's id.
    pub(crate) fn learn_topic(&self, id: Uuid, name: &str) {
        if self.topics.learn(id, name) {
            tracing::info!(topic = name, "topic was made anew: it has another id");
            self.observations.made_anew(name);
        }
    }
}

/// The gateway role.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    context: Context,
    listener: TcpListener,
    bound: mpsc::UnboundedReceiver<Bound>,
    latch: Latch,
    handle: Handle,
    asked: observe::Asked,
}

impl Service {
    /// Puts the gateway together; clients bootstrap from `listener`.
    ///
    /// # Errors
    /// [`Error::Config`], and a listener without an address.
    pub fn new(config: Config, context: Context, listener: TcpListener) -> Result<Self, Error> {
        let latch = context.readiness.latch("gateway: reading mesh.catalog");
        let address = listener.local_addr().map_err(|source| Error::Listen {
            address: std::net::SocketAddr::from(([0, 0, 0, 0], 0)),
            source,
        })?;
        let limits = limits(&config, &context.kafka)?;
        let (bind, bound) = mpsc::unbounded_channel();
        // Each waits for the one before.
        let (ask, asked) = mpsc::channel(1);
        let metrics = Metrics::register(&context.metrics);
        let topics = Arc::new(Topics::new(config.max_topics));
        let batches = Limits {
            max_batch_bytes: limits.produce,
            max_decompressed_bytes: config.max_decompressed_bytes.as_usize(),
            ..Limits::default()
        };
        let shared = Shared {
            limits,
            kafka: context.kafka.clone(),
            registry: context.registry.clone(),
            clock: context.clock.clone(),
            brokers: Brokers::new(
                address,
                (
                    advertised_host(config.advertised_host.as_deref(), address.ip()),
                    broker_names(&config)?,
                ),
                config.max_node_id,
                context.ports_are_fixed,
                &context.kafka.bootstrap_servers,
                bind,
            ),
            upstream: Upstream {
                within: config.connect_within.get(),
                tls: config
                    .upstream_tls
                    .as_ref()
                    .map(BrokerTls::open)
                    .transpose()?,
            },
            tls: config.tls.as_ref().map(ClientTls::open).transpose()?,
            own: OwnConnections::new(&context.kafka),
            products: Products::new(batches, config.registry_unavailable.into()),
            quarantine: Arc::new(Quarantine::new(&context.kafka)?),
            schemas: Arc::new(SchemaCache::new(
                context.registry.clone(),
                config.max_schemas,
            )),
            observations: Arc::new(Observations::new(metrics.clone(), Arc::clone(&topics))),
            topics,
            consumption: Arc::default(),
            refusals: Refusals::default(),
            traces: Traces::new(config.trace_every),
            held: Arc::new(Held::new(limits.held_kib, metrics.clone())),
            metrics,
            buffers: Arc::default(),
            connections: Mutex::default(),
            config,
        };
        Ok(Self {
            shared: Arc::new(shared),
            context,
            listener,
            bound,
            latch,
            handle: Handle { ask },
            asked,
        })
    }

    /// What connections work with, for tests of a single one.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The gateway as the rest of the process sees it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves clients until `shutdown`: then accepts no more, reads no more, and finishes what is in
    /// flight.
    ///
    /// # Errors
    /// A catalog topic that can't be used, or a listener that fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self {
            shared,
            context,
            listener,
            mut bound,
            latch,
            handle: _handle,
            asked,
        } = self;
        let clients = TaskTracker::new();
        // What the gateway writes itself is written until the last client is gone.
        let background = CancellationToken::new();
        let mut parts: JoinSet<Result<(), Error>> = JoinSet::new();
        parts.spawn(catalog::follow(
            Arc::clone(&shared),
            latch,
            background.clone(),
        ));
        parts.spawn(quarantine::follow(Arc::clone(&shared), background.clone()));
        parts.spawn(refresh(Arc::clone(&shared), background.clone()));
        let (own, upstream, stop) = (
            shared.tls.clone(),
            shared.upstream.tls.clone(),
            background.clone(),
        );
        parts.spawn(async move {
            tokio::join!(
                async {
                    if let Some(tls) = own {
                        tls.watch(stop.clone()).await;
                    }
                },
                async {
                    if let Some(tls) = upstream {
                        tls.watch(stop.clone()).await;
                    }
                },
                stop.cancelled(),
            );
            Ok(())
        });
        let instance = shared.config.instance.clone().unwrap_or_else(|| {
            let port = listener.local_addr().map_or(0, |address| address.port());
            format!("{}:{port}", host_name())
        });
        let writer = Writer {
            observations: Arc::clone(&shared.observations),
            consumption: Arc::clone(&shared.consumption),
            kafka: context.kafka.clone(),
            registry: context.registry.clone(),
            clock: context.clock.clone(),
            every: shared.config.observe_every.get(),
            instance,
            metrics: shared.metrics.clone(),
        };
        let stop = background.clone();
        parts.spawn(async move {
            writer.run(asked, stop).await;
            Ok(())
        });
        let mut listeners: JoinSet<Result<(), Error>> = JoinSet::new();
        listeners.spawn(accept(
            Arc::clone(&shared),
            listener,
            None,
            clients.clone(),
            shutdown.clone(),
        ));
        let outcome = loop {
            tokio::select! {
                // First: a listener that was told to stop has not ended by a failure.
                biased;
                () = shutdown.cancelled() => break Ok(()),
                Some(Bound { node, listener }) = bound.recv() => {
                    listeners.spawn(accept(
                        Arc::clone(&shared),
                        listener,
                        Some(node),
                        clients.clone(),
                        shutdown.clone(),
                    ));
                }
                // Until it is told to, no part ends but by a failure.
                Some(ended) = listeners.join_next() => break Err(why(ended)),
                Some(ended) = parts.join_next() => break Err(why(ended)),
            }
        };
        clients.close();
        if outcome.is_ok() {
            clients.wait().await;
        }
        background.cancel();
        while let Some(ended) = parts.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "a part of the gateway failed while it ended");
            }
        }
        outcome
    }
}

/// Why a part ended that should not have.
fn why(ended: Result<Result<(), Error>, JoinError>) -> Error {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(())) => Error::Ended { panic: None },
        Err(panic) => Error::Ended { panic: Some(panic) },
    }
}

fn limits(config: &Config, kafka: &KafkaConfig) -> Result<ByteLimits, Error> {
    let produce = config.max_produce_bytes.as_usize();
    let request = config.max_request_bytes.as_usize();
    let held = config.max_held_bytes.get();
    if held < config.max_produce_bytes.get() {
        return Err(Error::Config {
            key: "max_held_bytes",
            why: format!(
                "it is {held} bytes, and one Produce request may have {produce} (gateway.service.max_produce_bytes): raise the one or lower the other"
            ),
        });
    }
    Ok(ByteLimits {
        produce,
        request,
        largest: produce.max(request),
        rewritten: config.max_rewritten_bytes.as_usize(),
        held_kib: u32::try_from(held / 1024).unwrap_or(u32::MAX),
        login_expected: kafka.wants_login(),
    })
}

fn broker_names(config: &Config) -> Result<Option<BrokerNames>, Error> {
    let Some(pattern) = config.tls.as_ref().and_then(|tls| tls.broker_name.as_ref()) else {
        return Ok(None);
    };
    BrokerNames::new(pattern)
        .map(Some)
        .ok_or_else(|| Error::Config {
            key: "tls.broker_name",
            why: format!(
                "`{pattern}` has to have {{node}} in it once, such as b{{node}}.kafka.example.com"
            ),
        })
}
