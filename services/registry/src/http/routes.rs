//! The table of routes, and what holds for all of them: accepted types, the time limit, and that
//! nothing is answered from a log that has not been read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Request, State as Held};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use meshwork_telemetry::spans;

use super::answer::{Json, PREFERRED, negotiate, not_found};
use super::forward::{Forwarder, MIN_OFFSET, offset_in, pass_on};
use super::operation::Operation;
use super::{context_path, operations};
use crate::access::{Access, gate};
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::writer::Writer;

/// What handlers work on.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) forwarder: Forwarder,
    pub(crate) access: Access,
}

impl Api {
    /// The subject that a name means: itself, or what it is an alias of.
    pub(crate) fn resolve(&self, subject: &Subject) -> Result<Subject, Refusal> {
        self.shared
            .read(|state| Ok(state.resolve(subject.as_str())?))
    }
}

/// All routes. Whatever is not here, method included, is a JSON 404: clients take 405 and 500 for
/// a broken registry.
pub(crate) fn router(api: Api) -> Router {
    let mut routes = routes().layer(from_fn_with_state(api.clone(), pass_on));
    if api.access.is_configured() {
        // Inside of the guard, where it is known which route a request matched; around all else.
        routes = routes.layer(from_fn_with_state(api.clone(), gate));
    }
    // The guard stands around the routes, so that it sees a path before they do.
    Router::new()
        .fallback_service(routes.with_state(api.clone()))
        .layer(from_fn_with_state(api, guard))
}

fn routes() -> Router<Api> {
    operations::all()
        .into_iter()
        .map(Operation::into_route)
        .fold(Router::new(), |router, (path, handler)| {
            router.route(path, handler)
        })
        .route_layer(from_fn(spans::http_request))
        .fallback(|| async { not_found() })
        .method_not_allowed_fallback(|| async { not_found() })
}

async fn guard(Held(api): Held<Api>, request: Request, next: Next) -> Response {
    let Some(name) = negotiate(request.headers()) else {
        return Refusal::new(Code::NotAcceptable, "HTTP 406 Not Acceptable").into_response();
    };
    let mut response = pass(&api, request, next)
        .await
        .unwrap_or_else(IntoResponse::into_response);
    match response.headers().get(header::CONTENT_TYPE) {
        // Nothing is said.
        None if response.status() == StatusCode::NO_CONTENT => return response,
        Some(kind) if *kind == PREFERRED => {}
        // The router's own words for a path that can't be decoded, and the like.
        _ => response = by_status(response.status()),
    }
    if name != PREFERRED {
        response.headers_mut().insert(header::CONTENT_TYPE, name);
    }
    response
}

async fn pass(api: &Api, mut request: Request, next: Next) -> Result<Response, Refusal> {
    if !api.shared.caught_up.load(Ordering::Acquire) {
        return Err(Refusal::new(
            Code::NoWriter,
            "the registry is still reading _schemas; ask again in a moment",
        ));
    }
    if let Some(offset) = offset_in(request.headers(), &MIN_OFFSET) {
        wait_for(api, offset).await?;
    }
    if !api.access.is_configured()
        && let Some(answer) = ready(api, &request)
    {
        return Ok(answer);
    }
    if let Some(path) = context_path::resolve(request.uri())? {
        *request.uri_mut() = path.into();
    }
    let limit = api.shared.config.request_timeout.get();
    tokio::time::timeout(limit, next.run(request))
        .await
        .map_err(|_| {
            Refusal::new(
                Code::RequestTimeout,
                format!("the request was not answered within {limit:?} (registry.service.request_timeout)"),
            )
        })
}

/// What is asked most, a schema by its id, where the answer is ready to be sent: neither routed,
/// nor timed, nor traced, all of which would cost more than the answer.
fn ready(api: &Api, request: &Request) -> Option<Response> {
    if request.method() != Method::GET || request.uri().query().is_some() {
        return None;
    }
    let id = request.uri().path().strip_prefix("/schemas/ids/")?;
    let answer = api.shared.kept_answer(DEFAULT_CONTEXT, id.parse().ok()?)?;
    Some(Json(answer).into_response())
}

/// Waits until what somebody has seen elsewhere can be seen here.
async fn wait_for(api: &Api, offset: i64) -> Result<(), Refusal> {
    let limit = api.shared.config.min_offset_timeout.get();
    tokio::time::timeout(limit, api.shared.applied(offset))
        .await
        .map_err(|_| {
            let read = *api.shared.applied.borrow();
            Refusal::new(
                Code::NoWriter,
                format!(
                    "this instance has read {} up to offset {read}, and {offset} did not come within {limit:?} (registry.service.min_offset_timeout); ask again, or another instance",
                    api.shared.config.topic
                ),
            )
        })
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
