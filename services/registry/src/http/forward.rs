//! Changes that come to an instance that does not write are passed on to the one that does, once:
//! a request that was passed on already is refused. The answer goes back when it can be read here.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State as Held};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::body::collect;
use super::routes::Api;
use super::tls::Outgoing;
use crate::access::{Caller, PRINCIPAL, in_words};
use crate::actor::CLAIMED;
use crate::refusal::{Code, Refusal};

/// Confluent's: a request with it is not passed on again.
const FORWARDED: HeaderName = HeaderName::from_static("x-forward");

/// Offset of the log up to which a read must have been applied to see a change.
pub(super) const OFFSET: HeaderName = HeaderName::from_static("meshwork-offset");

/// A read that must not miss what the log shows at this offset.
pub(super) const MIN_OFFSET: HeaderName = HeaderName::from_static("meshwork-min-offset");

/// What goes along with a request, as with Confluent's instances; and in whose name it is asked.
const PASSED: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::AUTHORIZATION,
    CLAIMED,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("confluent-accept-unknown-properties"),
];

/// Largest answer that is passed back, bytes. Answers to changes are of the size of one schema, or
/// of the versions of one subject.
const MAX_ANSWER: usize = 16 << 20;

/// How long a request whose writer is gone waits to hear of its successor from the log. An election
/// takes longer: then it is refused, and the client asks again.
const SUCCESSOR_WITHIN: Duration = Duration::from_secs(2);

/// Marks the refusal of an instance that does not write.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotHere;

/// Asks the other instances.
#[derive(Clone)]
pub(crate) struct Forwarder {
    outgoing: Outgoing,
    /// Our own address: a log that names it while another writes is out of date.
    own: String,
    limit: Duration,
}

impl Forwarder {
    /// `limit` is for one request, answer included.
    pub(crate) fn new(own: &str, outgoing: Outgoing, limit: Duration) -> Self {
        Self {
            outgoing,
            own: own.to_owned(),
            limit,
        }
    }
}

pub(super) async fn pass_on(Held(api): Held<Api>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match collect(body, api.shared.config.max_body_bytes.as_usize()).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    let again = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let response = next.run(again).await;
    if response.extensions().get::<NotHere>().is_none() || parts.headers.contains_key(FORWARDED) {
        return response;
    }
    match forward(&api, &parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

fn failed(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Code::ForwardFailed,
        format!("Unexpected error while forwarding the request to the writer: {why}"),
    )
}

async fn forward(api: &Api, parts: &Parts, body: Bytes) -> Result<Response, Refusal> {
    let writer = writer(api)?;
    let mut answer = match ask(api, parts, body.clone(), &writer).await {
        // It is not there any more, so that nothing was asked of it. Its successor may already take
        // changes, and this instance not have read so yet.
        Err(error) if error.is_connect() && succeeded(api, &writer).await => {
            ask(api, parts, body, &self::writer(api)?).await
        }
        asked => asked,
    }
    .map_err(|error| failed(in_words(error)))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| failed(in_words(error)))?
    {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(failed(format!(
                "its answer is larger than {MAX_ANSWER} bytes"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = answer.status();
    for name in [header::CONTENT_TYPE, header::RETRY_AFTER, OFFSET] {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if let Some(offset) = offset_in(answer.headers(), &OFFSET) {
        // Whoever asked may read at once from here.
        api.shared.applied(offset).await;
    }
    Ok(response)
}

/// Where the instance is that writes, by the log.
fn writer(api: &Api) -> Result<String, Refusal> {
    api.shared
        .log_writer
        .borrow()
        .as_ref()
        .and_then(|writer| writer.url.clone())
        .filter(|url| *url != api.forwarder.own)
        .ok_or_else(|| Refusal::new(Code::NoWriter, "Leader not known."))
}

/// Waits a moment to hear that another one writes.
async fn succeeded(api: &Api, writer: &str) -> bool {
    let mut log_writer = api.shared.log_writer.subscribe();
    let news = log_writer.wait_for(|now| {
        let url = now.as_ref().and_then(|now| now.url.as_deref());
        url.is_some_and(|url| url != writer)
    });
    let heard = tokio::time::timeout(SUCCESSOR_WITHIN, news).await;
    heard.is_ok_and(|news| news.is_ok())
}

/// Asks the instance that writes.
async fn ask(
    api: &Api,
    parts: &Parts,
    body: Bytes,
    writer: &str,
) -> Result<reqwest::Response, reqwest::Error> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", writer.trim_end_matches('/'));
    let mut headers = HeaderMap::new();
    for name in PASSED {
        for value in parts.headers.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    headers.insert(FORWARDED, HeaderValue::from_static("true"));
    let caller = parts.extensions.get::<Caller>();
    if let Some(name) = caller.and_then(Caller::forwarded_as) {
        headers.insert(PRINCIPAL, name);
    }
    api.forwarder
        .outgoing
        .client()
        .request(parts.method.clone(), url)
        .timeout(api.forwarder.limit)
        .headers(headers)
        .body(body)
        .send()
        .await
}

/// The offset in a header, where there is one.
pub(super) fn offset_in(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
