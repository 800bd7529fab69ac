//! Registering new schemas, from many connections and from one, and what reads feel of it.

use std::time::Duration;

use anyhow::Result;

use super::apicurio;
use super::load::{Load, Measured, join};
use super::reads;
use super::schemas::registrations;
use super::server::Server;

/// Connections that register at once.
const CONNECTIONS: usize = 128;
const LASTS: Duration = Duration::from_secs(5);
/// Registrations prepared for each connection: more than one comes to in a run.
const EACH: usize = 200;
/// Runs, in turn; the middle one counts.
const RUNS: usize = 3;
/// Registrations of the run with one connection.
const ALONE: usize = 200;
/// Reads a second offered while others register, and for comparison while nobody does: what the
/// best of the published registries reaches on two cores.
pub(super) const PACE: f64 = 5_700.0;

/// The middle runs.
#[derive(Debug)]
pub(super) struct Writes {
    pub(super) ours: Measured,
    pub(super) apicurio: Option<Measured>,
    /// From one connection.
    pub(super) one: Measured,
    /// Reads at [`PACE`], alone and meanwhile.
    pub(super) paced: (Measured, Measured),
    /// Reads as fast as they go, alone and meanwhile.
    pub(super) free: (Measured, Measured),
}

/// Contents that no run before has used.
#[derive(Debug, Default)]
struct Fresh(usize);

impl Fresh {
    fn load(&mut self, server: &Server, api: &str, connections: usize, each: usize) -> Load {
        // The reads' are below.
        let first = 1_000_000 + self.0;
        self.0 += connections * each;
        Load {
            to: server.address,
            requests: registrations(api, first, connections, each).into(),
            repeat: false,
            lasts: LASTS,
            pace: None,
        }
    }
}

/// Measures. Ours must be filled for reads.
///
/// # Errors
/// A server does not answer, or refuses.
pub(super) fn measure(ours: &Server, apicurio: Option<&Server>) -> Result<Writes> {
    let mut fresh = Fresh::default();
    let mut runs: [Vec<Measured>; 2] = Default::default();
    fresh.load(ours, "", CONNECTIONS, 20).run()?;
    if let Some(server) = apicurio {
        fresh.load(server, apicurio::API, CONNECTIONS, 20).run()?;
    }
    for _ in 0..RUNS {
        let [own, other] = &mut runs;
        own.push(fresh.load(ours, "", CONNECTIONS, EACH).run()?);
        if let Some(server) = apicurio {
            other.push(fresh.load(server, apicurio::API, CONNECTIONS, EACH).run()?);
        }
    }
    let one = Load {
        lasts: Duration::from_secs(60),
        ..fresh.load(ours, "", 1, ALONE)
    };
    let one = one.run()?;
    let paced = beside(ours, &mut fresh, Some(PACE))?;
    let free = beside(ours, &mut fresh, None)?;
    let [own, other] = runs;
    Ok(Writes {
        ours: Measured::median(own),
        apicurio: (!other.is_empty()).then(|| Measured::median(other)),
        one,
        paced,
        free,
    })
}

/// Reads alone, then while [`CONNECTIONS`] register.
fn beside(ours: &Server, fresh: &mut Fresh, pace: Option<f64>) -> Result<(Measured, Measured)> {
    let reads = Load {
        to: ours.address,
        requests: reads::requests(""),
        repeat: true,
        lasts: LASTS,
        pace,
    };
    let alone = reads.clone().run()?;
    let writes = fresh.load(ours, "", CONNECTIONS, EACH).start();
    let meanwhile = reads.run()?;
    join(writes)?;
    Ok((alone, meanwhile))
}
