//! What a producer has done so far, for progress bars and summaries.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshwork_pipeline::Reason;

use super::ledger::Ledger;

/// Figures since the producer was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records queued for the product's topic or for quarantine.
    pub sent: u64,
    /// Records acknowledged in the product's topic.
    pub accepted: u64,
    /// Of these, records marked as breaking the contract.
    pub marked: u64,
    /// Of these, records that passed unchecked because the registry could not be asked.
    pub unverified: u64,
    /// Records acknowledged in quarantine.
    pub quarantined: u64,
    /// Records given back as refused.
    pub rejected: u64,
    /// Records marked, in quarantine or rejected, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// Bytes of keys, values and headers of the records acknowledged in the product's topic.
    pub bytes: u64,
    /// `mesh-parents` headers dropped because they were malformed.
    pub parents_dropped: u64,
    /// Observations acknowledged.
    pub observations: u64,
}

/// Looks at the counts of a producer that another task drives.
#[derive(Clone, Debug)]
pub struct CountsView {
    ledger: Arc<Ledger>,
}

impl CountsView {
    pub(super) const fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    /// As they are now.
    #[must_use]
    pub fn now(&self) -> Counts {
        self.ledger.counts()
    }
}
