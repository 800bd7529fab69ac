//! The demo from beginning to end: apply, break, join, replay, wait, count, judge.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use meshwork_catalog::apply::{self, ApplyContext, apply_products};
use meshwork_catalog::check::check_paths;
use meshwork_kafka::{Admin, Assigned, From, KafkaConfig, LogReader, ReaderOptions};
use meshwork_model::headers;
use meshwork_model::mesh::{MeshRecord, ProductAnnouncement, SloAlert, SloStatus};
use meshwork_model::time::MINUTE_MS;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshReader, RegistryClient, RegistryClientError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::breaker::{bad_records, incompatible_schema};
use crate::clock::{Progress, SimulatedClock};
use crate::contracts;
use crate::expectations::{self, Checks, EVENTS, Expectation};
use crate::flights::timetable::END;
use crate::flights::{Month, Product};
use crate::join::{self, Joined};
use crate::live::Live;
use crate::publisher::Publisher;
use crate::readback::{self, Promises};
use crate::replay::{ObservedUntil, Pace, Replay};
use crate::summary::{ProductSummary, Summary};
use crate::view::{self, Style};

/// Longest wait for what must come in the end: minutes that close, a group that reads on.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A future behind a pointer.
pub(crate) type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// Whether lineage leads from a producer over departures to the demo's group; asked by the wiring,
/// which knows where that role is.
pub type LineageKnows = Arc<dyn Fn() -> BoxFuture<bool> + Send + Sync>;

/// Has the gateway write what it has observed; whether it could.
pub type Observe = Arc<dyn Fn() -> BoxFuture<bool> + Send + Sync>;

/// What the demo is given by the wiring.
pub struct Context {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// Where producers and consumers come to: the gateway's address.
    pub gateway: String,
    /// Has the gateway write what it has observed.
    pub observe: Observe,
    /// The registry, for Meshwork's own client.
    pub registry: RegistryClient,
    /// The registry, for the stock client.
    pub registry_url: String,
    /// The clock that all roles read.
    pub clock: Arc<SimulatedClock>,
    /// Where the run's progress and contracts are kept.
    pub data_dir: PathBuf,
    /// How fast the month goes by.
    pub pace: Pace,
    /// How it is shown.
    pub style: Style,
    /// How far the observer has read.
    pub observed_until: ObservedUntil,
    /// Whether lineage leads from a producer over departures to the demo's group.
    pub lineage_knows: LineageKnows,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What happened in the month.
    pub summary: Summary,
    /// Expectations that did not hold, in words.
    pub missed: Vec<String>,
}

/// Runs the month, or what is left of it.
///
/// # Errors
/// Kafka, the registry or a role that does not do its part.
pub async fn run(context: Context) -> Result<Outcome> {
    let month = Month::read()?;
    let progress = Progress::in_dir(&context.data_dir);
    let products = apply_contracts(&context).await?;
    let live = Arc::new(Live::default());
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();

    let joined = Joined::default();
    let group = tokio::spawn(join_group(&context, &products, &joined, stop.clone())?);
    let followers = [
        tokio::spawn(follow(
            context.kafka.clone(),
            context.registry.clone(),
            ControlTopic::SloStatus,
            stop.clone(),
            on::<SloStatus>(&live, Live::status),
        )),
        tokio::spawn(follow(
            context.kafka.clone(),
            context.registry.clone(),
            ControlTopic::SloAlerts,
            stop.clone(),
            on::<SloAlert>(&live, Live::alert),
        )),
    ];
    let shown = CancellationToken::new();
    let screen = tokio::spawn(view::show(Arc::clone(&live), context.style, shown.clone()));

    let incompatible_refused =
        break_schema(&context, announced(&products, Product::Departures)?).await?;
    replay(&context, &month, &products, &progress, &live).await?;
    let promises = settled_promises(&context, &products).await?;
    wait_until("the consumer group to read every departure", || {
        joined.departures() as u64 >= EVENTS[4].1 && joined.weather() as u64 >= EVENTS[3].1
    })
    .await;
    let checks = Checks {
        in_catalog: meshwork_catalog::read_catalog(&context.kafka, &context.registry)
            .await?
            .products
            .len(),
        lineage: lineage_knows(&context).await,
        consumed: joined.departures() as u64,
        tagged: 0,
    };
    shown.cancel();
    // The screen's last picture; its failure loses nothing.
    let _ = screen.await;
    stop.cancel();
    group.await?.context("the joining consumer group failed")?;
    for follower in followers {
        follower.await??;
    }
    summarise(
        &context,
        &products,
        promises,
        joined.joined() as u64,
        incompatible_refused,
        checks,
    )
    .await
}

async fn apply_contracts(context: &Context) -> Result<HashMap<Product, ProductAnnouncement>> {
    let dir = context.data_dir.join("contracts");
    contracts::write_to(&dir).context("the demo's contracts can't be written")?;
    let checked = check_paths(&[dir], Some(&context.registry)).await?;
    let desired = checked.into_products().map_err(|findings| {
        anyhow::anyhow!(
            "the demo's contracts have findings: {:?}",
            findings.as_slice()
        )
    })?;
    let apply = ApplyContext {
        kafka: context.kafka.clone(),
        registry: context.registry.clone(),
        clock: Arc::<SimulatedClock>::clone(&context.clock),
        who: "demo".to_owned(),
    };
    let announced = apply_products(&apply, &desired, |progress| {
        if let apply::Progress::Finished { urn, changed } = progress {
            eprintln!(
                "demo: applied {urn}{}",
                if changed { "" } else { ", as it was" }
            );
        }
    })
    .await?;
    let applied: Vec<ProductAnnouncement> = announced
        .into_iter()
        .map(|applied| applied.announcement)
        .collect();
    Product::ALL
        .into_iter()
        .map(|product| {
            let found = applied
                .iter()
                .find(|a| a.urn.name().to_string() == product.name());
            let found = found.with_context(|| format!("{} was not applied", product.name()))?;
            Ok((product, found.clone()))
        })
        .collect()
}

fn announced(
    products: &HashMap<Product, ProductAnnouncement>,
    product: Product,
) -> Result<&ProductAnnouncement> {
    products
        .get(&product)
        .with_context(|| format!("{} is not announced", product.name()))
}

fn join_group(
    context: &Context,
    products: &HashMap<Product, ProductAnnouncement>,
    joined: &Joined,
    stop: CancellationToken,
) -> Result<impl Future<Output = Result<()>> + use<>> {
    let departures = announced(products, Product::Departures)?.topic.clone();
    let weather = announced(products, Product::Weather)?.topic.clone();
    let (kafka, url, joined) = (
        by_the_gateway(context),
        context.registry_url.clone(),
        joined.clone(),
    );
    Ok(async move { join::run(&kafka, &url, &departures, &weather, &joined, stop).await })
}

/// How a stock client comes to the cluster: it is told another bootstrap server, and that is all.
fn by_the_gateway(context: &Context) -> KafkaConfig {
    KafkaConfig::new(&context.gateway)
}

/// A producer's attempt to register a schema that breaks its readers. 1 if it was refused.
async fn break_schema(context: &Context, departures: &ProductAnnouncement) -> Result<u64> {
    let schema = incompatible_schema(&departures.value_schema.schema)
        .context("the departures' schema is no record")?;
    let subject = &departures.value_schema.subject;
    match context
        .registry
        .register(subject, &schema, &[], false)
        .await
    {
        Err(RegistryClientError::Incompatible { .. }) => Ok(1),
        Err(error) => Err(error).context("the registry failed at an incompatible schema"),
        Ok(_) => Ok(0),
    }
}

async fn replay(
    context: &Context,
    month: &Month,
    products: &HashMap<Product, ProductAnnouncement>,
    progress: &Progress,
    live: &Arc<Live>,
) -> Result<()> {
    let mut topics = Vec::new();
    for product in products.values() {
        topics.extend([product.topic.clone(), product.urn.quarantine_topic()]);
    }
    readback::ends_stand_still(&context.kafka, &topics).await?;
    let gateway = by_the_gateway(context);
    let open = async |announcement: &ProductAnnouncement, name: &str| {
        Publisher::open(&context.kafka, &gateway, announcement, name).await
    };
    let mut publishers = HashMap::new();
    for (product, announcement) in products {
        let name = format!("{}-feed", announcement.domain);
        publishers.insert(*product, open(announcement, &name).await?);
    }
    let departures = announced(products, Product::Departures)?;
    let breaker = open(departures, "kiosk-with-a-bug").await?;
    let mut good = Vec::new();
    let first = month
        .events
        .iter()
        .find(|e| e.product == Product::Departures);
    breaker.encode(
        &first.context("the month has no departure")?.value,
        &mut good,
    )?;
    let foreign = announced(products, Product::Weather)?
        .value_schema
        .schema_id()?;
    let bad = bad_records(&good, foreign.get());
    Replay {
        events: &month.events,
        bad: &bad,
        publishers,
        breaker,
        clock: Arc::clone(&context.clock),
        progress,
        observe: Arc::clone(&context.observe),
        pace: context.pace,
        observed_until: Arc::clone(&context.observed_until),
        live: Arc::clone(live),
    }
    .run()
    .await
}

/// What the freshness role says once the minute that begins at 09:59Z is closed for every SLO.
async fn settled_promises(
    context: &Context,
    products: &HashMap<Product, ProductAnnouncement>,
) -> Result<Promises> {
    let slos: usize = products.values().map(|p| p.slos.len()).sum();
    let last = END.plus_millis(-MINUTE_MS);
    let until = Instant::now() + PATIENCE;
    loop {
        let promises = Promises::read(&context.kafka, &context.registry).await?;
        if promises.settled(last) == slos {
            return Ok(promises);
        }
        if Instant::now() >= until {
            bail!(
                "{} of {slos} SLOs have closed their minutes up to {last} after {} s",
                promises.settled(last),
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(LOOK_AGAIN * 10).await;
    }
}

async fn lineage_knows(context: &Context) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if (context.lineage_knows)().await {
            return true;
        }
        tokio::time::sleep(LOOK_AGAIN * 10).await;
    }
    false
}

/// Waits with patience; what did not come shows as an expectation that did not hold.
async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() >= until {
            eprintln!("demo: waited {} s in vain for {what}", PATIENCE.as_secs());
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn summarise(
    context: &Context,
    products: &HashMap<Product, ProductAnnouncement>,
    promises: Promises,
    joined: u64,
    incompatible_refused: u64,
    mut checks: Checks,
) -> Result<Outcome> {
    let mut summaries = BTreeMap::new();
    for (product, announcement) in products {
        let (mut keys, mut tagged) = (std::collections::HashSet::new(), 0);
        readback::each_record(&context.kafka, &announcement.topic, async |record| {
            tagged += u64::from(record.header(headers::PRODUCER).is_some());
            keys.insert(record.key);
            Ok(())
        })
        .await?;
        checks.tagged += tagged;
        let refused = readback::keys(&context.kafka, &announcement.urn.quarantine_topic()).await?;
        let of_product = format!("{}#", announcement.urn);
        let slos = promises.slos.iter().filter_map(|(key, slo)| {
            Some((key.strip_prefix(&of_product)?.to_owned(), slo.clone()))
        });
        let summary = ProductSummary {
            published: keys.len() as u64,
            refused: refused.len() as u64,
            slos: slos.collect(),
        };
        summaries.insert(product.name().to_owned(), summary);
    }
    let mut summary = Summary {
        alerts: promises.alerts,
        incompatible_refused,
        joined,
        products: summaries,
        ..Summary::default()
    };
    let judged = expectations::judge(&summary, checks);
    summary.expectations = expectations::tally(&judged);
    let missed = judged.into_iter().filter(|e| !e.held);
    Ok(Outcome {
        summary,
        missed: missed
            .map(|Expectation { what, found, .. }| format!("{what}: found {found}"))
            .collect(),
    })
}

fn on<T>(live: &Arc<Live>, take: fn(&Live, T)) -> impl Fn(T) + Send + 'static + use<T>
where
    T: 'static,
{
    let live = Arc::clone(live);
    move |value| take(&live, value)
}

/// Hands each value of a mesh topic to `take`, from the beginning on, until `stop`.
async fn follow<T: MeshRecord>(
    kafka: KafkaConfig,
    registry: RegistryClient,
    topic: ControlTopic,
    stop: CancellationToken,
    take: impl Fn(T) + Send + 'static,
) -> Result<()> {
    let admin = Admin::new(&kafka)?;
    // The freshness role makes the topic when it starts.
    while admin.topic(topic.name()).await?.is_none() {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
    let partitions = Assigned::all(&admin, topic.name(), |_| From::Beginning).await?;
    let mut reader = LogReader::start(&kafka, partitions, ReaderOptions::default())?;
    let decode = MeshReader::<T>::new(registry);
    loop {
        let batch = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            batch = reader.next(Duration::from_millis(500)) => batch?,
        };
        for record in batch.records {
            if let Some(value) = &record.value {
                take(decode.decode(value).await?);
            }
        }
    }
}
