//! `meshwork schema check`: does this schema parse, and does it fit its subject?

use std::io::Write as _;

use meshwork_avro::Strictness;
use meshwork_registry_client::RegistryClient;
use serde::Serialize;

use super::super::Exit;
use super::files::{Fault, SchemaFile};
use super::graphs::Graphs;
use super::reasons::{
    LevelVerdict, earlier, level_in_force, levels_table, of_all_levels, of_level, of_registry,
    reasons_table,
};
use crate::args::{CheckArgs, Output};
use crate::config::Config;
use crate::output::print_value;

/// What was found.
#[derive(Serialize)]
struct Report {
    subject: String,
    file: String,
    #[serde(rename = "schemaType")]
    kind: &'static str,
    /// What is wrong with the text itself; then nothing else was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    #[serde(flatten)]
    verdict: Option<LevelVerdict>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    levels: Vec<LevelVerdict>,
}

impl Report {
    fn fits(&self) -> bool {
        self.fault.is_none() && self.verdict.as_ref().is_some_and(|v| v.compatible)
    }
}

pub(super) async fn run(args: &CheckArgs, config: &Config) -> anyhow::Result<Exit> {
    let report = report(args, config).await?;
    let fits = report.fits();
    show(&report, args.show.output)?;
    Ok(if fits { Exit::Done } else { Exit::Failed })
}

async fn report(args: &CheckArgs, config: &Config) -> anyhow::Result<Report> {
    let draft = &args.draft;
    let file = SchemaFile::open(&draft.file, draft.schema_type)?;
    let registry = RegistryClient::new(&config.registry_client())?;
    let mut graphs = Graphs::new(registry.clone());
    let mut report = Report {
        subject: draft.subject.clone(),
        file: file.name.clone(),
        kind: file.kind.name(),
        fault: None,
        verdict: None,
        levels: Vec::new(),
    };
    let strictness = Strictness::Strict;
    let schema = match file
        .parse(&draft.subject, &draft.references, strictness, &mut graphs)
        .await?
    {
        Ok(schema) => schema,
        Err(fault) => {
            report.fault = Some(fault);
            return Ok(report);
        }
    };
    if args.all_levels || args.level.is_some() {
        let Some(schema) = &schema else {
            anyhow::bail!(
                "--level and --all-levels judge Avro schemas, and {} is {}: leave them out, and \
                 the registry judges by the subject's own level",
                file.name,
                file.kind.name()
            );
        };
        let versions = earlier(&registry, &mut graphs, &draft.subject, None).await?;
        if args.all_levels {
            report.levels = of_all_levels(schema, &versions);
        }
        if let Some(level) = args.level {
            report.verdict = Some(of_level(level, schema, &versions));
            return Ok(report);
        }
    }
    let answer = registry
        .compatibility_draft(&draft.subject, &file.draft(draft), draft.normalize)
        .await?;
    let mut verdict = of_registry(&answer);
    if verdict.level.is_empty() {
        verdict.level = level_in_force(&registry, &draft.subject).await?.level;
    }
    report.verdict = Some(verdict);
    Ok(report)
}

fn show(report: &Report, output: Output) -> anyhow::Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(report, output);
    }
    let mut stdout = std::io::stdout().lock();
    if matches!(output, Output::Name) {
        let word = if report.fits() {
            "compatible"
        } else {
            "incompatible"
        };
        writeln!(stdout, "{word}")?;
        return Ok(());
    }
    if let Some(fault) = &report.fault {
        writeln!(stdout, "{fault}")?;
    }
    if let Some(verdict) = &report.verdict {
        writeln!(stdout, "{}", sentence(&report.subject, verdict))?;
        if !verdict.reasons.is_empty() {
            writeln!(stdout, "\n{}", reasons_table(&verdict.reasons))?;
        }
    }
    if !report.levels.is_empty() {
        writeln!(stdout, "\n{}", levels_table(&report.levels))?;
    }
    Ok(())
}

/// `orders-value: incompatible under BACKWARD with version 3`.
pub(super) fn sentence(subject: &str, verdict: &LevelVerdict) -> String {
    let word = if verdict.compatible {
        "compatible"
    } else {
        "incompatible"
    };
    let version = match verdict.version {
        Some(version) => format!(" with version {version}"),
        None => String::new(),
    };
    format!("{subject}: {word} under {}{version}", verdict.level)
}
