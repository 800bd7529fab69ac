//! What was seen of readers and jobs since observations were written last, by partition.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use meshwork_model::mesh::observation::{
    JobSide, LIST_MAX, PartitionObservation, ReaderPosition, TransactionalJob,
};
use meshwork_pipeline::ProducerTag;

use super::reading::Place;

/// Partitions seen between two observations; readers of further ones are left out.
const PARTITIONS_MAX: usize = 100_000;
/// Readers and jobs listed between two observations, over all partitions; the rest is counted.
const LISTED_MAX: usize = 200_000;
/// Readers or jobs of one partition that are told apart beyond the list.
const MORE_MAX: usize = 1_024;

/// A reader as it is seen once.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) tag: Arc<ProducerTag>,
    pub(super) group: Option<Arc<str>>,
    /// Whether the group is only concluded.
    pub(super) inferred: bool,
    pub(super) next_offset: Option<i64>,
    pub(super) committed: Option<i64>,
}

/// A job as it is seen once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) group: Arc<str>,
    pub(super) transactional_id: Arc<str>,
    pub(super) producer_id: Option<i64>,
    pub(super) side: JobSide,
}

#[derive(Debug, Default)]
struct OfPartition {
    readers: Vec<Reader>,
    readers_more: HashSet<u64>,
    jobs: Vec<Job>,
    jobs_more: HashSet<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Seen {
    partitions: HashMap<Place, OfPartition>,
    listed: usize,
    hasher: RandomState,
}

impl Seen {
    pub(super) fn reader(&mut self, place: Place, reader: Reader) {
        let listed = &mut self.listed;
        let Some(of) = entry(&mut self.partitions, place) else {
            return;
        };
        let same = |known: &Reader| known.tag == reader.tag;
        let known = of
            .readers
            .iter()
            .position(|known| same(known) && known.group == reader.group)
            // A moment ago its group was not known yet.
            .or_else(|| {
                of.readers
                    .iter()
                    .position(|known| same(known) && known.group.is_none())
            });
        if let Some(known) = known.and_then(|at| of.readers.get_mut(at)) {
            known.inferred = match &known.group {
                Some(_) => known.inferred && reader.inferred,
                None => reader.inferred,
            };
            known.group = reader.group;
            known.next_offset = reader.next_offset.or(known.next_offset);
            known.committed = reader.committed.or(known.committed);
        } else if of.readers.len() < LIST_MAX && *listed < LISTED_MAX {
            *listed += 1;
            of.readers.push(reader);
        } else if of.readers_more.len() < MORE_MAX {
            let who = (reader.tag.name(), reader.tag.trust(), &reader.group);
            of.readers_more.insert(self.hasher.hash_one(who));
        }
    }

    pub(super) fn job(&mut self, place: Place, job: Job) {
        let listed = &mut self.listed;
        let Some(of) = entry(&mut self.partitions, place) else {
            return;
        };
        if of.jobs.contains(&job) {
            return;
        }
        if of.jobs.len() < LIST_MAX && *listed < LISTED_MAX {
            *listed += 1;
            of.jobs.push(job);
        } else if of.jobs_more.len() < MORE_MAX {
            of.jobs_more.insert(self.hasher.hash_one(&job));
        }
    }

    /// All of it, as observations without offsets or records.
    pub(super) fn take(&mut self) -> Vec<PartitionObservation> {
        self.listed = 0;
        std::mem::take(&mut self.partitions)
            .into_iter()
            .map(|((topic, partition), of)| PartitionObservation {
                topic: topic.to_string(),
                partition,
                readers: of.readers.into_iter().map(Into::into).collect(),
                readers_more: count(&of.readers_more),
                jobs: of.jobs.into_iter().map(Into::into).collect(),
                jobs_more: count(&of.jobs_more),
                ..PartitionObservation::default()
            })
            .collect()
    }
}

fn entry(partitions: &mut HashMap<Place, OfPartition>, place: Place) -> Option<&mut OfPartition> {
    if partitions.len() >= PARTITIONS_MAX && !partitions.contains_key(&place) {
        return None;
    }
    Some(partitions.entry(place).or_default())
}

fn count(more: &HashSet<u64>) -> i64 {
    i64::try_from(more.len()).unwrap_or(i64::MAX)
}

impl From<Reader> for ReaderPosition {
    fn from(reader: Reader) -> Self {
        Self {
            name: reader.tag.name().to_owned(),
            trust: reader.tag.trust(),
            group: reader.group.map(|group| group.to_string()),
            inferred: reader.inferred,
            next_offset: reader.next_offset,
            committed: reader.committed,
        }
    }
}

impl From<Job> for TransactionalJob {
    fn from(job: Job) -> Self {
        Self {
            group: job.group.to_string(),
            transactional_id: job.transactional_id.to_string(),
            producer_id: job.producer_id,
            side: job.side,
        }
    }
}

/// Adds what was read to what was written of the same partition; gives what was only read.
pub(crate) fn join<'w>(
    written: impl Iterator<Item = &'w mut PartitionObservation>,
    read: Vec<PartitionObservation>,
) -> Vec<PartitionObservation> {
    let mut by_place: HashMap<(String, i32), PartitionObservation> = read
        .into_iter()
        .map(|seen| ((seen.topic.clone(), seen.partition), seen))
        .collect();
    if !by_place.is_empty() {
        for seen in written {
            if let Some(read) = by_place.remove(&(seen.topic.clone(), seen.partition)) {
                seen.readers = read.readers;
                seen.readers_more = read.readers_more;
                seen.jobs = read.jobs;
                seen.jobs_more = read.jobs_more;
            }
        }
    }
    by_place.into_values().collect()
}

#[cfg(test)]
mod tests {
    use meshwork_model::mesh::observation::{OffsetRange, Trust};

    use super::*;

    fn reader(name: &str, group: Option<&str>, inferred: bool) -> Reader {
        Reader {
            tag: Arc::new(ProducerTag::new(name, Trust::ClientId)),
            group: group.map(Into::into),
            inferred,
            next_offset: None,
            committed: None,
        }
    }

    fn place() -> Place {
        ("a.b.v1".into(), 0)
    }

    #[test]
    fn a_reader_is_listed_once_with_all_that_is_known_of_it() {
        let mut seen = Seen::default();
        let at = |next_offset, committed, reader| Reader {
            next_offset,
            committed,
            ..reader
        };
        seen.reader(place(), at(Some(5), None, reader("app", None, false)));
        seen.reader(place(), at(Some(7), None, reader("app", Some("g"), true)));
        seen.reader(place(), at(None, Some(6), reader("app", Some("g"), false)));
        seen.reader(place(), at(Some(9), None, reader("app", Some("g"), true)));
        seen.reader(place(), at(Some(1), None, reader("app", Some("h"), true)));
        let taken = seen.take();
        let [one] = taken.as_slice() else {
            panic!("one partition: {taken:?}");
        };
        let listed: Vec<_> = one
            .readers
            .iter()
            .map(|r| (r.group.as_deref(), r.inferred, r.next_offset, r.committed))
            .collect();
        assert_eq!(
            listed,
            [
                (Some("g"), false, Some(9), Some(6)),
                (Some("h"), true, Some(1), None)
            ]
        );
        assert!(one.offsets.is_empty() && one.records == 0);
        assert!(seen.take().is_empty());
    }

    #[test]
    fn lists_are_bounded_and_the_rest_is_counted_once() {
        let mut seen = Seen::default();
        for _ in 0..2 {
            for n in 0..LIST_MAX + 10 {
                seen.reader(place(), reader(&format!("r{n}"), None, false));
                seen.job(
                    place(),
                    Job {
                        group: "g".into(),
                        transactional_id: format!("t{n}").into(),
                        producer_id: None,
                        side: JobSide::Reads,
                    },
                );
            }
        }
        let taken = seen.take();
        assert_eq!(taken[0].readers.len(), LIST_MAX);
        assert_eq!(taken[0].readers_more, 10);
        assert_eq!(taken[0].jobs.len(), LIST_MAX);
        assert_eq!(taken[0].jobs_more, 10);
    }

    #[test]
    fn what_is_read_joins_what_is_written_of_the_partition() {
        let written = PartitionObservation {
            topic: "a.b.v1".into(),
            records: 1,
            offsets: vec![OffsetRange { from: 0, until: 1 }],
            ..PartitionObservation::default()
        };
        let mut seen = Seen::default();
        seen.reader(place(), reader("app", None, false));
        seen.reader(("a.b.v1".into(), 1), reader("app", None, false));
        let mut written = [written.clone(), written];
        let only_read = join(written.iter_mut(), seen.take());
        let shape: Vec<_> = written
            .iter()
            .chain(&only_read)
            .map(|o| (o.partition, o.records, o.readers.len()))
            .collect();
        assert_eq!(shape, [(0, 1, 1), (0, 1, 0), (1, 0, 1)]);
    }
}
