//! The products that are announced, by topic, followed live; each with what its batches need.

use std::collections::{HashMap, HashSet};
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

/// What `mesh.catalog` says last of a product version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// It is announced.
    Announced(Box<ProductAnnouncement>),
    /// It is withdrawn.
    Withdrawn,
    /// It is announced, and how can't be read.
    Unread,
}

#[derive(Clone, Debug, Default)]
struct Followed {
    by_topic: HashMap<String, Arc<Product>>,
    /// Topics of products of which no announcement could be read yet.
    unread: HashSet<String>,
}

impl Followed {
    fn is_products(&self, topic: &str) -> bool {
        self.by_topic.contains_key(topic) || self.unread.contains(topic)
    }
}

/// All of them. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Products {
    followed: ArcSwap<Followed>,
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
            followed: ArcSwap::default(),
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
        self.followed.load().by_topic.get(topic).cloned()
    }

    /// Whether a topic is a product's of which no announcement could be read yet, so that nobody knows
    /// how its records are to be checked.
    pub(crate) fn is_unread(&self, topic: &str) -> bool {
        self.followed.load().unread.contains(topic)
    }

    /// Whether a topic is a product's, holds a product's refused records, or is the mesh's own.
    pub(crate) fn may_be_read(&self, topic: &str) -> bool {
        let product = topic.strip_suffix(QUARANTINE_SUFFIX).unwrap_or(topic);
        topic.starts_with("mesh.") || self.followed.load().is_products(product)
    }

    /// Whether a topic holds a product's refused records.
    pub(crate) fn is_quarantine(&self, topic: &str) -> bool {
        topic
            .strip_suffix(QUARANTINE_SUFFIX)
            .is_some_and(|product| self.followed.load().is_products(product))
    }

    /// All products.
    pub(crate) fn all(&self) -> Vec<Arc<Product>> {
        let followed = self.followed.load();
        followed.by_topic.values().cloned().collect()
    }

    /// Takes in what `mesh.catalog` says, in its order. An announcement that can't be read leaves its
    /// product as it was known. Gives the products that are new or changed; what their batches need is
    /// told to `ready` before any of them is live.
    pub(crate) fn apply(
        &self,
        news: Vec<(Urn, News)>,
        mut ready: impl FnMut(&ProductPolicy),
    ) -> Vec<Arc<Product>> {
        if news.is_empty() {
            return Vec::new();
        }
        let mut all = Followed::clone(&self.followed.load());
        let mut changed = HashMap::new();
        for (urn, news) in news {
            let topic = urn.topic();
            let announcement = match news {
                News::Unread => {
                    if !all.by_topic.contains_key(&topic) {
                        all.unread.insert(topic);
                    }
                    continue;
                }
                News::Withdrawn => {
                    all.unread.remove(&topic);
                    all.by_topic.remove(&topic);
                    changed.remove(&topic);
                    continue;
                }
                News::Announced(announcement) => announcement,
            };
            all.unread.remove(&topic);
            let known = all.by_topic.get(&topic);
            let policy = ProductPolicy {
                unavailable: self.unavailable,
                ..ProductPolicy::from(&*announcement)
            };
            let retention = announcement.retention_ms;
            if known.is_some_and(|k| *k.policy == policy && k.retention_ms == retention) {
                continue;
            }
            let limit = known.map_or(MAX_MESSAGE_BYTES, |k| k.max_batch_bytes());
            let pipelines = Arc::clone(&self.pipelines);
            let product = Arc::new(Product::new(policy, retention, pipelines, limit));
            all.by_topic.insert(topic.clone(), Arc::clone(&product));
            changed.insert(topic, product);
        }
        let changed: Vec<Arc<Product>> = changed.into_values().collect();
        for product in &changed {
            ready(&product.policy);
        }
        self.followed.store(Arc::new(all));
        changed
    }
}

/// Whether a topic may be a product's, or hold one's refused records, by its name.
pub(crate) fn is_named_like_one(topic: &str) -> bool {
    let product = topic.strip_suffix(QUARANTINE_SUFFIX).unwrap_or(topic);
    Urn::from_topic(product).is_some()
}

#[cfg(test)]
pub(crate) mod tests {
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

    pub(crate) fn announcement(event_time: &str) -> ProductAnnouncement {
        let urn: Urn = "urn:meshwork:sales:orders:v1".parse().unwrap();
        ProductAnnouncement {
            event_time: Some(event_time.to_owned()),
            ..meshwork_testkit::announcement(urn, 1, "")
        }
    }

    #[test]
    fn what_a_products_batches_need_is_told_before_it_is_live() {
        let products = Products::new(Limits::default(), OnUnavailable::Closed);
        let live = || products.of("sales.orders.v1")?.policy.event_time.clone();
        let mut told = Vec::new();
        for field in ["at", "at", "since"] {
            let announced = announcement(field);
            let news = News::Announced(Box::new(announced.clone()));
            products.apply(vec![(announced.urn, news)], |policy| {
                told.push((policy.event_time.clone(), live()));
            });
        }
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(
            told,
            [(field("at"), None), (field("since"), field("at"))],
            "of those that are new or changed, and what was live then"
        );
        assert_eq!(live(), field("since"));
    }

    #[test]
    fn an_announcement_that_can_not_be_read_closes_the_topic_of_a_product_that_was_not_known() {
        let products = Products::new(Limits::default(), OnUnavailable::Closed);
        let announced = announcement("at");
        let topic = &*announced.topic;
        let is = |news: News| {
            products.apply(vec![(announced.urn.clone(), news)], |_| {});
            (products.of(topic).is_some(), products.is_unread(topic))
        };
        let read = || News::Announced(Box::new(announced.clone()));
        assert_eq!(is(News::Unread), (false, true));
        assert!(
            products.may_be_read(topic),
            "it is a product's all the same"
        );
        assert!(products.is_quarantine("sales.orders.v1.quarantine"));
        assert_eq!(is(read()), (true, false));
        assert_eq!(is(News::Unread), (true, false), "what was known holds");
        assert_eq!(is(News::Withdrawn), (false, false));
        assert_eq!(is(News::Unread), (false, true));
        assert_eq!(is(News::Withdrawn), (false, false));
        assert!(!products.is_quarantine("sales.orders.v1.quarantine"));
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
