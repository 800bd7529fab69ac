//! The registry as it runs: `meshwork run --role registry` in a process of its own on a broker of
//! its own, asked over HTTP by a load in another thread, all on the same two cores; beside it a bare
//! axum route and, where a Java for it is there, Apicurio Registry.

mod apicurio;
pub mod bare;
pub(crate) mod cores;
mod load;
mod reads;
mod schemas;
mod server;
mod start;
mod verdict;
mod wire;
mod writes;

use anyhow::{Context, Result};
use meshwork_dev_kafka::{DevKafka, DevKafkaOptions};

use cores::TwoCores;
use load::Measured;
use server::Server;

use crate::table::{Line, Outcome};

/// Reads, registrations and verdicts.
///
/// # Errors
/// Kafka or a server can't be had, or a request is refused: the bench itself is broken.
pub fn run() -> Result<Vec<Line>> {
    let _cores = TwoCores::take()?;
    let dir = tempfile::tempdir()?;
    let kafka = kafka(dir.path())?;
    let servers = kafka.bootstrap_servers();
    let ours = Server::registry(&servers, "_schemas", &dir.path().join("ours"), "/subjects")?;
    let apicurio = apicurio::start(&dir.path().join("apicurio"))?;
    reads::fill(&ours, "")?;
    if let Some(apicurio) = &apicurio {
        reads::fill(apicurio, apicurio::API)?;
    }

    let reads = reads::measure(&ours, apicurio.as_ref(), dir.path())?;
    let verdict = verdict::measure(&ours)?;
    let writes = writes::measure(&ours, apicurio.as_ref())?;

    let mut lines = vec![against_bare(&reads)];
    lines.extend(registering(&writes));
    lines.push(Line {
        name: "registry: verdict, 200 fields, 50 versions, transitive".to_owned(),
        figure: format!("p50 {}", times(&verdict)),
        goal: "p50 at most 5 ms".to_owned(),
        outcome: Outcome::at_most(verdict.within(0.5), 5.0),
    });
    match (&apicurio, &reads.apicurio, &writes.apicurio) {
        (Some(server), Some(read), Some(written)) => {
            let what = [
                ("reads", &reads.ours, read),
                ("registering", &writes.ours, written),
            ];
            lines.extend(what.map(|(what, ours, theirs)| beside(what, ours, theirs)));
            lines.push(memory(&ours, server)?);
        }
        _ => lines.push(Line {
            name: "registry: beside Apicurio".to_owned(),
            figure: "not run".to_owned(),
            goal: format!("there is no Java {} or later", apicurio::JAVA),
            outcome: Outcome::NotRun,
        }),
    }
    kafka.stop();
    Ok(lines)
}

/// Starts on a large log.
///
/// # Errors
/// As [`run`].
pub fn run_starts() -> Result<Vec<Line>> {
    let _cores = TwoCores::take()?;
    let dir = tempfile::tempdir()?;
    let kafka = kafka(dir.path())?;
    let (log, store) = start::measure(&kafka.bootstrap_servers(), &dir.path().join("ours"))?;
    kafka.stop();
    let line = |from: &str, start: start::Start, seconds: u64, mib: f64| Line {
        name: format!("registry: start on 100,000 subjects × 10, from the {from}"),
        figure: format!(
            "{:.1} s, peak {:.0} MiB",
            start.took.as_secs_f64(),
            start.memory.peak
        ),
        goal: format!("under {seconds} s and {mib:.0} MiB"),
        outcome: (start.took.as_secs() < seconds && start.memory.peak < mib).into(),
    };
    Ok(vec![
        line("log", log, 60, 2_048.0),
        line("store", store, 3, 2_048.0),
    ])
}

fn kafka(dir: &std::path::Path) -> Result<DevKafka> {
    let mut options = DevKafkaOptions::new(dir.join("kafka"));
    options.discard = true;
    DevKafka::start(options).context("no Kafka for the bench")
}

/// `1.2 ms, p99 3.4 ms`.
fn times(measured: &Measured) -> String {
    format!(
        "{:.1} ms, p99 {:.1} ms",
        measured.within(0.5),
        measured.within(0.99)
    )
}

fn against_bare(reads: &reads::Reads) -> Line {
    let (ours, bare) = (&reads.ours, &reads.bare);
    let ratio = ours.rate() / bare.rate();
    Line {
        name: "registry: GET /schemas/ids/{id}".to_owned(),
        figure: format!(
            "{:.0}/s, {ratio:.2} of {:.0}/s; p99 {:.1} ms beside {:.1} ms",
            ours.rate(),
            bare.rate(),
            ours.within(0.99),
            bare.within(0.99)
        ),
        goal: "at least 0.7 of a bare axum route".to_owned(),
        outcome: Outcome::at_least(ratio, 0.7),
    }
}

fn registering(writes: &writes::Writes) -> [Line; 3] {
    let (alone, meanwhile) = &writes.paced;
    let (free_alone, free_meanwhile) = &writes.free;
    [
        Line {
            name: "registry: registering from 128 connections".to_owned(),
            figure: format!("{:.0}/s, p50 {}", writes.ours.rate(), times(&writes.ours)),
            goal: "at least 1500/s, acks=all".to_owned(),
            outcome: Outcome::at_least(writes.ours.rate(), 1_500.0),
        },
        Line {
            name: "registry: registering from one connection".to_owned(),
            figure: format!("p50 {}", times(&writes.one)),
            goal: "p50 at most 30 ms".to_owned(),
            outcome: Outcome::at_most(writes.one.within(0.5), 30.0),
        },
        Line {
            name: format!("registry: {:.0} reads/s while 128 register", writes::PACE),
            figure: format!(
                "{:.2} of {:.0}/s alone, p99 {:.1} ms beside {:.1} ms; unpaced {:.2} of {:.0}/s",
                meanwhile.rate() / alone.rate(),
                alone.rate(),
                meanwhile.within(0.99),
                alone.within(0.99),
                free_meanwhile.rate() / free_alone.rate(),
                free_alone.rate(),
            ),
            goal: "at least 0.95 of the paced rate".to_owned(),
            outcome: Outcome::at_least(meanwhile.rate() / alone.rate(), 0.95),
        },
    ]
}

fn beside(what: &str, ours: &Measured, theirs: &Measured) -> Line {
    let times_theirs = ours.rate() / theirs.rate();
    Line {
        name: format!("registry: {what}, Apicurio {} beside", apicurio::VERSION),
        figure: format!(
            "{times_theirs:.1} times {:.0}/s, p50 {}; ours p50 {}",
            theirs.rate(),
            times(theirs),
            times(ours)
        ),
        goal: "faster".to_owned(),
        outcome: Outcome::at_least(times_theirs, 1.0),
    }
}

fn memory(ours: &Server, apicurio: &Server) -> Result<Line> {
    let (ours, theirs) = (ours.process.memory()?, apicurio.process.memory()?);
    Ok(Line {
        name: format!("registry: memory, Apicurio {} beside", apicurio::VERSION),
        figure: format!("{:.0} MiB beside {:.0} MiB", ours.now, theirs.now),
        goal: "less".to_owned(),
        outcome: Outcome::at_most(ours.now, theirs.now),
    })
}
