//! Records of `mesh.observations` as the fold needs them: borrowed, and without what it does not read.

use meshwork_model::mesh::StreamObservation;
use meshwork_model::mesh::observation::{ObservationFact, OffsetRange, Tick};
use meshwork_model::time::Timestamp;
use serde::Deserialize;

/// A [`StreamObservation`], borrowed.
#[derive(Clone, Debug, Deserialize)]
pub struct ObservationView<'a> {
    /// Who saw it.
    #[serde(borrow)]
    pub source: SourceView<'a>,
    /// When, by the source's clock.
    pub observed_at: Timestamp,
    /// What was seen.
    #[serde(borrow)]
    pub fact: FactView<'a>,
}

/// Who saw it: (instance, epoch, sequence) is unique.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SourceView<'a> {
    /// Stable name of the process's place.
    pub instance: &'a str,
    /// Start of the process.
    pub epoch: i64,
    /// Counts from 0 within (instance, epoch).
    pub sequence: i64,
}

/// What was seen.
#[derive(Clone, Debug, Deserialize)]
pub enum FactView<'a> {
    /// A topic-partition's traffic or silence.
    #[serde(rename = "mesh.PartitionObservation", borrow)]
    Partition(PartitionView<'a>),
    /// The passing of time.
    #[serde(rename = "mesh.Tick")]
    Tick(Tick),
}

/// A topic-partition's traffic or silence.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PartitionView<'a> {
    /// Topic.
    pub topic: &'a str,
    /// UUID of the topic, where known.
    #[serde(default)]
    pub topic_id: Option<&'a str>,
    /// Partition.
    pub partition: i32,
    /// Offsets that the rest is about.
    #[serde(default)]
    pub offsets: Vec<OffsetRange>,
    /// Last stable offset, read at or after the observation's `observed_at`.
    #[serde(default)]
    pub end_offset: Option<i64>,
    /// Records.
    #[serde(default)]
    pub records: i64,
    /// Their event times.
    #[serde(default)]
    pub event_times: Option<Through>,
    /// Their delay.
    #[serde(default)]
    pub lag: Option<Delay>,
    /// Offsets read back came after this moment.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

impl PartitionView<'_> {
    /// Whether it tells what the partition's log holds or how far it reaches, and not of readers or
    /// refusals alone.
    #[must_use]
    pub fn tells_of_log(&self) -> bool {
        !self.offsets.is_empty() || self.end_offset.is_some() || self.records != 0
    }
}

/// Least and greatest event time.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Through {
    /// The least.
    pub least: Timestamp,
    /// The greatest that is not set aside.
    pub greatest: Timestamp,
    /// Records with an event time that counts.
    pub records: i64,
}

/// The greatest delay.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Delay {
    /// Milliseconds.
    pub greatest: i64,
}

impl<'a> From<&'a StreamObservation> for ObservationView<'a> {
    fn from(o: &'a StreamObservation) -> Self {
        Self {
            source: SourceView {
                instance: &o.source.instance,
                epoch: o.source.epoch,
                sequence: o.source.sequence,
            },
            observed_at: o.observed_at,
            fact: match &o.fact {
                ObservationFact::Tick(t) => FactView::Tick(*t),
                ObservationFact::PartitionObservation(p) => FactView::Partition(PartitionView {
                    topic: &p.topic,
                    topic_id: p.topic_id.as_deref(),
                    partition: p.partition,
                    offsets: p.offsets.clone(),
                    end_offset: p.end_offset,
                    records: p.records,
                    event_times: p.event_times.map(|e| Through {
                        least: e.least,
                        greatest: e.greatest,
                        records: e.records,
                    }),
                    lag: p.lag.as_ref().map(|l| Delay {
                        greatest: l.greatest,
                    }),
                    not_before: p.not_before,
                }),
            },
        }
    }
}
