//! The book of facts: what is known, in RocksDB. A draft gathers what a batch of input changes; it
//! is committed with the input's offsets, and what is to be written to `mesh.lineage` leaves by the
//! outbox in the same batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use meshwork_model::mesh::lineage::{EdgeFact, Fact, LineageFact, NodeFact};
use meshwork_model::mesh::observation::{ObservationSource, PartitionObservation};
use meshwork_model::time::Timestamp;
use meshwork_state::{Batch, StateError, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::collect::{Sighting, count, job_detail, job_ids};
use crate::covered::Covered;
use crate::fold;
use crate::graph::Graph;

/// Folded facts by key, JSON.
pub(crate) const FACTS: &str = "facts";
/// What this service itself counted, by the fact's key, JSON: the cumulative counts go on from here.
pub(crate) const COLLECTED: &str = "collected";
/// Offsets counted, by topic and partition, JSON.
pub(crate) const COVERED: &str = "covered";
/// Committed offsets of groups at the last poll, by group, JSON.
pub(crate) const POSITIONS: &str = "positions";
/// Keys of facts that are to be written to `mesh.lineage`.
pub(crate) const OUTBOX: &str = "outbox";

/// Version of what is written to the families above.
pub(crate) const FORMAT: u32 = 1;

/// All families.
pub(crate) const FAMILIES: [&str; 5] = [FACTS, COLLECTED, COVERED, POSITIONS, OUTBOX];

/// Most facts that leave the outbox at once.
pub(crate) const OUTBOX_AT_ONCE: usize = 10_000;

/// Offsets of a group by topic and partition.
pub(crate) type Positions = BTreeMap<(String, i32), i64>;

/// The book. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) store: Store,
}

/// A fact in a draft.
#[derive(Debug)]
struct Held {
    /// As it stands in the store.
    before: Option<LineageFact>,
    /// As it will stand; none: gone.
    now: Option<LineageFact>,
    /// Whether it was erased on the way, so that a difference is not all there is to it.
    erased: bool,
}

impl Book {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Reads the whole graph.
    pub(crate) fn load(&self, graph: &mut Graph) -> Result<(), StateError> {
        for entry in self.store.scan(FACTS, &[], None)? {
            match parse::<LineageFact>(&entry?.1).map(|fact| fact.fact) {
                Some(Fact::EdgeFact(edge)) => graph.put_edge(&edge, None),
                Some(Fact::NodeFact(node)) => graph.put_node(&node),
                None => {}
            }
        }
        Ok(())
    }

    pub(crate) fn draft(&self) -> Draft<'_> {
        Draft {
            book: self,
            batch: self.store.write(),
            facts: HashMap::new(),
            collected: HashMap::new(),
            covered: HashMap::new(),
            outbox: BTreeSet::new(),
        }
    }

    /// The next facts to be written, with their keys.
    pub(crate) fn outbox(&self) -> Result<Vec<(String, LineageFact)>, StateError> {
        let mut due = Vec::new();
        for entry in self.store.scan(OUTBOX, &[], None)?.take(OUTBOX_AT_ONCE) {
            let (key, _) = entry?;
            let key = String::from_utf8_lossy(&key).into_owned();
            if let Some(fact) = self.get::<LineageFact>(FACTS, &key)? {
                due.push((key, fact));
            }
        }
        Ok(due)
    }

    /// These have been written.
    pub(crate) fn written(&self, keys: &[String]) -> Result<(), StateError> {
        let mut batch = self.store.write();
        for key in keys {
            batch.delete(OUTBOX, key);
        }
        self.store.commit(batch)
    }

    /// `mesh.lineage` was made again: all that is known is to be written to it.
    pub(crate) fn write_all_again(&self) -> Result<(), StateError> {
        let mut batch = self.store.write();
        for entry in self.store.scan(FACTS, &[], None)? {
            batch.put(OUTBOX, entry?.0, []);
            if batch.len() >= OUTBOX_AT_ONCE {
                self.store
                    .commit(std::mem::replace(&mut batch, self.store.write()))?;
            }
        }
        self.store.commit(batch)
    }

    /// The topic is to be read from its beginning.
    pub(crate) fn read_again(&self, topic: &str) -> Result<(), StateError> {
        let mut batch = self.store.write();
        for (known, partition, _) in self.store.offsets()? {
            if known == topic {
                batch.set_offset(topic, partition, 0);
            }
        }
        self.store.commit(batch)
    }

    /// Where groups stood at the last poll.
    pub(crate) fn positions(&self, group: &str) -> Result<Option<Positions>, StateError> {
        let rows = self.get::<Vec<(String, i32, i64)>>(POSITIONS, group)?;
        Ok(rows.map(|rows| {
            rows.into_iter()
                .map(|(topic, partition, offset)| ((topic, partition), offset))
                .collect()
        }))
    }

    /// All days of an edge.
    fn days(&self, of: &EdgeFact) -> Result<Vec<EdgeFact>, StateError> {
        let mut days = Vec::new();
        for entry in self
            .store
            .scan_prefix(FACTS, fold::edge_prefix(of).as_bytes())?
        {
            if let Some(LineageFact {
                fact: Fact::EdgeFact(day),
            }) = parse(&entry?.1)
            {
                days.push(day);
            }
        }
        Ok(days)
    }

    fn get<T: DeserializeOwned>(&self, family: &str, key: &str) -> Result<Option<T>, StateError> {
        Ok(self.store.get(family, key)?.as_deref().and_then(parse))
    }
}

/// Changes on their way into the book; it sees its own. Rows are written once, at the commit,
/// however often a batch of input changes them.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    book: &'a Book,
    pub(crate) batch: Batch,
    facts: HashMap<String, Held>,
    collected: HashMap<String, LineageFact>,
    covered: HashMap<String, Covered>,
    outbox: BTreeSet<String>,
}

impl Draft<'_> {
    /// Folds in what this service found; if that is news, it goes to the outbox.
    pub(crate) fn found(&mut self, fact: &LineageFact) -> Result<(), StateError> {
        let key = fold::key(fact);
        if self.fold_in(&key, fact)? {
            self.outbox.insert(key);
        }
        Ok(())
    }

    /// Folds in a fact from `mesh.lineage`. Where more is known than it says, the log is to be told:
    /// compaction keeps only the latest record of a key.
    pub(crate) fn told(&mut self, fact: &LineageFact) -> Result<(), StateError> {
        let key = fold::key(fact);
        self.fold_in(&key, fact)?;
        let known = self.facts.get(&key).and_then(|held| held.now.as_ref());
        if known != Some(&fold::fold(None, fact)) {
            self.outbox.insert(key);
        }
        Ok(())
    }

    /// Somebody erased a fact from `mesh.lineage`.
    pub(crate) fn erased(&mut self, key: &str) -> Result<(), StateError> {
        self.batch.delete(COLLECTED, key);
        self.batch.delete(OUTBOX, key);
        self.collected.remove(key);
        self.outbox.remove(key);
        let held = self.held(key)?;
        held.now = None;
        held.erased = true;
        Ok(())
    }

    /// Takes a sighting in: counts its records under its source, and folds the day's fact in.
    pub(crate) fn sighted(
        &mut self,
        source: &ObservationSource,
        sighting: &Sighting,
    ) -> Result<(), StateError> {
        let Some(day) = sighting.fact() else {
            tracing::debug!(at = %sighting.at, "an observation out of all time was left out");
            return Ok(());
        };
        let day = LineageFact {
            fact: Fact::EdgeFact(day),
        };
        let key = fold::key(&day);
        let mut collected = match self.collected.remove(&key) {
            Some(known) => known,
            None => self.book.get(COLLECTED, &key)?.unwrap_or(day),
        };
        if let Fact::EdgeFact(edge) = &mut collected.fact {
            count(edge, source, sighting);
        }
        self.found(&collected)?;
        self.collected.insert(key, collected);
        Ok(())
    }

    /// Adds the transactional ids of an observation's jobs to what is known of these, this draft's
    /// own changes included.
    pub(crate) fn worked(
        &mut self,
        seen: &PartitionObservation,
        at: Timestamp,
    ) -> Result<(), StateError> {
        for (job, ids) in job_ids(seen) {
            let held = self.held(&fold::node_key(&job))?;
            let known = match held.now.as_ref().map(|fact| &fact.fact) {
                Some(Fact::NodeFact(NodeFact { detail, .. })) => Some(detail),
                _ => None,
            };
            if let Some(fact) = job_detail(job, ids, at, known) {
                self.found(&fact)?;
            }
        }
        Ok(())
    }

    /// What is counted of a topic-partition.
    pub(crate) fn covered(
        &mut self,
        topic: &str,
        partition: i32,
    ) -> Result<&mut Covered, StateError> {
        let key = covered_key(topic, partition);
        if !self.covered.contains_key(&key) {
            let known = self.book.get(COVERED, &key)?.unwrap_or_default();
            self.covered.insert(key.clone(), known);
        }
        Ok(self.covered.entry(key).or_default())
    }

    /// Remembers where a group stands.
    pub(crate) fn stands(&mut self, group: &str, positions: &Positions) {
        let rows: Vec<(&str, i32, i64)> = positions
            .iter()
            .map(|((topic, partition), offset)| (topic.as_str(), *partition, *offset))
            .collect();
        put(&mut self.batch, POSITIONS, group, &rows);
    }

    /// Writes all of it, and then changes the graph likewise.
    pub(crate) fn commit(mut self, graph: &parking_lot::RwLock<Graph>) -> Result<(), StateError> {
        for (key, covered) in &self.covered {
            put(&mut self.batch, COVERED, key, covered);
        }
        for (key, collected) in &self.collected {
            put(&mut self.batch, COLLECTED, key, collected);
        }
        for key in &self.outbox {
            self.batch.put(OUTBOX, key, []);
        }
        self.facts
            .retain(|_, held| held.erased || held.before != held.now);
        for (key, held) in &self.facts {
            match &held.now {
                Some(fact) => put(&mut self.batch, FACTS, key, fact),
                None => self.batch.delete(FACTS, key),
            }
        }
        let store = &self.book.store;
        store.commit(self.batch)?;
        if self.facts.is_empty() {
            return Ok(());
        }
        let mut graph = graph.write();
        for held in self.facts.into_values() {
            let before = held.before.map(|fact| fact.fact);
            if held.erased {
                match &before {
                    Some(Fact::EdgeFact(edge)) => {
                        graph.rebuild_edge(edge, &self.book.days(edge)?);
                        continue;
                    }
                    Some(Fact::NodeFact(node)) => graph.clear_node(&node.node),
                    None => {}
                }
            }
            match (held.now.map(|fact| fact.fact), before) {
                (Some(Fact::EdgeFact(now)), Some(Fact::EdgeFact(before))) => {
                    graph.put_edge(&now, Some(&before));
                }
                (Some(Fact::EdgeFact(now)), _) => graph.put_edge(&now, None),
                (Some(Fact::NodeFact(now)), _) => graph.put_node(&now),
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// Folds a fact in; whether that changed anything.
    fn fold_in(&mut self, key: &str, fact: &LineageFact) -> Result<bool, StateError> {
        let held = self.held(key)?;
        let new = fold::fold(held.now.as_ref(), fact);
        let changed = held.now.as_ref() != Some(&new);
        held.now = Some(new);
        Ok(changed)
    }

    fn held(&mut self, key: &str) -> Result<&mut Held, StateError> {
        if !self.facts.contains_key(key) {
            let before: Option<LineageFact> = self.book.get(FACTS, key)?;
            let held = Held {
                now: before.clone(),
                before,
                erased: false,
            };
            self.facts.insert(key.to_owned(), held);
        }
        Ok(self.facts.entry(key.to_owned()).or_insert(Held {
            before: None,
            now: None,
            erased: false,
        }))
    }
}

fn covered_key(topic: &str, partition: i32) -> String {
    format!("{topic}:{partition}")
}

fn put(batch: &mut Batch, family: &str, key: &str, value: &impl Serialize) {
    match serde_json::to_vec(value) {
        Ok(json) => batch.put(family, key, json),
        Err(error) => tracing::error!(%error, family, key, "a row can't be written as JSON"),
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json)
        .inspect_err(|error| tracing::error!(%error, "a stored row does not decode"))
        .ok()
}

#[cfg(test)]
mod tests;
