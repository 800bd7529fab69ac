//! Value of `mesh.slo.status`.

use serde::{Deserialize, Serialize};

use super::alert::AlertState;
use super::slice::SliceState;
use super::{MeshRecord, MeshSchema};
use crate::name::Urn;
use crate::time::Timestamp;

/// How one SLO stands after its last closed minute. Its key is the SLO key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloStatus {
    /// SLO key.
    pub slo: String,
    /// The product version that promises it.
    pub urn: Urn,
    /// Owning domain.
    pub domain: String,
    /// Who answers for it.
    pub owner: String,
    /// End of the last closed minute.
    pub as_of: Timestamp,
    /// What that minute was.
    pub state: SliceState,
    /// Freshness lag at `as_of`, milliseconds; none where not known or not what is measured.
    pub lag_ms: Option<i64>,
    /// The limit, milliseconds.
    pub within_ms: i64,
    /// Objective in millionths.
    pub objective: i32,
    /// Period of the objective, milliseconds.
    pub window_ms: i64,
    /// Good slices in the window that ends at `as_of`.
    pub good: i64,
    /// Bad ones.
    pub bad: i64,
    /// Ones in which nothing was due.
    pub expected_quiet: i64,
    /// Ones that were due and could not be measured.
    pub unmeasurable: i64,
    /// D: slices that the schedule makes due in the window, whether or not the product existed.
    pub due: i64,
    /// The error budget B in millionths of a slice: (10^6 − objective) × D.
    pub budget_millionths: i64,
    /// B minus bad slices, in millionths of a slice; below 0 when overspent.
    pub budget_left_millionths: i64,
    /// Whether it alerts.
    pub alert: AlertState,
    /// Rule that fired first, while firing or frozen.
    pub rule: Option<String>,
}

impl MeshRecord for SloStatus {
    const SCHEMA: MeshSchema = MeshSchema::SloStatus;
}
