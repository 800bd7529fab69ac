//! `make bench`: the benches one after the other, then the table. Names on the command line choose
//! some of them: `registry` is `registry` and `registry-start`, `gateway` all of its own. Exit code 1 if a goal is
//! missed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use meshwork_benches::table::{self, Line};
use meshwork_benches::{freshness, gateway, pipeline, produce, registry, validator};

type Bench = fn() -> Result<Vec<Line>>;

const BENCHES: [(&str, Bench); 10] = [
    ("validator", validator::run),
    ("pipeline", pipeline::run),
    ("produce", produce::run),
    ("freshness", freshness::run),
    ("registry", registry::run),
    ("registry-start", registry::run_starts),
    ("gateway", gateway::run),
    ("gateway-small", gateway::run_small),
    ("gateway-latency", gateway::run_latency),
    ("gateway-java", gateway::run_java),
];

fn main() -> Result<ExitCode> {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    // A bench runs this program once more, as the server that another is measured against.
    if let [word, file, port] = chosen.as_slice()
        && word == registry::bare::ARGUMENT
    {
        registry::bare::serve(Path::new(file), port.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for name in &chosen {
        let known = BENCHES.iter().any(|(bench, _)| chooses(name, bench));
        ensure!(known, "no bench is called {name}; there are: {}", names());
    }
    if cfg!(debug_assertions) {
        eprintln!("note: not a release build, the figures are not those of the table");
    }
    let mut lines = Vec::new();
    for (name, bench) in BENCHES {
        if chosen.is_empty() || chosen.iter().any(|chosen| chooses(chosen, name)) {
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

/// A name chooses its bench, and those whose names go on from it.
fn chooses(name: &str, bench: &str) -> bool {
    bench
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn names() -> String {
    BENCHES.map(|(name, _)| name).join(", ")
}
