//! The command line: noun, then verb. Only words and options; what they do is in `commands`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod connect;
mod data;
mod doctor;
mod look;
mod product;
mod schema;

pub(crate) use connect::ConnectArgs;
pub(crate) use data::{ConsumeArgs, ProduceArgs};
pub(crate) use doctor::DoctorArgs;
pub(crate) use look::{CatalogCommand, LineageCommand, LookArgs, Output, SloCommand};
pub(crate) use product::{CheckFormat, ProductCommand};
pub(crate) use schema::{
    CheckArgs, DiffArgs, DraftArgs, ExportArgs, GetArgs, ImportArgs, ListArgs, RegisterArgs,
    SchemaCommand, SchemaType, ShowArgs, ValidateArgs,
};

/// The data mesh backbone for event streams on Kafka.
#[derive(Debug, Parser)]
#[command(name = "meshwork", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Log level, as `tracing` directives: `info`, or `warn,meshwork_registry=debug`.
    #[arg(long, global = true, env = "MESHWORK_LOG_LEVEL", value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// How log lines are written.
    #[arg(
        long,
        global = true,
        env = "MESHWORK_LOG_FORMAT",
        value_name = "text|json"
    )]
    pub(crate) log_format: Option<String>,
    /// Configuration file in YAML; flags and environment win over it.
    #[arg(long, global = true, env = "MESHWORK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything on one machine, on a month of real flights
    Demo(DemoArgs),
    /// Runs roles of the mesh in this process
    Run(RunArgs),
    /// Checks, plans, applies and shows data products
    #[command(subcommand)]
    Product(ProductCommand),
    /// Checks, registers, compares, shows and moves schemas
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// JSON lines in, Avro on the wire
    Produce(ProduceArgs),
    /// Avro on the wire, JSON lines out
    Consume(ConsumeArgs),
    /// Searches and follows the catalog
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Who writes a product, who reads it, what it is made from
    #[command(subcommand)]
    Lineage(LineageCommand),
    /// How the promises of freshness stand
    #[command(subcommand)]
    Slo(SloCommand),
    /// What is wrong with this set-up, and how to mend it; exit code 1 on an error
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(DoctorArgs),
    /// Prints the reference of the configuration file
    Config,
    /// Prints the completion script of a shell
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// One of the services, when the binary runs it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    ValueEnum,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Every role there is.
    All,
    /// The gateway on the Kafka protocol.
    Gateway,
    /// The schema registry.
    Registry,
    /// Freshness, its observer and its alerts.
    Freshness,
    /// The lineage graph.
    Lineage,
    /// The catalog.
    Catalog,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Roles to run, comma-separated.
    #[arg(
        long,
        env = "MESHWORK_ROLE",
        value_delimiter = ',',
        value_name = "ROLE"
    )]
    pub(crate) role: Vec<Role>,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    /// Where the roles keep their state.
    #[arg(long, env = "MESHWORK_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How long parts may take to finish what is in flight after SIGTERM.
    #[arg(long, env = "MESHWORK_DRAIN_DEADLINE", value_name = "DURATION")]
    pub(crate) drain_deadline: Option<meshwork_model::units::HumanDuration>,
}

/// Where the process listens. Port 0 takes a free one and says which.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ListenArgs {
    /// The gateway, which Kafka clients bootstrap from; broker N is reached at its port + N. Default
    /// 127.0.0.1:9192.
    #[arg(long, env = "MESHWORK_GATEWAY_LISTEN", value_name = "ADDRESS")]
    pub(crate) gateway_listen: Option<SocketAddr>,
    /// The registry's REST API. Default 127.0.0.1:8081.
    #[arg(long, env = "MESHWORK_REGISTRY_LISTEN", value_name = "ADDRESS")]
    pub(crate) registry_listen: Option<SocketAddr>,
    /// The API of the other roles. Default 127.0.0.1:8080.
    #[arg(long, env = "MESHWORK_HTTP_LISTEN", value_name = "ADDRESS")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Liveness, readiness, metrics, log level. Default 127.0.0.1:9600.
    #[arg(long, env = "MESHWORK_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Writes the addresses really bound to this file, as JSON.
    #[arg(long, env = "MESHWORK_ADDRESSES_FILE", value_name = "FILE")]
    pub(crate) addresses_file: Option<PathBuf>,
}

/// What the registry role may be told on the command line.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RegistryArgs {
    /// Where other instances of the registry reach this one, such as <http://registry-0:8081>.
    /// Default: the address that it listens on.
    #[arg(long, env = "MESHWORK_REGISTRY_ADVERTISED_URL", value_name = "URL")]
    pub(crate) registry_advertised_url: Option<String>,
    /// Lets the registry write though another registry's instances or records are there. Only when
    /// they are known to be gone.
    #[arg(long, env = "MESHWORK_FORCE_TAKEOVER")]
    pub(crate) force_takeover: bool,
    /// `error_code` of an incompatible schema: 40901, or 409 as Confluent's registry up to 8.0.3.
    #[arg(long, env = "MESHWORK_INCOMPATIBLE_ERROR_CODE", value_name = "CODE")]
    pub(crate) incompatible_error_code: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Plain output, as fast as it goes; exit code 0 only if every expectation held.
    #[arg(long, env = "MESHWORK_ONCE")]
    pub(crate) once: bool,
    /// Stays up after the summary, until interrupted.
    #[arg(long, env = "MESHWORK_KEEP")]
    pub(crate) keep: bool,
    /// Simulated seconds a second. Default: the month in about two minutes.
    #[arg(long, env = "MESHWORK_SPEED", value_name = "FACTOR")]
    pub(crate) speed: Option<f64>,
    /// Where Kafka and the roles keep their state. An interrupted run goes on where it was; a
    /// finished one starts afresh. Default: the user's state directory; with --once a fresh
    /// temporary one.
    #[arg(long, env = "MESHWORK_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// A cluster of one's own, instead of the Kafka that the demo brings.
    #[arg(long, env = "MESHWORK_BOOTSTRAP_SERVER", value_name = "HOST:PORT")]
    pub(crate) bootstrap_server: Option<String>,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// `json` prints the summary as one JSON document on stdout.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "human"
    )]
    pub(crate) output: DemoOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoOutput {
    /// For people.
    Human,
    /// For scripts.
    Json,
}
