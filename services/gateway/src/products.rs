//! The products that are announced, by topic, followed live; each with what its batches need.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::name::Urn;
use meshwork_model::topic::QUARANTINE_SUFFIX;
use meshwork_pipeline::{BatchPipeline, Checker, OnUnavailable, ProductPolicy};
use meshwork_wire::{BatchError, BatchView, Limits};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// Kafka's default `max.message.bytes`, until the topic's own is known.
const MAX_MESSAGE_BYTES: usize = 1_048_588;
/// Pipelines kept, over all products: more than threads that may run them. With its buffers one holds
/// some 10 MiB at most.
const PIPELINES_KEPT: usize = 64;

/// Pipelines that no batch is run through now, used again for whichever product comes next.
#[derive(Debug)]
struct Pipelines {
    idle: Mutex<Vec<BatchPipeline>>,
    limits: Limits,
}

impl Pipelines {
    fn with<T>(
        &self,
        policy: &Arc<ProductPolicy>,
        work: impl FnOnce(&mut BatchPipeline) -> T,
    ) -> T {
        let idle = self.idle.lock().pop();
        let mut pipeline = match idle {
            Some(mut pipeline) => {
                pipeline.set_product(policy);
                pipeline
            }
            None => BatchPipeline::new(Checker::new(Arc::clone(policy)), self.limits),
        };
        let done = work(&mut pipeline);
        let mut idle = self.idle.lock();
        if idle.len() < PIPELINES_KEPT {
            idle.push(pipeline);
        }
        done
    }
}

/// An announced product version.
#[derive(Debug)]
pub(crate) struct Product {
    /// Its topic.
    pub(crate) topic: Arc<str>,
    /// How its records are treated.
    pub(crate) policy: Arc<ProductPolicy>,
    /// How long its topic keeps records, in milliseconds; none: for ever.
    pub(crate) retention_ms: Option<i64>,
    max_batch_bytes: AtomicUsize,
    pipelines: Arc<Pipelines>,
}

impl Product {
    fn new(
        policy: ProductPolicy,
        retention_ms: Option<i64>,
        pipelines: Arc<Pipelines>,
        max_batch_bytes: usize,
    ) -> Self {
        Self {
            topic: policy.topic.as_str().into(),
            policy: Arc::new(policy),
            retention_ms,
            max_batch_bytes: AtomicUsize::new(max_batch_bytes),
            pipelines,
        }
    }

    /// The topic's `max.message.bytes`, as far as it is known.
    pub(crate) fn max_batch_bytes(&self) -> usize {
        self.max_batch_bytes.load(Ordering::Relaxed)
    }

    /// Notes the topic's `max.message.bytes`.
    pub(crate) fn set_max_batch_bytes(&self, bytes: usize) {
        self.max_batch_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Reads a batch's header, and checks its checksum; its records are not looked at yet.
    pub(crate) fn read<'a>(&self, records: &'a [u8]) -> Result<BatchView<'a>, BatchError> {
        BatchView::parse(records, &self.pipelines.limits)
    }

    /// Runs `work` with a pipeline for this product; its buffers are used again.
    pub(crate) fn with_pipeline<T>(&self, work: impl FnOnce(&mut BatchPipeline) -> T) -> T {
        self.pipelines.with(&self.policy, work)
    }
}

/// All of them. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Products {
    by_topic: ArcSwap<HashMap<String, Arc<Product>>>,
    pipelines: Arc<Pipelines>,
    /// Whether everything has been read that was announced at the start.
    known: AtomicBool,
    /// The same, to wait for. A look at it takes a lock.
    told: watch::Sender<bool>,
    unavailable: OnUnavailable,
}

impl Products {
    pub(crate) fn new(limits: Limits, unavailable: OnUnavailable) -> Self {
        Self {
            by_topic: ArcSwap::default(),
            pipelines: Arc::new(Pipelines {
                idle: Mutex::default(),
                limits,
            }),
            known: AtomicBool::new(false),
            told: watch::Sender::new(false),
            unavailable,
        }
    }

    /// Everything has been read that was announced at the start: a topic that is no product's by now
    /// is none.
    pub(crate) fn all_known(&self) {
        self.known.store(true, Ordering::Release);
        self.told.send_replace(true);
    }

    /// Whether it has.
    pub(crate) fn are_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// Waits until everything is known that was announced at the start. `false`: it was not by
    /// `deadline`.
    pub(crate) async fn known_by(&self, deadline: Instant) -> bool {
        let mut known = self.told.subscribe();
        let known = known.wait_for(|known| *known);
        tokio::time::timeout_at(deadline, known)
            .await
            .is_ok_and(|known| known.is_ok())
    }

    /// The product whose topic this is.
    pub(crate) fn of(&self, topic: &str) -> Option<Arc<Product>> {
        self.by_topic.load().get(topic).cloned()
    }

    /// Whether a topic is a product's, holds a product's refused records, or is the mesh's own.
    pub(crate) fn may_be_read(&self, topic: &str) -> bool {
        let product = topic.strip_suffix(QUARANTINE_SUFFIX).unwrap_or(topic);
        topic.starts_with("mesh.") || self.by_topic.load().contains_key(product)
    }

    /// Whether a topic holds a product's refused records.
    pub(crate) fn is_quarantine(&self, topic: &str) -> bool {
        topic
            .strip_suffix(QUARANTINE_SUFFIX)
            .is_some_and(|product| self.by_topic.load().contains_key(product))
    }

    /// All products.
    pub(crate) fn all(&self) -> Vec<Arc<Product>> {
        self.by_topic.load().values().cloned().collect()
    }

    /// Takes announcements in, and withdrawals (`None`), in the order of the log. Gives the products
    /// that are new or changed.
    pub(crate) fn apply(&self, news: Vec<(Urn, Option<ProductAnnouncement>)>) -> Vec<Arc<Product>> {
        if news.is_empty() {
            return Vec::new();
        }
        let mut all = HashMap::clone(&self.by_topic.load());
        let mut changed = HashMap::new();
        for (urn, announcement) in news {
            let topic = urn.topic();
            let Some(announcement) = announcement else {
                all.remove(&topic);
                changed.remove(&topic);
                continue;
            };
            let known = all.get(&topic);
            let policy = ProductPolicy {
                unavailable: self.unavailable,
                ..ProductPolicy::from(&announcement)
            };
            let retention = announcement.retention_ms;
            if known.is_some_and(|k| *k.policy == policy && k.retention_ms == retention) {
                continue;
            }
            let limit = known.map_or(MAX_MESSAGE_BYTES, |k| k.max_batch_bytes());
            let pipelines = Arc::clone(&self.pipelines);
            let product = Arc::new(Product::new(policy, retention, pipelines, limit));
            all.insert(topic.clone(), Arc::clone(&product));
            changed.insert(topic, product);
        }
        self.by_topic.store(Arc::new(all));
        changed.into_values().collect()
    }
}

/// Whether a topic may be a product's, or hold one's refused records, by its name.
pub(crate) fn is_named_like_one(topic: &str) -> bool {
    let product = topic.strip_suffix(QUARANTINE_SUFFIX).unwrap_or(topic);
    Urn::from_topic(product).is_some()
}

#[cfg(test)]
mod tests {
    use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus, TagMode};
    use meshwork_pipeline::KeyRule;

    use super::*;

    #[test]
    fn products_and_their_quarantines_are_told_by_their_names() {
        for (topic, is_named_so) in [
            ("sales.orders.v1", true),
            ("sales.orders.v1.quarantine", true),
            ("sales.orders", false),
            ("_schemas", false),
            ("mesh.catalog", false),
            ("orders", false),
        ] {
            assert_eq!(is_named_like_one(topic), is_named_so, "{topic}");
        }
    }

    fn policy(topic: &str) -> Arc<ProductPolicy> {
        let urn = Urn::from_topic(topic).unwrap();
        Arc::new(ProductPolicy {
            topic: topic.to_owned(),
            value_subject: urn.value_subject(),
            urn,
            key: KeyRule::Any,
            status: ProductStatus::Active,
            enforcement: EnforcementMode::Reject,
            tag: TagMode::Off,
            event_time: None,
            tombstones: false,
            unavailable: OnUnavailable::Closed,
        })
    }

    #[test]
    fn pipelines_are_used_again_for_any_product_and_only_so_many_are_kept() {
        let pipelines = Pipelines {
            idle: Mutex::default(),
            limits: Limits::default(),
        };
        let kept = || pipelines.idle.lock().len();
        for topic in ["a.b.v1", "a.c.v1"] {
            let policy = policy(topic);
            pipelines.with(&policy, |pipeline| {
                assert!(Arc::ptr_eq(pipeline.product(), &policy));
            });
            assert_eq!(kept(), 1, "one at a time");
        }
        fn nest(pipelines: &Pipelines, policy: &Arc<ProductPolicy>, deep: usize) {
            if deep > 0 {
                pipelines.with(policy, |_| nest(pipelines, policy, deep - 1));
            }
        }
        nest(&pipelines, &policy("a.b.v1"), PIPELINES_KEPT + 5);
        assert_eq!(kept(), PIPELINES_KEPT);
    }

    #[tokio::test]
    async fn all_is_known_once_it_is_said_so() {
        let products = Products::new(Limits::default(), OnUnavailable::Closed);
        assert!(!products.are_known());
        assert!(!products.known_by(Instant::now()).await);
        products.all_known();
        assert!(products.are_known());
        assert!(products.known_by(Instant::now()).await);
    }
}
