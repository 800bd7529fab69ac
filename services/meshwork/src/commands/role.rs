//! `meshwork run`: the roles of the mesh in this process.

use std::sync::Arc;

use meshwork_model::time::WallClock;
use meshwork_telemetry::LogControl;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::args::RunArgs;
use crate::config::Config;
use crate::wiring;

pub(crate) async fn run(
    args: &RunArgs,
    mut config: Config,
    logs: LogControl,
) -> anyhow::Result<Exit> {
    config.run(args)?;
    let mut running = wiring::start(config, Arc::new(WallClock), Some(logs)).await?;
    tell(&running.addresses);
    let readiness = running.readiness.clone();
    tokio::spawn(async move {
        readiness.ready().await;
        tracing::info!("ready");
    });

    let failed = tokio::select! {
        error = running.parts.failed() => Some(error),
        () = stop_signal() => None,
    };
    tracing::info!("draining");
    let drained = running.parts.drain().await;
    match failed {
        Some(error) => Err(error),
        None => drained.map(|()| Exit::Done),
    }
}

/// Returns on SIGTERM and SIGINT.
pub(crate) async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without handlers the signal ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Says on stderr where the process is reached.
pub(crate) fn tell(addresses: &wiring::Addresses) {
    eprintln!("kafka    {}", addresses.kafka);
    if let Some(address) = &addresses.gateway {
        eprintln!("gateway  {address}");
    }
    if let Some(url) = &addresses.registry {
        eprintln!("registry {url}");
    }
    if let Some(url) = &addresses.http {
        eprintln!("http     {url}");
    }
    eprintln!("admin    {}", addresses.admin);
}
