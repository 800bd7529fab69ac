//! Which group and which transactional id are one job, and what that job writes. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use meshwork_model::mesh::observation::JobSide;

use super::reading::Place;
use super::seen::Job;

/// Transactional ids remembered; beyond, the half that was heard of longest ago is forgotten.
const IDS_MAX: usize = 10_000;
/// Groups remembered of one transactional id: a job reads in one.
const GROUPS_MAX: usize = 4;
/// Partitions remembered that one transactional id writes to.
const OUTPUTS_MAX: usize = 256;

#[derive(Debug, Default)]
struct Transaction {
    groups: Vec<Arc<str>>,
    producer_id: Option<i64>,
    outputs: HashSet<Place>,
    heard: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    ids: HashMap<Arc<str>, Transaction>,
    /// Counts what was heard.
    heard: u64,
}

impl Transactions {
    /// The broker has given a transactional id this producer id.
    pub(super) fn producer(&mut self, transactional_id: &Arc<str>, producer_id: i64) {
        self.of(transactional_id).producer_id = Some(producer_id);
    }

    /// Offsets of a group were committed within a transaction: what it writes is the group's job's.
    /// Gives what is news: of the partitions written so far, if the group was not known for it, and
    /// of those in `read`.
    pub(super) fn tied(
        &mut self,
        transactional_id: &Arc<str>,
        group: &Arc<str>,
        producer_id: i64,
        read: impl Iterator<Item = Place>,
    ) -> Vec<(Place, Job)> {
        let known = self.of(transactional_id);
        known.producer_id = Some(producer_id);
        let job = |side| Job {
            group: Arc::clone(group),
            transactional_id: Arc::clone(transactional_id),
            producer_id: Some(producer_id),
            side,
        };
        let mut news: Vec<(Place, Job)> = read.map(|place| (place, job(JobSide::Reads))).collect();
        if !known.groups.contains(group) && known.groups.len() < GROUPS_MAX {
            known.groups.push(Arc::clone(group));
            let written = known.outputs.iter().cloned();
            news.extend(written.map(|place| (place, job(JobSide::Writes))));
        }
        news
    }

    /// The broker has taken a batch of a transaction. Gives whose job that is, as far as known.
    pub(super) fn wrote(&mut self, transactional_id: &Arc<str>, place: &Place) -> Vec<Job> {
        let known = self.of(transactional_id);
        if known.outputs.len() < OUTPUTS_MAX && !known.outputs.contains(place) {
            known.outputs.insert(place.clone());
        }
        let producer_id = known.producer_id;
        known
            .groups
            .iter()
            .map(|group| Job {
                group: Arc::clone(group),
                transactional_id: Arc::clone(transactional_id),
                producer_id,
                side: JobSide::Writes,
            })
            .collect()
    }

    fn of(&mut self, transactional_id: &Arc<str>) -> &mut Transaction {
        self.heard += 1;
        if self.ids.len() >= IDS_MAX && !self.ids.contains_key(transactional_id) {
            let mut heard: Vec<u64> = self.ids.values().map(|t| t.heard).collect();
            heard.sort_unstable();
            let median = heard.get(heard.len() / 2).copied().unwrap_or(0);
            self.ids.retain(|_, t| t.heard > median);
        }
        let known = self.ids.entry(Arc::clone(transactional_id)).or_default();
        known.heard = self.heard;
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(topic: &str) -> Place {
        (topic.into(), 0)
    }

    fn told(news: &[(Place, Job)]) -> Vec<(&str, JobSide, Option<i64>)> {
        let mut told: Vec<_> = news
            .iter()
            .map(|((topic, _), job)| (&**topic, job.side, job.producer_id))
            .collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn what_was_written_before_the_offsets_were_sent_is_the_jobs_too() {
        let (mut all, id, group) = (Transactions::default(), "t".into(), "g".into());
        all.producer(&id, 7);
        assert_eq!(all.wrote(&id, &place("out")), []);
        let news = all.tied(&id, &group, 7, [place("in")].into_iter());
        assert_eq!(
            told(&news),
            [
                ("in", JobSide::Reads, Some(7)),
                ("out", JobSide::Writes, Some(7))
            ]
        );
        // From now on each batch shows it.
        assert_eq!(all.wrote(&id, &place("out")).len(), 1);
        assert_eq!(all.wrote(&id, &place("more"))[0].producer_id, Some(7));
        let news = all.tied(&id, &group, 7, [place("in")].into_iter());
        assert_eq!(told(&news), [("in", JobSide::Reads, Some(7))]);
        assert_eq!(all.wrote(&"other".into(), &place("out")), []);
    }

    #[test]
    fn ids_are_bounded_and_the_latest_stay() {
        let mut all = Transactions::default();
        for n in 0..2 * IDS_MAX {
            all.producer(&format!("t{n}").into(), 1);
        }
        assert!(all.ids.len() <= IDS_MAX);
        assert!(
            all.ids
                .contains_key(format!("t{}", 2 * IDS_MAX - 1).as_str())
        );
        assert!(!all.ids.contains_key("t0"));
        for n in 0..1_000 {
            all.wrote(&"t".into(), &("x".into(), n));
        }
        assert_eq!(all.ids["t"].outputs.len(), OUTPUTS_MAX);
    }
}
