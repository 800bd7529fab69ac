//! The pure heart of the freshness role: a fold over the records of `mesh.observations` and the
//! announcements of `mesh.catalog`, in log order. No clock, no I/O: time comes only as ticks, so
//! that a replay decides alike.
//!
//! ```text
//! observation ─► partition (coverage, polls, watermark) ─┐
//! tick ────────► product: which minutes can close? ──────┴► judge ─► pages ─► rules ─► alerts
//! ```

mod alert;
mod coverage;
mod fold;
mod hours;
mod judge;
mod page;
mod partition;
mod product;
mod record;
mod rules;
mod saved;
mod sources;
mod track;

pub use alert::{AlertChange, Firing};
pub use coverage::{Added, Coverage};
pub use fold::{Fold, FoldError, Observed, Outputs, Settings, Tally};
pub use hours::{Hours, ZoneError};
pub use judge::Judged;
pub use page::{Counts, DAY_MINUTES, Page};
pub use partition::{Applied, Partition, Poll};
pub use product::Product;
pub use record::{FactView, ObservationView, PartitionView, SourceView, Through};
pub use rules::{RULES, Rule, Truth};
pub use saved::{Family, SavedError, page_key};
pub use track::{NoPages, PageSource, Totals, Track};

use meshwork_model::time::MINUTE_MS;

/// A minute by number: its start is `minute × 60,000` ms since 1970.
pub type Minute = i64;

/// End of a minute in milliseconds since 1970.
#[must_use]
pub const fn end_of(minute: Minute) -> i64 {
    minute.saturating_add(1).saturating_mul(MINUTE_MS)
}

/// The minute that holds a moment.
#[must_use]
pub const fn minute_of(ms: i64) -> Minute {
    ms.div_euclid(MINUTE_MS)
}

/// The first minute that starts at or after a moment.
#[must_use]
pub const fn minute_from(ms: i64) -> Minute {
    minute_of(ms.saturating_add(MINUTE_MS - 1))
}
