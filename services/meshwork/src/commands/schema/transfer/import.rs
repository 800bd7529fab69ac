//! `meshwork schema import`: looks first, changes only what can be changed without contradiction,
//! and reads back what it wrote.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use meshwork_model::text::counted;
use meshwork_registry_client::RegistryClient;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::super::super::Exit;
use super::feed::{Fed, feed};
use super::modes::{Modes, scopes};
use super::settings::{self, Applied, Manner};
use super::source::Source;
use super::survey::{Survey, Todo, survey};
use crate::args::{ImportArgs, Output};
use crate::config::Config;
use crate::output::print_value;

/// Lines of one kind that are said; the others are counted.
const SAID: usize = 20;

#[derive(Serialize)]
struct Summary {
    versions: usize,
    registered: u64,
    deleted: u64,
    unchanged: usize,
    configurations: u64,
    configurations_left: u64,
    modes: u64,
    modes_left: u64,
    dry_run: bool,
}

pub(crate) async fn import(args: &ImportArgs, config: &Config) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let source = Source::open(&args.file)?;
    let found = survey(&registry, &source).await?;
    check(args, &found)?;
    let open = found.open(&source);
    let unchanged = source.entries.len() - open.len();
    let manner = Manner {
        force: args.force,
        dry_run: args.dry_run,
    };
    let (fed, configured) = if args.dry_run {
        let count = |wanted: fn(Todo, bool) -> bool| {
            let counted = open.iter().filter(|(_, e, todo)| wanted(*todo, e.deleted));
            counted.count() as u64
        };
        let fed = Fed {
            registered: count(|todo, _| todo == Todo::Register),
            deleted: count(|_, deleted| deleted),
        };
        let configured = settings::configurations(&registry, &source, &found, manner).await?;
        (fed, configured)
    } else if open.is_empty() {
        let configured = settings::configurations(&registry, &source, &found, manner).await?;
        (Fed::default(), configured)
    } else {
        change(&registry, &source, &found, manner).await?
    };
    let moded = if args.skip_modes {
        Applied::default()
    } else {
        settings::modes(&registry, &source, &found, manner).await?
    };
    let summary = Summary {
        versions: source.entries.len(),
        registered: fed.registered,
        deleted: fed.deleted,
        unchanged,
        configurations: configured.set,
        configurations_left: configured.left,
        modes: moded.set,
        modes_left: moded.left,
        dry_run: args.dry_run,
    };
    show(&summary, args.show.output)?;
    Ok(Exit::Done)
}

/// Whether the import may begin.
fn check(args: &ImportArgs, found: &Survey) -> anyhow::Result<()> {
    if !found.clashes.is_empty() {
        say(&found.clashes);
        bail!(
            "{} between {} and the registry: nothing was changed",
            counted(found.clashes.len(), "contradiction"),
            args.file.display()
        );
    }
    let adds = found.todo.iter().any(|todo| *todo != Todo::Nothing);
    if adds && !found.surplus.is_empty() && !args.force {
        say(&found.surplus);
        bail!(
            "the registry has {} of subjects in {} that the file lacks: --force adds the file's \
             beside them",
            counted(found.surplus.len(), "version"),
            args.file.display()
        );
    }
    Ok(())
}

fn say(lines: &[String]) {
    for line in lines.iter().take(SAID) {
        eprintln!("{line}");
    }
    if lines.len() > SAID {
        eprintln!("… and {} more", lines.len() - SAID);
    }
}

/// Registers in IMPORT mode, reads back, sets configurations, and restores the modes in any case.
async fn change(
    registry: &RegistryClient,
    source: &Source,
    found: &Survey,
    manner: Manner,
) -> anyhow::Result<(Fed, Applied)> {
    let stop = CancellationToken::new();
    let _listening = listen(&stop)?;
    let mut modes = Modes::new(registry.clone());
    let done = within(registry, source, found, manner, &stop, &mut modes).await;
    let restored = modes.restore().await;
    match (done, restored) {
        (Ok(done), Ok(())) => Ok(done),
        (Err(error), Ok(())) => Err(error.context(
            "the import was not finished; modes are as they were, and it goes on from here when \
             it is run again",
        )),
        (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(other)) => Err(error.context(format!("{other:#}"))),
    }
}

async fn within(
    registry: &RegistryClient,
    source: &Source,
    found: &Survey,
    manner: Manner,
    stop: &CancellationToken,
    modes: &mut Modes,
) -> anyhow::Result<(Fed, Applied)> {
    for scope in scopes(registry, source, found).await? {
        if stop.is_cancelled() {
            bail!("interrupted before anything was registered");
        }
        modes.import(scope).await?;
    }
    let (fed, outcome) = feed(registry, source, found, stop).await;
    let open = found.open(source).len();
    let so_far = || format!("{} of {open} versions were registered", fed.registered);
    outcome.with_context(so_far)?;
    if stop.is_cancelled() {
        bail!("interrupted: {}", so_far());
    }
    verify(registry, source).await?;
    // Only now: an alias among them would hide its subject's own versions.
    let configured = settings::configurations(registry, source, found, manner).await?;
    Ok((fed, configured))
}

/// Reads back everything that the file says.
async fn verify(registry: &RegistryClient, source: &Source) -> anyhow::Result<()> {
    let after = survey(registry, source).await?;
    let mut wrong = after.clashes.clone();
    for (_, entry, todo) in after.open(source) {
        wrong.push(match todo {
            Todo::Delete => format!("{} is not deleted", entry.name()),
            _ => format!("{} with id {} is not there", entry.name(), entry.id),
        });
    }
    if wrong.is_empty() {
        return Ok(());
    }
    say(&wrong);
    bail!(
        "read back, {} not as in the file",
        counted(wrong.len(), "version")
    )
}

/// The first signal ends the import in order; the second at once.
fn listen(stop: &CancellationToken) -> anyhow::Result<tokio_util::task::AbortOnDropHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                eprintln!("ended at once: scopes may be left in IMPORT mode");
                std::process::exit(1);
            }
            eprintln!("stopping: what is under way is finished, and the modes are restored");
            stop.cancel();
        }
    });
    Ok(tokio_util::task::AbortOnDropHandle::new(task))
}

fn show(summary: &Summary, output: Output) -> anyhow::Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(summary, output);
    }
    let would = if summary.dry_run { "would be " } else { "" };
    let mut line = format!(
        "{}: {would}{} registered, {} unchanged",
        counted(summary.versions, "version"),
        summary.registered,
        summary.unchanged
    );
    if summary.deleted > 0 {
        line.push_str(&format!(", {} deleted as in the file", summary.deleted));
    }
    line.push_str(&format!(
        "; configurations: {} set, {} left; modes: {} set, {} left",
        summary.configurations, summary.configurations_left, summary.modes, summary.modes_left
    ));
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}
