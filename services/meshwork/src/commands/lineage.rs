//! `meshwork lineage up|down`.

use std::io::Write as _;

use meshwork_lineage::answer::{LineageAnswer, LineageEdge};

use super::Exit;
use super::api::Api;
use crate::args::{LineageCommand, LookArgs, Output};
use crate::config::Config;
use crate::output::{Listing, print_value};

pub(crate) async fn run(command: LineageCommand, config: &Config) -> anyhow::Result<Exit> {
    let (direction, name, depth, look) = match command {
        LineageCommand::Up { name, depth, look } => ("up", name, depth, look),
        LineageCommand::Down { name, depth, look } => ("down", name, depth, look),
    };
    let answer: LineageAnswer = Api::new(&look, config)?
        .get(
            "/v1/lineage",
            &[
                ("name", name),
                ("direction", direction.to_owned()),
                ("depth", depth.to_string()),
            ],
        )
        .await?;
    show(&answer, &look)?;
    Ok(Exit::Done)
}

fn show(answer: &LineageAnswer, look: &LookArgs) -> anyhow::Result<()> {
    if matches!(look.output, Output::Json | Output::Yaml) {
        return print_value(answer, look.output);
    }
    Listing {
        heads: &[
            "STEP",
            "FROM",
            "TO",
            "BASIS",
            "STATE",
            "LAST SEEN",
            "RECORDS",
            "FIRST SEEN",
        ],
        wide_from: 7,
        items: &answer.edges,
        cells: |e: &LineageEdge| {
            vec![
                e.step.to_string(),
                format!("{} {}", e.from.kind, e.from.name),
                format!("{} {}", e.to.kind, e.to.name),
                e.basis.clone(),
                format!("{:?}", e.state).to_lowercase(),
                e.last_seen.to_string(),
                e.records.map_or_else(|| "-".to_owned(), |n| n.to_string()),
                e.first_seen.to_string(),
            ]
        },
        name: |e: &LineageEdge| format!("{} -> {}", e.from.name, e.to.name),
    }
    .print(look.output)?;
    let totals = &answer.totals;
    let mut stderr = std::io::stderr().lock();
    write!(
        stderr,
        "{} edges: {} products, {} producers, {} groups",
        totals.edges, totals.products, totals.producers, totals.groups
    )?;
    if totals.readers > 0 {
        write!(stderr, ", {} readers without a group", totals.readers)?;
    }
    if totals.jobs > 0 {
        write!(stderr, ", {} jobs", totals.jobs)?;
    }
    if totals.beyond_depth > 0 {
        write!(
            stderr,
            "; {} lead further than depth {}",
            totals.beyond_depth, answer.depth
        )?;
    }
    if answer.truncated {
        write!(stderr, "; not all are shown")?;
    }
    writeln!(stderr)?;
    Ok(())
}
