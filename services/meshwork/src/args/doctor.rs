//! `meshwork doctor`.

use clap::Args;

use super::{ConnectArgs, ShowArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  meshwork doctor
  meshwork doctor --config meshwork.yaml -o json
  meshwork doctor --bootstrap-server kafka:9092 --registry-url https://registry.example
Every finding has a code with a page in docs/errors.";

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The HTTP address of a process that runs roles. Default <http://127.0.0.1:8080>.
    #[arg(long, env = "MESHWORK_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The process's admin listener. Default <http://127.0.0.1:9600>.
    #[arg(long, env = "MESHWORK_ADMIN_URL", value_name = "URL")]
    pub(crate) admin_url: Option<String>,
    /// Most schemas that are read to see whether today's parser takes them.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_schemas: usize,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
