//! Spans of requests, as a tracing backend gets them.

use std::sync::Arc;

use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::wait_until;
use meshwork_wire::Codec;
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch};
use super::subscriber::subscribe;

/// Fields of a span, `name=value` each.
#[derive(Debug, Default)]
struct Fields(Vec<String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push(format!("{field}={value:?}"));
    }
}

/// Keeps the fields of requests' spans that have ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Ended {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.name() == "kafka request"
            && let Some(fields) = span.extensions().get::<Fields>()
        {
            self.0.lock().push(fields.0.join(" "));
        }
    }
}

#[tokio::test]
async fn one_request_in_so_many_has_a_span_that_ends_with_its_answer() {
    let ended = Ended::default();
    let spans = tracing_subscriber::registry().with(ended.clone());
    let _guard = subscribe(spans);
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config {
        trace_every: 2,
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    let bad = batch(Codec::None, &[b"no Avro".to_vec()]);
    for (batch, code) in [(&good, 0), (&good, 0), (&bad, 87), (&good, 0)] {
        assert_eq!(raw.produce(9, product.topic(), batch).await.0, code);
    }
    wait_until("both spans to end", || async { ended.0.lock().len() == 2 }).await;
    let ended = ended.0.lock().clone();
    for (span, outcome) in ended.iter().zip([
        "meshwork.partitions.passed=1 meshwork.partitions.refused=0",
        "meshwork.partitions.passed=0 meshwork.partitions.refused=1",
    ]) {
        assert!(span.contains("otel.name=\"Produce\""), "{span}");
        assert!(span.contains("meshwork.api.version=9"), "{span}");
        assert!(span.contains(outcome), "{span}");
    }
    gateway.stop().await;
}
