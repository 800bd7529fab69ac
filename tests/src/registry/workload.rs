//! Clients that keep the registry busy: a mix of everything over few subjects, each request to an
//! instance by chance. What fails is sometimes tried again, elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::calls::{Client, Heard};
use super::mesh::Mesh;
use crate::history::{Call, End};

/// How a load is made.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Clients; each sends one request at a time.
    pub clients: usize,
    /// Requests a second, of all clients together, where the machine takes as many.
    pub rate: u32,
    /// Subjects, half of them in a context.
    pub subjects: usize,
    /// Decides what is asked.
    pub seed: u64,
    /// How long a client waits for an answer.
    pub patience: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            clients: 8,
            rate: 500,
            subjects: 30,
            seed: 1,
            // A stopped instance must not hold all clients for long.
            patience: Duration::from_secs(3),
        }
    }
}

/// When a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the first fault.
    Before,
    /// While there are faults.
    During,
    /// After the last one was healed.
    After,
}

/// What came of the requests of one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Changes that were acknowledged.
    pub written: usize,
    /// Reads that were answered.
    pub read: usize,
    /// Refused for good.
    pub refused: usize,
    /// Certainly without effect: 50004, or no connection.
    pub not_taken: usize,
    /// Of unknown fate.
    pub unknown: usize,
    /// Longest time without an acknowledged change.
    pub stalled: Duration,
    /// Statuses and error codes of writes that were neither acknowledged nor refused, each once.
    pub codes: Vec<(u16, u32)>,
}

/// What came of all phases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Before the first fault.
    pub before: Tally,
    /// While there were faults.
    pub during: Tally,
    /// After the last one was healed.
    pub after: Tally,
}

impl Tallies {
    fn of(&mut self, phase: Phase) -> &mut Tally {
        match phase {
            Phase::Before => &mut self.before,
            Phase::During => &mut self.during,
            Phase::After => &mut self.after,
        }
    }
}

#[derive(Debug)]
struct State {
    phase: Phase,
    tallies: Tallies,
    last_written: Instant,
    failed: Option<anyhow::Error>,
}

#[derive(Debug)]
struct Shared {
    mesh: Arc<Mesh>,
    options: LoadOptions,
    stop: AtomicBool,
    /// Greatest `Meshwork-Offset` of any answer.
    told: AtomicI64,
    /// Texts that nobody has registered yet begin here.
    fresh: AtomicUsize,
    state: Mutex<State>,
}

/// A load that is under way.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins.
    ///
    /// # Errors
    /// The clients can't be made.
    pub fn start(mesh: &Arc<Mesh>, options: LoadOptions) -> Result<Self> {
        let shared = Arc::new(Shared {
            mesh: Arc::clone(mesh),
            stop: AtomicBool::new(false),
            told: AtomicI64::new(-1),
            fresh: AtomicUsize::new(1_000),
            state: Mutex::new(State {
                phase: Phase::Before,
                tallies: Tallies::default(),
                last_written: Instant::now(),
                failed: None,
            }),
            options,
        });
        let clients = (0..shared.options.clients)
            .map(|number| {
                let client = Client::new(shared.options.patience)?;
                let shared = Arc::clone(&shared);
                Ok(tokio::spawn(
                    async move { shared.run(number, client).await },
                ))
            })
            .collect::<Result<_>>()?;
        Ok(Self { shared, clients })
    }

    /// From now on requests count for this phase.
    pub fn phase(&self, phase: Phase) {
        let mut state = self.shared.state.lock();
        state.phase = phase;
        state.last_written = Instant::now();
    }

    /// What came of a phase so far.
    #[must_use]
    pub fn tally(&self, phase: Phase) -> Tally {
        self.shared.state.lock().tallies.of(phase).clone()
    }

    /// Waits until so many changes more have been acknowledged in this phase.
    ///
    /// # Errors
    /// They were not within two minutes, or an answer was none that a registry may give.
    pub async fn written(&self, phase: Phase, more: usize) -> Result<()> {
        let wanted = self.tally(phase).written + more;
        let until = Instant::now() + Duration::from_secs(120);
        while self.tally(phase).written < wanted {
            if let Some(error) = self.shared.state.lock().failed.take() {
                return Err(error);
            }
            anyhow::ensure!(
                Instant::now() < until,
                "{more} more changes were not acknowledged within 120 s"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends once the last request is answered, and gives the tallies of all phases.
    ///
    /// # Errors
    /// An answer that no registry may give.
    pub async fn stop(self) -> Result<Tallies> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await?;
        }
        let mut state = self.shared.state.lock();
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(state.tallies.clone()),
        }
    }
}

/// A schema that is compatible with every other one of these.
fn text(number: usize) -> String {
    format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"f{number}","type":"int","default":0}}]}}"#
    )
}

impl Shared {
    async fn run(&self, number: usize, client: Client) {
        let clients = u32::try_from(self.options.clients).unwrap_or(1);
        let mut random = fastrand::Rng::with_seed(self.options.seed << 8 | number as u64);
        let mut pace = tokio::time::interval(Duration::from_secs(1) * clients / self.options.rate);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut again: Option<Call> = None;
        while !self.stop.load(Ordering::Relaxed) {
            pace.tick().await;
            let call = again.take().unwrap_or_else(|| self.choose(&mut random));
            let instance = random.usize(..self.mesh.instances().len());
            let told = self.told.load(Ordering::Relaxed);
            let min_offset = (!call.is_write() && told >= 0 && random.bool()).then_some(told);
            let heard = self
                .mesh
                .ask((&client, number), instance, &call, min_offset)
                .await;
            match heard {
                Ok(heard) => {
                    if matches!(heard.end, End::NotTaken | End::Unknown) {
                        tokio::time::sleep(Duration::from_millis(random.u64(50..200))).await;
                        again = random.bool().then(|| call.clone());
                    }
                    self.count(&call, &heard);
                }
                Err(error) => {
                    self.state.lock().failed.get_or_insert(error);
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn count(&self, call: &Call, heard: &Heard) {
        if let Some(offset) = heard.offset {
            self.told.fetch_max(offset, Ordering::Relaxed);
        }
        let mut state = self.state.lock();
        let phase = state.phase;
        let done = matches!(
            heard.end,
            End::Registered { .. } | End::Versions { .. } | End::Text { .. }
        );
        let stalled = state.last_written.elapsed();
        if done && call.is_write() {
            state.last_written = Instant::now();
        }
        let tally = state.tallies.of(phase);
        if call.is_write() {
            tally.stalled = tally.stalled.max(stalled);
        }
        match (&heard.end, call.is_write()) {
            (End::Refused { .. }, _) => tally.refused += 1,
            (End::NotTaken, _) => tally.not_taken += 1,
            (End::Unknown, _) => tally.unknown += 1,
            (_, true) => tally.written += 1,
            (_, false) => tally.read += 1,
        }
        if call.is_write()
            && matches!(heard.end, End::NotTaken | End::Unknown)
            && !tally.codes.contains(&heard.status)
        {
            tally.codes.push(heard.status);
        }
    }

    fn choose(&self, random: &mut fastrand::Rng) -> Call {
        // Names differ between contexts: a plain one that is not there is looked for in all.
        let number = random.usize(..self.options.subjects);
        let (context, subject) = match number % 2 {
            0 => (".", format!("s{number}")),
            _ => (".team", format!(":.team:t{number}")),
        };
        let version = random.i32(1..12);
        let old = text(random.usize(..20));
        match random.u32(..100) {
            0..10 => {
                let text = text(self.fresh.fetch_add(1, Ordering::Relaxed));
                Call::Register { subject, text }
            }
            10..35 => Call::Register { subject, text: old },
            35..38 => Call::SoftDelete { subject },
            38..41 => Call::HardDelete { subject },
            41..47 => Call::SoftDeleteVersion { subject, version },
            47..52 => Call::HardDeleteVersion { subject, version },
            52..66 => Call::LookUp { subject, text: old },
            66..82 => Call::ById {
                context: context.to_owned(),
                id: random.i32(1..120),
            },
            _ => Call::List { subject },
        }
    }
}
