//! The table of routes, and what holds for all of them: accepted types, the time limit, and that
//! nothing is answered from a log that has not been read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Request, State as Held};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use meshwork_telemetry::spans;

use super::answer::{Json, PREFERRED, negotiate, not_found};
use super::{compatibility, schemas, settings, subjects};
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use crate::writer::Writer;

/// What handlers work on.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
}

/// All routes. Whatever is not here, method included, is a JSON 404: clients take 405 and 500 for
/// a broken registry.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/", get(root).post(root))
        .route("/schemas", get(schemas::list))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text_by_id))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects_of_id))
        .route("/schemas/ids/{id}/versions", get(schemas::versions_of_id))
        .route("/schemas/guids/{guid}", get(schemas::by_guid))
        .route("/schemas/guids/{guid}/ids", get(schemas::ids_of_guid))
        .route("/subjects", get(subjects::list))
        .route(
            "/subjects/{subject}",
            post(subjects::look_up).delete(subjects::delete),
        )
        .route("/subjects/{subject}/metadata", get(subjects::by_metadata))
        .route(
            "/subjects/{subject}/versions",
            get(subjects::versions).post(subjects::register),
        )
        .route(
            "/subjects/{subject}/versions/{version}",
            get(subjects::version).delete(subjects::delete_version),
        )
        .route(
            "/subjects/{subject}/versions/{version}/schema",
            get(subjects::version_text),
        )
        .route(
            "/subjects/{subject}/versions/{version}/referencedby",
            get(subjects::referenced_by),
        )
        .route(
            "/compatibility/subjects/{subject}/versions",
            post(compatibility::with_all),
        )
        .route(
            "/compatibility/subjects/{subject}/versions/{version}",
            post(compatibility::with_one),
        )
        .route(
            "/config",
            get(settings::global)
                .put(settings::put_global)
                .delete(settings::delete_global),
        )
        .route(
            "/config/{subject}",
            get(settings::of_subject)
                .put(settings::put_subject)
                .delete(settings::delete_subject),
        )
        .route("/mode", get(settings::global_mode))
        .route("/mode/{subject}", get(settings::mode))
        .route("/contexts", get(settings::contexts))
        .route("/v1/metadata/id", get(settings::cluster_id))
        .route("/v1/metadata/version", get(settings::server_version))
        .route(
            "/associations/resources/{namespace}/{name}",
            get(settings::associations),
        )
        .route_layer(from_fn(spans::http_request))
        .fallback(|| async { not_found() })
        .method_not_allowed_fallback(|| async { not_found() })
        .layer(from_fn_with_state(api.clone(), guard))
        .with_state(api)
}

async fn root() -> Json {
    Json(bytes::Bytes::from_static(b"{}"))
}

async fn guard(Held(api): Held<Api>, request: Request, next: Next) -> Response {
    let Some(name) = negotiate(request.headers()) else {
        return Refusal::new(Code::NotAcceptable, "HTTP 406 Not Acceptable").into_response();
    };
    if !api.shared.caught_up.load(Ordering::Acquire) {
        return Refusal::new(
            Code::NoWriter,
            "the registry is still reading _schemas; ask again in a moment",
        )
        .into_response();
    }
    let limit = api.shared.config.request_timeout.get();
    let mut response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(
            Code::RequestTimeout,
            format!("the request was not answered within {limit:?} (registry.request_timeout)"),
        )
        .into_response(),
    };
    if response.headers().get(header::CONTENT_TYPE) != Some(&PREFERRED) {
        // The router's own words for a path that can't be decoded, and the like.
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return by_status(status);
        }
    }
    if name != PREFERRED {
        response.headers_mut().insert(header::CONTENT_TYPE, name);
    }
    response
}

fn by_status(status: StatusCode) -> Response {
    let code = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            return not_found().into_response();
        }
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        status if status.is_server_error() => Code::StoreFailed,
        _ => Code::BadRequest,
    };
    Refusal::new(code, format!("HTTP {status}")).into_response()
}
