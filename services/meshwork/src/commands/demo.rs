//! `meshwork demo`: Kafka and all roles in one process, and a month of real flights through them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use meshwork_demo::clock::{Progress, SimulatedClock};
use meshwork_demo::{Outcome, Pace, Style, join};
use meshwork_dev_kafka::{DevKafka, DevKafkaOptions};
use meshwork_lineage::answer::LineageAnswer;
use meshwork_model::time::Clock as _;
use meshwork_registry_client::RegistryClient;
use meshwork_telemetry::{LogControl, Readiness};

use super::Exit;
use super::role::{stop_signal, tell};
use crate::args::{DemoArgs, DemoOutput, Role};
use crate::config::{Config, state_dir};
use crate::wiring::{self, Addresses};

/// Simulated seconds a second: the month, 44,941 minutes, in about two minutes.
const DEFAULT_SPEED: f64 = 22_500.0;
/// The demo's `give_up`: 24 h of simulated time.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// How often the demo's observer asks, in real time.
const OBSERVE_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(
    args: DemoArgs,
    mut config: Config,
    logs: LogControl,
) -> anyhow::Result<Exit> {
    config.listen(&args.listen);
    let place = Place::choose(&args)?;
    let progress = Progress::in_dir(place.dir());
    if progress.finished() {
        place.clear()?;
    }

    let broker = match args.bootstrap_server.clone().or(foreign_cluster(&config)) {
        Some(servers) => {
            config.kafka.bootstrap_servers = servers;
            None
        }
        None => Some(start_kafka(place.dir().join("kafka")).await?),
    };
    if let Some(broker) = &broker {
        config.kafka.bootstrap_servers = broker.bootstrap_servers();
    }
    let clock = SimulatedClock::at(progress.start());
    for_demo(&mut config, &args, place.dir());
    let mut running = wiring::start(config.clone(), clock.clone(), Some(logs)).await?;
    tell(&running.addresses);

    let roles = Roles {
        addresses: running.addresses.clone(),
        readiness: running.readiness.clone(),
        gateway: running
            .gateway
            .clone()
            .context("the gateway runs in the demo")?,
        freshness: running
            .freshness
            .clone()
            .context("the freshness role runs in the demo")?,
    };
    let outcome = tokio::select! {
        outcome = month(&args, &config, roles, clock, place.dir()) => Some(outcome?),
        error = running.parts.failed() => return Err(error),
        () = stop_signal() => None,
    };
    let exit = match outcome {
        None => {
            eprintln!("demo: interrupted; the next run with this --data-dir goes on from here");
            Exit::Failed
        }
        Some(outcome) => {
            show(&outcome, &args)?;
            progress.finish()?;
            if args.keep {
                tell(&running.addresses);
                eprintln!("demo: stays up until interrupted");
                tokio::select! {
                    error = running.parts.failed() => return Err(error),
                    () = stop_signal() => {}
                }
            }
            if outcome.summary.expectations.all_held() {
                Exit::Done
            } else {
                Exit::Failed
            }
        }
    };
    running.parts.drain().await?;
    if let Some(broker) = broker {
        tokio::task::spawn_blocking(move || broker.stop()).await?;
    }
    Ok(exit)
}

/// Where the run keeps its state.
enum Place {
    /// A directory that stays.
    Kept(PathBuf),
    /// A fresh one that goes with the run.
    Fresh(tempfile::TempDir),
}

impl Place {
    fn choose(args: &DemoArgs) -> anyhow::Result<Self> {
        let dir = match &args.data_dir {
            Some(dir) => dir.clone(),
            None if args.once => return Ok(Self::Fresh(tempfile::tempdir()?)),
            None => state_dir().join("demo"),
        };
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("{} can't be made", dir.display()))?;
        Ok(Self::Kept(dir))
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Fresh(dir) => dir.path(),
        }
    }

    /// Makes room for a new run: only what a run leaves behind goes.
    fn clear(&self) -> anyhow::Result<()> {
        for name in ["kafka", "freshness", "lineage", "catalog", "contracts"] {
            let dir = self.dir().join(name);
            if dir.exists() {
                std::fs::remove_dir_all(&dir)
                    .with_context(|| format!("{} can't be cleared", dir.display()))?;
            }
        }
        Progress::in_dir(self.dir())
            .forget()
            .context("the last run's progress can't be cleared")
    }
}

/// A cluster named in the configuration file is meant; the default one is not.
fn foreign_cluster(config: &Config) -> Option<String> {
    let servers = &config.kafka.bootstrap_servers;
    (*servers != Config::default().kafka.bootstrap_servers).then(|| servers.clone())
}

async fn start_kafka(data_dir: PathBuf) -> anyhow::Result<DevKafka> {
    eprintln!("demo: starting Apache Kafka");
    let options = DevKafkaOptions::new(data_dir);
    Ok(tokio::task::spawn_blocking(move || DevKafka::start(options)).await??)
}

/// All roles, on the simulated clock.
fn for_demo(config: &mut Config, args: &DemoArgs, dir: &Path) {
    config.role = vec![Role::All];
    config.data_dir = dir.to_owned();
    config.registry.url = None;
    if args.once {
        // Several may run at a time.
        for (asked, listen) in [
            (args.listen.gateway_listen, &mut config.gateway.listen),
            (args.listen.registry_listen, &mut config.registry.listen),
            (args.listen.http_listen, &mut config.http.listen),
            (args.listen.admin_listen, &mut config.admin.listen),
        ] {
            if asked.is_none() {
                listen.set_port(0);
            }
        }
    }
    config.freshness.give_up = GIVE_UP;
    config.freshness.poll_interval = OBSERVE_EVERY;
    config.freshness.span = meshwork_freshness::Span::RecordTime;
    config.gateway.service.span = meshwork_gateway::Span::RecordTime;
}

/// What the month needs of the roles.
struct Roles {
    addresses: Addresses,
    readiness: Readiness,
    gateway: meshwork_gateway::Handle,
    freshness: meshwork_freshness::Handle,
}

async fn month(
    args: &DemoArgs,
    config: &Config,
    roles: Roles,
    clock: Arc<SimulatedClock>,
    dir: &Path,
) -> anyhow::Result<Outcome> {
    roles.readiness.ready().await;
    let registry_url = roles
        .addresses
        .registry
        .context("the registry role runs in the demo")?;
    let mut client = config.registry_client();
    client.urls = vec![registry_url.clone()];
    let gateway = roles
        .addresses
        .gateway
        .context("the gateway runs in the demo")?;
    let (observes, freshness) = (roles.gateway, roles.freshness);
    let start = clock.now();
    let http = roles
        .addresses
        .http
        .context("the lineage role runs in the demo")?;
    let asks = reqwest::Client::new();
    let terminal = console::Term::stderr().is_term();
    meshwork_demo::run(meshwork_demo::Context {
        kafka: config.kafka.clone(),
        gateway,
        observe: Arc::new(move || {
            let observes = observes.clone();
            Box::pin(async move { observes.observe_now().await })
        }),
        registry: RegistryClient::new(&client)?,
        registry_url,
        clock,
        data_dir: dir.to_owned(),
        pace: match (args.once, args.speed) {
            (_, Some(speed)) => Pace::Times(speed),
            (true, None) => Pace::AsFastAsItGoes,
            (false, None) => Pace::Times(DEFAULT_SPEED),
        },
        style: if args.once || !terminal {
            Style::Lines
        } else {
            Style::Table
        },
        observed_until: Arc::new(move || freshness.observer_progress().or(Some(start))),
        lineage_knows: Arc::new(move || {
            let (asks, http) = (asks.clone(), http.clone());
            Box::pin(async move { lineage_knows(&asks, &http).await.unwrap_or(false) })
        }),
    })
    .await
}

/// Whether lineage leads from a producer over departures to the demo's group.
async fn lineage_knows(http: &reqwest::Client, base: &str) -> anyhow::Result<bool> {
    let ask = async |direction: &str| -> anyhow::Result<LineageAnswer> {
        let url = format!("{base}/v1/lineage?name=operations.departures&direction={direction}");
        Ok(http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    };
    let (up, down) = (ask("up").await?, ask("down").await?);
    let producer = up.edges.iter().any(|e| e.from.kind == "producer");
    let group = down
        .edges
        .iter()
        .any(|e| e.to.kind == "group" && e.to.name.contains(join::GROUP));
    Ok(producer && group)
}

fn show(outcome: &Outcome, args: &DemoArgs) -> anyhow::Result<()> {
    let expectations = outcome.summary.expectations;
    for missed in &outcome.missed {
        eprintln!("demo: not held: {missed}");
    }
    let last = format!(
        "demo: {} of {} expectations held",
        expectations.held, expectations.of
    );
    let mut stdout = std::io::stdout().lock();
    match args.output {
        DemoOutput::Json => {
            // By way of a value, whose keys are sorted.
            writeln!(stdout, "{}", serde_json::to_value(&outcome.summary)?)?;
            eprintln!("{last}");
        }
        DemoOutput::Human => {
            writeln!(stdout, "{}{last}", outcome.summary.in_words())?;
        }
    }
    Ok(())
}
