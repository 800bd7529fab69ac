//! Asks a running Meshwork's HTTP API.

use std::time::Duration;

use anyhow::{Context as _, bail};
use meshwork_model::problem::Problem;
use serde::de::DeserializeOwned;

use crate::args::LookArgs;
use crate::config::Config;

/// Longest wait for an answer: a person is waiting too.
const PATIENCE: Duration = Duration::from_secs(30);

/// The API of a running Meshwork.
#[derive(Debug)]
pub(crate) struct Api {
    base: String,
    http: reqwest::Client,
}

impl Api {
    /// Where `--server`, the environment or the configuration says.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub(crate) fn new(look: &LookArgs, config: &Config) -> anyhow::Result<Self> {
        let server = look.server.as_deref().unwrap_or(&config.server);
        let base = if server.contains("://") {
            server.to_owned()
        } else {
            format!("http://{server}")
        };
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            http,
        })
    }

    /// GET of `path`.
    ///
    /// # Errors
    /// The server can't be reached, answers with a problem, or with something else than JSON.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.base))
            .with_context(|| format!("`{}` is no URL of a server", self.base))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = self.http.get(url).send().await.with_context(|| {
            format!(
                "no Meshwork answers at {}: start one with `meshwork run`, or say where it is with \
                 --server",
                self.base
            )
        })?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => bail!("{}", problem.detail),
                Err(_) => bail!("{} answers {status}", self.base),
            }
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} answers {path} with something else", self.base))
    }
}

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> String {
    name.bytes()
        .fold(String::with_capacity(name.len()), |mut path, b| {
            if b.is_ascii_alphanumeric() || b"-._~:".contains(&b) {
                path.push(char::from(b));
            } else {
                path.push_str(&format!("%{b:02X}"));
            }
            path
        })
}
