//! The configuration: a file, over which environment and flags win. Each crate owns its part; this
//! nests them.

mod reference;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use meshwork_kafka::KafkaConfig;
use meshwork_model::units::HumanDuration;
use meshwork_registry_client::RegistryClientConfig;
use meshwork_telemetry::LoggingConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use reference::reference;

use crate::args::{ConnectArgs, ListenArgs, RegistryArgs, Role, RunArgs};

/// Largest configuration file read: one by hand has a few KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Configuration of `meshwork`. Every key is also an option and an environment variable: a flag
/// beats the environment, the environment beats this file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Roles to run: `all`, or any of `gateway`, `registry`, `freshness`,
    /// `lineage`, `catalog`.
    /// `--role`, `MESHWORK_ROLE`.
    pub(crate) role: Vec<Role>,
    /// Where the roles keep their state. `--data-dir`, `MESHWORK_DATA_DIR`.
    pub(crate) data_dir: PathBuf,
    /// How long parts may take to finish what is in flight after SIGTERM. `--drain-deadline`.
    pub(crate) drain_deadline: HumanDuration,
    /// File that the addresses really bound are written to, as JSON. `--addresses-file`.
    pub(crate) addresses_file: Option<PathBuf>,
    /// A running Meshwork that commands ask. `--server`, `MESHWORK_SERVER`.
    pub(crate) server: String,
    /// The Kafka cluster. `--bootstrap-server`, `-X key=value`, `--command-config`.
    pub(crate) kafka: KafkaConfig,
    /// The gateway on the Kafka protocol.
    pub(crate) gateway: GatewaySection,
    /// The schema registry: Meshwork's own role, or another with Confluent's API.
    pub(crate) registry: RegistrySection,
    /// The API of the other roles.
    pub(crate) http: HttpSection,
    /// Liveness, readiness, metrics, log level.
    pub(crate) admin: AdminSection,
    /// The freshness role.
    pub(crate) freshness: meshwork_freshness::Config,
    /// The lineage role.
    pub(crate) lineage: meshwork_lineage::Config,
    /// The catalog role.
    pub(crate) catalog: meshwork_catalog::Config,
    /// Logs and traces. `--log-level`, `--log-format`.
    pub(crate) logging: LoggingConfig,
}

/// The gateway on the Kafka protocol.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GatewaySection {
    /// Where clients bootstrap from; broker N is reached at its port + N. `--gateway-listen`.
    pub(crate) listen: SocketAddr,
    /// How the role behaves.
    pub(crate) service: meshwork_gateway::Config,
}

/// The schema registry: Meshwork's own role, or another with Confluent's API.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegistrySection {
    /// Where clients reach it. Absent: this process's own registry role, or
    /// `http://127.0.0.1:8081`. `--registry-url`, `MESHWORK_REGISTRY_URL`.
    pub(crate) url: Option<String>,
    /// Where the registry role listens. `--registry-listen`.
    pub(crate) listen: SocketAddr,
    /// The registry role.
    pub(crate) service: meshwork_registry::Config,
    /// How the other roles and commands ask a registry.
    pub(crate) client: RegistryClientConfig,
}

/// The API of the roles other than the registry.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpSection {
    /// Where it listens. `--http-listen`.
    pub(crate) listen: SocketAddr,
}

/// Liveness, readiness, metrics, log level.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminSection {
    /// Where it listens. `--admin-listen`.
    pub(crate) listen: SocketAddr,
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: Vec::new(),
            data_dir: state_dir().join("run"),
            drain_deadline: HumanDuration::from_secs(30),
            addresses_file: None,
            server: "http://127.0.0.1:8080".to_owned(),
            kafka: KafkaConfig::default(),
            gateway: GatewaySection::default(),
            registry: RegistrySection::default(),
            http: HttpSection::default(),
            admin: AdminSection::default(),
            freshness: meshwork_freshness::Config::default(),
            lineage: meshwork_lineage::Config::default(),
            catalog: meshwork_catalog::Config::default(),
            logging: LoggingConfig::default(),
        }
    }
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            listen: loopback(9192),
            service: meshwork_gateway::Config::default(),
        }
    }
}

impl Default for RegistrySection {
    fn default() -> Self {
        Self {
            url: None,
            listen: loopback(8081),
            service: meshwork_registry::Config::default(),
            client: RegistryClientConfig::default(),
        }
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
        }
    }
}

impl Default for AdminSection {
    fn default() -> Self {
        Self {
            listen: loopback(9600),
        }
    }
}

/// The user's state directory (XDG Base Directory), such as `~/.local/state/meshwork`.
pub(crate) fn state_dir() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("meshwork")
}

impl Config {
    /// The file's, or the defaults where there is none.
    ///
    /// # Errors
    /// A file that can't be read, or that has a key or value that is not understood: with line
    /// and column.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let size = std::fs::metadata(file)
            .with_context(|| format!("configuration {} can't be read", file.display()))?
            .len();
        anyhow::ensure!(
            size <= MAX_FILE_BYTES,
            "configuration {} has {size} bytes, and {MAX_FILE_BYTES} are the limit",
            file.display()
        );
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("configuration {} can't be read", file.display()))?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(&text)
            .with_context(|| format!("configuration {} is not understood", file.display()))
    }

    /// Flags and environment of a command that talks to Kafka and the registry.
    ///
    /// # Errors
    /// A `--command-config` file that can't be read.
    pub(crate) fn connect(&mut self, args: &ConnectArgs) -> anyhow::Result<()> {
        if let Some(servers) = &args.bootstrap_server {
            self.kafka.bootstrap_servers.clone_from(servers);
        }
        if let Some(file) = &args.command_config {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("command config {} can't be read", file.display()))?;
            for (number, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let (key, value) = line.split_once('=').with_context(|| {
                    format!(
                        "{}:{}: `{line}` is no key=value",
                        file.display(),
                        number + 1
                    )
                })?;
                self.property(key.trim(), value.trim());
            }
        }
        for (key, value) in &args.properties {
            self.property(key, value);
        }
        if let Some(url) = &args.registry_url {
            self.registry.url = Some(url.clone());
        }
        let client = &mut self.registry.client;
        for (given, kept) in [
            (&args.registry_user, &mut client.user),
            (&args.registry_password, &mut client.password),
            (&args.registry_token, &mut client.bearer_token),
        ] {
            if given.is_some() {
                kept.clone_from(given);
            }
        }
        for (given, kept) in [
            (&args.registry_ca_file, &mut client.ca_file),
            (
                &args.registry_certificate_file,
                &mut client.certificate_file,
            ),
            (&args.registry_key_file, &mut client.key_file),
        ] {
            if given.is_some() {
                kept.clone_from(given);
            }
        }
        Ok(())
    }

    /// `bootstrap.servers` has a place of its own.
    fn property(&mut self, key: &str, value: &str) {
        if key == "bootstrap.servers" {
            value.clone_into(&mut self.kafka.bootstrap_servers);
        } else {
            self.kafka
                .properties
                .insert(key.to_owned(), value.to_owned());
        }
    }

    /// Flags and environment that say where to listen.
    pub(crate) fn listen(&mut self, args: &ListenArgs) {
        if let Some(address) = args.gateway_listen {
            self.gateway.listen = address;
        }
        if let Some(address) = args.registry_listen {
            self.registry.listen = address;
        }
        if let Some(address) = args.http_listen {
            self.http.listen = address;
        }
        if let Some(address) = args.admin_listen {
            self.admin.listen = address;
        }
        if args.addresses_file.is_some() {
            self.addresses_file.clone_from(&args.addresses_file);
        }
    }

    fn registry(&mut self, args: &RegistryArgs) {
        let config = &mut self.registry.service;
        if args.registry_advertised_url.is_some() {
            config
                .advertised_url
                .clone_from(&args.registry_advertised_url);
        }
        config.force_takeover |= args.force_takeover;
        if let Some(code) = args.incompatible_error_code {
            config.incompatible_error_code = code;
        }
    }

    /// Flags and environment of `meshwork run`.
    ///
    /// # Errors
    /// As [`Config::connect`].
    pub(crate) fn run(&mut self, args: &RunArgs) -> anyhow::Result<()> {
        self.connect(&args.connect)?;
        self.listen(&args.listen);
        self.registry(&args.registry);
        if !args.role.is_empty() {
            self.role.clone_from(&args.role);
        }
        if let Some(dir) = &args.data_dir {
            self.data_dir.clone_from(dir);
        }
        if let Some(deadline) = args.drain_deadline {
            self.drain_deadline = deadline;
        }
        Ok(())
    }

    /// How to ask the registry.
    pub(crate) fn registry_client(&self) -> RegistryClientConfig {
        let mut client = self.registry.client.clone();
        if let Some(url) = &self.registry.url {
            client.urls = url.split(',').map(|u| u.trim().to_owned()).collect();
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> anyhow::Result<Config> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(Some(file.path()))
    }

    #[test]
    fn flags_win_over_the_file() {
        let mut config =
            from("kafka:\n  bootstrap_servers: file:1\nregistry:\n  url: http://file:2\n").unwrap();
        assert_eq!(config.kafka.bootstrap_servers, "file:1");
        config
            .connect(&ConnectArgs {
                bootstrap_server: Some("flag:1".into()),
                properties: vec![("security.protocol".into(), "ssl".into())],
                registry_user: Some("ann".into()),
                registry_key_file: Some("ann.key".into()),
                ..ConnectArgs::default()
            })
            .unwrap();
        assert_eq!(config.registry_client().user.as_deref(), Some("ann"));
        assert_eq!(config.registry_client().key_file, Some("ann.key".into()));
        assert_eq!(config.kafka.bootstrap_servers, "flag:1");
        assert_eq!(config.kafka.properties["security.protocol"], "ssl");
        assert_eq!(config.registry_client().urls, ["http://file:2"]);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = from("kafka:\n  bootstrap_server: x\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("bootstrap_server") && text.contains("line 2"),
            "{text}"
        );
    }
}
