//! Accepting connections: at most so many at once, handshake and headers within a deadline each,
//! drained at the end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Tls;
use crate::access::{Peer, SharedPeer};
use crate::config::Config;

/// Longest wait for requests in flight when the process ends.
const DRAIN: Duration = Duration::from_secs(10);

/// Request line and headers of one request, bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Serves until `shutdown`, then lets requests in flight finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Tls,
    config: &Config,
    shutdown: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(config.max_connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout.get())
        .max_buf_size(MAX_HEADER_BYTES);
    loop {
        let accepted = async {
            // Never closed, so there is always a permit in the end.
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, stream, address) = tokio::select! {
            () = shutdown.cancelled() => break,
            (permit, accepted) = accepted => match accepted {
                Ok((stream, address)) => (permit, stream, address),
                Err(error) => {
                    // Out of file descriptors, mostly: others must end first.
                    tracing::warn!(%error, "registry can't accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            builder: builder.clone(),
            router: router.clone(),
            watcher: graceful.watcher(),
        };
        let Some(acceptor) = tls.acceptor() else {
            let peer = tls.peer(address, None);
            tokio::spawn(async move {
                connection.serve(stream, peer).await;
                drop(permit);
            });
            continue;
        };
        let tls = tls.clone();
        let deadline = config.header_timeout.get();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            let shaken = tokio::select! {
                () = stop.cancelled() => return,
                shaken = tokio::time::timeout(deadline, acceptor.accept(stream)) => shaken,
            };
            match shaken {
                Ok(Ok(stream)) => {
                    let peer = tls.peer(address, Some(stream.get_ref().1));
                    connection.serve(stream, peer).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(%address, %error, "no TLS with a client of the registry");
                }
                Err(_) => {
                    tracing::debug!(%address, "a client did not finish its TLS handshake in time");
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("registry left requests unanswered at its end, after {DRAIN:?}");
    }
}

/// What one connection is served with.
struct Connection {
    builder: http1::Builder,
    router: Router,
    watcher: Watcher,
}

impl Connection {
    async fn serve<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = Arc::new(peer);
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(SharedPeer::clone(&peer));
            router.call(request)
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, "connection to the registry ended");
        }
    }
}
