//! Spans of HTTP requests reach an OTLP/HTTP collector.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use meshwork_telemetry::{LoggingConfig, logging, spans};

/// A collector that takes one request and gives its head and body.
fn collector(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut socket, _) = listener.accept().unwrap();
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let n = socket.read(&mut chunk).unwrap();
        assert!(
            n > 0,
            "the exporter hung up: {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.extend_from_slice(&chunk[..n]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |n| n.trim().parse().unwrap());
        if bytes.len() >= end + 4 + length {
            socket
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            return (head, bytes.split_off(end + 4));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_span_at_the_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let received = std::thread::spawn(move || collector(&listener));
    let config = LoggingConfig {
        otlp_endpoint: Some(endpoint),
        ..LoggingConfig::default()
    };
    let logs = logging::init(&config, "traced").unwrap();

    let routes: Router = Router::new()
        .route("/things/{id}", get(|| async { "thing" }))
        .route_layer(from_fn(spans::http_request));
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(server, routes).await });
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket
            .write_all(b"GET /things/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.ends_with("thing"), "{answer}");

    tokio::task::spawn_blocking(move || logs.flush())
        .await
        .unwrap();
    let (head, body) = tokio::task::spawn_blocking(move || received.join().unwrap())
        .await
        .unwrap();
    assert!(head.starts_with("post /v1/traces"), "{head}");
    // Strings stand as they are in protobuf.
    for expected in ["GET /things/{id}", "traced", "http.response.status_code"] {
        let found = body
            .windows(expected.len())
            .any(|w| w == expected.as_bytes());
        assert!(found, "{expected} is not in the export");
    }
}
