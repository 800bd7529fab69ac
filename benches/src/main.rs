//! `make bench`: the benches one after the other, then the table. Names on the command line choose
//! some of them. Exit code 1 if a goal is missed.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use meshwork_benches::table::{self, Line};
use meshwork_benches::{freshness, pipeline, produce, validator};

type Bench = fn() -> Result<Vec<Line>>;

const BENCHES: [(&str, Bench); 4] = [
    ("validator", validator::run),
    ("pipeline", pipeline::run),
    ("produce", produce::run),
    ("freshness", freshness::run),
];

fn main() -> Result<ExitCode> {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    for name in &chosen {
        let known = BENCHES.iter().any(|(bench, _)| bench == name);
        ensure!(known, "no bench is called {name}; there are: {}", names());
    }
    if cfg!(debug_assertions) {
        eprintln!("note: not a release build, the figures are not those of the table");
    }
    let mut lines = Vec::new();
    for (name, bench) in BENCHES {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            eprintln!("{name} …");
            lines.extend(bench().with_context(|| format!("bench {name} is broken"))?);
        }
    }
    Ok(if table::print(&lines) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn names() -> String {
    BENCHES.map(|(name, _)| name).join(", ")
}
