//! Writes the passing of time: a tick to each shard's partition whenever the clock has moved far enough.

use std::time::Duration;

use meshwork_model::time::SharedClock;
use tokio_util::sync::CancellationToken;

use crate::sink::Sink;

/// How often the clock is looked at: a simulated one may move minutes in this time.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs until the end.
pub(crate) async fn run(
    sink: Sink,
    clock: SharedClock,
    shards: i32,
    every_ms: i64,
    shutdown: CancellationToken,
) {
    let mut last = None;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = look.tick() => {}
        }
        let now = clock.now();
        if last.is_some_and(|last| now.millis_since(last) < every_ms) {
            continue;
        }
        for shard in 0..shards {
            // Not waited for: a tick that is lost is made good by the next.
            if let Err(error) = sink.tick(shard, now).await {
                tracing::warn!(shard, %error, "a tick could not be written");
            }
        }
        last = Some(now);
    }
}
