//! Commands that only look: catalog, lineage, SLOs.

use clap::{Args, Subcommand, ValueEnum};

use super::ConnectArgs;

/// Where a looking command asks, and how it shows what it found.
#[derive(Clone, Debug, Args)]
pub(crate) struct LookArgs {
    /// A running Meshwork's HTTP address. Default <http://127.0.0.1:8080>.
    #[arg(long, env = "MESHWORK_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Reads the topics alone, without asking a server.
    #[arg(long)]
    pub(crate) from_topics: bool,
    /// How it is shown.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns.
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Names only, a line each.
    Name,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Finds products by words in their names, owners, columns and descriptions
    Search {
        /// Words; all must match.
        #[arg(required = true, value_name = "WORD")]
        words: Vec<String>,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Prints announcements and changes as they come
    Watch {
        /// Ends after so many.
        #[arg(short = 'n', value_name = "N")]
        count: Option<u64>,
        /// Begins with the announcements that are there.
        #[arg(long)]
        from_beginning: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LineageCommand {
    /// What a product is made from, and who writes it
    Up {
        /// A product, URN, topic, `group:<id>` or `producer:<name>`.
        name: String,
        /// Steps to follow.
        #[arg(long, default_value_t = 5)]
        depth: u32,
        #[command(flatten)]
        look: LookArgs,
    },
    /// What is made from a product, and who reads it
    Down {
        /// A product, URN, topic, `group:<id>` or `producer:<name>`.
        name: String,
        /// Steps to follow.
        #[arg(long, default_value_t = 5)]
        depth: u32,
        #[command(flatten)]
        look: LookArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SloCommand {
    /// How each SLO stands
    Status {
        /// Only this product's.
        name: Option<String>,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Prints states and alerts as they change
    Watch {
        /// Only this product's.
        name: Option<String>,
        /// Ends after so many.
        #[arg(short = 'n', value_name = "N")]
        count: Option<u64>,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}
