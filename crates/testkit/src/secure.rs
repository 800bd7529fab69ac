//! The shared cluster with listeners for clients that log in or show certificates.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use meshwork_dev_kafka::{DevKafkaOptions, Listener};
use meshwork_kafka::KafkaConfig;

use crate::cluster::{Cluster, shared};
use crate::pki::{Pair, Pki};

/// Password of everyone who logs in by one.
pub const PASSWORD: &str = "correct horse";

/// Who can log in by PLAIN.
const USERS: [&str; 3] = ["alice", "mallory", "mesh"];

/// Name, protocol, mechanisms.
const LISTENERS: [(&str, &str, &str); 4] = [
    (
        "SASL",
        "SASL_PLAINTEXT",
        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    ),
    ("REAUTH", "SASL_PLAINTEXT", "PLAIN"),
    ("TLS", "SSL", ""),
    ("SASLTLS", "SASL_SSL", "PLAIN"),
];

/// How long a login at `REAUTH` is good for, ms: a busy machine takes seconds for another.
const REAUTH_MS: &str = "10000";

/// A cluster whose one broker also listens with
///
/// - `SASL`: PLAIN, SCRAM, OAUTHBEARER with unsecured tokens, delegation tokens;
/// - `REAUTH`: PLAIN, to be done again every ten seconds (KIP-368);
/// - `TLS`: client certificates are required;
/// - `SASLTLS`: TLS without client certificates, and PLAIN.
#[derive(Debug)]
pub struct Secure {
    /// The cluster itself, with its plain listener.
    pub cluster: &'static Cluster,
    /// Authority of the broker's certificate and of those that it takes.
    pub pki: Pki,
    /// A certificate that it takes.
    pub pair: Pair,
}

/// [`crate::kafka`] with these listeners: a test binary whose tests need them asks for this first,
/// in each of them.
///
/// # Panics
/// If Kafka can't be had, or was started without.
#[must_use]
pub fn secure_kafka() -> &'static Secure {
    static SECURE: OnceLock<Secure> = OnceLock::new();
    SECURE.get_or_init(|| {
        let mut made = None;
        let cluster = shared(|dir, options| made = Some(prepare(dir, options)));
        let Some(pki) = made else {
            panic!("the shared Kafka runs without these listeners: ask for secure_kafka() first");
        };
        let pair = pki.client("gateway");
        Secure { cluster, pki, pair }
    })
}

impl Secure {
    /// How clients reach one of the listeners; `mesh` by PLAIN where a login is wanted, and the
    /// certificate of [`Self::pair`] where one is.
    ///
    /// # Panics
    /// If there is no such listener.
    #[must_use]
    pub fn config(&self, listener: &str) -> KafkaConfig {
        let Some(servers) = self.cluster.dev().bootstrap_servers_of(listener) else {
            panic!("the broker has no listener {listener}");
        };
        let mut config = KafkaConfig::new(servers);
        let (ca, pair) = (self.pki.ca_file(), &self.pair);
        let mut set = |key: &str, value: &str| {
            config.properties.insert(key.to_owned(), value.to_owned());
        };
        let protocol = LISTENERS.iter().find(|(name, ..)| *name == listener);
        let protocol = protocol.map_or("", |(_, protocol, _)| protocol);
        set("security.protocol", protocol);
        if protocol.starts_with("SASL") {
            set("sasl.mechanisms", "PLAIN");
            set("sasl.username", "mesh");
            set("sasl.password", PASSWORD);
        }
        if protocol.ends_with("SSL") {
            set("ssl.ca.location", &ca.display().to_string());
        }
        // Where a login is wanted, no certificate is.
        if protocol == "SSL" {
            set(
                "ssl.certificate.location",
                &pair.certificate.display().to_string(),
            );
            set("ssl.key.location", &pair.key.display().to_string());
        }
        config
    }
}

fn prepare(dir: &Path, options: &mut DevKafkaOptions) -> Pki {
    let pki = Pki::new(&dir.join("pki"));
    let store = pki.server(&["localhost", "127.0.0.1"]).key_store();
    let settings = &mut options.settings;
    for (name, protocol, mechanisms) in LISTENERS {
        options.listeners.push(Listener {
            name: name.to_owned(),
            protocol: protocol.to_owned(),
            advertised: Vec::new(),
        });
        let of = format!("listener.name.{}", name.to_ascii_lowercase());
        if protocol.starts_with("SASL") {
            logins(settings, &of, mechanisms);
        }
        if protocol.ends_with("SSL") {
            let asked = if protocol == "SSL" {
                "required"
            } else {
                "none"
            };
            for (key, value) in [
                ("keystore.type", "PEM".to_owned()),
                ("keystore.location", store.display().to_string()),
                ("truststore.type", "PEM".to_owned()),
                ("truststore.location", pki.ca_file().display().to_string()),
                ("client.auth", asked.to_owned()),
            ] {
                settings.insert(format!("{of}.ssl.{key}"), value);
            }
        }
    }
    settings.insert(
        "listener.name.reauth.plain.connections.max.reauth.ms".to_owned(),
        REAUTH_MS.to_owned(),
    );
    settings.insert(
        "delegation.token.secret.key".to_owned(),
        "for tests".to_owned(),
    );
    pki
}

pub(crate) fn logins(settings: &mut BTreeMap<String, String>, of: &str, mechanisms: &str) {
    const MODULES: &str = "org.apache.kafka.common.security";
    settings.insert(
        format!("{of}.sasl.enabled.mechanisms"),
        mechanisms.to_owned(),
    );
    let users: String = USERS
        .iter()
        .map(|user| format!(" user_{user}=\"{PASSWORD}\""))
        .collect();
    for mechanism in mechanisms.split(',') {
        let module = match mechanism {
            "PLAIN" => format!("{MODULES}.plain.PlainLoginModule required{users};"),
            "OAUTHBEARER" => format!(
                "{MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"
            ),
            _ => format!("{MODULES}.scram.ScramLoginModule required;"),
        };
        let mechanism = mechanism.to_ascii_lowercase();
        settings.insert(format!("{of}.{mechanism}.sasl.jaas.config"), module);
    }
}
