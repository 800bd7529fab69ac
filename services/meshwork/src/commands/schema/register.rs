//! `meshwork schema register`.

use std::io::Write as _;

use anyhow::{anyhow, bail};
use meshwork_avro::Strictness;
use meshwork_registry_client::{Registered, RegistryClient, RegistryClientError};
use serde::Serialize;

use super::super::Exit;
use super::check::sentence;
use super::files::SchemaFile;
use super::graphs::Graphs;
use super::reasons::{LevelVerdict, level_in_force, of_registry, reasons_table};
use crate::args::{DraftArgs, Output, RegisterArgs};
use crate::config::Config;
use crate::output::{Listing, print_value};

/// What came of it, or would.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    /// `registered`, `unchanged`, or `would register`.
    outcome: &'static str,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
}

impl Outcome {
    fn of(outcome: &'static str, registered: Registered) -> Self {
        Self {
            outcome,
            subject: registered.subject,
            version: Some(registered.version),
            id: Some(registered.id.as_i32()),
            guid: registered.guid,
            schema: Some(registered.schema),
        }
    }
}

pub(super) async fn run(args: &RegisterArgs, config: &Config) -> anyhow::Result<Exit> {
    let draft = &args.draft;
    let file = SchemaFile::open(&draft.file, draft.schema_type)?;
    let registry = RegistryClient::new(&config.registry_client())?;
    let mut graphs = Graphs::new(registry.clone());
    let strictness = Strictness::Strict;
    let parsed = file
        .parse(&draft.subject, &draft.references, strictness, &mut graphs)
        .await?;
    if let Err(fault) = parsed {
        bail!("{fault}");
    }
    let body = file.draft(draft);
    let there = registry
        .look_up_draft(&draft.subject, &body, draft.normalize)
        .await?;
    let outcome = if let Some(there) = there {
        Outcome::of("unchanged", there)
    } else if args.dry_run {
        let verdict = verdict(&registry, draft, &file).await?;
        if !verdict.compatible {
            return Err(refusal(draft, &verdict));
        }
        Outcome {
            outcome: "would register",
            subject: draft.subject.clone(),
            version: None,
            id: None,
            guid: None,
            schema: None,
        }
    } else {
        match registry
            .register_draft(&draft.subject, &body, draft.normalize)
            .await
        {
            Ok(registered) => Outcome::of("registered", registered),
            Err(error @ RegistryClientError::Incompatible { .. }) => {
                // The refusal has its reasons on one line; asked for, they come one by one.
                let verdict = verdict(&registry, draft, &file).await?;
                if verdict.compatible {
                    return Err(error.into());
                }
                return Err(refusal(draft, &verdict));
            }
            Err(error) => return Err(error.into()),
        }
    };
    show(outcome, args.show.output)?;
    Ok(Exit::Done)
}

async fn verdict(
    registry: &RegistryClient,
    draft: &DraftArgs,
    file: &SchemaFile,
) -> anyhow::Result<LevelVerdict> {
    let answer = registry
        .compatibility_draft(&draft.subject, &file.draft(draft), draft.normalize)
        .await?;
    let mut verdict = of_registry(&answer);
    if verdict.level.is_empty() {
        verdict.level = level_in_force(registry, &draft.subject).await?.level;
    }
    Ok(verdict)
}

/// The reasons are said on stderr before it.
fn refusal(draft: &DraftArgs, verdict: &LevelVerdict) -> anyhow::Error {
    eprintln!("{}", reasons_table(&verdict.reasons));
    anyhow!(
        "{}; give what is missing a default, or see `meshwork schema diff {} {}`",
        sentence(&draft.subject, verdict),
        draft.subject,
        draft.file.display()
    )
}

fn show(outcome: Outcome, output: Output) -> anyhow::Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(&outcome, output);
    }
    if let (Output::Name, None) = (output, outcome.version) {
        writeln!(std::io::stdout().lock(), "{}", outcome.subject)?;
        return Ok(());
    }
    Listing {
        heads: &["SUBJECT", "VERSION", "ID", "OUTCOME", "GUID"],
        wide_from: 4,
        items: &[outcome],
        cells: |o: &Outcome| {
            let number = |n: Option<i32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
            vec![
                o.subject.clone(),
                number(o.version),
                number(o.id),
                o.outcome.to_owned(),
                o.guid.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        },
        name: |o: &Outcome| format!("{}@{}", o.subject, o.version.unwrap_or_default()),
    }
    .print(output)
}
