//! How to reach a cluster.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach a Kafka cluster; the same for every client in the process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Addresses to bootstrap from: `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// Name that brokers log and that quotas go by.
    pub client_id: String,
    /// More librdkafka properties (`security.protocol`, `sasl.mechanisms`, …). What Meshwork's
    /// guarantees rest on (idempotence, acknowledgements, commits) can't be changed here.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self::new("127.0.0.1:9092")
    }
}

impl KafkaConfig {
    /// A cluster to bootstrap from, without further properties.
    #[must_use]
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            client_id: "meshwork".to_owned(),
            properties: BTreeMap::new(),
        }
    }

    /// Whether the brokers want a login (`security.protocol`).
    #[must_use]
    pub fn wants_login(&self) -> bool {
        self.properties
            .get("security.protocol")
            .is_some_and(|protocol| protocol.to_ascii_lowercase().starts_with("sasl"))
    }

    /// librdkafka's configuration: our defaults, then the user's properties, then `fixed`.
    pub(crate) fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", &self.client_id);
        // Without a broker, find out about one that is back within a second.
        config.set("reconnect.backoff.ms", "50");
        config.set("reconnect.backoff.max.ms", "1000");
        // One that has stopped without closing its connections is given up after seconds, not after
        // minutes, and so is what it led (librdkafka: 60 s and 5 min).
        config.set("socket.timeout.ms", "4000");
        config.set("topic.metadata.refresh.interval.ms", "3000");
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        config
    }
}

/// Values of properties that hold secrets are left out.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties: BTreeMap<&str, &str> = self
            .properties
            .iter()
            .map(|(key, value)| {
                (
                    key.as_str(),
                    if is_secret(key) { "(hidden)" } else { value },
                )
            })
            .collect();
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("properties", &properties)
            .finish()
    }
}

fn is_secret(property: &str) -> bool {
    [
        "password",
        "secret",
        "ssl.key.pem",
        "sasl.oauthbearer.config",
        "jaas",
    ]
    .iter()
    .any(|word| property.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let mut config = KafkaConfig::new("a:1");
        for key in [
            "sasl.password",
            "ssl.key.password",
            "sasl.oauthbearer.client.secret",
        ] {
            config
                .properties
                .insert(key.to_owned(), "hunter2".to_owned());
        }
        let text = format!("{config:?}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("sasl.password"), "{text}");
    }

    #[test]
    fn a_login_is_wanted_where_the_protocol_says_so() {
        let mut config = KafkaConfig::new("a:1");
        assert!(!config.wants_login());
        for (protocol, wants) in [("SASL_SSL", true), ("sasl_plaintext", true), ("ssl", false)] {
            let key = "security.protocol".to_owned();
            config.properties.insert(key, protocol.to_owned());
            assert_eq!(config.wants_login(), wants, "{protocol}");
        }
    }

    #[test]
    fn what_is_fixed_beats_the_users_properties_and_they_beat_defaults() {
        let mut config = KafkaConfig::new("a:1");
        for (key, value) in [
            ("acks", "0"),
            ("linger.ms", "9"),
            ("bootstrap.servers", "b:2"),
        ] {
            config.properties.insert(key.to_owned(), value.to_owned());
        }
        let client = config.client(&[("linger.ms", "5")], &[("acks", "all")]);
        assert_eq!(client.get("acks"), Some("all"));
        assert_eq!(client.get("linger.ms"), Some("9"));
        assert_eq!(client.get("bootstrap.servers"), Some("a:1"));
    }
}
