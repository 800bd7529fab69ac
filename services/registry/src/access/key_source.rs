//! Where the keys of tokens come from, and that they are kept fresh: asked for every so often, and
//! at once when a token names one that is not known, but never by two at a time nor too often.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use reqwest::{Certificate, Client, Url, redirect};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::config::BearerConfig;
use super::error::{AccessError, in_words};
use super::keys::Keys;
use super::metrics::AccessMetrics;
use meshwork_tls::{Named, Reloaded};

/// The URL is not asked more often, whatever tokens name: who sends tokens with made-up key ids
/// must not make us ask the provider for each.
const MIN_BETWEEN: Duration = Duration::from_secs(10);

/// How soon it is asked again while there are no keys at all.
const SOON: Duration = Duration::from_secs(1);

/// Limit for one answer of the URL.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Most bytes of it.
const MAX_ANSWER: usize = 1 << 20;

const KEYS_FILE: &str = "registry.service.authentication.bearer.keys_file";
const KEYS_URL: &str = "registry.service.authentication.bearer.keys_url";
const CA_FILE: &str = "registry.service.authentication.bearer.keys_ca_file";

/// There are no keys that could be trusted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoKeys;

/// The keys, as they are now.
pub(crate) enum KeySource {
    File(Arc<Reloaded<Keys>>),
    Url(Box<Remote>),
}

/// Keys behind a URL.
pub(crate) struct Remote {
    url: Url,
    client: Client,
    refresh: Duration,
    trusted_for: Duration,
    held: ArcSwapOption<Held>,
    /// Counts sets that differ from the one before.
    generation: AtomicU64,
    /// When it was last asked. Held while asking, so that one asks and the others wait for it.
    asked: Mutex<Option<Instant>>,
}

struct Held {
    keys: Arc<Keys>,
    bytes: Vec<u8>,
    at: Instant,
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "KeySource::File",
            Self::Url(_) => "KeySource::Url",
        })
    }
}

impl KeySource {
    /// Reads the file; a URL is asked later.
    ///
    /// # Errors
    /// A file that can't be used, or a URL that may not be trusted.
    pub(crate) fn open(config: &BearerConfig) -> Result<Self, AccessError> {
        if let Some(file) = &config.keys_file {
            let named = Named {
                file: file.clone(),
                key: KEYS_FILE,
            };
            let keys = Reloaded::open(vec![named.clone()], move |files| {
                Keys::parse(files.first().map(Vec::as_slice).unwrap_or_default()).map_err(|why| {
                    named.wrong(why, "write the provider's key set (its `jwks_uri`) there")
                })
            })?;
            return Ok(Self::File(Arc::new(keys)));
        }
        Ok(Self::Url(Box::new(Remote::new(config)?)))
    }

    /// The keys and a number that changes with them.
    ///
    /// # Errors
    /// There are none, or none that could still be trusted.
    pub(crate) async fn keys(&self) -> Result<(Arc<Keys>, u64), NoKeys> {
        match self {
            Self::File(keys) => {
                // First the number: the keys may then be newer than it, never older.
                let generation = keys.generation();
                Ok((keys.current(), generation))
            }
            Self::Url(remote) => remote.keys().await,
        }
    }

    /// Asks again, as a token names a key that is not among those of `generation`. None: there is
    /// nothing newer.
    pub(crate) async fn newer(&self, generation: u64) -> Option<(Arc<Keys>, u64)> {
        match self {
            // Looked at often enough by itself.
            Self::File(_) => None,
            Self::Url(remote) => {
                remote.ask(MIN_BETWEEN).await;
                let newer = remote.keys().await.ok()?;
                (newer.1 != generation).then_some(newer)
            }
        }
    }

    /// Keeps the keys fresh until `stop`.
    pub(crate) async fn watch(
        &self,
        interval: Duration,
        metrics: AccessMetrics,
        stop: CancellationToken,
    ) {
        match self {
            Self::File(keys) => {
                Arc::clone(keys)
                    .watch(interval, metrics.watcher(), stop)
                    .await;
            }
            Self::Url(remote) => remote.watch(stop).await,
        }
    }
}

impl Remote {
    fn new(config: &BearerConfig) -> Result<Self, AccessError> {
        let text = config.keys_url.as_deref().unwrap_or_default();
        let wrong = |why: String| AccessError::Setting { key: KEYS_URL, why };
        let url =
            Url::parse(text).map_err(|error| wrong(format!("`{text}` is no URL: {error}")))?;
        let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return Err(wrong(format!(
                "`{url}` is neither https nor http on this machine: whoever answers in the provider's stead could sign tokens"
            )));
        }
        let mut builder = Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("meshwork-registry/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &config.keys_ca_file {
            builder = builder.tls_certs_only(authorities(file.clone())?);
        }
        let client = builder
            .build()
            .map_err(|error| wrong(format!("no client can be made for it: {error}")))?;
        Ok(Self {
            url,
            client,
            refresh: config.keys_refresh.get().max(MIN_BETWEEN),
            trusted_for: config.keys_trusted_for.get(),
            held: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            asked: Mutex::new(None),
        })
    }

    fn held(&self) -> Option<(Arc<Keys>, u64)> {
        // First the number: the keys may then be newer than it, never older.
        let generation = self.generation.load(Ordering::Acquire);
        let held = self.held.load();
        let held = held.as_ref()?;
        (held.at.elapsed() < self.trusted_for).then(|| (Arc::clone(&held.keys), generation))
    }

    async fn keys(&self) -> Result<(Arc<Keys>, u64), NoKeys> {
        if let Some(held) = self.held() {
            return Ok(held);
        }
        self.ask(SOON).await;
        self.held().ok_or(NoKeys)
    }

    /// Asks the URL, unless it was asked less than `between` ago. Whoever comes while it is asked
    /// waits for that answer.
    async fn ask(&self, between: Duration) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < between) {
            return;
        }
        let answer = self.fetch().await;
        *asked = Some(Instant::now());
        match answer {
            Ok((bytes, keys)) => {
                let same = self
                    .held
                    .load()
                    .as_ref()
                    .is_some_and(|held| held.bytes == bytes);
                if !same {
                    tracing::info!(url = %self.url, keys = keys.len(), "keys of tokens are new");
                }
                self.held.store(Some(Arc::new(Held {
                    keys: Arc::new(keys),
                    bytes,
                    at: Instant::now(),
                })));
                if !same {
                    self.generation.fetch_add(1, Ordering::AcqRel);
                }
            }
            Err(why) => tracing::warn!(
                url = %self.url, why,
                "keys of tokens can't be had; those from before are used while they are trusted"
            ),
        }
    }

    async fn fetch(&self) -> Result<(Vec<u8>, Keys), String> {
        let mut response = self
            .client
            .get(self.url.clone())
            .header(
                reqwest::header::ACCEPT,
                "application/jwk-set+json, application/json",
            )
            .send()
            .await
            .map_err(in_words)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("it answers {}", response.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(in_words)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("its answer has more than {MAX_ANSWER} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let keys = Keys::parse(&bytes)?;
        Ok((bytes, keys))
    }

    async fn watch(&self, stop: CancellationToken) {
        loop {
            self.ask(SOON).await;
            let wait = if self.held.load().is_none() {
                SOON
            } else {
                self.refresh
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

fn authorities(file: std::path::PathBuf) -> Result<Vec<Certificate>, AccessError> {
    let named = Named { file, key: CA_FILE };
    let cure = "write the authority's certificates there, in PEM";
    let bytes = named.read()?;
    let all = Certificate::from_pem_bundle(&bytes)
        .map_err(|error| named.wrong(error.to_string(), cure))?;
    if all.is_empty() {
        return Err(named.wrong("there is no certificate in it", cure).into());
    }
    Ok(all)
}
