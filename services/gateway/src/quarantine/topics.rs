//! Which products have a quarantine; the topics are made here.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use meshwork_kafka::{Admin, KafkaConfig, KafkaError, NewTopic};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::topic::QUARANTINE_SUFFIX;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::follow::Follower;
use super::kept::Kept;
use super::write::{RECORD_MAX, Writer};
use crate::products::Product;

/// `max.message.bytes` of a quarantine topic: a batch of the largest record that is taken, with its
/// headers.
const MAX_MESSAGE_BYTES: usize = RECORD_MAX + (1 << 20);
const MAX_MESSAGE: &str = "max.message.bytes";

/// What is known of a product's quarantine.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// There is none: no record of it was ever taken out.
    Absent,
    /// It is there, and followed.
    Kept(Arc<Kept>),
}

/// All quarantines. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Quarantine {
    known: ArcSwap<HashMap<Arc<str>, Standing>>,
    changing: Mutex<()>,
    /// Counts changes.
    changes: watch::Sender<u64>,
    pub(crate) follower: Follower,
    pub(crate) writer: Writer,
}

impl Quarantine {
    pub(crate) fn new(kafka: &KafkaConfig) -> Result<Self, KafkaError> {
        Ok(Self {
            known: ArcSwap::default(),
            changing: Mutex::default(),
            changes: watch::Sender::new(0),
            follower: Follower::new(),
            writer: Writer::new(kafka)?,
        })
    }

    /// What is known of a product topic's quarantine, waited for until `deadline`. `None`: nothing
    /// by then.
    pub(crate) async fn standing(&self, topic: &str, deadline: Instant) -> Option<Standing> {
        if let Some(standing) = self.known.load().get(topic) {
            return Some(standing.clone());
        }
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(standing) = self.known.load().get(topic) {
                return Some(standing.clone());
            }
            let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return None;
            }
        }
    }

    /// The quarantine of a product's topic, if it is known by now.
    pub(crate) fn kept(&self, topic: &str) -> Option<Arc<Kept>> {
        match self.known.load().get(topic) {
            Some(Standing::Kept(kept)) => Some(Arc::clone(kept)),
            _ => None,
        }
    }

    /// All that are there.
    pub(super) fn all(&self) -> Vec<Arc<Kept>> {
        let known = self.known.load();
        known
            .values()
            .filter_map(|standing| match standing {
                Standing::Kept(kept) => Some(Arc::clone(kept)),
                Standing::Absent => None,
            })
            .collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn set(&self, topic: &Arc<str>, standing: Standing) {
        let changing = self.changing.lock();
        let mut known = HashMap::clone(&self.known.load());
        known.insert(Arc::clone(topic), standing);
        self.known.store(Arc::new(known));
        drop(changing);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Finds out whether a product has a quarantine, and makes it where its mode wants one. One that
    /// is there is followed whatever the mode: what was taken out stays taken out.
    pub(crate) async fn prepare(&self, admin: &Admin, product: &Product) {
        let wanted = product.policy.enforcement == EnforcementMode::Quarantine;
        match self.known.load().get(&product.topic) {
            Some(Standing::Kept(_)) => return,
            // It can only come to be by a change of mode, which is heard of.
            Some(Standing::Absent) if !wanted => return,
            _ => {}
        }
        match find(admin, product, wanted).await {
            Ok(Some(kept)) => {
                tracing::info!(topic = %kept.topic, "quarantine followed");
                self.set(&product.topic, Standing::Kept(Arc::new(kept)));
            }
            // Where it is wanted and not seen, the next round looks again.
            Ok(None) if !wanted => self.set(&product.topic, Standing::Absent),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(topic = %product.topic, %error, "the product's quarantine can't be looked at or made; its idempotent producers wait");
            }
        }
    }
}

async fn find(admin: &Admin, product: &Product, wanted: bool) -> Result<Option<Kept>, KafkaError> {
    let name: Arc<str> = format!("{}{QUARANTINE_SUFFIX}", product.topic).into();
    let mut there = admin.topic(&name).await?;
    if there.is_none() && wanted {
        create(admin, product, &name).await?;
        there = admin.topic(&name).await?;
    }
    let Some(info) = there else {
        return Ok(None);
    };
    let configs = admin.topic_configs(&name).await?;
    let number = |key: &str| {
        let value = configs.get(key).and_then(|config| config.value.as_ref());
        value.and_then(|value| value.parse::<i64>().ok())
    };
    let most = i64::try_from(MAX_MESSAGE_BYTES).unwrap_or(i64::MAX);
    // A topic that was made by hand or by `product apply` has the brokers' default.
    let by_default = configs
        .get(MAX_MESSAGE)
        .is_some_and(|config| config.is_default);
    if wanted && by_default && number(MAX_MESSAGE).is_some_and(|bytes| bytes < most) {
        let set = [(MAX_MESSAGE.to_owned(), most.to_string())];
        if let Err(error) = admin.alter_topic_configs(&name, &set, &[]).await {
            tracing::warn!(topic = %name, %error, "max.message.bytes can't be raised; batches of large records will be rejected where they should go to quarantine");
        }
    }
    let retention = number("retention.ms").filter(|ms| *ms >= 0);
    Ok(Some(Kept::new(
        Arc::clone(&product.topic),
        name,
        info.partitions,
        retention,
    )))
}

async fn create(admin: &Admin, product: &Product, name: &Arc<str>) -> Result<(), KafkaError> {
    let partitions = match admin.topic(&product.topic).await? {
        Some(source) => source.partitions,
        None => 1,
    };
    let brokers = admin.cluster().await?.brokers.len();
    let configs = admin
        .topic_configs(&product.topic)
        .await
        .unwrap_or_default();
    let retention = configs
        .get("retention.ms")
        .and_then(|config| config.value.clone())
        .unwrap_or_else(|| "-1".to_owned());
    let mut topic = NewTopic::new(&**name, partitions)
        .with("cleanup.policy", "delete")
        .with("retention.ms", retention)
        .with(MAX_MESSAGE, MAX_MESSAGE_BYTES.to_string());
    if brokers >= 3 {
        topic = topic.with("min.insync.replicas", "2");
    }
    admin.create_topic(&topic).await?;
    Ok(())
}
