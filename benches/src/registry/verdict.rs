//! A verdict on a wide record against many versions, through the API.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::load::{Load, Measured, ask};
use super::schemas::{registration, wide};
use super::server::Server;
use super::wire::request;

/// Versions that the verdict looks at.
const VERSIONS: usize = 50;
/// Verdicts measured, one after the other, each on a text of its own.
const VERDICTS: usize = 300;
const SUBJECT: &str = "bench.wide-value";

#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
}

/// Measures.
///
/// # Errors
/// The registry refuses, or does not find the record compatible.
pub(super) fn measure(ours: &Server) -> Result<Measured> {
    let level = json!({"compatibility": "BACKWARD_TRANSITIVE"}).to_string();
    ask(
        ours.address,
        &request("PUT", &format!("/config/{SUBJECT}"), Some(&level)),
    )?;
    for version in 0..VERSIONS {
        ask(ours.address, &registration("", SUBJECT, &wide(version, "")))?;
    }
    let path = format!("/compatibility/subjects/{SUBJECT}/versions");
    let asking = |doc: &str| {
        let body = json!({"schema": wide(VERSIONS, doc)}).to_string();
        request("POST", &path, Some(&body))
    };
    let verdict: Verdict = serde_json::from_slice(&ask(ours.address, &asking("first"))?)?;
    ensure!(
        verdict.is_compatible,
        "the wide record should be compatible"
    );
    let candidates: Vec<_> = (0..VERDICTS)
        .map(|n| asking(&format!("number {n}")))
        .collect();
    Load {
        to: ours.address,
        requests: [candidates].into(),
        repeat: false,
        lasts: Duration::from_secs(60),
        pace: None,
    }
    .run()
}
