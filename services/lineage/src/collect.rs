//! From what the mesh says to facts: observations, announcements and consumer groups. Pure: what is
//! remembered between calls is handed in.

use std::collections::{BTreeMap, BTreeSet};

use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::mesh::lineage::{
    Basis, EdgeFact, Fact, LineageFact, NodeFact, NodeKind, NodeRef, SourceCount,
};
use meshwork_model::mesh::observation::{
    JobSide, LIST_MAX, ObservationFact, ObservationSource, PartitionObservation, StreamObservation,
};
use meshwork_model::time::Timestamp;

use crate::covered::Covered;
use crate::fold::{self, AS_OF, OTHER_SOURCES, SOURCES_MAX};
use crate::graph::DeclaredEdge;
use crate::node;

/// Most client ids kept as evidence of one group.
const CLIENT_IDS_MAX: usize = 16;

/// Detail of a job: its transactional ids.
pub(crate) const TRANSACTIONAL_IDS: &str = "transactional_ids";

/// Most transactional ids kept as evidence of one job.
const TRANSACTIONAL_IDS_MAX: usize = 16;

/// What stands between names in a detail.
const SEPARATOR: &str = ", ";

/// One sign of an edge, with records that were not counted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Where data comes from.
    pub(crate) from: NodeRef,
    /// Where it goes.
    pub(crate) to: NodeRef,
    /// How it is known.
    pub(crate) basis: Basis,
    /// When.
    pub(crate) at: Timestamp,
    /// Records, each offset counted once.
    pub(crate) records: i64,
}

impl Sighting {
    /// The day's fact without counts; none where the day is out of range.
    #[must_use]
    pub(crate) fn fact(&self) -> Option<EdgeFact> {
        edge_fact(&self.from, &self.to, self.basis, self.at, false)
    }
}

fn edge_fact(
    from: &NodeRef,
    to: &NodeRef,
    basis: Basis,
    at: Timestamp,
    ended: bool,
) -> Option<EdgeFact> {
    Some(EdgeFact {
        from: from.clone(),
        to: to.clone(),
        basis,
        day: fold::day_of(at)?,
        first_seen: at,
        last_seen: at,
        ended,
        counts: Vec::new(),
    })
}

/// What an observation shows: who wrote to the topic, which topics its records say they come from,
/// who read it, and which jobs did either. Offsets that `covered` knows are not counted again; it then
/// knows these too.
#[must_use]
pub(crate) fn observed(observation: &StreamObservation, covered: &mut Covered) -> Vec<Sighting> {
    let ObservationFact::PartitionObservation(seen) = &observation.fact else {
        return Vec::new();
    };
    let Some(to) = node::of_topic(&seen.topic) else {
        return Vec::new();
    };
    let new = covered.add(seen.topic_id.as_deref(), &seen.offsets);
    let mut sightings = Vec::new();
    let mut named = 0i64;
    let mut sight = |from: NodeRef, basis, records: i64| {
        sightings.push(Sighting {
            from,
            to: to.clone(),
            basis,
            at: observation.observed_at,
            records: new.share(records.max(0)),
        });
    };
    // Lists are bounded where they are written, and again here: anybody may have written them.
    for producer in seen.producers.iter().take(LIST_MAX) {
        if producer.records > 0 {
            named = named.saturating_add(producer.records);
            let from = node::of_producer(&producer.name, producer.trust);
            sight(from, Basis::Observed, producer.records);
        }
    }
    let unnamed = seen.records.saturating_sub(named);
    if unnamed > 0 {
        sight(node::unknown_producer(), Basis::Observed, unnamed);
    }
    // A client's claim, not counted: a record may have many parents.
    for parent in seen.parents.iter().take(LIST_MAX) {
        if let Some(from) = node::of_topic(parent).filter(|from| *from != to) {
            sight(from, Basis::Reported, 0);
        }
    }
    let at = observation.observed_at;
    sightings.extend(read(seen, &to, at));
    sightings.extend(worked(seen, &to, at));
    sightings
}

/// Who read the topic: their groups, as far as they are known. Not counted: offsets that are read
/// are no records.
fn read(
    seen: &PartitionObservation,
    topic: &NodeRef,
    at: Timestamp,
) -> impl Iterator<Item = Sighting> {
    seen.readers
        .iter()
        .take(LIST_MAX)
        .filter_map(move |reader| {
            let (to, basis) = match &reader.group {
                Some(group) if is_inside_of(&seen.topic, group) => return None,
                Some(group) if reader.inferred => (node::of_group(group), Basis::Inferred),
                Some(group) => (node::of_group(group), Basis::Observed),
                None => (node::of_reader(&reader.name, reader.trust), Basis::Observed),
            };
            Some(Sighting {
                from: topic.clone(),
                to,
                basis,
                at,
                records: 0,
            })
        })
}

/// Jobs that read the topic or wrote to it.
fn worked(
    seen: &PartitionObservation,
    topic: &NodeRef,
    at: Timestamp,
) -> impl Iterator<Item = Sighting> {
    let jobs = seen.jobs.iter().take(LIST_MAX);
    jobs.filter(|job| !is_inside_of(&seen.topic, &job.group))
        .map(move |job| {
            let job_node = node::of_job(&job.group);
            let (from, to) = match job.side {
                JobSide::Reads => (topic.clone(), job_node),
                JobSide::Writes => (job_node, topic.clone()),
            };
            Sighting {
                from,
                to,
                basis: Basis::Observed,
                at,
                records: 0,
            }
        })
}

/// Transactional ids of the jobs of an observation, by the jobs' nodes; empty ones say nothing.
#[must_use]
pub(crate) fn job_ids(seen: &PartitionObservation) -> BTreeMap<NodeRef, BTreeSet<String>> {
    let mut by_job: BTreeMap<NodeRef, BTreeSet<String>> = BTreeMap::new();
    let jobs = seen.jobs.iter().take(LIST_MAX);
    for job in jobs.filter(|job| !job.transactional_id.is_empty()) {
        let ids = by_job.entry(node::of_job(&job.group)).or_default();
        ids.insert(node::fold_transactional_id(&job.transactional_id));
    }
    by_job
}

/// A job's transactional ids, added to what is known of it; none where nothing of them is news.
#[must_use]
pub(crate) fn job_detail(
    job: NodeRef,
    mut ids: BTreeSet<String>,
    at: Timestamp,
    known: Option<&BTreeMap<String, String>>,
) -> Option<LineageFact> {
    let known = |name: &str| known.and_then(|detail| detail.get(name));
    let listed: BTreeSet<String> = known(TRANSACTIONAL_IDS)
        .map_or("", String::as_str)
        .split(SEPARATOR)
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect();
    if listed.len() >= TRANSACTIONAL_IDS_MAX || ids.is_subset(&listed) {
        return None;
    }
    ids.extend(listed);
    let ids: Vec<String> = ids.into_iter().take(TRANSACTIONAL_IDS_MAX).collect();
    // More is known now, so this must be the later word, also where the observation is the earlier.
    let before: Option<i64> = known(AS_OF).and_then(|text| text.parse().ok());
    let at = before.map_or(at, |ms| at.max(Timestamp::from_millis(ms).plus_millis(1)));
    Some(LineageFact {
        fact: Fact::NodeFact(NodeFact {
            node: job,
            detail: BTreeMap::from([
                (AS_OF.to_owned(), at.as_millis().to_string()),
                (TRANSACTIONAL_IDS.to_owned(), ids.join(SEPARATOR)),
            ]),
        }),
    })
}

/// Adds a sighting's records to what this source counted on that day, cumulatively. The collector's
/// own fold: every instance reads the observations of a topic in the same order and so comes to
/// the same counts.
pub(crate) fn count(day: &mut EdgeFact, source: &ObservationSource, sighting: &Sighting) {
    day.first_seen = day.first_seen.min(sighting.at);
    day.last_seen = day.last_seen.max(sighting.at);
    if sighting.records == 0 {
        return;
    }
    let listed = |counts: &[SourceCount], instance: &str, epoch: i64| {
        counts.binary_search_by(|c| (c.instance.as_str(), c.epoch).cmp(&(instance, epoch)))
    };
    let instance = clip(&source.instance);
    let at = listed(&day.counts, instance, source.epoch).or_else(|at| {
        if day.counts.len() < SOURCES_MAX - 1 {
            day.counts.insert(
                at,
                SourceCount {
                    instance: instance.to_owned(),
                    epoch: source.epoch,
                    records: 0,
                },
            );
            return Ok(at);
        }
        listed(&day.counts, OTHER_SOURCES, 0).or_else(|at| {
            day.counts.insert(
                at,
                SourceCount {
                    instance: OTHER_SOURCES.to_owned(),
                    epoch: 0,
                    records: 0,
                },
            );
            Ok::<usize, usize>(at)
        })
    });
    if let Some(entry) = at.ok().and_then(|at: usize| day.counts.get_mut(at)) {
        entry.records = entry.records.saturating_add(sighting.records);
    }
}

/// At most 128 bytes of a source's instance.
fn clip(instance: &str) -> &str {
    let mut end = instance.len().min(128);
    while !instance.is_char_boundary(end) {
        end -= 1;
    }
    instance.get(..end).unwrap_or_default()
}

/// What an announcement declares, given the declared edges known so far: its inputs as edges, and
/// the end of those that it no longer names. The log's order decides, also where the clock stood
/// still or went back between two announcements.
#[must_use]
pub(crate) fn declared(
    announcement: &ProductAnnouncement,
    known: &[DeclaredEdge],
) -> Vec<LineageFact> {
    let to = NodeRef {
        kind: NodeKind::Product,
        name: announcement.urn.to_string(),
    };
    let inputs: BTreeSet<NodeRef> = match announcement.status {
        ProductStatus::Retired => BTreeSet::new(),
        _ => announcement
            .inputs
            .iter()
            .take(node::INPUTS_MAX)
            .map(|input| node::of_input(input))
            .filter(|from| *from != to)
            .collect(),
    };
    let mut facts = edges_now(&inputs, &to, announcement.changed_at, known);
    facts.push(LineageFact {
        fact: Fact::NodeFact(NodeFact {
            node: to,
            detail: BTreeMap::from([
                (
                    AS_OF.to_owned(),
                    announcement.changed_at.as_millis().to_string(),
                ),
                ("owner".to_owned(), announcement.owner.clone()),
                ("domain".to_owned(), announcement.domain.clone()),
                ("version".to_owned(), announcement.version.clone()),
                (
                    "status".to_owned(),
                    status_word(announcement.status).to_owned(),
                ),
            ]),
        }),
    });
    facts
}

/// A product that is announced no more: all its declared edges end.
#[must_use]
pub(crate) fn withdrawn(to: &NodeRef, at: Timestamp, known: &[DeclaredEdge]) -> Vec<LineageFact> {
    edges_now(&BTreeSet::new(), to, at, known)
}

fn edges_now(
    inputs: &BTreeSet<NodeRef>,
    to: &NodeRef,
    at: Timestamp,
    known: &[DeclaredEdge],
) -> Vec<LineageFact> {
    let mut facts = Vec::new();
    let mut say = |from: &NodeRef, at: Timestamp, ended: bool| {
        if let Some(edge) = edge_fact(from, to, Basis::Declared, at, ended) {
            facts.push(LineageFact {
                fact: Fact::EdgeFact(edge),
            });
        }
    };
    for from in inputs {
        match known.iter().find(|edge| edge.from == *from) {
            // The state changes, so this must be the later word.
            Some(edge) if edge.ended => say(from, at.max(edge.last_seen.plus_millis(1)), false),
            _ => say(from, at, false),
        }
    }
    for edge in known {
        if !edge.ended && !inputs.contains(&edge.from) {
            say(&edge.from, at.max(edge.last_seen.plus_millis(1)), true);
        }
    }
    facts
}

/// The status as a word of the API and of details.
#[must_use]
pub(crate) const fn status_word(status: ProductStatus) -> &'static str {
    match status {
        ProductStatus::Proposed => "proposed",
        ProductStatus::Draft => "draft",
        ProductStatus::Active => "active",
        ProductStatus::Deprecated => "deprecated",
        ProductStatus::Retired => "retired",
    }
}

/// A consumer group as the brokers tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupSnapshot {
    /// Its id.
    pub(crate) id: String,
    /// State, in Kafka's word.
    pub(crate) state: String,
    /// Its protocol: `classic`, `consumer` (KIP-848) or `unknown`.
    pub(crate) kind: String,
    /// Client ids of its members.
    pub(crate) client_ids: BTreeSet<String>,
    /// Topics assigned to its members.
    pub(crate) assigned: BTreeSet<String>,
    /// Committed offsets by topic and partition.
    pub(crate) offsets: BTreeMap<(String, i32), i64>,
}

/// What a poll of a group shows at `at`: an edge for each topic that members are assigned, or whose
/// committed offset is not what it was (`previous`). A group first seen without members counts as
/// a sign only of edges not known yet: its offsets may be days old.
#[must_use]
pub(crate) fn polled(
    group: &GroupSnapshot,
    previous: Option<&BTreeMap<(String, i32), i64>>,
    at: Timestamp,
    is_known: impl Fn(&NodeRef, &NodeRef) -> bool,
) -> Vec<Sighting> {
    let to = node::of_group(&group.id);
    let mut topics: BTreeSet<&str> = group.assigned.iter().map(String::as_str).collect();
    for ((topic, partition), offset) in &group.offsets {
        let moved = match previous {
            Some(previous) => previous.get(&(topic.clone(), *partition)) != Some(offset),
            None => node::of_topic(topic).is_some_and(|from| !is_known(&from, &to)),
        };
        if moved {
            topics.insert(topic);
        }
    }
    topics
        .into_iter()
        .filter(|topic| !is_inside_of(topic, &group.id))
        .filter_map(node::of_topic)
        .map(|from| Sighting {
            from,
            to: to.clone(),
            basis: Basis::Observed,
            at,
            records: 0,
        })
        .collect()
}

/// Evidence under a group's node.
#[must_use]
pub(crate) fn group_detail(group: &GroupSnapshot, at: Timestamp) -> LineageFact {
    let mut detail = BTreeMap::from([
        (AS_OF.to_owned(), at.as_millis().to_string()),
        ("state".to_owned(), group.state.clone()),
        ("kind".to_owned(), group.kind.clone()),
    ]);
    if !group.client_ids.is_empty() {
        let folded: BTreeSet<String> = group
            .client_ids
            .iter()
            .map(|id| node::fold_client_id(id))
            .collect();
        let more = folded.len().saturating_sub(CLIENT_IDS_MAX);
        let mut ids: Vec<String> = folded.into_iter().take(CLIENT_IDS_MAX).collect();
        if more > 0 {
            ids.push(format!("+{more}"));
        }
        detail.insert("client_ids".to_owned(), ids.join(SEPARATOR));
    }
    LineageFact {
        fact: Fact::NodeFact(NodeFact {
            node: node::of_group(&group.id),
            detail,
        }),
    }
}

/// Kafka Streams' changelogs and repartition topics are the inside of the job that owns them.
fn is_inside_of(topic: &str, group: &str) -> bool {
    topic
        .strip_prefix(group)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|rest| rest.ends_with("-changelog") || rest.ends_with("-repartition"))
}

#[cfg(test)]
mod tests;
