//! `meshwork schema …`: against any registry with Confluent's API.

mod check;
mod compare;
mod files;
mod graphs;
mod look;
mod many;
mod pages;
mod reasons;
mod register;
mod transfer;
mod validate;

use super::Exit;
use crate::args::SchemaCommand;
use crate::config::Config;

pub(crate) use graphs::Graphs;
pub(crate) use pages::Pages;

pub(crate) async fn run(command: SchemaCommand, mut config: Config) -> anyhow::Result<Exit> {
    match command {
        SchemaCommand::Validate(args) if args.lines => validate::lines(),
        SchemaCommand::Validate(args) => validate::validate(&args, config).await,
        SchemaCommand::Check(args) => {
            config.connect(&args.connect)?;
            check::run(&args, &config).await
        }
        SchemaCommand::List(args) => {
            config.connect(&args.connect)?;
            look::list(&args, &config).await
        }
        SchemaCommand::Get(args) => {
            config.connect(&args.connect)?;
            look::get(&args, &config).await
        }
        SchemaCommand::Diff(args) => {
            config.connect(&args.connect)?;
            compare::run(&args, &config).await
        }
        SchemaCommand::Register(args) => {
            config.connect(&args.connect)?;
            register::run(&args, &config).await
        }
        SchemaCommand::Export(args) => {
            config.connect(&args.connect)?;
            transfer::export(&args, &config).await
        }
        SchemaCommand::Import(args) => {
            config.connect(&args.connect)?;
            transfer::import(&args, &config).await
        }
    }
}
