//! Restarts in order.

use meshwork_tests::oracle::elections;
use meshwork_tests::registry::{Load, LoadOptions, Phase, judge};

use super::{hold, scenario};

/// Acknowledged changes between two restarts.
const BETWEEN: usize = 50;

/// All instances are restarted one after another under load, by SIGTERM. A write that fails says
/// that it may be tried again.
#[test]
fn a_rolling_restart_fails_no_write_for_good() {
    scenario("rolling", 3, async |mesh| {
        let options = LoadOptions {
            rate: 200,
            // A stop in order answers what it has taken.
            patience: super::DEADLINE,
            ..LoadOptions::default()
        };
        let load = Load::start(mesh, options)?;
        load.written(Phase::Before, BETWEEN).await?;
        load.phase(Phase::During);
        for instance in mesh.instances() {
            instance.terminate().await?;
            instance.start()?;
            instance.ready().await?;
            load.written(Phase::During, BETWEEN).await?;
        }
        load.phase(Phase::After);
        load.written(Phase::After, BETWEEN).await?;
        let tallies = load.stop().await?;
        println!("{tallies:#?}");
        let evidence = judge(mesh).await?;
        let elected = elections(&evidence.committed).len();
        println!("{elected} elections");
        anyhow::ensure!(elected > 1, "the writer was never restarted");
        for tally in [&tallies.before, &tallies.during, &tallies.after] {
            for (status, code) in &tally.codes {
                // Nothing came where the connection went with the instance.
                hold!(
                    matches!((status, code), (0, 0) | (503, 50_003 | 50_004)),
                    "a write was answered {status} with {code}"
                );
            }
        }
        Ok(())
    });
}
