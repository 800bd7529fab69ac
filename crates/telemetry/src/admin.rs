//! The admin listener: `/live`, `/ready`, `/metrics` and the log level. One per process.

use std::future::Future;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::{LogControl, Metrics, Readiness};

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    metrics: Metrics,
    logs: Option<LogControl>,
}

/// Serves the admin routes on a bound listener until `shutdown` completes.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Metrics,
    logs: Option<LogControl>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, routes(readiness, metrics, logs))
        .with_graceful_shutdown(shutdown)
        .await
}

/// The routes by themselves.
pub fn routes(readiness: Readiness, metrics: Metrics, logs: Option<LogControl>) -> Router {
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/log-level", get(log_level).put(set_log_level))
        .with_state(Admin {
            readiness,
            metrics,
            logs,
        })
}

async fn ready(State(admin): State<Admin>) -> Response {
    let waiting = admin.readiness.waiting();
    if waiting.is_empty() {
        return "ready\n".into_response();
    }
    let lines: String = waiting
        .iter()
        .map(|w| format!("waiting for {w}\n"))
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    match admin.metrics.encode() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn log_level(State(admin): State<Admin>) -> Response {
    match admin.logs {
        Some(logs) => format!("{}\n", logs.level()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn set_log_level(State(admin): State<Admin>, level: String) -> Response {
    match admin.logs.map(|logs| logs.set_level(level.trim())) {
        Some(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Some(Err(error)) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn get(addr: std::net::SocketAddr, path: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn says_what_it_waits_for_until_it_is_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let readiness = Readiness::new();
        let metrics = Metrics::new();
        let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
        metrics.register(|r| r.register("tests", "Tests run", counter.clone()));
        counter.inc();
        let latch = readiness.latch("the log");
        let stop = Arc::new(tokio::sync::Notify::new());
        let stopped = Arc::clone(&stop);
        let server = tokio::spawn(serve(listener, readiness, metrics, None, async move {
            stopped.notified().await;
        }));
        let waiting = get(addr, "/ready").await;
        assert!(
            waiting.starts_with("HTTP/1.1 503") && waiting.contains("the log"),
            "{waiting}"
        );
        latch.release();
        assert!(get(addr, "/ready").await.starts_with("HTTP/1.1 200"));
        assert!(get(addr, "/live").await.starts_with("HTTP/1.1 200"));
        let text = get(addr, "/metrics").await;
        assert!(text.contains("meshwork_tests_total 1"), "{text}");
        stop.notify_one();
        server.await.unwrap().unwrap();
    }
}
