//! Reading schemas by id: ours beside a bare axum route, and beside Apicurio.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::apicurio;
use super::load::{Load, Measured, ask, spread};
use super::schemas::{order, registration};
use super::server::Server;
use super::wire::request;

/// Schemas read in turn: more than any hot cache line, fewer than any cache of schemas.
const SCHEMAS: usize = 1_000;
/// Connections of the load.
pub(super) const CONNECTIONS: usize = 32;
const LASTS: Duration = Duration::from_secs(3);
/// Runs of each, in turn, after one to warm up; the middle one counts.
const RUNS: usize = 5;

/// The middle runs.
#[derive(Debug)]
pub(super) struct Reads {
    pub(super) bare: Measured,
    pub(super) ours: Measured,
    pub(super) apicurio: Option<Measured>,
}

/// Fills a server; each id from 1 to [`SCHEMAS`] has an order then.
///
/// # Errors
/// A registration is refused.
pub(super) fn fill(server: &Server, api: &str) -> Result<()> {
    let requests: Vec<Bytes> = (0..SCHEMAS)
        .map(|n| registration(api, &format!("bench.read.{n}-value"), &order(n)))
        .collect();
    let requests: Vec<Vec<Bytes>> = requests
        .chunks(SCHEMAS / CONNECTIONS + 1)
        .map(<[Bytes]>::to_vec)
        .collect();
    let done = Load {
        to: server.address,
        requests: requests.into(),
        repeat: false,
        lasts: Duration::from_secs(300),
        pace: None,
    }
    .run()?;
    ensure!(done.answers() == SCHEMAS, "not all was registered");
    Ok(())
}

/// Reads of all ids, one connection after the other at another place.
#[must_use]
pub(super) fn requests(api: &str) -> Arc<[Vec<Bytes>]> {
    let all: Vec<Bytes> = (1..=SCHEMAS)
        .map(|id| request("GET", &format!("{api}/schemas/ids/{id}"), None))
        .collect();
    spread(&all, CONNECTIONS)
}

fn load(server: &Server, api: &str) -> Load {
    Load {
        to: server.address,
        requests: requests(api),
        repeat: true,
        lasts: LASTS,
        pace: None,
    }
}

/// Measures. Both servers must be filled.
///
/// # Errors
/// A server does not answer, or they don't answer the same.
pub(super) fn measure(ours: &Server, apicurio: Option<&Server>, dir: &Path) -> Result<Reads> {
    let one = request("GET", "/schemas/ids/500", None);
    let answer = ask(ours.address, &one)?;
    let bare = Server::bare(&answer, &dir.join("bare"), "/schemas/ids/500")?;
    ensure!(
        ask(bare.address, &one)? == answer,
        "the bare route answers something else"
    );

    let mut runs: [Vec<Measured>; 3] = Default::default();
    for round in 0..=RUNS {
        let measured = [
            Some(load(&bare, "").run()?),
            Some(load(ours, "").run()?),
            apicurio
                .map(|server| load(server, apicurio::API).run())
                .transpose()?,
        ];
        if round > 0 {
            for (all, run) in runs.iter_mut().zip(measured) {
                all.extend(run);
            }
        }
    }
    let [bare, ours, apicurio] = runs;
    Ok(Reads {
        bare: Measured::median(bare),
        ours: Measured::median(ours),
        apicurio: (!apicurio.is_empty()).then(|| Measured::median(apicurio)),
    })
}
