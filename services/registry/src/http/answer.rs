//! Content types, statuses and bodies.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use super::forward::{NotHere, OFFSET};
use crate::answers::ErrorAnswer;
use crate::record::to_json;
use crate::refusal::{Code, Refusal};
use crate::writer::Written;

/// The type of answers to whoever does not mind.
pub(super) const PREFERRED: HeaderValue =
    HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

/// Types of answers, the preferred one first.
const TYPES: [HeaderValue; 3] = [
    PREFERRED,
    HeaderValue::from_static("application/vnd.schemaregistry+json"),
    HeaderValue::from_static("application/json"),
];

/// The type that a request accepts best; none if it accepts none of ours.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
    if accepts.peek().is_none() {
        return Some(PREFERRED);
    }
    let mut best: Option<(f32, HeaderValue)> = None;
    for range in accepts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts
            .find_map(|part| part.strip_prefix("q="))
            .and_then(|q| q.parse::<f32>().ok())
            .unwrap_or(1.0);
        let hit = match name {
            "*" | "application/*" => Some(PREFERRED),
            // Whatever stands behind it.
            name if name.starts_with("*/") => Some(PREFERRED),
            name => TYPES
                .into_iter()
                .find(|ours| ours.as_bytes().eq_ignore_ascii_case(name.as_bytes())),
        };
        if let Some(hit) = hit
            && quality > 0.0
            && best.as_ref().is_none_or(|(other, _)| quality > *other)
        {
            best = Some((quality, hit));
        }
    }
    best.map(|(_, name)| name)
}

/// JSON that is ready to be sent.
pub(super) struct Json(pub(super) Bytes);

impl Json {
    pub(super) fn of(value: &impl Serialize) -> Self {
        Self(to_json(value).into())
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.0));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, PREFERRED);
        response
    }
}

/// What a handler of a change gives.
pub(super) type Changed = Result<Written<Json>, Refusal>;

/// The answer to a change says at which offset the log shows it.
impl<T: IntoResponse> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        response
            .headers_mut()
            .insert(OFFSET, HeaderValue::from(self.offset));
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refuse(self.code.number(), &self)
    }
}

/// A refusal under an error code that may differ from its own.
pub(super) fn refuse(number: u32, refusal: &Refusal) -> Response {
    let mut response = Json::of(&ErrorAnswer {
        error_code: number,
        message: &refusal.message,
    })
    .into_response();
    *response.status_mut() =
        StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if refusal.code == Code::NotHere {
        response.extensions_mut().insert(NotHere);
    }
    if matches!(refusal.code, Code::Denied | Code::Reserved) {
        // For the gate, which reports it.
        response.extensions_mut().insert(refusal.clone());
    }
    if refusal.code.status() == 503 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// What any unknown path, or known path with another method, is answered.
pub(crate) fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "HTTP 404 Not Found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accepted_type_is_taken() {
        let v1 = Some("application/vnd.schemaregistry.v1+json");
        for (accept, expected) in [
            (None, v1),
            (Some("*/*"), v1),
            (Some("*/whatever"), v1),
            (Some("application/*"), v1),
            (Some("text/*"), None),
            (Some("text/html, image/gif, image/jpeg, */*; q=0.2"), v1),
            (Some("application/json"), Some("application/json")),
            (
                Some("application/vnd.schemaregistry+json"),
                Some("application/vnd.schemaregistry+json"),
            ),
            (
                Some("application/json;q=0.5, application/vnd.schemaregistry.v1+json"),
                v1,
            ),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            let name = negotiate(&headers);
            assert_eq!(
                name.as_ref().map(|name| name.to_str().unwrap()),
                expected,
                "{accept:?}"
            );
        }
    }
}
