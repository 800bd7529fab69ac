//! The `meshwork` binary: arguments, configuration and wiring, nothing else. What a command does
//! is in `commands`; how a role is put together is in `wiring`.

mod args;
mod commands;
mod config;
mod output;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let outcome = config::Config::load(cli.config.as_deref())
        .and_then(|config| runtime().map(|runtime| (config, runtime)))
        .and_then(|(config, runtime)| runtime.block_on(commands::run(cli, config)));
    match outcome {
        Ok(exit) => exit.into(),
        // `… | head` has seen enough.
        Err(error) if output::is_closed_pipe(&error) => commands::Exit::Done.into(),
        Err(error) => {
            output::report(&error);
            commands::Exit::Failed.into()
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    use anyhow::Context as _;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the machine gives no threads")
}
