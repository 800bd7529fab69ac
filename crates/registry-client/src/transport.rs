//! One request to one of several instances: bounded time, bounded answer, bounded retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use meshwork_model::text::with_causes;
use reqwest::{Client, Method, StatusCode, Url, header};
use serde::de::DeserializeOwned;

use crate::answers::ErrorAnswer;
use crate::config::RegistryClientConfig;
use crate::error::RegistryClientError;
use crate::tls;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// In whose name is asked, for a registry that does not know who asks.
const CLAIMED: &str = "Meshwork-Claimed-By";

#[derive(Clone)]
pub(crate) struct Transport {
    http: Client,
    endpoints: Arc<[Endpoint]>,
    /// Index of the endpoint that answered last.
    current: Arc<AtomicUsize>,
    retries: u32,
    max_answer_bytes: usize,
}

struct Endpoint {
    /// Without credentials.
    url: Url,
    authorization: Option<header::HeaderValue>,
    user: Option<(String, Option<String>)>,
}

/// A request, and what to call it in messages.
pub(crate) struct Request<'a> {
    pub(crate) what: String,
    pub(crate) method: Method,
    pub(crate) path: Vec<&'a str>,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<Vec<u8>>,
}

/// How one attempt failed.
enum Attempt {
    /// Worth another attempt elsewhere or later.
    Again { url: String, detail: String },
    /// Not.
    Done(RegistryClientError),
}

/// The URL without what stands before its last `@`, however broken it may be.
fn without_credentials(url: &str) -> String {
    match url.rsplit_once('@') {
        None => url.to_owned(),
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://{host}")
        }
    }
}

fn endpoint(text: &str, config: &RegistryClientConfig) -> Result<Endpoint, RegistryClientError> {
    let bad = |why: String| RegistryClientError::Url {
        url: without_credentials(text),
        why,
    };
    let mut url = Url::parse(text).map_err(|e| bad(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(bad("it is neither http nor https".to_owned()));
    }
    let user = if url.username().is_empty() {
        let user = config.user.clone();
        user.map(|user| (user, config.password.clone()))
    } else {
        let password = url.password().map(percent_decode);
        Some((percent_decode(url.username()), password))
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let authorization = config
        .bearer_token
        .as_deref()
        .map(|token| {
            let mut value = header::HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| bad("the bearer token has control characters".to_owned()))?;
            value.set_sensitive(true);
            Ok::<_, RegistryClientError>(value)
        })
        .transpose()?;
    Ok(Endpoint {
        url,
        authorization,
        user,
    })
}

/// `%41` to `A`; anything else stays as it is.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.split_first_chunk::<2>())
            .flatten()
            .and_then(|(digits, tail)| {
                let digits = std::str::from_utf8(digits).ok()?;
                Some((u8::from_str_radix(digits, 16).ok()?, tail))
            });
        let (byte, tail) = escaped.unwrap_or((first, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Transport {
    pub(crate) fn new(config: &RegistryClientConfig) -> Result<Self, RegistryClientError> {
        let endpoints: Vec<Endpoint> = config
            .urls
            .iter()
            .map(|url| endpoint(url, config))
            .collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            return Err(RegistryClientError::Url {
                url: String::new(),
                why: "none is given".to_owned(),
            });
        }
        let http = Client::builder()
            .timeout(config.timeout.get())
            .connect_timeout(config.connect_timeout.get())
            .redirect(reqwest::redirect::Policy::limited(3))
            .user_agent(concat!("meshwork/", env!("CARGO_PKG_VERSION")));
        let http = tls::with(http, config)?
            .build()
            .map_err(|e| RegistryClientError::Setup(with_causes(&e)))?;
        Ok(Self {
            http,
            endpoints: endpoints.into(),
            current: Arc::new(AtomicUsize::new(0)),
            retries: config.retries,
            max_answer_bytes: config.max_answer_bytes.as_usize(),
        })
    }

    /// The URLs, for messages.
    pub(crate) fn urls(&self) -> String {
        let urls: Vec<&str> = self
            .endpoints
            .iter()
            .map(|e| e.url.as_str().trim_end_matches('/'))
            .collect();
        urls.join(", ")
    }

    /// The `Date` header of whatever the first endpoint answers at its root.
    pub(crate) async fn date(&self) -> Result<Option<String>, RegistryClientError> {
        let Some(endpoint) = self.endpoints.first() else {
            return Ok(None);
        };
        let answered = self.http.get(endpoint.url.clone()).send().await;
        let response = answered.map_err(|e| RegistryClientError::Unavailable {
            what: "its date".to_owned(),
            urls: self.urls(),
            attempts: 1,
            detail: with_causes(&e),
        })?;
        let date = response.headers().get(header::DATE);
        Ok(date.and_then(|date| Some(date.to_str().ok()?.to_owned())))
    }

    /// Sends `request` until it is answered or the retries are used up, and reads the answer.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        claimed: Option<&header::HeaderValue>,
    ) -> Result<T, RegistryClientError> {
        let waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_max_times(usize::try_from(self.retries).unwrap_or(usize::MAX));
        (|| self.attempt(request, claimed))
            .retry(waits)
            .when(|failure| matches!(failure, Attempt::Again { .. }))
            .notify(|failure, wait| {
                if let Attempt::Again { url, detail } = failure {
                    tracing::debug!(%url, %detail, what = %request.what, ?wait, "asking the registry again");
                }
            })
            .await
            .map_err(|failure| match failure {
                Attempt::Done(error) => error,
                Attempt::Again { detail, .. } => RegistryClientError::Unavailable {
                    what: request.what.clone(),
                    urls: self.urls(),
                    attempts: self.retries.saturating_add(1),
                    detail,
                },
            })
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        claimed: Option<&header::HeaderValue>,
    ) -> Result<T, Attempt> {
        let at = self.current.load(Ordering::Relaxed) % self.endpoints.len();
        let Some(endpoint) = self.endpoints.get(at) else {
            return Err(Attempt::Done(RegistryClientError::Setup(
                "no registry URL".to_owned(),
            )));
        };
        let answer = self.exchange(endpoint, request, claimed).await;
        if matches!(answer, Err(Attempt::Again { .. })) {
            // Whoever sees the failure first moves all on; the others find it moved.
            let _ = self.current.compare_exchange(
                at,
                (at + 1) % self.endpoints.len(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
        answer
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        claimed: Option<&header::HeaderValue>,
    ) -> Result<T, Attempt> {
        let base = || endpoint.url.as_str().trim_end_matches('/').to_owned();
        let again = |detail: String| Attempt::Again {
            url: base(),
            detail,
        };
        let bad = |detail: String| {
            Attempt::Done(RegistryClientError::BadAnswer {
                url: base(),
                what: request.what.clone(),
                detail,
            })
        };
        let mut url = endpoint.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header(header::ACCEPT, format!("{CONTENT_TYPE}, application/json"));
        if let Some(value) = &endpoint.authorization {
            builder = builder.header(header::AUTHORIZATION, value.clone());
        } else if let Some((user, password)) = &endpoint.user {
            builder = builder.basic_auth(user, password.as_deref());
        }
        if let Some(who) = claimed {
            builder = builder.header(CLAIMED, who);
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(header::CONTENT_TYPE, CONTENT_TYPE)
                .body(body.clone());
        }
        let mut response = builder.send().await.map_err(|e| again(with_causes(&e)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| again(with_causes(&e)))? {
            if body.len() + chunk.len() > self.max_answer_bytes {
                return Err(Attempt::Done(RegistryClientError::TooLong {
                    url: base(),
                    what: request.what.clone(),
                    limit: self.max_answer_bytes,
                }));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| bad(e.to_string()));
        }
        let error: ErrorAnswer = serde_json::from_slice(&body).unwrap_or_default();
        let code = error.error_code.unwrap_or(u32::from(status.as_u16()));
        let message = error.message.unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&body);
            format!(
                "HTTP {status} {}",
                text.chars().take(200).collect::<String>()
            )
            .trim_end()
            .to_owned()
        });
        Err(match status {
            StatusCode::NOT_FOUND => Attempt::Done(RegistryClientError::NotFound {
                what: request.what.clone(),
                code,
                message,
            }),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => again(format!("{message} (error code {code})")),
            status if status.is_server_error() => Attempt::Done(RegistryClientError::Unavailable {
                what: request.what.clone(),
                urls: base(),
                attempts: 1,
                detail: format!("{message} (error code {code})"),
            }),
            _ => Attempt::Done(RegistryClientError::Refused {
                url: base(),
                what: request.what.clone(),
                code,
                message,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url() {
        let endpoint = endpoint(
            "https://me:p%40ss@registry.example/base/",
            &RegistryClientConfig::default(),
        )
        .unwrap();
        assert_eq!(endpoint.url.as_str(), "https://registry.example/base/");
        assert_eq!(
            endpoint.user,
            Some(("me".to_owned(), Some("p@ss".to_owned())))
        );
    }

    #[test]
    fn a_bad_url_is_named_without_its_password() {
        for url in [
            "ftp://me:secret@host",
            "me:secret@host",
            "://me:secret@host",
        ] {
            let config = RegistryClientConfig::default();
            let error = endpoint(url, &config).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
