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
    let bytes = in_utf8(collect(body, limit).await?)?;
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

/// JSON comes in UTF-8, or in UTF-16, which shows by its first two bytes: a byte order mark, or a
/// zero beside a letter of ASCII, with which all JSON begins.
fn in_utf8(bytes: Bytes) -> Result<Bytes, Refusal> {
    let unit: fn([u8; 2]) -> u16 = match *bytes {
        [0xEF, 0xBB, 0xBF, ..] => return Ok(bytes.slice(3..)),
        [0xFE, 0xFF, ..] | [0, _, ..] => u16::from_be_bytes,
        [0xFF, 0xFE, ..] | [_, 0, ..] => u16::from_le_bytes,
        _ => return Ok(bytes),
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> =
        char::decode_utf16(units.skip_while(|unit| *unit == 0xFEFF)).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text.into()),
        _ => Err(Refusal::new(
            Code::BadRequest,
            "request body is neither UTF-8 nor UTF-16",
        )),
    }
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
                    format!("request body is larger than {limit} bytes (registry.service.max_body_bytes)"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_in_utf_8_and_utf_16() {
        let text = r#"{"a":"é𝄞"}"#;
        let be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let le = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = format!("\u{feff}{text}");
        for bytes in [
            text.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            be(text),
            be(&marked),
            le(text),
            le(&marked),
        ] {
            assert_eq!(in_utf8(bytes.clone().into()).unwrap(), text, "{bytes:?}");
        }
        for bytes in [&[][..], b"{", b"\xff"] {
            assert_eq!(in_utf8(Bytes::from_static(bytes)).unwrap(), bytes);
        }
        // Half a unit, half a pair.
        for bytes in [&[0, b'{', 0][..], &[0, b'"', 0xD8, 0]] {
            assert!(in_utf8(Bytes::from_static(bytes)).is_err(), "{bytes:?}");
        }
    }
}
