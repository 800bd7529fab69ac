//! What operators see of the lineage role.

use meshwork_telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::graph::Graph;
use crate::intake::Intake;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    read: Counter,
    skipped: Counter,
    pub(crate) written: Counter,
    nodes: Gauge,
    edges: Gauge,
    left_out: Gauge,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counters = Self::default();
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("lineage");
            registry.register(
                "records_read",
                "Records taken in from the input topics",
                counters.read.clone(),
            );
            registry.register(
                "records_skipped",
                "Records that do not decode",
                counters.skipped.clone(),
            );
            registry.register(
                "facts_written",
                "Facts written to mesh.lineage",
                counters.written.clone(),
            );
            registry.register("nodes", "Nodes of the graph", counters.nodes.clone());
            registry.register("edges", "Edges of the graph", counters.edges.clone());
            registry.register(
                "facts_left_out",
                "Facts left out of answers because the graph is full",
                counters.left_out.clone(),
            );
        });
        counters
    }

    pub(crate) fn follow(&self, graph: &Graph, intake: &Intake) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.read.inc_by(intake.take_taken());
        self.skipped.inc_by(intake.take_skipped());
        self.nodes.set(gauge(graph.node_count()));
        self.edges.set(gauge(graph.edge_count()));
        self.left_out
            .set(i64::try_from(graph.left_out()).unwrap_or(i64::MAX));
    }
}
