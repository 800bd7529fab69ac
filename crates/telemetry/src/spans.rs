//! A span for each HTTP request, named by OpenTelemetry's semantic conventions. Without an OTLP
//! endpoint, and above the log level, they cost next to nothing.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument as _, field, info_span};

/// Middleware for `axum::middleware::from_fn`: one server span a request, with method, route and
/// status. Put it on with `route_layer`, where the route is known.
pub async fn http_request(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", |path| path.as_str());
    let span = info_span!(
        "http request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = field::Empty,
    );
    let answer = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", answer.status().as_u16());
    answer
}
