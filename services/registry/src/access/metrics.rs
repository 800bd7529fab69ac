//! What operators see of who is let in.

use meshwork_model::mesh::audit::{AuditOutcome, Authentication};
use meshwork_telemetry::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use meshwork_tls::Look;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HowLabels {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookLabels {
    outcome: &'static str,
}

/// Counters of access.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessMetrics {
    requests: Family<HowLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    unchecked: Counter,
    unaudited: Counter,
    looks: Family<LookLabels, Counter>,
}

impl AccessMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let ours = Self::default();
        metrics.register(|registry| {
            registry.register(
                "registry_requests_let_in",
                "Requests of principals, by how they were known",
                ours.requests.clone(),
            );
            registry.register(
                "registry_requests_refused",
                "Requests that access refused, by outcome as in mesh.audit",
                ours.refused.clone(),
            );
            registry.register(
                "registry_requests_unchecked",
                "Requests answered 503 because who asks could not be checked",
                ours.unchecked.clone(),
            );
            registry.register(
                "registry_refusals_unaudited",
                "Refusals without an event in mesh.audit: too many of one actor or at once, or not written",
                ours.unaudited.clone(),
            );
            registry.register(
                "registry_files_looked_at",
                "Looks at files of certificates, users and keys that found them changed: new, or unusable",
                ours.looks.clone(),
            );
        });
        ours
    }

    pub(super) fn let_in(&self, how: Authentication) {
        let by = match how {
            Authentication::Basic => "basic",
            Authentication::Bearer => "bearer",
            Authentication::Certificate => "certificate",
            Authentication::None | Authentication::Unknown => "none",
        };
        self.requests.get_or_create(&HowLabels { by }).inc();
    }

    pub(super) fn refused(&self, outcome: AuditOutcome) {
        let outcome = match outcome {
            AuditOutcome::Unauthenticated => "unauthenticated",
            AuditOutcome::Denied => "denied",
            AuditOutcome::Reserved => "reserved",
            AuditOutcome::Done => return,
        };
        self.refused.get_or_create(&RefusedLabels { outcome }).inc();
    }

    /// Counts what looks at files show.
    pub(crate) fn watcher(&self) -> impl FnMut(Look) + Send + 'static {
        let metrics = self.clone();
        move |look| metrics.looked(look)
    }

    fn looked(&self, look: Look) {
        let outcome = match look {
            Look::Same => return,
            Look::New => "new",
            Look::Unusable => "unusable",
        };
        self.looks.get_or_create(&LookLabels { outcome }).inc();
    }

    pub(super) fn unchecked(&self) {
        self.unchecked.inc();
    }

    pub(super) fn unaudited(&self) {
        self.unaudited.inc();
    }
}
