//! Traces of some requests: one in so many has a span from when its frame is there to when its answer
//! is handed to the client's socket. Most have none, so that nobody pays for it.

use std::sync::atomic::{AtomicU64, Ordering};

use meshwork_wire::protocol::RequestHeader;
use tracing::{Span, field, info_span};

/// Chooses the requests that are traced.
#[derive(Debug)]
pub(crate) struct Traces {
    /// Every so-manieth; 0: none.
    every: u64,
    seen: AtomicU64,
}

impl Traces {
    pub(crate) fn new(every: u32) -> Self {
        Self {
            every: every.into(),
            seen: AtomicU64::new(0),
        }
    }

    /// The span of a request, named by its API; a disabled one where it is not traced. Attributes are
    /// those of OpenTelemetry's semantic conventions for messaging, and where there is none our own.
    pub(crate) fn span(&self, header: &RequestHeader<'_>) -> Span {
        if self.every == 0
            || !self
                .seen
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(self.every)
        {
            return Span::none();
        }
        let api = header.start.api;
        info_span!(
            parent: None,
            "kafka request",
            otel.name = api.name(),
            otel.kind = "server",
            messaging.system = "kafka",
            messaging.client.id = header.client_id.unwrap_or_default(),
            meshwork.api.version = header.start.version,
            meshwork.partitions.passed = field::Empty,
            meshwork.partitions.refused = field::Empty,
        )
    }
}

/// Notes what became of a Produce request.
pub(crate) fn decided(span: &Span, passed: usize, refused: usize) {
    if !span.is_disabled() {
        span.record("meshwork.partitions.passed", passed);
        span.record("meshwork.partitions.refused", refused);
    }
}
