//! Puts the roles of one process together: binds every listener, gives each role its clients, clock
//! and directory, runs them, and drains. The only place that knows which roles there are.

mod listeners;
mod open_files;
mod parts;

use anyhow::Context as _;
use axum::Router;
use axum::middleware::from_fn;
use meshwork_kafka::KafkaConfig;
use meshwork_model::time::SharedClock;
use meshwork_registry_client::RegistryClient;
use meshwork_telemetry::{LogControl, Metrics, Readiness, admin, spans};
use tokio::net::TcpListener;

pub(crate) use listeners::Addresses;
use listeners::{Listeners, Roles};
pub(crate) use parts::Parts;

use crate::args::Role;
use crate::config::Config;

/// A process whose roles are running.
#[derive(Debug)]
pub(crate) struct Running {
    /// The addresses really bound.
    pub(crate) addresses: Addresses,
    /// Says when every role has caught up.
    pub(crate) readiness: Readiness,
    /// The gateway's handle, if it runs here.
    pub(crate) gateway: Option<meshwork_gateway::Handle>,
    /// The freshness role's handle, if it runs here.
    pub(crate) freshness: Option<meshwork_freshness::Handle>,
    /// What runs.
    pub(crate) parts: Parts,
}

/// What every role is given.
#[derive(Clone, Debug)]
struct Shared {
    kafka: KafkaConfig,
    registry: RegistryClient,
    clock: SharedClock,
    readiness: Readiness,
    metrics: Metrics,
}

/// Starts the roles that the configuration names.
///
/// # Errors
/// An address that can't be bound, or a role that can't be put together.
pub(crate) async fn start(
    mut config: Config,
    clock: SharedClock,
    logs: Option<LogControl>,
) -> anyhow::Result<Running> {
    let runs = |role: Role| config.role.iter().any(|r| *r == role || *r == Role::All);
    anyhow::ensure!(
        !config.role.is_empty(),
        "no role is named: give --role all, or any of gateway, registry, freshness, lineage, catalog"
    );
    let (gateway, registry, freshness, lineage, catalog) = (
        runs(Role::Gateway),
        runs(Role::Registry),
        runs(Role::Freshness),
        runs(Role::Lineage),
        runs(Role::Catalog),
    );

    let needed = Roles {
        gateway,
        registry,
        http: freshness || lineage || catalog,
    };
    open_files::raise(gateway.then_some(config.gateway.service.max_connections));
    let listeners = Listeners::bind(&config, needed).await?;
    let addresses = listeners.addresses(&config)?;
    if config.registry.url.is_none() {
        config.registry.url.clone_from(&addresses.registry);
    }
    let shared = Shared {
        kafka: config.kafka.clone(),
        registry: RegistryClient::new(&config.registry_client())?,
        clock,
        readiness: Readiness::new(),
        metrics: Metrics::new(),
    };

    let mut parts = Parts::new(config.drain_deadline.get());
    let mut routes = Router::new();
    let mut freshness_handle = None;
    if let Some(listener) = listeners.registry {
        run_registry(&config, &shared, listener, &mut parts);
    }
    let gateway_handle = match listeners.gateway {
        Some(listener) => Some(run_gateway(&config, &shared, listener, &mut parts)?),
        None => None,
    };
    if freshness {
        let handle = run_freshness(&config, &shared, &mut parts)?;
        routes = routes.merge(handle.routes());
        freshness_handle = Some(handle);
    }
    if lineage {
        routes = routes.merge(run_lineage(&config, &shared, &mut parts)?.routes());
    }
    if catalog {
        routes = routes.merge(run_catalog(&config, &shared, &mut parts)?.routes());
    }
    if let Some(listener) = listeners.http {
        run_http(routes, listener, &mut parts);
    }
    run_admin(&shared, listeners.admin, logs, &mut parts);

    if let Some(file) = &config.addresses_file {
        addresses.write(file)?;
    }
    Ok(Running {
        addresses,
        readiness: shared.readiness,
        gateway: gateway_handle,
        freshness: freshness_handle,
        parts,
    })
}

fn run_gateway(
    config: &Config,
    shared: &Shared,
    listener: TcpListener,
    parts: &mut Parts,
) -> anyhow::Result<meshwork_gateway::Handle> {
    let context = meshwork_gateway::Context {
        kafka: shared.kafka.clone(),
        registry: shared.registry.clone(),
        clock: shared.clock.clone(),
        readiness: shared.readiness.clone(),
        metrics: shared.metrics.clone(),
        ports_are_fixed: config.gateway.listen.port() != 0,
    };
    let service = meshwork_gateway::Service::new(config.gateway.service.clone(), context, listener)
        .context("the gateway can't start")?;
    let handle = service.handle();
    parts.run("gateway", |shutdown| service.run(shutdown));
    Ok(handle)
}

fn run_registry(config: &Config, shared: &Shared, listener: TcpListener, parts: &mut Parts) {
    let context = meshwork_registry::Context {
        kafka: shared.kafka.clone(),
        data_dir: config.data_dir.join("registry"),
        readiness: shared.readiness.clone(),
        metrics: shared.metrics.clone(),
    };
    let (service, _) =
        meshwork_registry::Service::new(config.registry.service.clone(), context, listener);
    parts.run("registry", |shutdown| service.run(shutdown));
}

fn run_freshness(
    config: &Config,
    shared: &Shared,
    parts: &mut Parts,
) -> anyhow::Result<meshwork_freshness::Handle> {
    let context = meshwork_freshness::Context {
        kafka: shared.kafka.clone(),
        registry: shared.registry.clone(),
        clock: shared.clock.clone(),
        data_dir: config.data_dir.clone(),
        readiness: shared.readiness.clone(),
    };
    let (service, handle) = meshwork_freshness::Service::new(config.freshness.clone(), context)
        .context("freshness can't start")?;
    parts.run("freshness", |shutdown| service.run(shutdown));
    Ok(handle)
}

fn run_lineage(
    config: &Config,
    shared: &Shared,
    parts: &mut Parts,
) -> anyhow::Result<meshwork_lineage::Handle> {
    let context = meshwork_lineage::Context {
        kafka: shared.kafka.clone(),
        registry: shared.registry.clone(),
        clock: shared.clock.clone(),
        data_dir: config.data_dir.join("lineage"),
        readiness: shared.readiness.clone(),
        metrics: shared.metrics.clone(),
    };
    let (service, handle) = meshwork_lineage::Service::new(config.lineage.clone(), context)
        .context("lineage can't start")?;
    parts.run("lineage", |shutdown| service.run(shutdown));
    Ok(handle)
}

fn run_catalog(
    config: &Config,
    shared: &Shared,
    parts: &mut Parts,
) -> anyhow::Result<meshwork_catalog::Handle> {
    let context = meshwork_catalog::Context {
        kafka: shared.kafka.clone(),
        registry: shared.registry.clone(),
        clock: shared.clock.clone(),
        data_dir: config.data_dir.join("catalog"),
        readiness: shared.readiness.clone(),
        metrics: shared.metrics.clone(),
    };
    let (service, handle) = meshwork_catalog::Service::new(config.catalog.clone(), context)
        .context("the catalog can't start")?;
    parts.run("catalog", |shutdown| service.run(shutdown));
    Ok(handle)
}

fn run_http(routes: Router, listener: TcpListener, parts: &mut Parts) {
    let routes = routes.route_layer(from_fn(spans::http_request));
    parts.run("http", |shutdown| async move {
        axum::serve(listener, routes)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
    });
}

fn run_admin(shared: &Shared, listener: TcpListener, logs: Option<LogControl>, parts: &mut Parts) {
    let (readiness, metrics) = (shared.readiness.clone(), shared.metrics.clone());
    parts.run("admin", |shutdown| {
        admin::serve(
            listener,
            readiness,
            metrics,
            logs,
            shutdown.cancelled_owned(),
        )
    });
}
