//! What is asked for again and again, because nobody tells when it changes.

use std::sync::Arc;

use meshwork_kafka::Admin;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::catalog;
use crate::error::Error;

/// Keeps the brokers' addresses and the topics' limits true.
pub(super) async fn refresh(shared: Arc<Shared>, stop: CancellationToken) -> Result<(), Error> {
    let admin = Admin::new(&shared.kafka)?;
    let mut ticks = tokio::time::interval(shared.config.refresh_every.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round: usize = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
            () = shared.quarantine.lost() => {}
        }
        let mut heard = None;
        match admin.cluster().await {
            Ok(cluster) => {
                let brokers = cluster.brokers.len().max(1);
                heard = cluster.brokers.get(round % brokers).map(|broker| broker.id);
                round = round.wrapping_add(1);
                for broker in cluster.brokers {
                    shared
                        .brokers
                        .learn(broker.id, &broker.host, i32::from(broker.port));
                    // Its listener is there before anybody is told of it.
                    let _ = shared.brokers.endpoint(broker.id, &shared.refusals);
                }
            }
            Err(error) => tracing::debug!(%error, "the cluster can't be asked for its brokers"),
        }
        let products = shared.products.all();
        catalog::learn(&shared, &admin, &products).await;
        for product in products {
            if stop.is_cancelled() {
                return Ok(());
            }
            let refusals = &shared.refusals;
            shared.quarantine.prepare(&admin, &product, refusals).await;
        }
        // One at a time: each is heard in its turn.
        if let Some(node) = heard {
            catalog::learn_expiration(&shared, &admin, node).await;
        }
    }
}
