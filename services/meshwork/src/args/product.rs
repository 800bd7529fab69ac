//! `meshwork product …`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{ConnectArgs, LookArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum ProductCommand {
    /// Lints contracts and their schemas; exit code 1 on a finding
    Check {
        /// Contracts, or folders of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// How findings are written.
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        output_format: CheckFormat,
        /// Compares with the registry too: is it a breaking change?
        #[arg(long)]
        against_registry: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Shows what apply would change
    Plan {
        /// Contracts, or folders of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Exit code 3 if there are changes.
        #[arg(long)]
        detailed_exitcode: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Creates and alters topics, registers schemas, announces products
    Apply {
        /// Contracts, or folders of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Shows the plan and changes nothing.
        #[arg(long)]
        dry_run: bool,
        /// Doesn't ask; needed off a terminal.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Lists products
    List {
        #[command(flatten)]
        look: LookArgs,
    },
    /// Shows one product
    Get {
        /// `<domain>.<product>` (its newest active version), `<domain>.<product>:v<N>` or a URN.
        name: String,
        #[command(flatten)]
        look: LookArgs,
    },
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people.
    Human,
    /// One JSON document.
    Json,
    /// `JUnit` XML.
    Junit,
    /// Annotations of GitHub Actions.
    Github,
}
