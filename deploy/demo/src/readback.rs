//! Reads topics back whole: what an interrupted run published already, and what the summary counts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use meshwork_kafka::{
    Admin, Assigned, From, InRecord, Isolation, KafkaConfig, LogReader, ReaderOptions,
};
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::mesh::{MeshRecord, SloAlert, SloSlice, SloStatus};
use meshwork_model::time::{MINUTE_MS, Timestamp};
use meshwork_registry_client::{MeshReader, RegistryClient};

use crate::summary::{AlertSummary, Number, SloSummary};

/// Longest silence while a topic is read back before that is an error.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hands every record that `topic` holds now to `each`; a topic that is not there holds none.
///
/// # Errors
/// Kafka can't be reached, or nothing comes for a minute though there should be more.
pub(crate) async fn each_record(
    kafka: &KafkaConfig,
    topic: &str,
    mut each: impl AsyncFnMut(InRecord) -> Result<()>,
) -> Result<()> {
    let admin = Admin::new(kafka)?;
    if admin.topic(topic).await?.is_none() {
        return Ok(());
    }
    let partitions = Assigned::all(&admin, topic, |_| From::Beginning).await?;
    let mut reader = LogReader::start(kafka, partitions, ReaderOptions::default())?;
    let mut last = Instant::now();
    loop {
        let batch = reader.next(Duration::from_secs(1)).await?;
        if !batch.positions.is_empty() {
            last = Instant::now();
        }
        for record in batch.records {
            each(record).await?;
        }
        if batch.caught_up {
            return Ok(());
        }
        if last.elapsed() >= PATIENCE {
            bail!("nothing came from {topic} for {} s", PATIENCE.as_secs());
        }
    }
}

/// The distinct keys of `topic`.
///
/// # Errors
/// As [`each_record`].
pub(crate) async fn keys(kafka: &KafkaConfig, topic: &str) -> Result<HashSet<String>> {
    let mut keys = HashSet::new();
    each_record(kafka, topic, async |record| {
        if let Some(key) = &record.key {
            keys.insert(String::from_utf8_lossy(key).into_owned());
        }
        Ok(())
    })
    .await?;
    Ok(keys)
}

/// Returns once the ends of `topics` stand still: what a killed producer had in flight has arrived,
/// or never will.
///
/// # Errors
/// Kafka can't be reached.
pub(crate) async fn ends_stand_still(kafka: &KafkaConfig, topics: &[String]) -> Result<()> {
    /// Two readings apart by this are compared.
    const APART: Duration = Duration::from_millis(500);
    let admin = Admin::new(kafka)?;
    let mut partitions = Vec::new();
    for topic in topics {
        if let Some(info) = admin.topic(topic).await? {
            partitions.extend((0..info.partitions).map(|p| (topic.clone(), p)));
        }
    }
    if partitions.is_empty() {
        return Ok(());
    }
    let ends = async || -> Result<Vec<Option<i64>>> {
        let ends = admin
            .end_offsets(&partitions, Isolation::ReadUncommitted)
            .await?;
        Ok(ends.into_iter().map(|end| end.offset).collect())
    };
    let mut last = ends().await?;
    loop {
        tokio::time::sleep(APART).await;
        let now = ends().await?;
        if now == last {
            return Ok(());
        }
        last = now;
    }
}

/// Every record of a mesh topic, decoded.
async fn mesh_records<T: MeshRecord>(
    kafka: &KafkaConfig,
    registry: &RegistryClient,
    topic: &str,
) -> Result<Vec<T>> {
    let reader = MeshReader::<T>::new(registry.clone());
    let mut all = Vec::new();
    each_record(kafka, topic, async |record| {
        if let Some(value) = &record.value {
            let value = reader
                .decode(value)
                .await
                .with_context(|| format!("{topic}@{}:{}", record.partition, record.offset))?;
            all.push(value);
        }
        Ok(())
    })
    .await?;
    Ok(all)
}

/// What the topics of the freshness role say, folded as any reader may.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// By SLO key.
    pub(crate) slos: BTreeMap<String, SloSummary>,
    /// By alert id, in the order of firing.
    pub(crate) alerts: Vec<AlertSummary>,
    /// End of the last closed minute, by SLO key.
    as_of: BTreeMap<String, Timestamp>,
}

impl Promises {
    /// SLOs whose minutes are closed up to the one that ends at `end`.
    pub(crate) fn settled(&self, end: Timestamp) -> usize {
        self.as_of.values().filter(|as_of| **as_of >= end).count()
    }

    /// Folds `mesh.slo.slices`, `.status` and `.alerts`.
    ///
    /// # Errors
    /// A topic can't be read, or holds what is no record of it.
    pub(crate) async fn read(kafka: &KafkaConfig, registry: &RegistryClient) -> Result<Self> {
        // Statuses first: each is committed together with the slices that lead to it, so slices
        // that are read later hold all that a status read before speaks of.
        let statuses = mesh_records::<SloStatus>(kafka, registry, "mesh.slo.status").await?;
        let slices = mesh_records::<SloSlice>(kafka, registry, "mesh.slo.slices").await?;
        let alerts = mesh_records::<SloAlert>(kafka, registry, "mesh.slo.alerts").await?;
        let mut slos = count(&slices);
        let mut as_of = BTreeMap::new();
        for status in statuses {
            as_of.insert(status.slo.clone(), status.as_of);
            slos.entry(status.slo).or_default().budget_left = Number(status.budget_left_millionths);
        }
        Ok(Self {
            slos,
            alerts: by_id(&alerts),
            as_of,
        })
    }
}

/// Each minute counts once, by its highest revision.
fn count(slices: &[SloSlice]) -> BTreeMap<String, SloSummary> {
    let mut minutes: BTreeMap<&str, BTreeMap<i64, (i32, SliceState)>> = BTreeMap::new();
    for slice in slices {
        let of = minutes.entry(slice.slo.as_str()).or_default();
        for n in 0..i64::from(slice.minutes) {
            let at = slice.from.plus_millis(n * MINUTE_MS).as_millis();
            let known = of.entry(at).or_insert((slice.revision, slice.state));
            if slice.revision >= known.0 {
                *known = (slice.revision, slice.state);
            }
        }
    }
    minutes
        .into_iter()
        .map(|(slo, minutes)| {
            let mut summary = SloSummary::default();
            for (_, state) in minutes.into_values() {
                *match state {
                    SliceState::Good => &mut summary.good,
                    SliceState::Bad => &mut summary.bad,
                    SliceState::ExpectedQuiet => &mut summary.expected_quiet,
                    SliceState::Unmeasurable => &mut summary.unmeasurable,
                } += 1;
            }
            (slo.to_owned(), summary)
        })
        .collect()
}

fn by_id(alerts: &[SloAlert]) -> Vec<AlertSummary> {
    let mut by_id: BTreeMap<&str, AlertSummary> = BTreeMap::new();
    for alert in alerts {
        let text = |t: Option<Timestamp>| t.map(|t| t.to_string()).unwrap_or_default();
        by_id.insert(
            &alert.id,
            AlertSummary {
                fired_at: alert.fired_at.to_string(),
                resolved_at: text(alert.resolved_at),
                rule: alert.rule.clone(),
                slo: alert.slo.clone(),
            },
        );
    }
    let sorted: BTreeSet<AlertSummary> = by_id.into_values().collect();
    sorted.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_counts_once_by_its_highest_revision() {
        let slice = |from: i64, minutes, state, revision| SloSlice {
            slo: "s".into(),
            from: Timestamp::from_millis(from * MINUTE_MS),
            minutes,
            state,
            revision,
            worst_lag_ms: None,
        };
        let counted = count(&[
            slice(0, 10, SliceState::Good, 0),
            slice(3, 2, SliceState::Bad, 1),
            slice(0, 10, SliceState::Good, 0),
            slice(10, 1, SliceState::ExpectedQuiet, 0),
        ]);
        let s = &counted["s"];
        assert_eq!(
            (s.good, s.bad, s.expected_quiet, s.unmeasurable),
            (8, 2, 1, 0)
        );
    }
}
