//! Bodies: bounded, of a type that we read, and JSON as Java reads it.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::refusal::{Code, Refusal};

const READ: [&str; 4] = [
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/json",
    "application/octet-stream",
];

/// The JSON object of a request's body. Repeated members are legal: the last one counts.
///
/// # Errors
/// 413, 415, 422 for no body and 400 for what is not a JSON object.
pub(super) async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<T, Refusal> {
    if let Some(given) = headers.get(header::CONTENT_TYPE) {
        let name = given
            .to_str()
            .ok()
            .and_then(|text| text.split(';').next())
            .unwrap_or_default()
            .trim();
        if !READ.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            return Err(Refusal::new(
                Code::UnsupportedMediaType,
                "HTTP 415 Unsupported Media Type",
            ));
        }
    }
    let bytes = collect(body, limit).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(missing());
    }
    let malformed = |error: serde_json::Error| {
        Refusal::new(
            Code::BadRequest,
            format!("request body is not the JSON that is needed: {error}"),
        )
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(malformed)?;
    if value.is_null() {
        return Err(missing());
    }
    if !value.is_object() {
        return Err(Refusal::new(
            Code::BadRequest,
            "request body is JSON, but not an object",
        ));
    }
    serde_json::from_value(value).map_err(malformed)
}

/// `null` is no body either, as in Java.
fn missing() -> Refusal {
    Refusal::new(
        Code::Unprocessable,
        "the request has no body; a JSON object is needed",
    )
}

/// All of a body.
///
/// # Errors
/// 413, and 400 where it ends early.
pub(super) async fn collect(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    Ok(Limited::new(body, limit)
        .collect()
        .await
        .map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                Refusal::new(
                    Code::TooLarge,
                    format!("request body is larger than {limit} bytes (registry.max_body_bytes)"),
                )
            } else {
                Refusal::new(
                    Code::BadRequest,
                    format!("request body ended early: {error}"),
                )
            }
        })?
        .to_bytes())
}
