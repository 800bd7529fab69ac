//! Schemas that a request needs and that are not at hand.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use meshwork_pipeline::Needed;
use meshwork_wire::protocol::produce::{ProducePartition, ProduceRequest};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::Batch;
use super::decide::Sender;
use crate::service::Shared;

/// How long the registry has to answer about a schema before it counts as one that can't be asked.
/// Also how long a request that lacks schemas begins to ask for some.
const LOADED_WITHIN: Duration = Duration::from_secs(5);
/// Schemas that one request asks for at a time.
const AT_ONCE: usize = 16;
/// Schemas of later batches that are loaded along with those of the first that lacks one.
const ALONG_MAX: usize = 256;
/// Later batches that are looked through for schemas: each may well bring one.
const AHEAD_BATCHES: usize = ALONG_MAX;
/// Their bytes: looking ahead saves waiting, and is work done twice where nothing is missing.
const AHEAD_BYTES: usize = 4 << 20;

/// Loads what a batch needs, and the first time of a request what the batches behind it need too, all
/// at the same time. Each is given [`LOADED_WITHIN`] for itself, after which the next look says that
/// the registry can't be asked. What the request's own deadline cuts off says nothing of the registry,
/// and is not loaded then.
pub(super) async fn load(
    shared: &Shared,
    sender: &mut Sender<'_>,
    batch: &Batch<'_>,
    needed: &[Needed],
) {
    let mut all: Vec<Needed> = needed.to_vec();
    if !std::mem::replace(&mut sender.looked_ahead, true) {
        all.extend(ahead(shared, batch.request, batch.partition, needed).await);
    }
    let begin_until = Instant::now() + LOADED_WITHIN;
    let mut loading = JoinSet::new();
    let loads = async {
        for needed in all {
            if loading.len() >= AT_ONCE {
                loading.join_next().await;
            }
            if Instant::now() >= begin_until {
                break;
            }
            let schemas = Arc::clone(&shared.schemas);
            loading.spawn(async move { schemas.load_within(&needed, LOADED_WITHIN).await });
        }
        while loading.join_next().await.is_some() {}
    };
    // Dropped, the set ends those that are still on their way.
    let _ = tokio::time::timeout_at(sender.deadline, loads).await;
}

/// What the next batches behind `partition` need. Whatever else is wrong with them shows when they
/// are looked at themselves.
async fn ahead(
    shared: &Shared,
    request: &ProduceRequest<'_>,
    partition: &ProducePartition<'_>,
    known: &[Needed],
) -> HashSet<Needed> {
    let mut all = HashSet::new();
    let behind = request
        .partitions()
        .skip_while(|p| p.topic != partition.topic || p.partition != partition.partition)
        .skip(1);
    let of_products = behind.filter_map(|later| {
        let product = super::decide::product(shared, later.topic)?;
        Some((product, later.records?))
    });
    let mut left = AHEAD_BYTES;
    for (product, records) in of_products.take(AHEAD_BATCHES) {
        let Some(rest) = left.checked_sub(records.len()) else {
            break;
        };
        left = rest;
        let new = product.read(records).ok().and_then(|batch| {
            product.with_pipeline(|pipeline| pipeline.needed(&batch, &*shared.schemas).ok())
        });
        let new = new.unwrap_or_default();
        all.extend(new.into_iter().filter(|n| !known.contains(n)));
        if all.len() >= ALONG_MAX {
            break;
        }
        // Each is unpacked whole; others that run on this thread have their turn in between.
        tokio::task::yield_now().await;
    }
    all
}
