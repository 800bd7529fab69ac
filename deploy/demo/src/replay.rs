//! The domains' producers: the month in event-time order, at a chosen speed or as fast as it goes.
//! The clock reads T only once every record due by T, and its observation, is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use meshwork_model::time::{Clock as _, MINUTE_MS, Timestamp};
use tokio::time::Instant;

use crate::breaker::BadRecord;
use crate::clock::{Progress, SimulatedClock};
use crate::flights::timetable::END;
use crate::flights::{Event, Product};
use crate::live::Live;
use crate::publisher::Publisher;
use crate::run::Observe;

/// The clock may be ahead of the observer's last reading by this much. The demo's `give_up` is 24 h
/// of simulated time; an observer that a busy machine holds up must not run into it.
const AHEAD_OF_OBSERVER_MS: i64 = 6 * 60 * MINUTE_MS;
/// Longest step of the clock when it goes as fast as it can: a quarter of what the observer allows.
const LONGEST_STEP_MS: i64 = 90 * MINUTE_MS;
/// How often a clock that waits, for real time or for the observer, looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How fast the month goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Simulated seconds a second.
    Times(f64),
    /// As fast as records are acknowledged and the observer keeps up.
    AsFastAsItGoes,
}

/// How far the observer has read: the clock's reading taken before its last poll that is written.
pub type ObservedUntil = Arc<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// The month under way.
pub(crate) struct Replay<'a> {
    pub(crate) events: &'a [Event],
    pub(crate) bad: &'a [BadRecord],
    pub(crate) publishers: HashMap<Product, Publisher>,
    /// The producer that breaks the contract.
    pub(crate) breaker: Publisher,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) progress: &'a Progress,
    pub(crate) observe: Observe,
    pub(crate) pace: Pace,
    pub(crate) observed_until: ObservedUntil,
    pub(crate) live: Arc<Live>,
}

impl Replay<'_> {
    /// Publishes what is due until the end of the month, and leaves the clock at its end.
    ///
    /// # Errors
    /// A record that Kafka does not take.
    pub(crate) async fn run(mut self) -> Result<()> {
        let (began, from) = (Instant::now(), self.clock.now());
        let (mut events, mut bad) = (self.events.iter().peekable(), self.bad.iter().peekable());
        // What was due up to here is there already, if this run goes on from an interrupted one;
        // the publishers skip it by key.
        let mut to = from;
        loop {
            while let Some(event) = events.next_if(|e| e.due <= to) {
                self.publish(event).await?;
            }
            while let Some(record) = bad.next_if(|b| b.due <= to) {
                self.breaker
                    .publish_bytes(&record.key, &record.value, record.due)
                    .await?;
            }
            for publisher in self.publishers.values_mut() {
                publisher.flush().await?;
            }
            self.breaker.flush().await?;
            // A gateway that can't write for now has counted all the same; the clock stands still.
            while !(self.observe)().await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            self.progress
                .note(to)
                .context("the clock's progress can't be kept")?;
            self.clock.advance(to);
            self.live
                .clock(to, self.published(), self.breaker.refused());
            if to >= END {
                return Ok(());
            }
            to = self.next_stop(to, from, began).await;
        }
    }

    async fn publish(&mut self, event: &Event) -> Result<()> {
        let publisher = self
            .publishers
            .get_mut(&event.product)
            .with_context(|| format!("{} is not announced", event.product.name()))?;
        publisher.publish(event).await
    }

    /// The next whole minute to go to: as far as real time and the observer allow.
    async fn next_stop(&self, at: Timestamp, from: Timestamp, began: Instant) -> Timestamp {
        loop {
            let paced = match self.pace {
                Pace::AsFastAsItGoes => at.plus_millis(LONGEST_STEP_MS),
                Pace::Times(speed) => from.plus_millis(simulated(began.elapsed(), speed)),
            };
            let observed = (self.observed_until)().map_or(from, |t| t.max(from));
            let stop = paced
                .min(observed.plus_millis(AHEAD_OF_OBSERVER_MS))
                .min(at.plus_millis(LONGEST_STEP_MS))
                .min(END)
                .floor_minute();
            if stop > at {
                return stop;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn published(&self) -> Vec<(Product, u64)> {
        self.publishers
            .iter()
            .map(|(product, p)| (*product, p.published()))
            .collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float to int cast saturates"
)]
fn simulated(elapsed: Duration, speed: f64) -> i64 {
    (elapsed.as_secs_f64() * 1000.0 * speed) as i64
}
