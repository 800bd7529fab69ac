//! Value of `mesh.slo.alerts`.

use serde::{Deserialize, Serialize};

use super::{MeshRecord, MeshSchema};
use crate::name::Urn;
use crate::slo::Severity;
use crate::time::Timestamp;

/// An alert fired, froze, thawed or resolved. Its key is the SLO key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloAlert {
    /// `<SLO key>/<severity>/<firing minute>`: never used for two alerts.
    pub id: String,
    /// SLO key.
    pub slo: String,
    /// The product version that promises it.
    pub urn: Urn,
    /// Owning domain.
    pub domain: String,
    /// Who answers for it.
    pub owner: String,
    /// How loud.
    pub severity: Severity,
    /// Rule that fired, as `<long>_<short>`: `1h_5m`.
    pub rule: String,
    /// What it is now.
    pub state: AlertState,
    /// End of the minute that changed the state.
    pub at: Timestamp,
    /// End of the minute that fired it.
    pub fired_at: Timestamp,
    /// End of the minute that resolved it.
    pub resolved_at: Option<Timestamp>,
    /// Why it resolved: `recovered`, `not due`, `corrected`.
    pub reason: Option<String>,
    /// Bad slices in the long window at `at`.
    pub bad_long: i64,
    /// Bad slices in the short window at `at`.
    pub bad_short: i64,
    /// Consumer groups hurt.
    pub consumers: Vec<String>,
    /// Likely causes upstream.
    pub upstream: Vec<String>,
}

impl MeshRecord for SloAlert {
    const SCHEMA: MeshSchema = MeshSchema::SloAlert;
}

/// The life of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AlertState {
    /// There is none.
    Quiet,
    /// Its rule is true, or was within the last `keep` minutes.
    Firing,
    /// It fired, and whether its rule is still true is not known.
    Frozen,
    /// It is over.
    Resolved,
}
