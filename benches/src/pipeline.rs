//! Enforce → tag → observe over whole batches of 1 KB records, on one core: each batch is checked,
//! its records validated, tagged and counted, and the batch written anew with the headers, as the
//! gateway does with every Produce request.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use meshwork_avro::Schema;
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus, TagMode};
use meshwork_model::mesh::observation::Trust;
use meshwork_model::name::SchemaId;
use meshwork_model::time::Timestamp;
use meshwork_pipeline::batch::BatchContext;
use meshwork_pipeline::{
    BatchOutcome, BatchPipeline, Checker, CompiledSchema, KeyRule, OnUnavailable, PartitionTally,
    ProducerTag, ProductPolicy, SchemaLookup, SchemaRef, Schemas,
};
use meshwork_wire::{BatchBuilder, Codec, Compressor, Limits, RecordParts};

use crate::records;
use crate::table::{Line, Outcome, median};

/// Records a batch: 64 KB, between Java's default of 16 KB and what busy producers send.
const RECORDS: i64 = 64;
/// Rounds, of which the middle one counts.
const ROUNDS: usize = 5;
/// How long a round lasts.
const ROUND: Duration = Duration::from_millis(600);
/// 2013-01-01T05:00Z.
const START_MS: i64 = 1_357_016_400_000;

/// Measures uncompressed and lz4 batches.
///
/// # Errors
/// A batch is refused: the bench itself is broken.
pub fn run() -> Result<Vec<Line>> {
    [Codec::None, Codec::Lz4]
        .into_iter()
        .map(|codec| {
            let rate = rate(codec)?;
            Ok(Line {
                name: format!(
                    "pipeline: validate + tag + observe, 1 KB records, {}",
                    match codec {
                        Codec::None => "uncompressed",
                        other => other.name(),
                    }
                ),
                figure: format!("{rate:.0} MB/s per core"),
                goal: "no goal yet".to_owned(),
                outcome: Outcome::NoGoal,
            })
        })
        .collect()
}

struct One(Arc<CompiledSchema>);

impl Schemas for One {
    fn look_up(&self, _: &str, _: SchemaRef) -> SchemaLookup {
        SchemaLookup::Known(Arc::clone(&self.0))
    }
}

/// Megabytes (10^6) of records a second.
fn rate(codec: Codec) -> Result<f64> {
    let id = SchemaId::new(7)?;
    let schema = Schema::parse(records::SCHEMA)?;
    let schemas = One(Arc::new(CompiledSchema::compile(id, &schema, Some("at"))?));
    let policy = ProductPolicy {
        urn: "urn:meshwork:bench:orders:v1".parse()?,
        topic: "bench.orders.v1".to_owned(),
        enforcement: EnforcementMode::Quarantine,
        tag: TagMode::Record,
        status: ProductStatus::Active,
        event_time: Some("at".to_owned()),
        value_subject: "bench.orders.v1-value".to_owned(),
        key: KeyRule::Utf8,
        tombstones: false,
        unavailable: OnUnavailable::Closed,
    };
    let mut pipeline = BatchPipeline::new(Checker::new(Arc::new(policy)), Limits::default());
    let producer = ProducerTag::new("bench@localhost", Trust::Principal);
    let (batch, payload) = batch(codec, id)?;
    let context = BatchContext {
        producer: &producer,
        partition: 0,
        arrived: Timestamp::from_millis(START_MS + 1_000),
        span_ms: None,
        max_batch_bytes: 1 << 20,
        removed_before: 0,
        recorded: None,
    };
    let mut tally = PartitionTally::new("bench.orders.v1", 0);
    let mut round = || -> Result<f64> {
        let started = Instant::now();
        let mut batches = 0u32;
        while started.elapsed() < ROUND {
            for _ in 0..16 {
                let report = pipeline.run(black_box(&batch), context, &schemas)?;
                let BatchOutcome::Rewritten(bytes) = &report.outcome else {
                    bail!("a batch of good records came out as {:?}", report.outcome);
                };
                black_box(bytes);
                tally.absorb(&report.tally);
                batches += 1;
            }
            black_box(tally.take());
        }
        Ok(f64::from(batches) * payload / started.elapsed().as_secs_f64() / 1e6)
    };
    round()?;
    let rounds = (0..ROUNDS).map(|_| round()).collect::<Result<Vec<_>>>()?;
    Ok(median(rounds))
}

/// A batch as a client would send it, and the bytes of its records' keys and values.
fn batch(codec: Codec, id: SchemaId) -> Result<(Vec<u8>, f64)> {
    let mut builder = BatchBuilder::new(START_MS);
    let mut payload = 0usize;
    for n in 0..RECORDS {
        let (key, value) = records::framed(id, n, START_MS + n);
        payload += key.len() + value.len();
        let parts = RecordParts {
            attributes: 0,
            timestamp_delta: n,
            key: Some(key.as_bytes()),
            value: Some(&value),
        };
        builder.push(parts, [])?;
    }
    let mut out = Vec::new();
    builder.finish(codec, &mut Compressor::new(), &mut out)?;
    let payload = u32::try_from(payload).context("a batch of kilobytes")?;
    Ok((out, f64::from(payload)))
}
