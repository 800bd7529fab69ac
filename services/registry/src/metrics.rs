//! What operators see of the registry.

use meshwork_telemetry::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::access::AccessMetrics;
use crate::record::Oddity;
use crate::standing::Standing;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OddityLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StandingLabels {
    standing: &'static str,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    Written,
    Refused,
    Unchanged,
    Failed,
}

/// The registry's metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistryMetrics {
    records: Counter,
    oddities: Family<OddityLabels, Counter>,
    writes: Family<WriteLabels, Counter>,
    standing: Family<StandingLabels, Gauge>,
    degraded: Gauge,
    access: AccessMetrics,
}

impl RegistryMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let ours = Self {
            access: AccessMetrics::register(metrics),
            ..Self::default()
        };
        metrics.register(|registry| {
            registry.register(
                "registry_records_applied",
                "Records of _schemas that had an effect",
                ours.records.clone(),
            );
            registry.register(
                "registry_records_skipped",
                "Records of _schemas without effect, by reason",
                ours.oddities.clone(),
            );
            registry.register(
                "registry_changes",
                "Changes asked for, by outcome",
                ours.writes.clone(),
            );
            registry.register(
                "registry_standing",
                "1 for what this instance is: waiting, following, taking_over, writing, refusing",
                ours.standing.clone(),
            );
            registry.register(
                "registry_store_degraded",
                "1 while what is read from _schemas can't be kept, as on a full disk",
                ours.degraded.clone(),
            );
        });
        ours
    }

    pub(crate) fn access(&self) -> &AccessMetrics {
        &self.access
    }

    pub(crate) fn applied(&self, records: u64) {
        self.records.inc_by(records);
    }

    pub(crate) fn degraded(&self, is: bool) {
        self.degraded.set(i64::from(is));
    }

    /// A record without effect: counted, and logged with its place.
    pub(crate) fn skipped(&self, offset: i64, oddity: Oddity) {
        let reason = oddity.code();
        tracing::warn!(offset, reason, "skipped a record of _schemas");
        self.oddities.get_or_create(&OddityLabels { reason }).inc();
    }

    pub(crate) fn write(&self, outcome: WriteOutcome) {
        self.writes(outcome, 1);
    }

    /// `count` changes that ended alike.
    pub(crate) fn writes(&self, outcome: WriteOutcome, count: usize) {
        let outcome = match outcome {
            WriteOutcome::Written => "written",
            WriteOutcome::Refused => "refused",
            WriteOutcome::Unchanged => "unchanged",
            WriteOutcome::Failed => "failed",
        };
        self.writes
            .get_or_create(&WriteLabels { outcome })
            .inc_by(count as u64);
    }

    /// What this instance is from now on.
    pub(crate) fn standing(&self, now: &Standing) {
        self.standing.clear();
        let labels = StandingLabels {
            standing: now.code(),
        };
        self.standing.get_or_create(&labels).set(1);
    }
}
