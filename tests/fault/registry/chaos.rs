//! A minute of faults by chance.

use std::time::Duration;

use meshwork_tests::oracle::{aborted_ids, elections};
use meshwork_tests::registry::{Fault, Faults, Load, LoadOptions, Phase, judge};

use super::{hold, scenario};

const MINUTE: Duration = Duration::from_secs(60);
/// Seeds what is done and what is asked; not when it happens.
const SEED: u64 = 2_026;
/// Acknowledged changes before the first fault and after the last.
const ENOUGH: usize = 200;

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
        let struck = Faults::run(mesh, SEED, MINUTE).await?;
        mesh.heal().await?;
        load.phase(Phase::After);
        load.written(Phase::After, ENOUGH).await?;
        let tallies = load.stop().await?;
        let evidence = judge(mesh).await?;

        let count = |fault| struck.iter().filter(|s| s.fault == fault).count();
        let at_writer = struck.iter().filter(|s| s.writer).count();
        let elected = elections(&evidence.committed).len();
        let aborted = aborted_ids(&evidence).len();
        for one in &struck {
            println!("{one:?}");
        }
        println!("{tallies:#?}");
        println!(
            "{} requests, {} records, {elected} elections, {aborted} ids of aborted records; killed {}, stopped {} and {}, brokers lost {} and stopped {}; {at_writer} hit the writer",
            evidence.history.len(),
            evidence.committed.len(),
            count(Fault::Kill),
            count(Fault::Blink),
            count(Fault::Sleep),
            count(Fault::LoseBroker),
            count(Fault::StopBroker),
        );
        // A run that hit nothing proves nothing.
        for (what, count) in [
            ("instances killed", count(Fault::Kill)),
            (
                "instances stopped",
                count(Fault::Blink) + count(Fault::Sleep),
            ),
            (
                "brokers lost",
                count(Fault::LoseBroker) + count(Fault::StopBroker),
            ),
            ("faults that hit the writer", at_writer),
            ("elections", elected.saturating_sub(1)),
            ("requests of unknown fate", tallies.during.unknown),
        ] {
            anyhow::ensure!(count >= 2, "{what}: only {count}");
        }
        hold!(
            tallies.during.written > ENOUGH,
            "only {} changes were acknowledged during the faults",
            tallies.during.written
        );
        Ok(())
    });
}
