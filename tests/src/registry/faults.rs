//! Faults by chance: instances are killed and stopped, the writer more often than others; at the
//! same time brokers are, one at a time, and the next one only once all replicas are in sync. What
//! is decided depends on the seed alone; when things happen, on the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use parking_lot::Mutex;

use super::mesh::{Mesh, blocking};

/// What is done to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of an instance, and its start.
    Kill,
    /// SIGSTOP of an instance, too short for another to be elected.
    Blink,
    /// SIGSTOP of an instance, for longer than it may be silent.
    Sleep,
    /// `kill -9` of a broker, and its start.
    LoseBroker,
    /// SIGSTOP of a broker.
    StopBroker,
}

/// A fault that hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struck {
    /// How long after the beginning.
    pub at: Duration,
    /// What.
    pub fault: Fault,
    /// Number of the instance or broker.
    pub whom: usize,
    /// Whether it was the writer.
    pub writer: bool,
    /// For how long.
    pub held: Duration,
}

/// Whether so much was struck.
type Enough = dyn Fn(&[Struck]) -> bool + Send + Sync;

/// Faults by chance.
pub struct Faults {
    mesh: Arc<Mesh>,
    began: Instant,
    until: Instant,
    enough: Box<Enough>,
    struck: Mutex<Vec<Struck>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults")
            .field("struck", &self.struck)
            .finish_non_exhaustive()
    }
}

/// How many times as long as was asked for faults go on until there were enough.
const LONGER_AT_MOST: u32 = 5;

fn between(random: &mut fastrand::Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(random.u64(least..most))
}

impl Faults {
    /// Runs faults for `time`, and on until what was struck is `enough`, for at most five times as
    /// long: a slow machine sees fewer. The last of them is undone when this returns.
    ///
    /// # Errors
    /// A fault that can't be done or undone.
    pub async fn run(
        mesh: &Arc<Mesh>,
        seed: u64,
        time: Duration,
        enough: impl Fn(&[Struck]) -> bool + Send + Sync + 'static,
    ) -> Result<Vec<Struck>> {
        let now = Instant::now();
        let faults = Self {
            mesh: Arc::clone(mesh),
            began: now,
            until: now + time,
            enough: Box::new(enough),
            struck: Mutex::new(Vec::new()),
        };
        let (instances, brokers) = tokio::join!(
            faults.instances(fastrand::Rng::with_seed(seed)),
            faults.brokers(fastrand::Rng::with_seed(seed ^ 0x5eed))
        );
        instances?;
        brokers?;
        let mut struck = faults.struck.into_inner();
        struck.sort_by_key(|struck| struck.at);
        Ok(struck)
    }

    fn goes_on(&self) -> bool {
        let now = Instant::now();
        let latest = self.began + (self.until - self.began) * LONGER_AT_MOST;
        now < self.until || (now < latest && !(self.enough)(&self.struck.lock()))
    }

    async fn instances(&self, mut random: fastrand::Rng) -> Result<()> {
        while self.goes_on() {
            let at_writer = random.u32(..10) < 7;
            let number = random.usize(..self.mesh.instances().len());
            let fault = [Fault::Kill, Fault::Kill, Fault::Blink, Fault::Sleep]
                .get(random.usize(..4))
                .copied()
                .unwrap_or(Fault::Kill);
            let held = match fault {
                Fault::Sleep => between(&mut random, 7_000, 10_000),
                _ => between(&mut random, 100, 2_000),
            };
            let rest = between(&mut random, 500, 4_000);
            self.mesh.all_run()?;
            let writer = self.mesh.writer().map(super::Instance::number);
            let whom = writer.filter(|_| at_writer).unwrap_or(number);
            let instance = self.mesh.instance(whom)?;
            self.note(fault, whom, writer == Some(whom), held);
            if fault == Fault::Kill {
                instance.kill()?;
                tokio::time::sleep(held).await;
                instance.start()?;
            } else {
                instance.pause()?;
                tokio::time::sleep(held).await;
                instance.resume()?;
            }
            tokio::time::sleep(rest).await;
        }
        Ok(())
    }

    async fn brokers(&self, mut random: fastrand::Rng) -> Result<()> {
        let dev = self.mesh.cluster().dev();
        while self.goes_on() {
            let node = random.usize(1..=dev.nodes());
            let fault = match random.u32(..3) {
                0 => Fault::StopBroker,
                _ => Fault::LoseBroker,
            };
            let rest = between(&mut random, 1_000, 4_000);
            let held = between(&mut random, 2_000, 8_000);
            tokio::time::sleep(rest).await;
            self.note(fault, node, false, held);
            if fault == Fault::LoseBroker {
                blocking(move || dev.kill(node)).await??;
                tokio::time::sleep(held).await;
                blocking(move || dev.start_node(node)).await??;
            } else {
                blocking(move || dev.pause(node)).await??;
                tokio::time::sleep(held).await;
                blocking(move || dev.resume(node)).await??;
            }
            self.mesh.in_sync().await?;
        }
        Ok(())
    }

    fn note(&self, fault: Fault, whom: usize, writer: bool, held: Duration) {
        self.struck.lock().push(Struck {
            at: self.began.elapsed(),
            fault,
            whom,
            writer,
            held,
        });
    }
}
