//! Says refused attempts in the log, and writes them to `mesh.audit`, on whichever instance refused
//! them. What was changed is told from `_schemas`, by `changes`; a refusal leaves nothing there, so
//! that it is told once, at once, and never holds up who asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::{
    Delivered, Delivery, KafkaConfig, NotQueued, OutRecord, Producer, ProducerOptions, SendError,
};
use meshwork_model::mesh::{AuditEvent, MeshRecord as _};
use meshwork_model::name::SchemaId;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshError, MeshWriter};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::metrics::AccessMetrics;
use crate::decide::{self, Draft, Normal};
use crate::shared::Shared;
use crate::subject::Subject;

/// How soon it is looked again whether the schema of events is registered, and whether a full queue
/// has room.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Longest wait for what is on its way when the process ends.
const LAST: Duration = Duration::from_secs(2);

/// Events that wait for their schema, and as many that wait for a broker. At about 1 KiB each that
/// is 1 MiB of either.
const WAITING: usize = 1_024;

/// How long an event waits for a broker before it is given up and counted. What bounds memory is
/// [`WAITING`]; this is longer than brokers are away.
const GIVE_UP: Duration = Duration::from_secs(600);

/// Tells refused attempts for as long as it is run.
pub(crate) struct Auditor {
    pub(crate) kafka: KafkaConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) refusals: mpsc::Receiver<AuditEvent>,
}

/// Hears what became of an event.
struct Written(AccessMetrics);

impl Delivery for Written {
    fn delivered(self, result: Result<Delivered, SendError>) {
        if let Err(error) = result {
            tracing::warn!(%error, "a refusal could not be written to mesh.audit");
            self.0.unaudited();
        }
    }
}

impl Auditor {
    /// Runs until `stop`, then writes what waits, as far as a short while allows.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut audit = self.shared.config.announce_changes.then(|| Audit {
            kafka: self.kafka.clone(),
            shared: Arc::clone(&self.shared),
            waiting: VecDeque::new(),
            encoder: None,
            producer: None,
        });
        loop {
            let waits = audit
                .as_ref()
                .is_some_and(|audit| !audit.waiting.is_empty());
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.refusals.recv() => match event {
                    Some(event) => tell(&mut audit, event),
                    None => break,
                },
                () = tokio::time::sleep(LOOK_AGAIN), if waits => {}
            }
            if let Some(audit) = &mut audit {
                audit.write();
            }
        }
        while let Ok(event) = self.refusals.try_recv() {
            tell(&mut audit, event);
        }
        if let Some(audit) = audit {
            audit.end().await;
        }
    }
}

fn tell(audit: &mut Option<Audit>, event: AuditEvent) {
    tracing::warn!(
        actor = event.actor,
        outcome = ?event.outcome,
        client = event.client,
        suppressed = event.suppressed,
        details = ?event.details,
        "registry refused a request"
    );
    if let Some(audit) = audit {
        audit.add(event);
    }
}

/// What is on its way to `mesh.audit`.
struct Audit {
    kafka: KafkaConfig,
    shared: Arc<Shared>,
    waiting: VecDeque<AuditEvent>,
    encoder: Option<MeshWriter<AuditEvent>>,
    /// Made with the first event.
    producer: Option<Producer<Written>>,
}

impl Audit {
    fn add(&mut self, event: AuditEvent) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(event);
        } else {
            self.shared.metrics.access().unaudited();
        }
    }

    /// Hands on what waits, as far as that goes.
    fn write(&mut self) {
        if self.waiting.is_empty() || !self.is_registered() {
            return;
        }
        let Some(encoder) = &self.encoder else { return };
        let metrics = self.shared.metrics.access();
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => match Producer::new(&self.kafka, &options()) {
                Ok(producer) => none.insert(producer),
                Err(error) => {
                    tracing::error!(%error, "refusals can't be written to mesh.audit for now");
                    return;
                }
            },
        };
        while let Some(event) = self.waiting.front() {
            let bytes = match encoder.encode(event) {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::error!(%error, "a refusal could not be written to mesh.audit");
                    metrics.unaudited();
                    self.waiting.pop_front();
                    continue;
                }
            };
            let record = OutRecord {
                topic: ControlTopic::Audit.name(),
                key: Some(event.actor.as_bytes()),
                value: Some(&bytes),
                timestamp: Some(event.at),
                ..OutRecord::default()
            };
            match producer.send(&record, Written(metrics.clone())) {
                Ok(()) => {}
                // As many as may wait for a broker do.
                Err(NotQueued { error: None, .. }) => return,
                Err(NotQueued {
                    error: Some(SendError::Fatal(error)),
                    ..
                }) => {
                    tracing::warn!(%error, "what writes refusals to mesh.audit is made anew");
                    self.producer = None;
                    return;
                }
                Err(NotQueued {
                    done,
                    error: Some(error),
                }) => done.delivered(Err(error)),
            }
            self.waiting.pop_front();
        }
    }

    /// Whether this registry has an id for the schema of events, which the instance that writes sees
    /// to. Asked each time: a log that was made anew may have given it to something else.
    fn is_registered(&mut self) -> bool {
        let id = self.shared.read(|state| {
            let subject = Subject::new(&format!("{}-value", ControlTopic::Audit.name()));
            let draft = Draft {
                schema: Some(AuditEvent::SCHEMA.text().to_owned()),
                ..Draft::default()
            };
            let texts = &self.shared.texts;
            let (name, version) =
                decide::look_up(state, texts, &subject, &draft, Normal::AsWritten, false)?;
            Ok((name == subject).then_some(version.id))
        });
        let Some(id) = id.ok().flatten() else {
            return false;
        };
        if let Some(encoder) = &self.encoder
            && encoder.id().as_i32() == id
        {
            return true;
        }
        let encoder = SchemaId::new(i64::from(id))
            .map_err(|error| error.to_string())
            .and_then(|id| MeshWriter::with_id(id).map_err(|error: MeshError| error.to_string()));
        match encoder {
            Ok(encoder) => self.encoder = Some(encoder),
            Err(error) => {
                tracing::error!(error, "refusals can't be written to mesh.audit for now");
                self.encoder = None;
            }
        }
        self.encoder.is_some()
    }

    async fn end(mut self) {
        self.write();
        for _ in &self.waiting {
            self.shared.metrics.access().unaudited();
        }
        let lost = self.waiting.len();
        let flushed = match &self.producer {
            Some(producer) if producer.in_flight() > 0 => producer.flush(LAST).await,
            _ => Ok(()),
        };
        if let Err(error) = flushed {
            tracing::warn!(%error, lost, "some refusals may be missing in mesh.audit");
        } else if lost > 0 {
            tracing::warn!(lost, "some refusals are missing in mesh.audit");
        }
    }
}

fn options() -> ProducerOptions {
    ProducerOptions {
        max_records: u32::try_from(WAITING).unwrap_or(u32::MAX),
        delivery_timeout: GIVE_UP,
        ..ProducerOptions::default()
    }
}
