//! Takes batches of input into the book: each with its offsets in one commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meshwork_kafka::{InRecord, ReadBatch};
use meshwork_model::mesh::lineage::{Basis, Fact, NodeKind, NodeRef};
use meshwork_model::mesh::observation::{ObservationSource, SourceKind};
use meshwork_model::mesh::{LineageFact, MeshRecord, ProductAnnouncement, StreamObservation};
use meshwork_model::name::Urn;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshError, MeshReader, RegistryClient};
use meshwork_state::StateError;
use tokio_util::sync::CancellationToken;

use crate::book::{Book, Draft};
use crate::collect::{declared, group_detail, observed, polled, withdrawn};
use crate::covered::Covered;
use crate::fold::AS_OF;
use crate::graph::Graph;
use crate::groups::Poll;
use crate::handle::Shared;
use crate::service::{RETRY_FIRST, stopped_within};

/// The role was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Reads records and takes them in.
#[derive(Debug)]
pub(crate) struct Intake {
    book: Book,
    shared: Arc<Shared>,
    facts: MeshReader<LineageFact>,
    observations: MeshReader<StreamObservation>,
    announcements: MeshReader<ProductAnnouncement>,
    retry_at_most: Duration,
    skipped: AtomicU64,
    taken: AtomicU64,
}

impl Intake {
    pub(crate) fn new(
        book: Book,
        shared: Arc<Shared>,
        registry: &RegistryClient,
        retry_at_most: Duration,
    ) -> Self {
        Self {
            book,
            shared,
            facts: MeshReader::new(registry.clone()),
            observations: MeshReader::new(registry.clone()),
            announcements: MeshReader::new(registry.clone()),
            retry_at_most,
            skipped: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// Records skipped since the last call because they do not decode.
    pub(crate) fn take_skipped(&self) -> u64 {
        self.skipped.swap(0, Ordering::Relaxed)
    }

    /// Records taken in since the last call.
    pub(crate) fn take_taken(&self) -> u64 {
        self.taken.swap(0, Ordering::Relaxed)
    }

    /// Takes a batch in and commits it with its offsets. Gives [`Stopped`] when told to stop
    /// meanwhile; nothing is committed then.
    pub(crate) async fn take(
        &self,
        read: &ReadBatch,
        shutdown: &CancellationToken,
    ) -> Result<Option<Stopped>, StateError> {
        let mut draft = self.book.draft();
        // Only the last word on a product counts: earlier ones of this batch would be ended by it
        // at once.
        let mut products: HashMap<&[u8], &InRecord> = HashMap::new();
        for record in &read.records {
            let topic = &*record.topic;
            let stopped = if topic == ControlTopic::Observations.name() {
                self.observation(record, &mut draft, shutdown).await?
            } else if topic == ControlTopic::Lineage.name() {
                self.fact(record, &mut draft, shutdown).await?
            } else {
                products.insert(record.key.as_deref().unwrap_or_default(), record);
                None
            };
            if stopped.is_some() {
                return Ok(stopped);
            }
        }
        let mut products: Vec<&InRecord> = products.into_values().collect();
        products.sort_by_key(|record| (record.partition, record.offset));
        for record in products {
            let stopped = self.announcement(record, &mut draft, shutdown).await?;
            if stopped.is_some() {
                return Ok(stopped);
            }
        }
        for ((topic, partition), next) in &read.positions {
            draft.batch.set_offset(topic, *partition, *next);
        }
        draft.commit(&self.shared.graph)?;
        let count = u64::try_from(read.records.len()).unwrap_or(0);
        self.taken.fetch_add(count, Ordering::Relaxed);
        let mut progress = self.shared.progress.write();
        for ((topic, _), next) in &read.positions {
            if **topic == *ControlTopic::Lineage.name() {
                progress.offset = progress.offset.max(*next);
            }
        }
        Ok(None)
    }

    /// Takes a poll of the consumer groups in.
    pub(crate) fn polled(&self, poll: &Poll) -> Result<(), StateError> {
        // Readers are not counted, so that no source is named.
        let source = ObservationSource {
            kind: SourceKind::Observer,
            instance: String::new(),
            epoch: 0,
            sequence: 0,
        };
        let mut draft = self.book.draft();
        for group in &poll.groups {
            let previous = self.book.positions(&group.id)?;
            let (sightings, detail) = {
                let graph = self.shared.graph.read();
                let is_known = |from: &NodeRef, to: &NodeRef| {
                    graph.find_edge(from, to, Basis::Observed).is_some()
                };
                let sightings = polled(group, previous.as_ref(), poll.at, is_known);
                let detail = group_detail(group, poll.at);
                // A group that reads nothing of ours is no part of the graph.
                let is_news =
                    is_news(&graph, &detail) && (!sightings.is_empty() || is_node(&graph, &detail));
                (sightings, is_news.then_some(detail))
            };
            for sighting in &sightings {
                draft.sighted(&source, sighting)?;
            }
            if let Some(detail) = detail {
                draft.found(&detail)?;
            }
            if previous.as_ref() != Some(&group.offsets) {
                draft.stands(&group.id, &group.offsets);
            }
        }
        draft.commit(&self.shared.graph)
    }

    async fn observation(
        &self,
        record: &InRecord,
        draft: &mut Draft<'_>,
        shutdown: &CancellationToken,
    ) -> Result<Option<Stopped>, StateError> {
        let observation = match self.decode(&self.observations, record, shutdown).await {
            Decoded::Value(observation) => observation,
            Decoded::Nothing => return Ok(None),
            Decoded::Stopped => return Ok(Some(Stopped)),
        };
        let meshwork_model::mesh::observation::ObservationFact::PartitionObservation(seen) =
            &observation.fact
        else {
            return Ok(None);
        };
        // Silence shows nobody, and what the mesh writes about itself is no lineage.
        let shows = seen.records > 0 || !seen.readers.is_empty() || !seen.jobs.is_empty();
        if !shows || crate::node::of_topic(&seen.topic).is_none() {
            return Ok(None);
        }
        let sightings = if seen.records > 0 {
            observed(&observation, draft.covered(&seen.topic, seen.partition)?)
        } else {
            // Nothing is counted, and nothing has to be remembered.
            observed(&observation, &mut Covered::default())
        };
        for sighting in sightings {
            draft.sighted(&observation.source, &sighting)?;
        }
        draft.worked(seen, observation.observed_at)?;
        Ok(None)
    }

    async fn fact(
        &self,
        record: &InRecord,
        draft: &mut Draft<'_>,
        shutdown: &CancellationToken,
    ) -> Result<Option<Stopped>, StateError> {
        if record.value.is_none() {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
            draft.erased(&key)?;
            return Ok(None);
        }
        match self.decode(&self.facts, record, shutdown).await {
            Decoded::Value(fact) => draft.told(&fact)?,
            Decoded::Nothing => {}
            Decoded::Stopped => return Ok(Some(Stopped)),
        }
        Ok(None)
    }

    async fn announcement(
        &self,
        record: &InRecord,
        draft: &mut Draft<'_>,
        shutdown: &CancellationToken,
    ) -> Result<Option<Stopped>, StateError> {
        let key = std::str::from_utf8(record.key.as_deref().unwrap_or_default());
        let Some(urn) = key.ok().and_then(|key| key.parse::<Urn>().ok()) else {
            self.skip(record, "its key is no URN");
            return Ok(None);
        };
        let node = NodeRef {
            kind: NodeKind::Product,
            name: urn.to_string(),
        };
        let known = self.shared.graph.read().declared_into(&node);
        if record.value.is_none() {
            for fact in withdrawn(&node, self.shared.clock.now(), &known) {
                draft.found(&fact)?;
            }
            return Ok(None);
        }
        match self.decode(&self.announcements, record, shutdown).await {
            Decoded::Value(announcement) if announcement.urn == urn => {
                for fact in declared(&announcement, &known) {
                    draft.found(&fact)?;
                }
            }
            Decoded::Value(_) => self.skip(record, "its key is not its value's URN"),
            Decoded::Nothing => {}
            Decoded::Stopped => return Ok(Some(Stopped)),
        }
        Ok(None)
    }

    /// Decodes a value; waits for the registry where it is away.
    async fn decode<T: MeshRecord>(
        &self,
        reader: &MeshReader<T>,
        record: &InRecord,
        shutdown: &CancellationToken,
    ) -> Decoded<T> {
        let Some(value) = record.value.as_deref() else {
            return Decoded::Nothing;
        };
        let mut wait = RETRY_FIRST;
        loop {
            match reader.decode(value).await {
                Ok(value) => return Decoded::Value(value),
                Err(MeshError::Registry(away)) if !away.is_not_found() => {
                    tracing::warn!(topic = %record.topic, offset = record.offset, error = %away, "lineage waits for the registry");
                    self.shared.progress.write().trouble =
                        Some(format!("the registry can't be reached: {away}"));
                }
                Err(error) => {
                    self.skip(record, &error.to_string());
                    return Decoded::Nothing;
                }
            }
            if stopped_within(shutdown, wait).await {
                return Decoded::Stopped;
            }
            wait = (wait * 2).min(self.retry_at_most);
        }
    }

    fn skip(&self, record: &InRecord, reason: &str) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(topic = %record.topic, partition = record.partition, offset = record.offset, %reason, "skipped a record that can't be read");
    }
}

enum Decoded<T> {
    Value(T),
    Nothing,
    Stopped,
}

fn is_node(graph: &Graph, fact: &LineageFact) -> bool {
    match &fact.fact {
        Fact::NodeFact(fact) => graph.find(&fact.node).is_some(),
        Fact::EdgeFact(_) => false,
    }
}

/// Whether a node's detail says anything new but for the time.
fn is_news(graph: &Graph, fact: &LineageFact) -> bool {
    let Fact::NodeFact(fact) = &fact.fact else {
        return false;
    };
    let Some(node) = graph.find(&fact.node).and_then(|ix| graph.node(ix)) else {
        return true;
    };
    let said = |detail: &std::collections::BTreeMap<String, String>| {
        let mut detail = detail.clone();
        detail.remove(AS_OF);
        detail
    };
    said(&node.detail) != said(&fact.detail)
}
