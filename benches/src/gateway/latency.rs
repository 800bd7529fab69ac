//! What the gateway adds to the time of a request at half load, and what idle connections cost.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meshwork_kafka::{Admin, KafkaConfig};
use meshwork_wire::Codec;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::frame::Request;
use super::proxy::Proxy;
use super::world::{SEGMENT_BYTES, World};
use super::{Case, Ladder, ROUNDS, Rung, load};
use crate::table::{Line, Outcome, median, within};

const fn case(connections: i32) -> Case {
    Case {
        small: false,
        codec: Codec::None,
        connections,
    }
}
/// How often the broker looks for what is over the topics' limits: longer than a run takes.
pub(super) const TRIMMED_EVERY: Duration = Duration::from_secs(5);
/// How long a rung is measured in a round.
const SPAN: Duration = Duration::from_secs(3);
/// Idle connections.
const IDLE: usize = 1_000;
/// How long they are left alone before memory is read: longer than a buffer is kept.
const LEFT_ALONE: Duration = Duration::from_secs(4);

/// How long the broker may take to delete what is over a topic's limit.
const TRIMMED_WITHIN: Duration = Duration::from_secs(60);

/// Half of what direct gives, through each rung.
///
/// The broker deletes gigabytes at a time, which takes a core for a tenth of a second: at half load
/// that is a queue behind any proxy, and none without one. So each run begins when the broker has
/// just deleted and ends before it looks again. And partitions of which the same number of bytes is
/// asked from the same moment on fill their segments at the same moment, whereupon the broker begins
/// all new ones at once: so each begins at another place in its segment.
///
/// # Errors
/// As [`super::run`].
pub(super) async fn added(ladder: &Ladder, connections: i32) -> Result<Vec<Line>> {
    let case = case(connections);
    let mut direct = Vec::new();
    for _ in 0..3 {
        direct.extend(ladder.run(case, Rung::Direct).await?.map(|(rate, _)| rate));
    }
    let moved = case.requests(Rung::Direct)?;
    let moved = moved.first().context("no request")?.moved;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let rate = median(direct) * 1e6 / moved as f64 / 2.0;

    const RUNGS: [Rung; 3] = [Rung::Direct, Rung::Pass, Rung::Observe];
    let admin = Admin::new(&KafkaConfig::new(ladder.world.bootstrap_servers()))?;
    // Pass-through goes to the topic of direct.
    for rung in [Rung::Direct, Rung::Observe] {
        spread(ladder, &case.requests(rung)?).await?;
    }
    let paced = async |rung: Rung| {
        let address = ladder.address(rung).context("no such rung")?;
        let times = load::paced(address, &case.requests(rung)?, rate, SPAN).await?;
        trimmed(ladder, &admin, rung, case).await?;
        anyhow::Ok(times)
    };
    trimmed(ladder, &admin, Rung::Direct, case).await?;
    let mut all = RUNGS.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        for (rung, (middle, slow)) in RUNGS.into_iter().zip(&mut all) {
            let times = paced(rung).await?;
            middle.push(within(&times, 0.5).context("no answer")?);
            slow.push(within(&times, 0.99).context("no answer")?);
        }
    }
    let [direct, pass, observe] = all.map(|(middle, slow)| (median(middle), median(slow)));
    let line = |rung: Rung, through: (f64, f64)| {
        let (middle, slow) = (through.0 - direct.0, through.1 - direct.1);
        Line {
            name: format!(
                "gateway: added at half load, between deletions, {}, {}",
                rung.name(),
                case.name()
            ),
            figure: format!(
                "p50 {middle:.2} ms, p99 {slow:.2} ms; direct {:.2} and {:.2} ms at {rate:.0}/s",
                direct.0, direct.1
            ),
            goal: "p99 at most 1 ms".to_owned(),
            outcome: Outcome::at_most(slow, 1.0),
        }
    };
    Ok(vec![line(Rung::Pass, pass), line(Rung::Observe, observe)])
}

/// Fills the first partition's segment by nothing, the last one's almost.
async fn spread(ladder: &Ladder, requests: &[Request]) -> Result<()> {
    for (n, request) in requests.iter().enumerate() {
        let times = SEGMENT_BYTES / request.moved * n / requests.len();
        load::times(ladder.broker, request, times).await?;
    }
    Ok(())
}

/// Writes so much to a topic's first partition that there is something to delete, and waits until the
/// broker has deleted it.
async fn trimmed(ladder: &Ladder, admin: &Admin, rung: Rung, case: Case) -> Result<()> {
    let requests = case.requests(rung)?;
    let request = requests.first().context("no request")?;
    let topic = case.topic(rung)?;
    let first = [(topic.clone(), 0)];
    let start = async || -> Result<i64> {
        let starts = admin.start_offsets(&first).await?;
        starts
            .first()
            .and_then(|start| start.offset)
            .context("no such partition")
    };
    let before = start().await?;
    // What a topic keeps, and a segment more, so that its place in the segment stays.
    let times = 3 * SEGMENT_BYTES / request.moved;
    load::times(ladder.broker, request, times).await?;
    let until = Instant::now() + TRIMMED_WITHIN;
    while start().await? == before {
        ensure!(
            Instant::now() < until,
            "the broker deletes nothing of {topic}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A gateway of its own, each of whose connections has sent a batch and has nothing more to say.
///
/// # Errors
/// As [`super::run`].
pub(super) async fn memory(world: &World, dir: &Path) -> Result<Line> {
    let proxy = Proxy::gateway(
        &world.bootstrap_servers(),
        &world.registry,
        "1s",
        &dir.join("memory"),
    )
    .await?;
    let empty = proxy.process.memory()?.now;
    let requests = case(16).requests(Rung::Observe)?;
    let mut open = Vec::with_capacity(IDLE);
    // One after the other: the broker has room for 50 that it has not accepted yet.
    for request in requests.iter().cycle().take(IDLE) {
        let mut stream = load::connect(proxy.address).await?;
        stream.write_all(&request.bytes).await?;
        let length = stream.read_i32().await?;
        let mut answer = vec![0; usize::try_from(length)?];
        stream.read_exact(&mut answer).await?;
        load::check(&answer)?;
        open.push(stream);
    }
    tokio::time::sleep(LEFT_ALONE).await;
    let full = proxy.process.memory()?.now;
    drop(open);
    Ok(Line {
        name: format!("gateway: memory, {IDLE} idle connections that have produced"),
        figure: format!("{full:.0} MiB; without them {empty:.0}"),
        goal: "at most 64 MiB".to_owned(),
        outcome: Outcome::at_most(full, 64.0),
    })
}
