//! What operators see of the gateway.

use std::sync::{Arc, OnceLock};

use meshwork_wire::protocol::ApiKey;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Api {
    api: &'static str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProduct {
    topic: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Topic {
    topic: String,
}

/// API keys from 0 that are counted without a look-up: all that pass.
const APIS: usize = 128;

#[derive(Debug)]
struct ByKey([OnceLock<Counter>; APIS]);

impl Default for ByKey {
    fn default() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}

/// Counters of the gateway; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    connections: Gauge,
    held: Gauge,
    accepted: Counter,
    ended: Family<Why, Counter>,
    requests: Family<Api, Counter>,
    /// The same by the API's key, once they were asked for: without the family's lock.
    by_key: ByKey,
    bytes_in: Counter,
    bytes_out: Counter,
    records: Family<Topic, Counter>,
    refused: Family<OfProduct, Counter>,
    quarantined: Family<Topic, Counter>,
    unquarantined: Family<Topic, Counter>,
    unverified: Family<Topic, Counter>,
    untagged: Family<Topic, Counter>,
    batches_refused: Family<OfProduct, Counter>,
    parents_dropped: Family<Topic, Counter>,
    followed: Family<Topic, Gauge>,
    unread: Family<Topic, Gauge>,
    observed: Counter,
    unobserved: Counter,
}

impl Metrics {
    pub(crate) fn register(metrics: &meshwork_telemetry::Metrics) -> Self {
        let all = Self::default();
        let m = &all.inner;
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("gateway");
            registry.register(
                "connections",
                "Client connections open now",
                m.connections.clone(),
            );
            registry.register(
                "held_bytes",
                "Bytes of large requests held now (gateway.service.max_held_bytes)",
                m.held.clone(),
            );
            registry.register(
                "connections_accepted",
                "Client connections accepted",
                m.accepted.clone(),
            );
            registry.register(
                "connections_ended",
                "Client connections that the gateway ended, by reason",
                m.ended.clone(),
            );
            registry.register("requests", "Requests by API", m.requests.clone());
            registry.register(
                "request_bytes",
                "Bytes of requests from clients",
                m.bytes_in.clone(),
            );
            registry.register(
                "answer_bytes",
                "Bytes of answers to clients",
                m.bytes_out.clone(),
            );
            registry.register(
                "records",
                "Records of products that a broker acknowledged",
                m.records.clone(),
            );
            registry.register(
                "records_refused",
                "Records that break the contract, by product topic and reason",
                m.refused.clone(),
            );
            registry.register(
                "records_quarantined",
                "Records put into quarantine, by product topic",
                m.quarantined.clone(),
            );
            registry.register(
                "quarantine_failed",
                "Times that quarantine did not take what it should, by product topic",
                m.unquarantined.clone(),
            );
            registry.register(
                "records_unverified",
                "Records passed unchecked because the registry could not be asked",
                m.unverified.clone(),
            );
            registry.register(
                "batches_untagged",
                "Batches that tagging would have made too large, passed untagged",
                m.untagged.clone(),
            );
            registry.register(
                "batches_refused",
                "Batches refused, by product topic (empty: none) and reason",
                m.batches_refused.clone(),
            );
            registry.register(
                "parents_dropped",
                "Malformed mesh-parents headers dropped",
                m.parents_dropped.clone(),
            );
            registry.register(
                "products_followed",
                "1 for each product whose records are enforced, tagged and observed",
                m.followed.clone(),
            );
            registry.register(
                "announcements_unread",
                "1 for each product whose last announcement can't be read: what was known before holds, or its batches are put off",
                m.unread.clone(),
            );
            registry.register(
                "observations",
                "Observations written to mesh.observations",
                m.observed.clone(),
            );
            registry.register(
                "observations_lost",
                "Observations given up; the observer reads their offsets back",
                m.unobserved.clone(),
            );
        });
        all
    }

    pub(crate) fn opened(&self) {
        self.inner.accepted.inc();
        self.inner.connections.inc();
    }

    pub(crate) fn closed(&self) {
        self.inner.connections.dec();
    }

    /// So many bytes of requests are held more, or less.
    pub(crate) fn holds(&self, bytes: i64) {
        self.inner.held.inc_by(bytes);
    }

    pub(crate) fn ended(&self, reason: &'static str) {
        self.inner.ended.get_or_create(&Why { reason }).inc();
    }

    pub(crate) fn request(&self, api: ApiKey, bytes: usize) {
        let inner = &self.inner;
        let of_family = || {
            let api = api.name();
            inner.requests.get_or_create(&Api { api }).clone()
        };
        let known = usize::try_from(api.0).ok();
        match known.and_then(|key| inner.by_key.0.get(key)) {
            Some(counter) => counter.get_or_init(of_family).inc(),
            None => of_family().inc(),
        };
        self.inner.bytes_in.inc_by(count(bytes));
    }

    pub(crate) fn answered(&self, bytes: usize) {
        self.inner.bytes_out.inc_by(count(bytes));
    }

    pub(crate) fn records(&self, topic: &str, records: i64) {
        let records = u64::try_from(records).unwrap_or(0);
        self.inner.records.get_or_create(&of(topic)).inc_by(records);
    }

    pub(crate) fn refused(&self, topic: &str, reason: &'static str, records: u32) {
        let topic = topic.to_owned();
        let labels = OfProduct { topic, reason };
        self.inner
            .refused
            .get_or_create(&labels)
            .inc_by(records.into());
    }

    pub(crate) fn quarantined(&self, topic: &str, records: usize) {
        self.inner
            .quarantined
            .get_or_create(&of(topic))
            .inc_by(count(records));
    }

    pub(crate) fn unquarantined(&self, topic: &str) {
        self.inner.unquarantined.get_or_create(&of(topic)).inc();
    }

    pub(crate) fn unverified(&self, topic: &str, records: u32) {
        self.inner
            .unverified
            .get_or_create(&of(topic))
            .inc_by(records.into());
    }

    pub(crate) fn untagged(&self, topic: &str) {
        self.inner.untagged.get_or_create(&of(topic)).inc();
    }

    pub(crate) fn batch_refused(&self, topic: &str, reason: &'static str) {
        let topic = topic.to_owned();
        let labels = OfProduct { topic, reason };
        self.inner.batches_refused.get_or_create(&labels).inc();
    }

    pub(crate) fn parents_dropped(&self, topic: &str, headers: u32) {
        self.inner
            .parents_dropped
            .get_or_create(&of(topic))
            .inc_by(headers.into());
    }

    pub(crate) fn follows(&self, topic: &str) {
        self.inner.followed.get_or_create(&of(topic)).set(1);
    }

    pub(crate) fn follows_no_more(&self, topic: &str) {
        self.inner.followed.remove(&of(topic));
    }

    /// Whether a product's last announcement can't be read.
    pub(crate) fn unread(&self, topic: &str, is: bool) {
        if is {
            self.inner.unread.get_or_create(&of(topic)).set(1);
        } else {
            self.inner.unread.remove(&of(topic));
        }
    }

    pub(crate) fn observed(&self) {
        self.inner.observed.inc();
    }

    /// How many observations were given up so far.
    pub(crate) fn lost(&self) -> u64 {
        self.inner.unobserved.get()
    }

    pub(crate) fn unobserved(&self) {
        self.inner.unobserved.inc();
    }
}

fn of(topic: &str) -> Topic {
    Topic {
        topic: topic.to_owned(),
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
