//! `meshwork product …` and `meshwork schema …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Do these bytes decode exactly under this schema?
    Validate(ValidateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// File that holds the datum; `-`: standard input.
    #[arg(value_name = "FILE", required_unless_present_any = ["hex", "lines"])]
    pub(crate) datum: Option<PathBuf>,
    /// The datum as hexadecimal digits.
    #[arg(long, value_name = "DIGITS", conflicts_with_all = ["datum", "lines"])]
    pub(crate) hex: Option<String>,
    /// Reads `{"schema": …, "hex": "…"}` a line from standard input, and answers a line each.
    #[arg(long, conflicts_with_all = ["datum", "schema", "subject"])]
    pub(crate) lines: bool,
    /// Schema file (`.avsc`).
    #[arg(long, value_name = "FILE", conflicts_with = "subject")]
    pub(crate) schema: Option<PathBuf>,
    /// Subject whose latest schema is taken from the registry.
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// The datum has Confluent's prefix: 00 and the schema's id. Without --schema and --subject
    /// the schema is looked up by that id.
    #[arg(long)]
    pub(crate) framed: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
