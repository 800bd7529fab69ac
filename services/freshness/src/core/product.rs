//! One product version: its partitions and its SLOs, whose minutes close together.

use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::name::Urn;

use super::judge::AtEnd;
use super::partition::{Partition, Seen};
use super::track::Track;
use super::{Minute, end_of};

/// Most partitions of a topic that are followed; what is reported of higher ones is counted and left.
pub(super) const PARTITIONS_MAX: i32 = 100_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct Product {
    pub(super) id: u32,
    pub(super) urn: Urn,
    pub(super) topic: String,
    pub(super) domain: String,
    pub(super) owner: String,
    pub(super) status: ProductStatus,
    pub(super) announced_at: i64,
    /// As announced; those are due from the start, later ones from their first record.
    pub(super) announced_partitions: usize,
    pub(super) partitions: Vec<Followed>,
    pub(super) tracks: Vec<Track>,
    /// Partitions that are not yet known up to the end of the next minute; none: to be counted anew.
    pub(super) behind: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    pub(super) partition: Partition,
    pub(super) dirty: bool,
}

impl Product {
    /// The product version.
    #[must_use]
    pub fn urn(&self) -> &Urn {
        &self.urn
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Owning domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Who answers for it.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its SLOs.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Its partitions, by number.
    pub fn partitions(&self) -> impl Iterator<Item = (i32, &Partition)> {
        (0..).zip(self.partitions.iter().map(|f| &f.partition))
    }

    /// First minute that is not closed; none without SLOs.
    #[must_use]
    pub fn next(&self) -> Option<Minute> {
        self.tracks.iter().map(|t| t.next).min()
    }

    /// Up to when all that was readable is accounted for in every partition; none: not known of one.
    #[must_use]
    pub fn known_until(&self) -> Option<i64> {
        if self.partitions.len() < self.announced_partitions {
            return None;
        }
        let due = self.partitions.iter().enumerate();
        due.filter(|(i, f)| *i < self.announced_partitions || f.partition.is_known())
            .map(|(_, f)| f.partition.known_until)
            .min()
            .flatten()
    }

    /// How many partitions are not known up to a moment.
    fn count_behind(&self, until: i64) -> usize {
        let missing = self
            .announced_partitions
            .saturating_sub(self.partitions.len());
        let due = self.partitions.iter().enumerate();
        let behind = due
            .filter(|(i, f)| *i < self.announced_partitions || f.partition.is_known())
            .filter(|(_, f)| f.partition.known_until < Some(until))
            .count();
        behind.saturating_add(missing)
    }

    /// Whether every partition is accounted for up to the end of the minute `next`.
    pub(super) fn is_covered(&mut self, next: Minute) -> bool {
        let behind = match self.behind {
            Some(behind) => behind,
            None => self.count_behind(end_of(next)),
        };
        self.behind = Some(behind);
        behind == 0
    }

    /// Takes in what was seen in the minute and before, and describes its end.
    pub(super) fn close(&mut self, minute: Minute, covered: bool) -> AtEnd {
        self.behind = None;
        let mut at = AtEnd {
            end: end_of(minute),
            covered,
            ..AtEnd::default()
        };
        let mut seen = Seen::default();
        for f in &mut self.partitions {
            let before = f.partition.open.len();
            seen.join(&f.partition.close(minute));
            f.dirty |= f.partition.open.len() != before;
            at.watermark = at.watermark.max(f.partition.watermark);
            at.maybe = at.maybe.max(f.partition.maybe);
        }
        at.seen = seen;
        if at.maybe <= at.watermark {
            at.maybe = None;
        }
        at
    }
}

/// Whether the promises of a product in this status are judged.
pub(super) const fn judged(status: ProductStatus) -> bool {
    matches!(status, ProductStatus::Active | ProductStatus::Deprecated)
}
