//! A minute of faults by chance.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use meshwork_tests::oracle::{aborted_ids, elections};
use meshwork_tests::registry::{Fault, Faults, Load, LoadOptions, Phase, Struck, judge};

use super::{hold, scenario};

const MINUTE: Duration = Duration::from_secs(60);
/// Seeds what is done and what is asked; not when it happens.
const SEED: u64 = 2_026;
/// Acknowledged changes before the first fault and after the last.
const ENOUGH: usize = 200;

/// Of each kind of fault, and of what has to come of them.
const LEAST: usize = 2;

/// How many faults of each kind hit.
fn hits(struck: &[Struck]) -> [(&'static str, usize); 4] {
    let count = |hit: fn(&&Struck) -> bool| struck.iter().filter(hit).count();
    [
        ("instances killed", count(|s| s.fault == Fault::Kill)),
        (
            "instances stopped",
            count(|s| matches!(s.fault, Fault::Blink | Fault::Sleep)),
        ),
        (
            "brokers lost",
            count(|s| matches!(s.fault, Fault::LoseBroker | Fault::StopBroker)),
        ),
        ("faults that hit the writer", count(|s| s.writer)),
    ]
}

/// Three instances on three brokers survive a minute of random kill -9, SIGSTOP and loss of brokers
/// under load: nothing acknowledged is lost, changed or made twice, no id is given twice, and
/// changes are taken again afterwards, by all instances.
#[test]
fn a_minute_of_random_faults() {
    scenario("chaos", 3, async |mesh| {
        let options = LoadOptions {
            seed: SEED,
            ..LoadOptions::default()
        };
        let load = Load::start(mesh, options)?;
        load.written(Phase::Before, ENOUGH).await?;
        load.phase(Phase::During);
        let load = Arc::new(load);
        let told = Arc::clone(&load);
        let enough = move |struck: &[Struck]| {
            let lasting = |s: &&Struck| s.writer && s.fault != Fault::Blink;
            hits(struck).iter().all(|(_, count)| *count >= LEAST)
                && struck.iter().filter(lasting).count() >= LEAST
                && told.tally(Phase::During).unknown >= LEAST
                && told.tally(Phase::During).written > ENOUGH
        };
        let struck = Faults::run(mesh, SEED, MINUTE, enough).await?;
        let load = Arc::into_inner(load).context("the faults are over")?;
        mesh.heal().await?;
        load.phase(Phase::After);
        load.written(Phase::After, ENOUGH).await?;
        let tallies = load.stop().await?;
        let evidence = judge(mesh).await?;

        let count = |fault| struck.iter().filter(|s| s.fault == fault).count();
        let elected = elections(&evidence.committed).len();
        let aborted = aborted_ids(&evidence).len();
        for one in &struck {
            println!("{one:?}");
        }
        println!("{tallies:#?}");
        println!(
            "{} requests, {} records, {elected} elections, {aborted} ids of aborted records; killed {}, stopped {} and {}, brokers lost {} and stopped {}; {} hit the writer",
            evidence.history.len(),
            evidence.committed.len(),
            count(Fault::Kill),
            count(Fault::Blink),
            count(Fault::Sleep),
            count(Fault::LoseBroker),
            count(Fault::StopBroker),
            struck.iter().filter(|s| s.writer).count(),
        );
        // A run that hit nothing proves nothing.
        let outcomes = [
            ("elections", elected.saturating_sub(1)),
            ("requests of unknown fate", tallies.during.unknown),
        ];
        for (what, count) in hits(&struck).into_iter().chain(outcomes) {
            anyhow::ensure!(count >= LEAST, "{what}: only {count}");
        }
        hold!(
            tallies.during.written > ENOUGH,
            "only {} changes were acknowledged during the faults",
            tallies.during.written
        );
        Ok(())
    });
}
