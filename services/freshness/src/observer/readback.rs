//! Gaps: offsets that exist by a poll and that no observation accounts for. One that stands is read, just
//! that range, and observed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use meshwork_kafka::{Assigned, From, InRecord, LogReader, ReaderOptions};
use meshwork_model::mesh::observation::{OffsetRange, PartitionObservation};
use meshwork_model::time::MINUTE_MS;
use meshwork_pipeline::{Header, ProductPolicy, RangeReadback, ReadRecord, SpanObservation};
use tokio_util::sync::CancellationToken;

use super::Observer;
use super::schemas::Loaded;
use crate::config::Span;
use crate::shared::Gap;
use crate::sink::Sent;

/// Partitions that one reader reads at a time.
const PARTITIONS_AT_ONCE: usize = 64;
/// Gaps that have stood so long hold the observer's progress back; younger ones are records whose
/// producer is about to report them.
const HOLDS_AFTER: Duration = Duration::from_millis(300);
/// How long a range may bring nothing before it is left for the next round.
const STALLED: Duration = Duration::from_secs(20);

type Place = (String, i32);

/// Since when each gap stands, by where it begins.
pub(super) type Standing = BTreeMap<(Place, i64), Instant>;

/// What is left to read of one partition.
struct Job {
    policy: ProductPolicy,
    schemas: Loaded,
    gap: Gap,
    /// Ranges still to read, the next one last.
    left: Vec<OffsetRange>,
    reading: Option<(RangeReadback, OffsetRange)>,
}

impl Observer {
    /// Reads back the gaps that have stood so long.
    pub(super) async fn read_back(&mut self, stands: Duration, shutdown: &CancellationToken) {
        let due = self.due(stands);
        let mut places = due.into_iter();
        loop {
            let some: Vec<(Place, Gap)> = places.by_ref().take(PARTITIONS_AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                done = self.read_some(some) => done,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "offsets that nobody reported could not be read back yet");
            }
        }
    }

    /// Gaps that have stood so long, with their ranges that have.
    fn due(&mut self, stands: Duration) -> Vec<(Place, Gap)> {
        let gaps = self.shared.gaps.lock().clone();
        let now = Instant::now();
        let present: BTreeSet<(Place, i64)> = gaps
            .iter()
            .flat_map(|(place, gap)| gap.ranges.iter().map(move |r| (place.clone(), r.from)))
            .collect();
        let standing = &mut self.known.standing;
        standing.retain(|at, _| present.contains(at));
        for at in present {
            standing.entry(at).or_insert(now);
        }
        let has_stood = |place: &Place, r: &OffsetRange, stands: Duration| {
            let since = standing.get(&(place.clone(), r.from));
            since.is_some_and(|since| now.duration_since(*since) >= stands)
        };
        let held = gaps.iter().filter(|(place, gap)| {
            let mut ranges = gap.ranges.iter();
            ranges.any(|r| has_stood(place, r, HOLDS_AFTER))
        });
        self.shared
            .set_held(held.map(|(_, gap)| gap.not_before).min());
        gaps.into_iter()
            .filter_map(|(place, mut gap)| {
                gap.ranges.retain(|r| has_stood(&place, r, stands));
                (!gap.ranges.is_empty()).then_some((place, gap))
            })
            .collect()
    }

    async fn read_some(&mut self, places: Vec<(Place, Gap)>) -> Result<(), String> {
        let mut sent = Vec::new();
        let asked: Vec<Place> = places.iter().map(|(place, _)| place.clone()).collect();
        let starts = self.admin.start_offsets(&asked).await;
        let starts: BTreeMap<Place, i64> = starts
            .map_err(|e| e.to_string())?
            .into_iter()
            .filter_map(|s| Some(((s.topic, s.partition), s.offset?)))
            .collect();
        let mut jobs = BTreeMap::new();
        for (place, gap) in places {
            let Some(announcement) = self.announced.get(&place.0) else {
                continue;
            };
            let start = starts.get(&place).copied().unwrap_or(0);
            let mut left = Vec::new();
            for range in &gap.ranges {
                let (gone, rest) = self.readable(*range, start);
                if let Some(gone) = gone {
                    tracing::info!(
                        topic = %place.0, partition = place.1, from = gone.from, until = gone.until,
                        "offsets are accounted for without being read"
                    );
                    let nothing = SpanObservation {
                        seen: unread(&place, gone),
                        newest: None,
                    };
                    sent.push(self.send(nothing, &gap).await?);
                }
                left.extend(rest);
            }
            left.reverse();
            if !left.is_empty() {
                let job = Job {
                    policy: ProductPolicy::from(&*announcement),
                    schemas: Loaded::new(announcement.event_time.clone()),
                    gap,
                    left,
                    reading: None,
                };
                jobs.insert(place, job);
            }
        }
        if !jobs.is_empty() {
            self.read_jobs(jobs, &mut sent).await?;
        }
        for s in sent {
            let shard = s.shard;
            let offset = s.offset().await?;
            let folded = self.shared.folded(shard, offset);
            let _ = tokio::time::timeout(Duration::from_secs(5), folded).await;
        }
        Ok(())
    }

    /// Splits a range into what can't or won't be read, and what will.
    fn readable(
        &self,
        range: OffsetRange,
        start: i64,
    ) -> (Option<OffsetRange>, Option<OffsetRange>) {
        let most = i64::from(self.config.read_back_records.max(1));
        let from = range
            .from
            .max(start)
            .max(range.until.saturating_sub(most))
            .min(range.until);
        let part = |from: i64, until: i64| (from < until).then_some(OffsetRange { from, until });
        (part(range.from, from), part(from, range.until))
    }

    async fn read_jobs(
        &mut self,
        mut jobs: BTreeMap<Place, Job>,
        sent: &mut Vec<Sent>,
    ) -> Result<(), String> {
        let assigned = jobs
            .iter()
            .filter_map(|((topic, partition), job)| {
                Some(Assigned {
                    topic: topic.clone(),
                    partition: *partition,
                    from: From::Offset(job.left.last()?.from),
                })
            })
            .collect();
        let mut log = LogReader::start(&self.kafka, assigned, ReaderOptions::default())
            .map_err(|e| e.to_string())?;
        let mut moved = Instant::now();
        while !jobs.is_empty() {
            let batch = log
                .next(Duration::from_millis(500))
                .await
                .map_err(|e| e.to_string())?;
            if !batch.positions.is_empty() {
                moved = Instant::now();
            } else if moved.elapsed() > STALLED {
                return Err(format!("{} partitions bring nothing", jobs.len()));
            }
            for record in &batch.records {
                let place = (record.topic.to_string(), record.partition);
                if let Some(job) = jobs.get_mut(&place) {
                    for done in job.closed_before(record.offset) {
                        sent.push(self.send(done, &job.gap).await?);
                    }
                    job.take(record, &self.config.span, &self.registry).await;
                }
            }
            for ((topic, partition), next) in &batch.positions {
                let place = (topic.to_string(), *partition);
                let Some(job) = jobs.get_mut(&place) else {
                    continue;
                };
                job.begin(*partition, *next, self.config.span);
                for done in job.closed_before(*next) {
                    sent.push(self.send(done, &job.gap).await?);
                }
                if job.is_done() {
                    jobs.remove(&place);
                }
            }
        }
        Ok(())
    }

    async fn send(&self, done: SpanObservation, gap: &Gap) -> Result<Sent, String> {
        let SpanObservation { mut seen, newest } = done;
        let now = self.clock.now();
        let at = match self.config.span {
            Span::RecordTime => newest.unwrap_or(now),
            Span::Now => {
                seen.not_before = Some(gap.not_before);
                now
            }
        };
        self.sink.observation(at, seen).await
    }
}

impl Job {
    fn is_done(&self) -> bool {
        self.left.is_empty() && self.reading.is_none()
    }

    /// Begins the ranges that start before `offset`.
    fn begin(&mut self, partition: i32, offset: i64, span: Span) {
        if self.reading.is_none()
            && self.left.last().is_some_and(|r| r.from < offset)
            && let Some(range) = self.left.pop()
        {
            let span_ms = (span == Span::RecordTime).then_some(MINUTE_MS);
            let reading = RangeReadback::new(&self.policy, partition, range.from, span_ms);
            self.reading = Some((reading, range));
        }
    }

    /// What is read to its end once everything before `offset` has been.
    fn closed_before(&mut self, offset: i64) -> Vec<SpanObservation> {
        if self
            .reading
            .as_ref()
            .is_some_and(|(_, r)| r.until <= offset)
            && let Some((reading, range)) = self.reading.take()
        {
            return reading.finish(range.until);
        }
        Vec::new()
    }

    async fn take(
        &mut self,
        record: &InRecord,
        span: &Span,
        registry: &meshwork_registry_client::RegistryClient,
    ) {
        self.begin(record.partition, record.offset.saturating_add(1), *span);
        let Some((reading, range)) = &mut self.reading else {
            return;
        };
        if record.offset < range.from || record.offset >= range.until {
            return;
        }
        let headers = record.headers.iter().map(|h| Header {
            key: h.name.as_bytes(),
            value: h.value.as_deref(),
        });
        let read = ReadRecord {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers,
        };
        // A value and a key: two schemas at most are loaded for one record.
        for _ in 0..3 {
            match reading.record(&read, &self.schemas) {
                Ok(()) => return,
                Err(needed) => self.schemas.load(&needed, registry).await,
            }
        }
    }
}

/// An observation that says only that these offsets are accounted for.
fn unread((topic, partition): &Place, range: OffsetRange) -> PartitionObservation {
    PartitionObservation {
        topic: topic.clone(),
        partition: *partition,
        offsets: vec![range],
        ..PartitionObservation::default()
    }
}
