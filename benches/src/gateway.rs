//! The gateway's ladder: direct → pass-through → enforce → + tag → + observe, on one real broker, with
//! Kroxylicious beside it, all on the same two cores. Each rung adds one thing.

mod frame;
mod kroxylicious;
mod latency;
mod load;
mod performance;
mod proxy;
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use meshwork_model::mesh::announcement::TagMode;
use meshwork_model::name::SchemaId;
use meshwork_model::time::{Clock as _, WallClock};
use meshwork_wire::Codec;

use crate::registry::cores::TwoCores;
use crate::table::{Line, Outcome, median};
use frame::{Content, Request};
use proxy::Proxy;
use world::{Product, World};

/// Rounds of all rungs in turn, so that a slow moment of the machine hits all alike; the middle one
/// counts.
const ROUNDS: usize = 5;
/// How long a rung is measured in a round.
const SPAN: Duration = Duration::from_millis(1_500);

/// What the load goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    /// Nothing.
    Direct,
    /// The gateway, to a topic that is no product's.
    Pass,
    /// To a product in `reject`.
    Enforce,
    /// The first record of each batch is tagged as well.
    Tag,
    /// And what is seen is written to `mesh.observations` every second.
    Observe,
    /// Kroxylicious without a filter.
    TheirPass,
    /// Kroxylicious, checking that values are JSON.
    TheirJson,
}

const RUNGS: [Rung; 7] = [
    Rung::Direct,
    Rung::Pass,
    Rung::Enforce,
    Rung::Tag,
    Rung::Observe,
    Rung::TheirPass,
    Rung::TheirJson,
];

impl Rung {
    const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Pass => "pass-through",
            Self::Enforce => "enforce",
            Self::Tag => "+ tag",
            Self::Observe => "+ observe",
            Self::TheirPass => "Kroxylicious",
            Self::TheirJson => "Kroxylicious JSON check",
        }
    }
}

/// What is sent, and by how many connections.
#[derive(Clone, Copy, Debug)]
struct Case {
    small: bool,
    codec: Codec,
    connections: i32,
}

impl Case {
    fn name(self) -> String {
        format!(
            "{}, {}, {} connection{}",
            if self.small { "100 B" } else { "1 KB" },
            match self.codec {
                Codec::None => "uncompressed",
                codec => codec.name(),
            },
            self.connections,
            if self.connections == 1 { "" } else { "s" }
        )
    }

    const fn avro(self) -> Content {
        if self.small {
            Content::Small
        } else {
            Content::Large
        }
    }

    /// To which records go; none: to a topic that is no product's.
    fn product(self, rung: Rung) -> Result<Option<Product>> {
        let tag = match rung {
            Rung::Direct | Rung::Pass | Rung::TheirPass | Rung::TheirJson => return Ok(None),
            Rung::Enforce => TagMode::Off,
            Rung::Tag | Rung::Observe => TagMode::Batch,
        };
        let product = Product::of(self.avro(), tag).context("no such product")?;
        Ok(Some(product))
    }

    fn topic(self, rung: Rung) -> Result<String> {
        match self.product(rung)? {
            Some(product) => product.topic(),
            None if rung == Rung::TheirJson => Ok(world::JSON.to_owned()),
            None => Ok(world::PLAIN.to_owned()),
        }
    }

    /// One request for each connection.
    fn requests(self, rung: Rung) -> Result<Vec<Request>> {
        let content = match (rung, self.small) {
            (Rung::TheirJson, true) => Content::SmallJson,
            (Rung::TheirJson, false) => Content::LargeJson,
            _ => self.avro(),
        };
        let id = match self.product(rung)? {
            Some(product) => product.id()?,
            None => SchemaId::new(1)?,
        };
        let topic = self.topic(rung)?;
        let now = WallClock.now().as_millis();
        (0..self.connections)
            .map(|partition| frame::request(&topic, partition, content, self.codec, id, now))
            .collect()
    }
}

/// What is measured.
struct Ladder {
    world: World,
    broker: SocketAddr,
    /// Observes so seldom that it never does.
    quiet: Proxy,
    observing: Proxy,
    kroxylicious: Option<kroxylicious::Both>,
}

impl Ladder {
    async fn start(dir: &Path, trimmed: Duration) -> Result<Self> {
        let world = World::start(dir, trimmed).await?;
        let servers = world.bootstrap_servers();
        let broker = servers.replace("localhost", "127.0.0.1").parse()?;
        let gateway = |name, every| {
            let dir = dir.join(name);
            let (servers, registry) = (servers.clone(), world.registry.clone());
            async move { Proxy::gateway(&servers, &registry, every, &dir).await }
        };
        Ok(Self {
            broker,
            quiet: gateway("quiet", "1h").await?,
            observing: gateway("observing", "1s").await?,
            kroxylicious: kroxylicious::start(&servers, dir).await?,
            world,
        })
    }

    fn address(&self, rung: Rung) -> Option<SocketAddr> {
        match self.proxy(rung) {
            Some(proxy) => Some(proxy.address),
            None => (rung == Rung::Direct).then_some(self.broker),
        }
    }

    fn proxy(&self, rung: Rung) -> Option<&Proxy> {
        let theirs = self.kroxylicious.as_ref();
        match rung {
            Rung::Direct => None,
            Rung::Pass | Rung::Enforce | Rung::Tag => Some(&self.quiet),
            Rung::Observe => Some(&self.observing),
            Rung::TheirPass => theirs.map(|both| &both.plain),
            Rung::TheirJson => theirs.map(|both| &both.json),
        }
    }

    /// One run: megabytes a second, and millicores of the proxy for each of them; no number where
    /// there is no proxy.
    async fn run(&self, case: Case, rung: Rung) -> Result<Option<(f64, f64)>> {
        let Some(address) = self.address(rung) else {
            return Ok(None);
        };
        let requests = case.requests(rung)?;
        let cpu = || {
            self.proxy(rung)
                .map_or(Ok(0.0), |proxy| proxy.process.cpu())
        };
        let (moved, before, after) = load::full(address, &requests, SPAN, cpu)
            .await
            .with_context(|| format!("{} of {}", rung.name(), case.name()))?;
        // Who moves megabytes takes time: none at all is time that was not seen.
        let used = Some(after - before).filter(|used| *used > 0.0);
        let cost = used.map_or(f64::NAN, |used| used * 1e3 / moved.megabytes());
        Ok(Some((moved.rate(), cost)))
    }

    async fn case(&self, case: Case) -> Result<Vec<Line>> {
        let mut runs = RUNGS.map(|_| (Vec::new(), Vec::new(), Vec::new()));
        for _ in 0..ROUNDS {
            let mut direct = f64::MIN_POSITIVE;
            for (rung, (rates, shares, costs)) in RUNGS.into_iter().zip(&mut runs) {
                let Some((rate, cost)) = self.run(case, rung).await? else {
                    continue;
                };
                if rung == Rung::Direct {
                    direct = rate;
                }
                rates.push(rate);
                shares.push(rate / direct);
                costs.push(cost);
            }
        }
        let figures = runs.map(|(rates, shares, costs)| Figures {
            measured: !rates.is_empty(),
            rate: median(rates),
            share: median(shares),
            cost: median(costs),
        });
        let of = |rung: Rung| {
            let at = RUNGS.iter().position(|r| *r == rung);
            at.and_then(|at| figures.get(at).copied())
                .unwrap_or_default()
        };
        let direct = of(Rung::Direct).rate;
        let lines = RUNGS.into_iter().filter_map(|rung| {
            let theirs = match rung {
                Rung::Direct | Rung::TheirPass | Rung::TheirJson => return None,
                Rung::Pass => of(Rung::TheirPass),
                Rung::Enforce | Rung::Tag | Rung::Observe => of(Rung::TheirJson),
            };
            Some(line(case, rung, direct, of(rung), theirs))
        });
        let lines: Vec<Line> = lines.collect();
        for line in &lines {
            eprintln!("  {}: {}", line.name, line.figure);
        }
        Ok(lines)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    measured: bool,
    /// MB/s.
    rate: f64,
    /// Of direct.
    share: f64,
    /// Millicores per MB/s.
    cost: f64,
}

/// Least share of direct and most millicores, where there is a goal.
fn goal(case: Case, rung: Rung) -> (Option<f64>, Option<f64>) {
    match (case.small, case.codec, rung) {
        (false, Codec::None, Rung::Pass) => (Some(0.95), Some(0.8)),
        (false, Codec::None, Rung::Observe) => (Some(0.9), Some(2.5)),
        (false, Codec::Lz4, Rung::Observe) => (Some(0.75), None),
        _ => (None, None),
    }
}

fn line(case: Case, rung: Rung, direct: f64, ours: Figures, theirs: Figures) -> Line {
    let (share, cost) = goal(case, rung);
    let mut goals = Vec::new();
    let mut outcome = Outcome::NoGoal;
    if let Some(share) = share {
        goals.push(format!("at least {share}"));
        outcome = outcome.and(Outcome::at_least(ours.share, share));
    }
    if let Some(cost) = cost {
        goals.push(format!("at most {cost} mc"));
        outcome = outcome.and(Outcome::at_most(ours.cost, cost));
    }
    let mut beside = String::new();
    if theirs.measured {
        goals.push("Kroxylicious's less 5 %, at most its mc".to_owned());
        outcome = outcome
            .and(Outcome::at_least(ours.share, theirs.share * 0.95))
            .and(Outcome::at_most(ours.cost, theirs.cost));
        beside = format!("; theirs {:.2}, {:.2} mc", theirs.share, theirs.cost);
    }
    Line {
        name: format!("gateway: {}, {}", rung.name(), case.name()),
        figure: format!(
            "{:.2} of {direct:.0} MB/s, {:.2} mc per MB/s{beside}",
            ours.share, ours.cost
        ),
        goal: if goals.is_empty() {
            "no goal".to_owned()
        } else {
            goals.join(", ")
        },
        outcome,
    }
}

/// Throughput and cost with records of 1 KB.
///
/// # Errors
/// Kafka or a proxy can't be had, or a batch is refused: the bench itself is broken.
pub fn run() -> Result<Vec<Line>> {
    throughput(false)
}

/// Throughput and cost with records of 100 bytes.
///
/// # Errors
/// As [`run`].
pub fn run_small() -> Result<Vec<Line>> {
    throughput(true)
}

fn throughput(small: bool) -> Result<Vec<Line>> {
    with_ladder(Duration::from_secs(1), async |ladder, _| {
        let mut lines = Vec::new();
        for codec in [Codec::None, Codec::Lz4] {
            for connections in [1, 16] {
                let case = Case {
                    small,
                    codec,
                    connections,
                };
                lines.extend(ladder.case(case).await?);
            }
        }
        if ladder.kroxylicious.is_none() {
            lines.push(Line {
                name: "gateway: beside Kroxylicious".to_owned(),
                figure: "not run".to_owned(),
                goal: "there is no JDK 17 or later".to_owned(),
                outcome: Outcome::NotRun,
            });
        }
        Ok(lines)
    })
}

/// Latency at half load, and memory of idle connections.
///
/// # Errors
/// As [`run`].
pub fn run_latency() -> Result<Vec<Line>> {
    with_ladder(latency::TRIMMED_EVERY, async |ladder, dir| {
        let mut lines = Vec::new();
        for connections in [1, 16] {
            lines.extend(latency::added(ladder, connections).await?);
        }
        lines.push(latency::memory(&ladder.world, dir).await?);
        Ok(lines)
    })
}

/// Whether Kafka's own load says the same as ours.
///
/// # Errors
/// As [`run`].
pub fn run_java() -> Result<Vec<Line>> {
    with_ladder(Duration::from_secs(1), async |ladder, _| {
        Ok(vec![performance::agrees(ladder).await?])
    })
}

/// What is over the topics' limits is deleted as often as `trimmed`.
fn with_ladder(
    trimmed: Duration,
    work: impl AsyncFnOnce(&Ladder, &Path) -> Result<Vec<Line>>,
) -> Result<Vec<Line>> {
    let _cores = TwoCores::take()?;
    let dir = tempfile::tempdir()?;
    // One thread: the load is to take as little of the two cores as it can.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let ladder = Ladder::start(dir.path(), trimmed).await?;
            work(&ladder, dir.path()).await
        })
}
