//! Value of `mesh.catalog`.

use serde::{Deserialize, Serialize};

use super::{MeshRecord, MeshSchema};
use crate::name::{SchemaId, Urn};
use crate::slo::{Cadence, DailyHours as Hours, Indicator, Severity, Slo};
use crate::time::Timestamp;

/// All there is to know of one product version. Its key is the URN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductAnnouncement {
    /// The product version.
    pub urn: Urn,
    /// Owning domain.
    pub domain: String,
    /// Name within the domain.
    pub product: String,
    /// The contract's version; its major is the product version.
    pub version: String,
    /// Where it is in its life.
    pub status: ProductStatus,
    /// Its topic.
    pub topic: String,
    /// First announcement of this URN.
    pub announced_at: Timestamp,
    /// Last change of the announcement.
    pub changed_at: Timestamp,
    /// Who answers for it.
    pub owner: String,
    /// What it is.
    pub description: Option<String>,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// The ODCS contract, as written.
    pub contract: String,
    /// `sha256:<hex>` of the contract's bytes.
    pub contract_digest: String,
    /// The value's schema.
    pub value_schema: RegisteredSchema,
    /// The key's schema; none: the key is the UTF-8 of the single key column.
    pub key_schema: Option<RegisteredSchema>,
    /// The contract's primary key.
    pub key_columns: Vec<String>,
    /// Compatibility level, as in the registry: `BACKWARD` …
    pub compatibility: String,
    /// Partitions of the topic.
    pub partitions: i32,
    /// `retention.ms`; none: kept for ever.
    pub retention_ms: Option<i64>,
    /// Whether the topic is compacted.
    pub compacted: bool,
    /// What happens to a record that breaks the contract.
    pub enforcement: EnforcementMode,
    /// Which records carry lineage headers.
    pub tag: TagMode,
    /// Field that holds the event time.
    pub event_time: Option<String>,
    /// What it is made from, as declared.
    pub inputs: Vec<String>,
    /// Its promises.
    pub slos: Vec<SloDeclaration>,
}

impl MeshRecord for ProductAnnouncement {
    const SCHEMA: MeshSchema = MeshSchema::ProductAnnouncement;
}

/// A schema and where it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredSchema {
    /// Subject.
    pub subject: String,
    /// Id in the registry.
    pub id: i32,
    /// GUID in the registry.
    pub guid: String,
    /// Text as stored in the registry.
    pub schema: String,
}

impl RegisteredSchema {
    /// The id, checked.
    ///
    /// # Errors
    /// Out of range.
    pub fn schema_id(&self) -> Result<SchemaId, crate::name::NameError> {
        SchemaId::new(i64::from(self.id))
    }
}

/// Where a product is in its life (ODCS `status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProductStatus {
    /// An idea.
    Proposed,
    /// Being built.
    Draft,
    /// In use.
    Active,
    /// To be left: consumers are warned.
    Deprecated,
    /// Gone: refuses records.
    Retired,
}

/// What happens to a record that breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EnforcementMode {
    /// It fails at the producer.
    Reject,
    /// It is acknowledged and kept in the quarantine topic.
    Quarantine,
    /// It passes with a header that says what is wrong.
    Mark,
    /// Nothing is checked.
    Off,
}

/// Which records carry lineage headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TagMode {
    /// Each record.
    Record,
    /// The first of each batch.
    Batch,
    /// None.
    Off,
}

/// One promise, as announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloDeclaration {
    /// The `id` of the contract's `slaProperties` entry.
    pub id: String,
    /// What is measured.
    pub indicator: IndicatorKind,
    /// Its limit, milliseconds.
    pub within_ms: i64,
    /// Objective in millionths.
    pub objective: i32,
    /// Period of the objective, milliseconds.
    pub window_ms: i64,
    /// When data is due.
    pub cadence: CadenceKind,
    /// Period of [`CadenceKind::Every`], milliseconds.
    pub every_ms: Option<i64>,
    /// Hours outside of which nothing is due.
    pub hours: Option<DailyHours>,
    /// Loudest severity.
    pub severity: Severity,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum IndicatorKind {
    /// Age of the newest event at each minute's end.
    Freshness,
    /// Delay of each record of the minute.
    Latency,
}

/// When data is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CadenceKind {
    /// Always.
    Continuous,
    /// Every `every_ms`.
    Every,
    /// Silence is never late.
    Event,
}

/// See [`crate::slo::DailyHours`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyHours {
    /// Minute of the local day at which they open.
    pub from_minute: i32,
    /// Minute of the local day at which they close.
    pub until_minute: i32,
    /// IANA name.
    pub zone: String,
}

/// An announced SLO whose numbers make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SLO {id}: {what}")]
pub struct SloDeclarationError {
    /// Which.
    pub id: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl From<&Slo> for SloDeclaration {
    fn from(slo: &Slo) -> Self {
        let (cadence, every_ms) = match slo.cadence {
            Cadence::Continuous => (CadenceKind::Continuous, None),
            Cadence::Every { period_ms } => (CadenceKind::Every, Some(period_ms)),
            Cadence::Event => (CadenceKind::Event, None),
        };
        Self {
            id: slo.id.clone(),
            indicator: match slo.indicator {
                Indicator::Freshness { .. } => IndicatorKind::Freshness,
                Indicator::Latency { .. } => IndicatorKind::Latency,
            },
            within_ms: slo.indicator.within_ms(),
            objective: i32::try_from(slo.objective_millionths).unwrap_or(1_000_000),
            window_ms: slo.window_ms,
            cadence,
            every_ms,
            hours: slo.hours.as_ref().map(|h| DailyHours {
                from_minute: i32::from(h.from_minute),
                until_minute: i32::from(h.until_minute),
                zone: h.zone.clone(),
            }),
            severity: slo.severity,
        }
    }
}

impl TryFrom<&SloDeclaration> for Slo {
    type Error = SloDeclarationError;

    fn try_from(d: &SloDeclaration) -> Result<Self, SloDeclarationError> {
        let bad = |what| SloDeclarationError {
            id: d.id.clone(),
            what,
        };
        let minute = |m: i32| u16::try_from(m).ok().filter(|m| *m <= 1440);
        Ok(Self {
            id: d.id.clone(),
            indicator: match d.indicator {
                IndicatorKind::Freshness => Indicator::Freshness {
                    within_ms: d.within_ms,
                },
                IndicatorKind::Latency => Indicator::Latency {
                    within_ms: d.within_ms,
                },
            },
            objective_millionths: u32::try_from(d.objective)
                .ok()
                .filter(|o| *o < 1_000_000)
                .ok_or_else(|| bad("objective is not within 0 to 999999 millionths"))?,
            window_ms: Some(d.window_ms)
                .filter(|w| *w >= crate::time::MINUTE_MS)
                .ok_or_else(|| bad("window is shorter than a minute"))?,
            cadence: match d.cadence {
                CadenceKind::Continuous => Cadence::Continuous,
                CadenceKind::Event => Cadence::Event,
                CadenceKind::Every => Cadence::Every {
                    period_ms: d
                        .every_ms
                        .filter(|p| *p > 0)
                        .ok_or_else(|| bad("no period"))?,
                },
            },
            hours: match &d.hours {
                None => None,
                Some(h) => Some(Hours {
                    from_minute: minute(h.from_minute).ok_or_else(|| bad("hours out of range"))?,
                    until_minute: minute(h.until_minute)
                        .ok_or_else(|| bad("hours out of range"))?,
                    zone: h.zone.clone(),
                }),
            },
            severity: d.severity,
        })
    }
}
