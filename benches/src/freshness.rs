//! The freshness fold on one core: observations from memory, decoded, folded, minutes closed, and all of
//! it committed to RocksDB. Then the restart of what that left, and its rebuild.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meshwork_freshness::core::Settings;
use meshwork_freshness::{Decoder, Progress, Shard, Shared};
use meshwork_kafka::InRecord;
use meshwork_model::mesh::announcement::{
    CadenceKind, EnforcementMode, IndicatorKind, ProductStatus, RegisteredSchema, SloDeclaration,
    TagMode,
};
use meshwork_model::mesh::observation::{
    EventTimes, LagSummary, ObservationFact, ObservationSource, OffsetRange, PartitionObservation,
    ProducerCount, SchemaCount, SourceKind, Tick, Trust,
};
use meshwork_model::mesh::{MeshSchema, ProductAnnouncement, StreamObservation};
use meshwork_model::name::{SchemaId, Urn};
use meshwork_model::slo::Severity;
use meshwork_model::time::Timestamp;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::MeshWriter;

use crate::table::{Line, Outcome};

const PRODUCTS: i32 = 1_000;
const PARTITIONS: i32 = 10;
/// Simulated seconds: five minutes close for every SLO.
const SECONDS: i64 = 330;
const START_MS: i64 = 1_700_000_040_000;
/// Bytes of a DDSketch as producers send it.
const SKETCH_BYTES: usize = 64;
/// Time between two commits, as in the service while it has more to read.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// Measures all three.
///
/// # Errors
/// The store refuses, or a record is not taken in: the bench itself is broken.
pub fn run() -> Result<Vec<Line>> {
    let dir = tempfile::tempdir()?;
    let id = SchemaId::new(1)?;
    let decoder = Decoder::default();
    let known = decoder.know(id, MeshSchema::StreamObservation.text());
    known.map_err(|e| anyhow::anyhow!("schema: {e}"))?;
    let mut producer = Reporter {
        writer: MeshWriter::with_id(id)?,
        sequence: 0,
        offset: 0,
    };

    let (records, took) = fill(&dir.path().join("first"), &decoder, &mut producer)?;
    let rate = per_second(records, took);
    let mut lines = vec![Line {
        name: "freshness: encoded observations folded and committed, one core".to_owned(),
        figure: format!("{rate:.0}/s"),
        goal: "at least 200000/s".to_owned(),
        outcome: Outcome::at_least(rate, 200_000.0),
    }];

    let began = Instant::now();
    let shared = Shared::new();
    let path = dir.path().join("first");
    let (mut shard, _) = Shard::open(0, &path, Settings::default(), decoder.clone())?;
    shard.show(&shared)?;
    let took = began.elapsed();
    let partitions: usize = shard
        .fold()
        .products()
        .iter()
        .map(|p| p.partitions().count())
        .sum();
    ensure!(partitions == 10_000, "{partitions} partitions came back");
    lines.push(Line {
        name: "freshness: restart with 10000 partitions of state".to_owned(),
        figure: format!("{:.3} s", took.as_secs_f64()),
        goal: "under 1 s".to_owned(),
        outcome: (took < Duration::from_secs(1)).into(),
    });
    drop(shard);

    let mut again = Reporter {
        sequence: 0,
        offset: 0,
        ..producer
    };
    let (records, took) = fill(&dir.path().join("second"), &decoder, &mut again)?;
    lines.push(Line {
        name: format!("freshness: rebuild of the same from {records} observations"),
        figure: format!("{:.1} s", took.as_secs_f64()),
        goal: "printed".to_owned(),
        outcome: Outcome::NoGoal,
    });
    Ok(lines)
}

/// Folds the whole log into a new store; gives the number of records and the time that folding and
/// committing took.
fn fill(dir: &Path, decoder: &Decoder, reporter: &mut Reporter) -> Result<(u64, Duration)> {
    let shared = Shared::new();
    let (mut shard, _) = Shard::open(0, dir, Settings::default(), decoder.clone())?;
    for product in 0..PRODUCTS {
        shard.announce(&announcement(product)?);
    }
    shard.commit(&shared)?;
    let mut took = Duration::ZERO;
    let mut committed = Duration::ZERO;
    let mut count = 0_u64;
    for second in 0..SECONDS {
        let records = reporter.second(second)?;
        count += u64::try_from(records.len())?;
        let began = Instant::now();
        let progress = shard.apply(&records, 0)?;
        if second + 1 == SECONDS || took + began.elapsed() >= committed + COMMIT_EVERY {
            shard.commit(&shared)?;
            committed = took + began.elapsed();
        }
        took += began.elapsed();
        ensure!(progress == Progress::Done, "{progress:?}");
    }
    let tally = shard.fold().tally();
    ensure!(
        tally.repeats + tally.unknown + shard.garbled() == 0,
        "{tally:?}"
    );
    let next = shard
        .fold()
        .products()
        .first()
        .and_then(meshwork_freshness::core::Product::next);
    ensure!(
        next.is_some_and(|n| n >= START_MS / 60_000 + 5),
        "no minute closed"
    );
    Ok((count, took))
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(records: u64, took: Duration) -> f64 {
    records as f64 / took.as_secs_f64()
}

fn urn(product: i32) -> Result<Urn> {
    Ok(format!("urn:meshwork:bench:product-{product}:v1").parse()?)
}

fn announcement(product: i32) -> Result<ProductAnnouncement> {
    let urn = urn(product)?;
    let at = Timestamp::from_millis(START_MS);
    Ok(ProductAnnouncement {
        topic: urn.topic(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: 2,
            guid: String::new(),
            schema: String::new(),
        },
        domain: "bench".to_owned(),
        product: urn.name().product().to_owned(),
        urn,
        version: "1.0.0".to_owned(),
        status: ProductStatus::Active,
        announced_at: at,
        changed_at: at,
        owner: "bench".to_owned(),
        description: None,
        tags: Vec::new(),
        contract: String::new(),
        contract_digest: String::new(),
        key_schema: None,
        key_columns: Vec::new(),
        compatibility: "BACKWARD".to_owned(),
        partitions: PARTITIONS,
        retention_ms: None,
        compacted: false,
        enforcement: EnforcementMode::Reject,
        tag: TagMode::Batch,
        event_time: Some("at".to_owned()),
        inputs: Vec::new(),
        slos: vec![SloDeclaration {
            id: "freshness".to_owned(),
            indicator: IndicatorKind::Freshness,
            within_ms: 60_000,
            objective: 990_000,
            window_ms: 30 * 86_400_000,
            cadence: CadenceKind::Continuous,
            every_ms: None,
            hours: None,
            severity: Severity::Page,
        }],
    })
}

/// Writes what gateways, observer and ticker would.
struct Reporter {
    writer: MeshWriter<StreamObservation>,
    sequence: i64,
    offset: i64,
}

impl Reporter {
    /// One simulated second: an observation of every partition, with the end every ten seconds, and a
    /// tick then.
    fn second(&mut self, second: i64) -> Result<Vec<InRecord>> {
        let now = START_MS + second * 1_000;
        let polled = second % 10 == 0;
        let mut records = Vec::with_capacity(10_001);
        for product in 0..PRODUCTS {
            let topic = urn(product)?.topic();
            for partition in 0..PARTITIONS {
                let from = second * 100;
                let seen = PartitionObservation {
                    topic: topic.clone(),
                    partition,
                    offsets: vec![OffsetRange {
                        from,
                        until: from + 100,
                    }],
                    end_offset: polled.then_some(from + 100),
                    records: 100,
                    bytes: 100_000,
                    producers: vec![ProducerCount {
                        name: "producer@host".to_owned(),
                        trust: Trust::ClientId,
                        records: 100,
                    }],
                    schemas: vec![SchemaCount {
                        schema_id: 2,
                        records: 100,
                    }],
                    event_times: Some(EventTimes {
                        least: Timestamp::from_millis(now - 3_000),
                        greatest: Timestamp::from_millis(now - 100),
                        records: 100,
                        ahead: 0,
                    }),
                    lag: Some(LagSummary {
                        least: 100,
                        greatest: 3_000,
                        sketch: vec![7; SKETCH_BYTES],
                    }),
                    ..PartitionObservation::default()
                };
                let fact = ObservationFact::PartitionObservation(seen);
                records.push(self.record(now, fact)?);
            }
        }
        if polled {
            records.push(self.record(now, ObservationFact::Tick(Tick { shard: 0 }))?);
        }
        Ok(records)
    }

    fn record(&mut self, at: i64, fact: ObservationFact) -> Result<InRecord> {
        let observation = StreamObservation {
            source: ObservationSource {
                kind: SourceKind::Gateway,
                instance: "gateway-1".to_owned(),
                epoch: 1,
                sequence: self.sequence,
            },
            observed_at: Timestamp::from_millis(at),
            fact,
        };
        self.sequence += 1;
        let offset = self.offset;
        self.offset += 1;
        let value = self.writer.encode(&observation).context("an observation")?;
        Ok(InRecord {
            topic: Arc::from(ControlTopic::Observations.name()),
            partition: 0,
            offset,
            timestamp: Some(Timestamp::from_millis(at)),
            key: Some(observation.key().into_bytes().into()),
            value: Some(value.into()),
            headers: Vec::new(),
        })
    }
}
