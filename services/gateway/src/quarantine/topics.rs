//! Which products have a quarantine; the topics are made here.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use meshwork_kafka::{Admin, KafkaConfig, KafkaError, quarantine};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::topic::{QUARANTINE_SUFFIX, is_at_least, quarantine_configs, suffices};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::follow::{self, Follower};
use super::kept::{Kept, Presence, Remembered};
use super::write::Writer;
use crate::products::Product;
use crate::refusals::Refusals;

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
    lost: Notify,
    kafka: KafkaConfig,
    remembered: Remembered,
    pub(crate) follower: Follower,
    pub(crate) writer: Writer,
}

impl Quarantine {
    pub(crate) fn new(kafka: &KafkaConfig) -> Result<Self, KafkaError> {
        Ok(Self {
            known: ArcSwap::default(),
            changing: Mutex::default(),
            changes: watch::Sender::new(0),
            lost: Notify::new(),
            kafka: kafka.clone(),
            remembered: Remembered::default(),
            follower: Follower::new(),
            writer: Writer::new(kafka)?,
        })
    }

    /// What is known of a product topic's quarantine, waited for until `deadline`. `None`: nothing
    /// by then.
    pub(crate) async fn standing(&self, topic: &str, deadline: Instant) -> Option<Standing> {
        if let Some(standing) = self.stands(topic) {
            return Some(standing);
        }
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(standing) = self.stands(topic) {
                return Some(standing);
            }
            let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return None;
            }
        }
    }

    fn stands(&self, topic: &str) -> Option<Standing> {
        self.known.load().get(topic).cloned().filter(|standing| {
            // Another gateway may have made it anew, and written to it.
            !matches!(standing, Standing::Kept(kept) if kept.presence() == Presence::Gone)
        })
    }

    /// The quarantine of a product's topic, if it is known by now.
    pub(crate) fn kept(&self, topic: &str) -> Option<Arc<Kept>> {
        match self.known.load().get(topic) {
            Some(Standing::Kept(kept)) => Some(Arc::clone(kept)),
            _ => None,
        }
    }

    /// All that are remembered.
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

    pub(super) const fn kafka(&self) -> &KafkaConfig {
        &self.kafka
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes what was found out of a topic, unless somebody else has found it out meanwhile: what
    /// the first one's [`Kept`] has been told since would be lost.
    fn set(&self, topic: &Arc<str>, before: Option<&Arc<Kept>>, standing: Standing) {
        let changing = self.changing.lock();
        let mut known = HashMap::clone(&self.known.load());
        let same = match (known.get(topic), before) {
            (Some(Standing::Kept(now)), Some(before)) => Arc::ptr_eq(now, before),
            (Some(Standing::Kept(_)), None) | (_, Some(_)) => false,
            (_, None) => true,
        };
        if !same {
            return;
        }
        known.insert(Arc::clone(topic), standing);
        self.known.store(Arc::new(known));
        drop(changing);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// A topic was not there when it was to be read.
    pub(super) fn lose(&self, kept: &Kept) {
        kept.is(Presence::Gone);
        self.lost.notify_one();
    }

    /// A broker remembers a producer for so many milliseconds (`producer.id.expiration.ms`).
    pub(crate) fn expires_after(&self, millis: u64) {
        self.remembered.expires_after(millis);
    }

    /// Waits until a topic was not there when it was to be read.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Has a topic that might not be read followed again, if it may be by now.
    async fn try_again(&self, kept: &Kept) {
        match follow::may_be_read(&self.kafka, kept).await {
            Ok(true) => {
                kept.is(Presence::There);
                self.changes.send_modify(|changes| *changes += 1);
            }
            Err(KafkaError::UnknownTopic { .. }) => self.lose(kept),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(topic = %kept.topic, %error, "a quarantine can't be tried");
            }
        }
    }

    /// Finds out whether a product has a quarantine, and makes it where its mode wants one. One that
    /// is there is followed whatever the mode: what was taken out stays taken out.
    pub(crate) async fn prepare(&self, admin: &Admin, product: &Product, refusals: &Refusals) {
        let wanted = product.policy.enforcement == EnforcementMode::Quarantine;
        let before = self.known.load().get(&product.topic).cloned();
        let before = match before {
            Some(Standing::Kept(kept)) if kept.presence() == Presence::There => return,
            Some(Standing::Kept(kept)) if kept.presence() == Presence::Denied => {
                return self.try_again(&kept).await;
            }
            // It can only come to be by a change of mode, which is heard of.
            Some(Standing::Kept(kept)) if kept.presence() == Presence::Left && !wanted => return,
            Some(Standing::Absent) if !wanted => return,
            Some(Standing::Kept(kept)) => Some(kept),
            Some(Standing::Absent) | None => None,
        };
        match find(admin, product, wanted, refusals).await {
            Ok(Some(found)) => {
                tracing::info!(topic = %found.topic, "quarantine followed");
                let (partitions, retention) = (found.partitions, found.retention_ms);
                let kept = match &before {
                    Some(before) => before.anew(partitions, retention),
                    None => Kept::new(
                        Arc::clone(&product.topic),
                        found.topic,
                        partitions,
                        retention,
                    )
                    .remembering(self.remembered.clone()),
                };
                let standing = Standing::Kept(Arc::new(kept));
                self.set(&product.topic, before.as_ref(), standing);
            }
            // Where it is wanted and not seen, the next round looks again.
            Ok(None) if wanted => {}
            Ok(None) => {
                let standing = match &before {
                    Some(before) => {
                        before.is(Presence::Left);
                        Standing::Kept(Arc::clone(before))
                    }
                    None => Standing::Absent,
                };
                self.set(&product.topic, before.as_ref(), standing);
            }
            Err(error) => refusals.say(&format!("quarantine-topic {}", product.topic), || {
                tracing::warn!(topic = %product.topic, %error, "the product's quarantine can't be looked at or made; its idempotent producers wait");
            }),
        }
    }
}

/// A quarantine topic that is there.
struct Found {
    topic: Arc<str>,
    partitions: i32,
    /// None: for ever.
    retention_ms: Option<i64>,
}

async fn find(
    admin: &Admin,
    product: &Product,
    wanted: bool,
    refusals: &Refusals,
) -> Result<Option<Found>, KafkaError> {
    let name: Arc<str> = format!("{}{QUARANTINE_SUFFIX}", product.topic).into();
    let mut there = admin.topic(&name).await?;
    if there.is_none() && wanted {
        quarantine::create(admin, &product.topic, product.retention_ms).await?;
        there = admin.topic(&name).await?;
    }
    let Some(info) = there else {
        return Ok(None);
    };
    let configs = admin.topic_configs(&name).await?;
    // A topic that was made by hand, or by an older `product apply`, has the brokers' defaults.
    let lacking = |(key, least): (&str, String)| {
        let config = configs.get(key).filter(|config| config.is_default)?;
        let found = config.value.as_deref()?;
        let lacks = is_at_least(key) && !suffices(key, found, &least);
        lacks.then(|| (key.to_owned(), least))
    };
    let set: Vec<_> = quarantine_configs(product.retention_ms, info.replication)
        .into_iter()
        .filter_map(lacking)
        .collect();
    if wanted
        && !set.is_empty()
        && let Err(error) = admin.alter_topic_configs(&name, &set, &[]).await
    {
        refusals.say(&format!("quarantine-limit {name}"), || {
            tracing::warn!(topic = %name, settings = ?set, %error, "settings of a quarantine can't be raised; large records will be rejected where they should go there, or it takes one broker's word for what is written");
        });
    }
    let retention = configs.get("retention.ms");
    let retention = retention.and_then(|config| config.value.as_ref()?.parse::<i64>().ok());
    Ok(Some(Found {
        topic: name,
        partitions: info.partitions,
        retention_ms: retention.filter(|ms| *ms >= 0),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    fn kept() -> Arc<Kept> {
        Arc::new(Kept::new("a".into(), "a.quarantine".into(), 1, None))
    }

    #[tokio::test]
    async fn what_the_follower_has_not_heard_of_is_not_called_read() {
        let quarantine = Quarantine::new(&KafkaConfig::new("127.0.0.1:1")).unwrap();
        let (refusals, stop) = (Refusals::default(), CancellationToken::new());
        let follower = follow::follow_all(&quarantine, &refusals, &stop);
        let asks = async {
            let soon = || Instant::now() + Duration::from_millis(200);
            // The follower has found nothing to follow; a change is stored before it is told.
            tokio::task::yield_now().await;
            let kept = kept();
            let standing = Standing::Kept(Arc::clone(&kept));
            let known = HashMap::from([("a".into(), standing)]);
            quarantine.known.store(Arc::new(known));
            assert!(!quarantine.follower.read_to_end(&kept, soon()).await);
            // And while one is followed, the other is no more.
            let gone = Arc::new(Kept::new("b".into(), "b.quarantine".into(), 1, None));
            gone.is(Presence::Gone);
            assert!(!quarantine.follower.read_to_end(&gone, soon()).await);
            stop.cancel();
        };
        tokio::join!(follower, asks);
    }

    #[tokio::test]
    async fn of_two_who_find_a_topic_the_first_ones_memory_stays() {
        let quarantine = Quarantine::new(&KafkaConfig::new("127.0.0.1:1")).unwrap();
        let (topic, first) = ("a".into(), kept());
        let is = |wanted: &Arc<Kept>| {
            let now = quarantine.kept("a");
            now.is_some_and(|now| Arc::ptr_eq(&now, wanted))
        };
        quarantine.set(&topic, None, Standing::Kept(Arc::clone(&first)));
        quarantine.set(&topic, None, Standing::Kept(kept()));
        quarantine.set(&topic, None, Standing::Absent);
        assert!(is(&first));
        quarantine.lose(&first);
        assert!(quarantine.standing("a", Instant::now()).await.is_none());
        let anew = Arc::new(first.anew(2, None));
        quarantine.set(&topic, Some(&first), Standing::Kept(Arc::clone(&anew)));
        quarantine.set(&topic, Some(&first), Standing::Kept(kept()));
        assert!(is(&anew));
        assert!(quarantine.standing("a", Instant::now()).await.is_some());
    }
}
