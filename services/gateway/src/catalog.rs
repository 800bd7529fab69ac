//! Follows `mesh.catalog`: which topics are products, and how they are to be treated.

use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::control;
use meshwork_kafka::quarantine::MAX_MESSAGE;
use meshwork_kafka::{Admin, Assigned, From, InRecord, KafkaError, LogReader, ReaderOptions};
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::name::Urn;
use meshwork_model::text::with_causes;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshError, MeshReader};
use meshwork_telemetry::Latch;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::products::Product;
use crate::service::Shared;
use crate::topics;

/// Longest wait for records before looking whether to stop.
const WAIT: Duration = Duration::from_millis(500);
/// First wait before something that failed is tried again; doubles up to `RETRY_AT_MOST`.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);

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
    let topic = ControlTopic::Catalog.name();
    let partitions = Assigned::all(&admin, topic, |_| From::Beginning).await?;
    let mut reader = LogReader::start(&shared.kafka, partitions, ReaderOptions::default())?;
    let decoder = MeshReader::<ProductAnnouncement>::new(shared.registry.clone());
    loop {
        let batch = reader.next(WAIT).await?;
        let mut news = Vec::new();
        for record in &batch.records {
            news.extend(announcement(&decoder, record).await);
        }
        for (urn, announcement) in &news {
            if announcement.is_none() {
                shared.metrics.follows_no_more(&urn.topic());
            }
        }
        let changed = shared.products.apply(news, |policy| {
            let field = policy.event_time.as_deref();
            shared.schemas.set_event_time(&policy.value_subject, field);
        });
        learn(shared, &admin, &changed).await;
        for product in changed {
            shared.metrics.follows(&product.topic);
            let refusals = &shared.refusals;
            shared.quarantine.prepare(&admin, &product, refusals).await;
            tracing::info!(topic = %product.topic, mode = ?product.policy.enforcement, status = ?product.policy.status, "product followed");
        }
        if batch.caught_up && batch.trouble.is_none() {
            *wait = RETRY_FIRST;
            shared.products.all_known();
            if let Some(latch) = latch.take() {
                latch.release();
            }
        }
    }
}

/// A record's announcement, or that a product was withdrawn. One that does not decode is skipped;
/// the registry is waited for.
async fn announcement(
    decoder: &MeshReader<ProductAnnouncement>,
    record: &InRecord,
) -> Option<(Urn, Option<ProductAnnouncement>)> {
    let key = std::str::from_utf8(record.key.as_deref().unwrap_or_default());
    let Some(urn) = key.ok().and_then(|key| key.parse::<Urn>().ok()) else {
        tracing::warn!(
            offset = record.offset,
            "a record of mesh.catalog is skipped: its key is no URN"
        );
        return None;
    };
    let Some(value) = record.value.as_deref() else {
        return Some((urn, None));
    };
    let mut wait = RETRY_FIRST;
    loop {
        match decoder.decode(value).await {
            Ok(announced) if announced.urn == urn => return Some((urn, Some(announced))),
            Ok(_) => {
                tracing::warn!(
                    offset = record.offset,
                    "a record of mesh.catalog is skipped: its key is not its value's URN"
                );
                return None;
            }
            Err(MeshError::Registry(away)) if !away.is_not_found() => {
                tracing::warn!(error = %away, "the gateway waits for the registry");
            }
            Err(error) => {
                tracing::warn!(offset = record.offset, %error, "a record of mesh.catalog is skipped");
                return None;
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_AT_MOST);
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
