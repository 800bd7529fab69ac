//! Follows `mesh.catalog`: which topics are products, and how they are to be treated.

mod unread;

use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_kafka::control;
use meshwork_kafka::{Admin, Assigned, From, KafkaError, LogReader, ReaderOptions};
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::name::Urn;
use meshwork_model::text::with_causes;
use meshwork_model::topic::{ControlTopic, MAX_MESSAGE};
use meshwork_registry_client::MeshReader;
use meshwork_telemetry::Latch;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::products::{News, Product};
use crate::service::Shared;
use crate::topics;
use unread::Unread;

/// Longest wait for records before looking whether to stop.
const WAIT: Duration = Duration::from_millis(500);
/// First wait before something that failed is tried again; doubles up to `RETRY_AT_MOST`.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);
/// How long a broker is waited for that is asked for its own settings.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// How long a broker remembers a producer that sends nothing, in milliseconds.
const EXPIRATION: &str = "producer.id.expiration.ms";

/// Follows until `stop`; the latch is released once everything announced so far is known.
///
/// # Errors
/// A catalog topic that can't be used as it is.
pub(crate) async fn follow(
    shared: Arc<Shared>,
    latch: Latch,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut latch = Some(latch);
    let mut wait = RETRY_FIRST;
    loop {
        let followed = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            followed = read(&shared, &mut latch, &mut wait) => followed,
        };
        let Err(error) = followed else { continue };
        if let Error::ControlTopic(_) = &error {
            let passing = std::error::Error::source(&error)
                .and_then(|e| e.downcast_ref::<KafkaError>())
                .is_none_or(KafkaError::is_passing);
            if !passing {
                return Err(error);
            }
        }
        tracing::warn!(error = %with_causes(&error), retry_in_ms = wait.as_millis(), "the gateway can't read mesh.catalog for now; what it knows of products holds");
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(RETRY_AT_MOST);
    }
}

async fn read(
    shared: &Arc<Shared>,
    latch: &mut Option<Latch>,
    wait: &mut Duration,
) -> Result<(), Error> {
    let admin = Admin::new(&shared.kafka)?;
    control::ensure(&admin, ControlTopic::Catalog).await?;
    // Before any quarantine is read, since what is too old there is left out.
    if let Some(broker) = admin.cluster().await?.brokers.first() {
        learn_expiration(shared, &admin, broker.id).await;
    }
    let topic = ControlTopic::Catalog.name();
    let partitions = Assigned::all(&admin, topic, |_| From::Beginning).await?;
    let mut reader = LogReader::start(&shared.kafka, partitions, ReaderOptions::default())?;
    let decoder = MeshReader::<ProductAnnouncement>::new(shared.registry.clone());
    let mut unread = Unread::default();
    // When schemas that are lacking are asked for next, and how long is waited from then on.
    let (mut ask_at, mut pause) = (Instant::now(), RETRY_FIRST);
    let mut registry_is_there = true;
    loop {
        if unread.take(reader.next(WAIT).await?) {
            apply(shared, &admin, unread.decide(&decoder)).await;
            (ask_at, pause) = (Instant::now(), RETRY_FIRST);
        }
        if unread.is_empty() {
            registry_is_there = true;
        } else if unread.is_at_end() && Instant::now() >= ask_at {
            registry_is_there = unread.ask(&decoder, &shared.refusals).await;
            apply(shared, &admin, unread.decide(&decoder)).await;
            (ask_at, pause) = (Instant::now() + pause, (pause * 2).min(RETRY_AT_MOST));
        }
        if unread.is_at_end() && registry_is_there {
            *wait = RETRY_FIRST;
            shared.products.all_known();
            if let Some(latch) = latch.take() {
                latch.release();
            }
        }
    }
}

/// Follows products as `mesh.catalog` says.
async fn apply(shared: &Shared, admin: &Admin, news: Vec<(Urn, News)>) {
    for (urn, news) in &news {
        let topic = urn.topic();
        shared.metrics.unread(&topic, *news == News::Unread);
        if *news == News::Withdrawn {
            shared.metrics.follows_no_more(&topic);
        }
    }
    let changed = shared.products.apply(news, |policy| {
        let field = policy.event_time.as_deref();
        shared.schemas.set_event_time(&policy.value_subject, field);
    });
    learn(shared, admin, &changed).await;
    for product in changed {
        shared.metrics.follows(&product.topic);
        let refusals = &shared.refusals;
        shared.quarantine.prepare(admin, &product, refusals).await;
        tracing::info!(topic = %product.topic, mode = ?product.policy.enforcement, status = ?product.policy.status, "product followed");
    }
}

/// Asks for what the brokers know of products' topics: partitions, `max.message.bytes`, and the id that
/// tells whether one was made anew, which clients below Metadata 10 never ask for. What can't be asked
/// for stays as it is known.
pub(crate) async fn learn(shared: &Shared, admin: &Admin, products: &[Arc<Product>]) {
    if products.is_empty() {
        return;
    }
    let names: Vec<&str> = products.iter().map(|product| &*product.topic).collect();
    let unasked = |what: &str, error: &KafkaError| {
        shared.refusals.say(&format!("unasked {what}"), || {
            tracing::warn!(%error, what, "brokers can't be asked about products' topics; what is known of them holds");
        });
    };
    match admin.topics_named(&names).await {
        Ok(topics) => {
            for topic in topics {
                let partitions = usize::try_from(topic.partitions).unwrap_or(0);
                shared.topics.has(&topic.name, partitions);
                if let Some(id) = topics::id(&topic.id) {
                    shared.learn_topic(id, &topic.name);
                }
            }
        }
        Err(error) => unasked("partitions", &error),
    }
    let all = match admin.configs_of_topics(&names).await {
        Ok(all) => all,
        Err(error) => return unasked(MAX_MESSAGE, &error),
    };
    for (product, configs) in products.iter().zip(all) {
        match configs {
            Ok(configs) if configs.is_empty() => shared.refusals.say("unasked topic", || {
                let topic = &product.topic;
                tracing::warn!(%topic, "brokers tell no settings of a product's topic: it is not there, or the gateway's principal has no DESCRIBE_CONFIGS on it");
            }),
            Ok(configs) => {
                let limit = configs
                    .get(MAX_MESSAGE)
                    .and_then(|config| config.value.as_ref()?.parse().ok());
                if let Some(limit) = limit {
                    product.set_max_batch_bytes(limit);
                }
            }
            Err(error) => unasked(MAX_MESSAGE, &error),
        }
    }
}

/// Asks a broker how long it remembers producers. What can't be asked for stays as it is known: a day
/// by default, Kafka's own.
pub(crate) async fn learn_expiration(shared: &Shared, admin: &Admin, node: i32) {
    let admin = admin.with_timeout(ASKED_WITHIN);
    let told = match admin.broker_configs(node).await {
        Ok(configs) => configs.get(EXPIRATION).and_then(|value| value.parse().ok()),
        Err(error) => {
            shared.refusals.say("unasked expiration", || {
                tracing::warn!(%error, "brokers can't be asked for {EXPIRATION}: what is known of it holds, or its default; the gateway's principal may have no DESCRIBE_CONFIGS on the cluster");
            });
            return;
        }
    };
    if let Some(millis) = told {
        shared.quarantine.expires_after(millis);
    }
}
