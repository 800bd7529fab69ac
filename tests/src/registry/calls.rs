//! Requests as a client sends them, and what their answers mean to it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::history::{Call, End};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Code of "no writer": the change did not take effect.
const NO_WRITER: u32 = 50_004;

/// A client with a limit for each request.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it means.
    pub end: End,
    /// Its `Meshwork-Offset`.
    pub offset: Option<i64>,
    /// HTTP status and error code; 0 where nothing came.
    pub status: (u16, u32),
    /// Whether it says when to ask again.
    pub retry_after: bool,
}

impl Heard {
    fn nothing(end: End) -> Self {
        Self {
            end,
            offset: None,
            status: (0, 0),
            retry_after: false,
        }
    }
}

impl Client {
    /// A client that waits so long for an answer.
    ///
    /// # Errors
    /// The client can't be made.
    pub fn new(limit: Duration) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(limit)
            .timeout(limit)
            .no_proxy()
            .build()?;
        Ok(Self { http })
    }

    /// Asks the instance at `url`.
    ///
    /// # Errors
    /// An answer that no registry may give.
    pub async fn ask(&self, url: &str, call: &Call, min_offset: Option<i64>) -> Result<Heard> {
        let (method, path, body) = request(call);
        let mut request = self.http.request(method, format!("{url}{path}"));
        if let Some(body) = body {
            request = request
                .header("Content-Type", CONTENT_TYPE)
                .body(body.to_string());
        }
        if let Some(offset) = min_offset {
            request = request.header("Meshwork-Min-Offset", offset);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            // Nothing was sent.
            Err(error) if error.is_connect() => return Ok(Heard::nothing(End::NotTaken)),
            Err(_) => return Ok(Heard::nothing(End::Unknown)),
        };
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let offset = header("Meshwork-Offset").and_then(|text| text.parse().ok());
        let retry_after = header("Retry-After").is_some();
        let Ok(bytes) = answer.bytes().await else {
            return Ok(Heard::nothing(End::Unknown));
        };
        let body: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("{call:?}: {status} {}", String::from_utf8_lossy(&bytes)))?;
        let code = body
            .get("error_code")
            .and_then(Value::as_u64)
            .and_then(|code| u32::try_from(code).ok())
            .unwrap_or(0);
        let end = match status {
            200 => good(call, &body)?,
            404 | 409 | 422 if code >= 40_000 => End::Refused { code },
            503 if code == NO_WRITER => End::NotTaken,
            408 | 500..=599 => End::Unknown,
            _ => bail!("no registry answers {call:?} so: {status} {body}"),
        };
        Ok(Heard {
            end,
            offset,
            status: (status, code),
            retry_after,
        })
    }

    /// GET of a path; none if it is a 404.
    ///
    /// # Errors
    /// Nothing came, or something else.
    pub async fn get(&self, url: &str, path: &str, min_offset: i64) -> Result<Option<Value>> {
        let answer = self
            .http
            .get(format!("{url}{path}"))
            .header("Meshwork-Min-Offset", min_offset)
            .send()
            .await?;
        let status = answer.status().as_u16();
        let body = answer.json().await?;
        match status {
            200 => Ok(Some(body)),
            404 => Ok(None),
            _ => bail!("GET {path}: {status} {body}"),
        }
    }
}

fn request(call: &Call) -> (Method, String, Option<Value>) {
    let schema = |text: &str| Some(json!({ "schema": text }));
    match call {
        Call::Register { subject, text } => (
            Method::POST,
            format!("/subjects/{subject}/versions"),
            schema(text),
        ),
        Call::LookUp { subject, text } => {
            (Method::POST, format!("/subjects/{subject}"), schema(text))
        }
        Call::SoftDelete { subject } => (Method::DELETE, format!("/subjects/{subject}"), None),
        Call::HardDelete { subject } => (
            Method::DELETE,
            format!("/subjects/{subject}?permanent=true"),
            None,
        ),
        Call::SoftDeleteVersion { subject, version } => (
            Method::DELETE,
            format!("/subjects/{subject}/versions/{version}"),
            None,
        ),
        Call::HardDeleteVersion { subject, version } => (
            Method::DELETE,
            format!("/subjects/{subject}/versions/{version}?permanent=true"),
            None,
        ),
        Call::List { subject } => (Method::GET, format!("/subjects/{subject}/versions"), None),
        Call::ById { context, id } => (Method::GET, by_id(context, *id), None),
    }
}

/// Path of a schema by its id.
pub(super) fn by_id(context: &str, id: i32) -> String {
    match context {
        // A dot alone in a path would be taken out of it.
        "." => format!("/schemas/ids/{id}"),
        context => format!("/contexts/{context}/schemas/ids/{id}"),
    }
}

fn number(value: &Value) -> Option<i32> {
    i32::try_from(value.as_i64()?).ok()
}

fn good(call: &Call, body: &Value) -> Result<End> {
    let end = match call {
        Call::Register { .. } | Call::LookUp { .. } => (|| {
            Some(End::Registered {
                version: number(body.get("version")?)?,
                id: number(body.get("id")?)?,
            })
        })(),
        Call::SoftDelete { .. } | Call::HardDelete { .. } | Call::List { .. } => body
            .as_array()
            .and_then(|versions| versions.iter().map(number).collect())
            .map(|versions| End::Versions { versions }),
        Call::SoftDeleteVersion { .. } | Call::HardDeleteVersion { .. } => {
            number(body).map(|version| End::Versions {
                versions: vec![version],
            })
        }
        Call::ById { .. } => body
            .get("schema")
            .and_then(Value::as_str)
            .map(|text| End::Text {
                text: text.to_owned(),
            }),
    };
    end.with_context(|| format!("{call:?}: an answer that can't be read: {body}"))
}
