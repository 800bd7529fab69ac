//! `meshwork schema diff`: two schemas field by field, and what every level says of the step from
//! one to the other.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use meshwork_avro::diff::{Change, ChangeKind, diff, fields};
use meshwork_avro::{Schema, Strictness};
use meshwork_registry_client::{RegistryClient, Shown};
use serde::Serialize;

use super::super::Exit;
use super::files::SchemaFile;
use super::graphs::Graphs;
use super::look::subject_and_version;
use super::reasons::{LevelVerdict, earlier, levels_table, of_all_levels};
use crate::args::{DiffArgs, Output};
use crate::config::Config;
use crate::output::{plain_table, print_value, trimmed};

/// Characters of a value in a table; the others have it whole.
const SHOWN: usize = 60;

/// One of the two.
#[derive(Serialize)]
struct Side {
    /// The file, or `subject@version`.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i32>,
    #[serde(skip)]
    schema: Schema,
}

/// What a row of the difference shows.
#[derive(Serialize)]
struct Row {
    kind: Option<&'static str>,
    path: Option<String>,
    place: String,
    old: Option<String>,
    new: Option<String>,
    #[serde(skip)]
    mark: char,
    #[serde(skip)]
    aspect: &'static str,
}

#[derive(Serialize)]
struct Report {
    old: Side,
    new: Side,
    changes: Vec<Row>,
    /// False where the schemas are too large to list everything.
    complete: bool,
    levels: Vec<LevelVerdict>,
}

pub(super) async fn run(args: &DiffArgs, config: &Config) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let mut graphs = Graphs::new(registry.clone());
    let old = side(&args.old, args, &registry, &mut graphs).await?;
    let new = side(&args.new, args, &registry, &mut graphs).await?;
    // The transitive levels ask about the subject's earlier versions too.
    let before = match (&old.subject, old.version) {
        (Some(subject), Some(version)) => {
            let up_to = Some(version - 1);
            earlier(&registry, &mut graphs, subject, up_to).await?
        }
        _ => Vec::new(),
    };
    let mut newest_first = vec![(old.version, old.schema.clone())];
    newest_first.extend(before);
    let difference = diff(&old.schema, &new.schema);
    let report = Report {
        changes: rows(&difference.changes, &new.schema, args.unchanged),
        complete: difference.complete,
        levels: of_all_levels(&new.schema, &newest_first),
        old,
        new,
    };
    show(&report, args.show.output)?;
    Ok(Exit::Done)
}

/// A file where there is one of that name, else a subject.
async fn side(
    name: &str,
    args: &DiffArgs,
    registry: &RegistryClient,
    graphs: &mut Graphs,
) -> anyhow::Result<Side> {
    let path = Path::new(name);
    if name == "-" || path.is_file() {
        let file = SchemaFile::open(path, None)?;
        let strictness = Strictness::Stored;
        let parsed = file.parse("", &args.references, strictness, graphs).await?;
        let Some(schema) = parsed.map_err(|fault| anyhow::anyhow!("{fault}"))? else {
            bail!(
                "{name} is {}, and only Avro schemas can be compared",
                file.kind.name()
            );
        };
        return Ok(Side {
            name: name.to_owned(),
            subject: None,
            version: None,
            id: None,
            schema,
        });
    }
    let (subject, version) = subject_and_version(name);
    let found = registry
        .stored_version(subject, version, Shown::default())
        .await?
        .with_context(|| {
            format!(
                "{name} is neither a file nor a subject that the registry at {} has",
                registry.urls()
            )
        })?;
    if found.kind() != "AVRO" {
        bail!(
            "{name} is {}, and only Avro schemas can be compared",
            found.kind()
        );
    }
    let schema = graphs
        .parse(
            subject,
            &found.schema,
            &found.references,
            Strictness::Stored,
        )
        .await?
        .map_err(|why| anyhow::anyhow!("{name} can't be compared: {why}"))?;
    Ok(Side {
        name: format!("{}@{}", found.subject, found.version),
        subject: Some(found.subject),
        version: Some(found.version),
        id: Some(found.id),
        schema,
    })
}

fn rows(changes: &[Change], new: &Schema, unchanged: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(changes.len());
    if !unchanged {
        rows.extend(changes.iter().map(row));
        return rows;
    }
    // In the order of the new schema's fields; what belongs to none of them comes last.
    let mut by_place: HashMap<&str, Vec<&Change>> = HashMap::new();
    for change in changes {
        by_place.entry(&change.place).or_default().push(change);
    }
    for (place, words) in fields(new) {
        match by_place.remove(place.as_str()) {
            Some(changes) => rows.extend(changes.into_iter().map(row)),
            None => rows.push(Row {
                kind: None,
                path: None,
                place,
                old: Some(words.clone()),
                new: Some(words),
                mark: ' ',
                aspect: "",
            }),
        }
    }
    rows.extend(
        changes
            .iter()
            .filter(|change| by_place.contains_key(change.place.as_str()))
            .map(row),
    );
    rows
}

fn row(change: &Change) -> Row {
    let (mark, aspect) = match change.kind {
        ChangeKind::FieldAdded | ChangeKind::SymbolsAdded | ChangeKind::BranchAdded => ('+', ""),
        ChangeKind::FieldRemoved | ChangeKind::SymbolsRemoved | ChangeKind::BranchRemoved => {
            ('-', "")
        }
        ChangeKind::TypeChanged => ('~', "type"),
        ChangeKind::FieldRenamed | ChangeKind::NameChanged => ('~', "name"),
        ChangeKind::FieldsReordered
        | ChangeKind::SymbolsReordered
        | ChangeKind::BranchesReordered => ('~', "order"),
        ChangeKind::LogicalTypeChanged => ('~', "logical type"),
        ChangeKind::DocChanged => ('~', "doc"),
        ChangeKind::DefaultChanged => ('~', "default"),
        ChangeKind::OrderChanged => ('~', "sort order"),
        ChangeKind::AliasesChanged => ('~', "aliases"),
        ChangeKind::SizeChanged => ('~', "size"),
        _ => ('~', ""),
    };
    Row {
        kind: Some(change.kind.as_str()),
        path: Some(change.path.clone()),
        place: change.place.clone(),
        old: change.old.clone(),
        new: change.new.clone(),
        mark,
        aspect,
    }
}

fn show(report: &Report, output: Output) -> anyhow::Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(report, output);
    }
    let mut stdout = std::io::stdout().lock();
    if matches!(output, Output::Name) {
        for row in &report.changes {
            writeln!(stdout, "{}", row.place)?;
        }
        return Ok(());
    }
    let wide = matches!(output, Output::Wide);
    let title = |side: &Side| match side.id {
        Some(id) => format!("{} (id {id})", side.name),
        None => side.name.clone(),
    };
    writeln!(
        stdout,
        "--- {}\n+++ {}\n",
        title(&report.old),
        title(&report.new)
    )?;
    if report.changes.is_empty() && report.complete {
        writeln!(stdout, "no difference\n")?;
    } else {
        writeln!(stdout, "{}\n", rows_table(&report.changes, wide))?;
    }
    if !report.complete {
        writeln!(stdout, "more differs than is listed here\n")?;
    }
    writeln!(stdout, "{}", levels_table(&report.levels))?;
    Ok(())
}

fn rows_table(rows: &[Row], wide: bool) -> String {
    let mut table = plain_table();
    let mut heads = vec!["", "PLACE", "WHAT", "OLD", "NEW"];
    if wide {
        heads.push("PATH");
    }
    table.set_header(heads);
    let cell = |text: &Option<String>| match text {
        None => "-".to_owned(),
        Some(text) if wide || text.chars().count() <= SHOWN => text.clone(),
        Some(text) => text.chars().take(SHOWN - 1).chain(['…']).collect(),
    };
    for row in rows {
        let mut cells = vec![
            row.mark.to_string(),
            row.place.clone(),
            row.aspect.to_owned(),
            cell(&row.old),
            cell(&row.new),
        ];
        if wide {
            cells.push(row.path.clone().unwrap_or_default());
        }
        table.add_row(cells);
    }
    trimmed(&table)
}
