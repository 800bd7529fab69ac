//! What the client is told.

use std::fmt;
use std::path::PathBuf;

use meshwork_model::units::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the registry is and how much the client may keep, wait and retry.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryClientConfig {
    /// Base URLs of one registry's instances; the first that answers is kept until it fails. User
    /// and password may be given in the URL.
    pub urls: Vec<String>,
    /// User for basic authentication, for URLs that name none. `--registry-user`,
    /// `MESHWORK_REGISTRY_USER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password. `--registry-password`, `MESHWORK_REGISTRY_PASSWORD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Token sent as `Authorization: Bearer …`; none by default, else it wins over a user.
    /// `--registry-token`, `MESHWORK_REGISTRY_TOKEN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// File of certificates (PEM) that are trusted beside the system's. `--registry-ca-file`,
    /// `MESHWORK_REGISTRY_CA_FILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// File of the certificate (PEM) that is shown to a registry that asks for one, with those up to
    /// its authority; needs `key_file`. Both are read once, at the start.
    /// `--registry-certificate-file`, `MESHWORK_REGISTRY_CERTIFICATE_FILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// File of the certificate's private key (PEM), not encrypted. `--registry-key-file`,
    /// `MESHWORK_REGISTRY_KEY_FILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Limit for one request, answer included. Default `10s`: a registry that forwards to its
    /// writer and waits for Kafka answers well within it.
    pub timeout: HumanDuration,
    /// Limit for one establishment of a connection. Default `3s`.
    pub connect_timeout: HumanDuration,
    /// Times that a request is sent again after a failed connection, 502, 503 or 504, on the next
    /// URL each time. Default 4, about 2 s of waiting in all.
    pub retries: u32,
    /// How long the registration of the mesh's own schemas, with which a service starts, waits for
    /// a registry that does not answer yet. Default `30s`: it may be starting in the same process.
    pub startup_timeout: HumanDuration,
    /// Schemas kept by id, and as many memberships of ids in subjects. Default 10,000: at a few
    /// KiB each that is tens of MiB.
    pub cache_entries: usize,
    /// How long "there is no such schema" is believed, ± half. Default `5s`: a schema registered a
    /// moment ago on another instance must soon be seen.
    pub missing_for: HumanDuration,
    /// How long "the registry can't be reached" is believed for a cached look-up, ± half, so that
    /// a flood of records does not become a flood of requests. Default `1s`.
    pub unavailable_for: HumanDuration,
    /// How long "this id belongs to that subject" is believed, ± half. Default `5m`: only a delete
    /// can make it untrue.
    pub belongs_for: HumanDuration,
    /// Largest answer read. Default `16MiB`.
    pub max_answer_bytes: ByteSize,
}

impl Default for RegistryClientConfig {
    fn default() -> Self {
        Self {
            urls: vec!["http://127.0.0.1:8081".to_owned()],
            user: None,
            password: None,
            bearer_token: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            timeout: HumanDuration::from_secs(10),
            connect_timeout: HumanDuration::from_secs(3),
            retries: 4,
            startup_timeout: HumanDuration::from_secs(30),
            cache_entries: 10_000,
            missing_for: HumanDuration::from_secs(5),
            unavailable_for: HumanDuration::from_secs(1),
            belongs_for: HumanDuration::from_secs(300),
            max_answer_bytes: ByteSize::from_mib(16),
        }
    }
}

impl RegistryClientConfig {
    /// The defaults, with one URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            ..Self::default()
        }
    }
}

/// Credentials are not shown.
impl fmt::Debug for RegistryClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClientConfig")
            .field("urls", &self.urls.len())
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("cache_entries", &self.cache_entries)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        let config: RegistryClientConfig =
            serde_json::from_str(r#"{"urls":["http://r:8081"],"timeout":"30s"}"#).unwrap();
        assert_eq!(config.timeout, HumanDuration::from_secs(30));
        assert_eq!(config.retries, 4);
        assert!(serde_json::from_str::<RegistryClientConfig>(r#"{"url":"x"}"#).is_err());
        let text = serde_json::to_string(&RegistryClientConfig::default()).unwrap();
        assert!(text.contains(r#""belongs_for":"5m""#), "{text}");
    }
}
