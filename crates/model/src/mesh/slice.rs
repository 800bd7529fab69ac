//! Value of `mesh.slo.slices`.

use serde::{Deserialize, Serialize};

use super::{MeshRecord, MeshSchema};
use crate::time::Timestamp;

/// A closed minute of one SLO, or a run of equal ones. Its key is the SLO key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloSlice {
    /// SLO key.
    pub slo: String,
    /// Start of the first minute.
    pub from: Timestamp,
    /// Length of the run, at least 1.
    pub minutes: i32,
    /// What all of them are.
    pub state: SliceState,
    /// A higher revision replaces a lower one of the same minute.
    pub revision: i32,
    /// The worst lag in the run, milliseconds.
    pub worst_lag_ms: Option<i64>,
}

impl MeshRecord for SloSlice {
    const SCHEMA: MeshSchema = MeshSchema::SloSlice;
}

/// What one minute of an SLO was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SliceState {
    /// As promised.
    Good,
    /// Not as promised.
    Bad,
    /// Nothing was due.
    ExpectedQuiet,
    /// Due, and not known: never good and never bad.
    Unmeasurable,
}
