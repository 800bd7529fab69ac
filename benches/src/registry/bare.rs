//! The measure of reads: an axum route that answers the same bytes, under the same hyper settings
//! as the registry's listener, and does nothing else.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// First argument of this program when it is to be the bare server; the second is the file with
/// the answer, the third the port.
pub const ARGUMENT: &str = "serve-bare";

/// Serves until it is killed.
///
/// # Errors
/// The port is taken, or the file can't be read.
pub fn serve(file: &Path, port: u16) -> Result<()> {
    let answer: Bytes = std::fs::read(file)
        .with_context(|| format!("can't read {}", file.display()))?
        .into();
    // As the `meshwork` binary's.
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(accept(answer, port))
}

async fn accept(answer: Bytes, port: u16) -> Result<()> {
    let router = Router::new().route(
        "/schemas/ids/{id}",
        get(move || {
            let answer = answer.clone();
            async move { respond(answer) }
        }),
    );
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .max_buf_size(64 * 1024);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

fn respond(answer: Bytes) -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
    ([(header::CONTENT_TYPE, TYPE)], answer).into_response()
}
