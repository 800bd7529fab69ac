//! Clients: accepting them, as many as are allowed, and why their connections end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Shared;
use crate::brokers::NodeId;
use crate::connection::{self, Accepted};
use crate::error::{Ended, Error};
use crate::tls;

/// How long accepting rests after it failed (no descriptors left): connections that end make room.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How many there are.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Accepts clients until `stop`. `node`: the broker that the listener stands for; none: any.
pub(super) async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    node: Option<NodeId>,
    clients: TaskTracker,
    stop: CancellationToken,
) -> Result<(), Error> {
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    shared.refusals.say("accept", || {
                        tracing::warn!(%error, "a connection can't be accepted");
                    });
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            },
        };
        let Some(place) = Place::take(&shared, peer.ip()) else {
            continue;
        };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        clients.spawn(async move {
            let served = client(&shared, stream, node, stop).await;
            drop(place);
            if let Err(ended) = served {
                say(&shared, peer, &ended);
            }
        });
    }
}

async fn client(
    shared: &Arc<Shared>,
    stream: TcpStream,
    node: Option<NodeId>,
    stop: CancellationToken,
) -> Result<(), Ended> {
    connection::tune(&stream).map_err(Ended::Client)?;
    let address = stream.peer_addr().map_err(Ended::Client)?.ip();
    let Some(tls) = &shared.tls else {
        let (source, sink) = stream.into_split();
        let accepted = Accepted {
            source: Box::new(source),
            sink: Box::new(sink),
            node,
            certificate: None,
            address,
        };
        return connection::serve(Arc::clone(shared), accepted, stop).await;
    };
    let within = shared.config.connect_within.get();
    let handshake = tokio::time::timeout(within, tls.acceptor().accept(stream));
    let stream = match handshake.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Ended::Handshake(error)),
        Err(_) => {
            return Err(Ended::TooLong {
                what: "the TLS handshake",
                millis: within.as_millis(),
            });
        }
    };
    let (_, session) = stream.get_ref();
    let certificate = tls::subject(session.peer_certificates());
    let node = shared.brokers.of_name(session.server_name()).or(node);
    let (source, sink) = tokio::io::split(stream);
    let accepted = Accepted {
        source: Box::new(source),
        sink: Box::new(sink),
        node,
        certificate,
        address,
    };
    connection::serve(Arc::clone(shared), accepted, stop).await
}

/// Counts why a connection ended, and says it once a minute for each reason.
fn say(shared: &Shared, peer: std::net::SocketAddr, ended: &Ended) {
    let reason = ended.reason();
    shared.metrics.ended(reason);
    let cause = std::error::Error::source(ended).map(ToString::to_string);
    if let Ended::Client(error) = ended {
        tracing::debug!(%peer, %error, "a client went away");
        return;
    }
    shared.refusals.say(&format!("ended {reason}"), || {
        tracing::warn!(%peer, reason, %ended, cause, "a client's connection was ended");
    });
}

/// A connection's place among those that are allowed.
struct Place {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Place {
    fn take(shared: &Arc<Shared>, address: IpAddr) -> Option<Self> {
        let config = &shared.config;
        let mut open = shared.connections.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        let full = if open.all >= config.max_connections {
            Some("gateway.service.max_connections")
        } else if of_address >= config.max_connections_per_address {
            Some("gateway.service.max_connections_per_address")
        } else {
            None
        };
        if let Some(limit) = full {
            drop(open);
            shared.metrics.ended("too-many");
            shared.refusals.say(limit, || {
                tracing::warn!(%address, limit, "a connection is refused: there are as many as allowed");
            });
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, of_address + 1);
        drop(open);
        shared.metrics.opened();
        Some(Self {
            shared: Arc::clone(shared),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.shared.connections.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(of_address) = open.by_address.get_mut(&self.address) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                open.by_address.remove(&self.address);
            }
        }
        self.shared.metrics.closed();
    }
}
