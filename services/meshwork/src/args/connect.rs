//! How a command reaches Kafka, the registry and a running Meshwork.

use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectArgs {
    /// Kafka brokers to begin with, comma-separated. Default 127.0.0.1:9092.
    #[arg(long, env = "MESHWORK_BOOTSTRAP_SERVER", value_name = "HOST:PORT")]
    pub(crate) bootstrap_server: Option<String>,
    /// The schema registry, Meshwork's own or another with Confluent's API.
    /// Default <http://127.0.0.1:8081>.
    #[arg(long, env = "MESHWORK_REGISTRY_URL", value_name = "URL")]
    pub(crate) registry_url: Option<String>,
    /// User for basic authentication at the registry.
    #[arg(
        long,
        env = "MESHWORK_REGISTRY_USER",
        value_name = "NAME",
        hide_env_values = true
    )]
    pub(crate) registry_user: Option<String>,
    /// The user's password; better given in the environment, where others don't see it.
    #[arg(
        long,
        env = "MESHWORK_REGISTRY_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub(crate) registry_password: Option<String>,
    /// Bearer token for the registry; it wins over a user.
    #[arg(
        long,
        env = "MESHWORK_REGISTRY_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) registry_token: Option<String>,
    /// Certificates (PEM) that the registry's is trusted by, beside the system's.
    #[arg(long, env = "MESHWORK_REGISTRY_CA_FILE", value_name = "FILE")]
    pub(crate) registry_ca_file: Option<PathBuf>,
    /// The certificate (PEM) that is shown to a registry that asks for one; needs its key.
    #[arg(long, env = "MESHWORK_REGISTRY_CERTIFICATE_FILE", value_name = "FILE")]
    pub(crate) registry_certificate_file: Option<PathBuf>,
    /// The certificate's private key (PEM), not encrypted.
    #[arg(long, env = "MESHWORK_REGISTRY_KEY_FILE", value_name = "FILE")]
    pub(crate) registry_key_file: Option<PathBuf>,
    /// A librdkafka property; may be given again.
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = property)]
    pub(crate) properties: Vec<(String, String)>,
    /// A file of librdkafka properties, `key=value` a line, as Kafka's own tools take it.
    #[arg(long, env = "MESHWORK_COMMAND_CONFIG", value_name = "FILE")]
    pub(crate) command_config: Option<PathBuf>,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err(format!(
            "`{text}` must have the form key=value, such as security.protocol=ssl"
        )),
    }
}
