//! One module for each noun of the command line.

mod api;
mod catalog;
mod consume;
mod demo;
mod doctor;
mod lineage;
mod names;
mod produce;
mod product;
mod role;
mod schema;
mod slo;
mod topics;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::{Cli, Command};
use crate::config::{self, Config};

/// How a command ended. Wrong usage is clap's, which ends with 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done.
    Done,
    /// 1: a check failed, or the command did.
    Failed,
    /// 3: there are changes to apply.
    Pending,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Pending => 3,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// What the command can't do, with its causes.
pub(crate) async fn run(cli: Cli, mut config: Config) -> anyhow::Result<Exit> {
    if let Some(level) = cli.log_level {
        config.logging.level = level;
    } else if !matches!(cli.command, Command::Run(_)) {
        // A command's own words are what its user wants to read.
        "warn".clone_into(&mut config.logging.level);
    }
    if let Some(format) = cli.log_format {
        config.logging.format = format.parse()?;
    }
    let logs = meshwork_telemetry::logging::init(&config.logging, "meshwork")?;
    let exit = match cli.command {
        Command::Demo(args) => demo::run(args, config, logs.clone()).await,
        Command::Run(args) => role::run(&args, config, logs.clone()).await,
        Command::Product(command) => product::run(command, config).await,
        Command::Schema(command) => schema::run(command, config).await,
        Command::Produce(args) => produce::run(args, config).await,
        Command::Consume(args) => consume::run(args, config).await,
        Command::Catalog(command) => catalog::run(command, config).await,
        Command::Lineage(command) => lineage::run(command, &config).await,
        Command::Slo(command) => slo::run(command, config).await,
        Command::Doctor(args) => doctor::run(&args, config).await,
        Command::Config => print_reference(),
        Command::Completion { shell } => print_completion(shell),
    };
    logs.flush();
    exit
}

fn print_reference() -> anyhow::Result<Exit> {
    use std::io::Write as _;
    write!(std::io::stdout().lock(), "{}", config::reference()?)?;
    Ok(Exit::Done)
}

fn print_completion(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    use std::io::Write as _;
    // The generator panics on a pipe that is closed early, so it writes to memory first.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "meshwork", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}
