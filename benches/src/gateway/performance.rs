//! Kafka's own load, `ProducerPerformance`: what it says of the gateway has to be what ours says.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use meshwork_wire::Codec;
use tokio::process::Command;

use super::{Case, Ladder, ROUNDS, Rung, world};
use crate::java;
use crate::table::{Line, Outcome, median};

/// Records of a run that are counted: some ten seconds.
const RECORDS: u32 = 2_000_000;
/// Records before them, in which Java compiles what the rest runs on, with both cores.
const WARM_UP: u32 = 1_000_000;
/// How far apart the shares of direct may be.
const APART: f64 = 0.1;

/// One connection, pass-through, 1 KB records in batches of 128 KiB, by both loads in turn.
///
/// # Errors
/// The load can't be had or run.
pub(super) async fn agrees(ladder: &Ladder) -> Result<Line> {
    let name =
        "gateway: pass-through, 1 KB, 1 connection, by Kafka's ProducerPerformance".to_owned();
    let goal = format!("within {APART} of our own load's share");
    if !java::has_jdk() {
        return Ok(Line {
            name,
            figure: "not run".to_owned(),
            goal,
            outcome: Outcome::NotRun,
        });
    }
    let tools = java::fetch("kafka-tools")?;
    let case = Case {
        small: false,
        codec: Codec::None,
        connections: 1,
    };
    let (mut theirs, mut ours, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS.div_ceil(2) {
        let through = ladder.address(Rung::Pass).context("no gateway")?;
        let direct = load(&tools, ladder.broker).await?;
        theirs.push(load(&tools, through).await? / direct);
        rates.push(direct);
        let direct = ladder.run(case, Rung::Direct).await?.context("no broker")?;
        let through = ladder.run(case, Rung::Pass).await?.context("no gateway")?;
        ours.push(through.0 / direct.0);
    }
    let (theirs, ours) = (median(theirs), median(ours));
    Ok(Line {
        name,
        figure: format!("{theirs:.2} of {:.0} MB/s; ours {ours:.2}", median(rates)),
        goal,
        outcome: Outcome::at_most((theirs - ours).abs(), APART),
    })
}

/// Megabytes (10^6) a second, by its own account.
async fn load(tools: &std::path::Path, address: SocketAddr) -> Result<f64> {
    let output = Command::new("java")
        .args(["-Xmx512m", "-cp"])
        .arg(format!("{}/libs/*", tools.display()))
        .arg("org.apache.kafka.tools.ProducerPerformance")
        .args(["--topic", world::PLAIN, "--record-size", "1000"])
        .args(["--num-records", &(WARM_UP + RECORDS).to_string()])
        .args(["--warmup-records", &WARM_UP.to_string()])
        .args(["--throughput", "-1", "--command-property"])
        .arg(format!("bootstrap.servers={address}"))
        .args(["acks=all", "batch.size=131072", "linger.ms=10"])
        .stdin(Stdio::null())
        .output()
        .await
        .context("can't run java")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "ProducerPerformance: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    records_a_second(&said)
        .map(|records| records * 1_000.0 / 1e6)
        .with_context(|| format!("no rate in what ProducerPerformance says: {said}"))
}

/// Of the last line, which is about the records after those to warm up.
fn records_a_second(said: &str) -> Option<f64> {
    let (before, _) = said
        .lines()
        .rfind(|l| l.contains("records/sec"))?
        .split_once(" records/sec")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rate_is_that_of_the_last_line() {
        let said = "300000 records sent, 107991.360691 records/sec (102.99 MB/sec), 197.33 ms avg latency, 380.00 ms max latency.\n\
            200000 steady state records sent, 127713.920817 records/sec (121.80 MB/sec), 199.06 ms avg latency.\n";
        assert_eq!(super::records_a_second(said), Some(127_713.920_817));
        assert_eq!(super::records_a_second("nothing"), None);
    }
}
