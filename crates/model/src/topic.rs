//! The mesh's own topics: names, how Kafka is to keep them, and which schema their values have.

use crate::mesh::MeshSchema;

/// How Kafka cleans a topic up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Keeps the latest record of each key.
    Compact,
    /// Drops records older than this many milliseconds; −1 keeps all.
    Delete {
        /// `retention.ms`.
        retention_ms: i64,
    },
}

impl Cleanup {
    /// The value of `cleanup.policy`.
    #[must_use]
    pub const fn policy(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Delete { .. } => "delete",
        }
    }
}

/// A topic that Meshwork itself writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ControlTopic {
    /// The registry's log, in Confluent's format.
    Schemas,
    /// Announcements, by URN.
    Catalog,
    /// Changes to products and subjects.
    CatalogChanges,
    /// What gateways, producers and observers saw.
    Observations,
    /// Facts of the lineage graph.
    Lineage,
    /// Closed minutes of every SLO.
    SloSlices,
    /// How every SLO stands.
    SloStatus,
    /// Alerts fired and resolved.
    SloAlerts,
    /// Who changed what, and who was refused.
    Audit,
}

const DAY_MS: i64 = 86_400_000;

impl ControlTopic {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Schemas,
        Self::Catalog,
        Self::CatalogChanges,
        Self::Observations,
        Self::Lineage,
        Self::SloSlices,
        Self::SloStatus,
        Self::SloAlerts,
        Self::Audit,
    ];

    /// Name in Kafka.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schemas => "_schemas",
            Self::Catalog => "mesh.catalog",
            Self::CatalogChanges => "mesh.catalog.changes",
            Self::Observations => "mesh.observations",
            Self::Lineage => "mesh.lineage",
            Self::SloSlices => "mesh.slo.slices",
            Self::SloStatus => "mesh.slo.status",
            Self::SloAlerts => "mesh.slo.alerts",
            Self::Audit => "mesh.audit",
        }
    }

    /// How it must be cleaned up; a service refuses to start on a topic that says otherwise.
    #[must_use]
    pub const fn cleanup(self) -> Cleanup {
        match self {
            Self::Schemas | Self::Catalog | Self::Lineage | Self::SloStatus => Cleanup::Compact,
            Self::CatalogChanges | Self::SloAlerts => Cleanup::Delete { retention_ms: -1 },
            Self::Observations => Cleanup::Delete {
                retention_ms: 7 * DAY_MS,
            },
            // The longest SLO window (90 days) and 5 days more.
            Self::SloSlices => Cleanup::Delete {
                retention_ms: 95 * DAY_MS,
            },
            // A year, as auditors ask for, and a month to look back in. Not for ever: whoever
            // knocks without being let in adds to it.
            Self::Audit => Cleanup::Delete {
                retention_ms: 400 * DAY_MS,
            },
        }
    }

    /// Partitions when Meshwork creates it. Eight can't be raised later: placement is modulo.
    #[must_use]
    pub const fn partitions(self) -> i32 {
        match self {
            Self::Observations | Self::SloSlices | Self::SloStatus => 8,
            _ => 1,
        }
    }

    /// Schema of the values; none for `_schemas`, whose values are JSON.
    #[must_use]
    pub const fn value_schema(self) -> Option<MeshSchema> {
        match self {
            Self::Schemas => None,
            Self::Catalog => Some(MeshSchema::ProductAnnouncement),
            Self::CatalogChanges => Some(MeshSchema::ProductChange),
            Self::Observations => Some(MeshSchema::StreamObservation),
            Self::Lineage => Some(MeshSchema::LineageFact),
            Self::SloSlices => Some(MeshSchema::SloSlice),
            Self::SloStatus => Some(MeshSchema::SloStatus),
            Self::SloAlerts => Some(MeshSchema::SloAlert),
            Self::Audit => Some(MeshSchema::AuditEvent),
        }
    }
}

/// Suffix of a product topic's quarantine.
pub const QUARANTINE_SUFFIX: &str = ".quarantine";

/// Largest record that goes to quarantine, headers included: 16 MiB.
pub const QUARANTINE_RECORD_MAX: usize = 16 << 20;
/// The setting that says how large a batch may be.
pub const MAX_MESSAGE: &str = "max.message.bytes";
/// What it is of a quarantine, at least: a batch of the largest record.
pub const QUARANTINE_BATCH_MAX: usize = QUARANTINE_RECORD_MAX + (1 << 20);
/// The setting that says how many replicas have to have a record before it is acknowledged.
pub const MIN_IN_SYNC: &str = "min.insync.replicas";
/// From so many replicas on two have to have a refused record: one may be away.
const REPLICAS_FOR_TWO: usize = 3;

/// Settings of a product's quarantine, whoever makes it. It keeps refused records as long as the
/// product's topic (`retention_ms`; none: for ever) keeps its own, and is never compacted, since two
/// refused records of a key are two facts. `replicas`: of each of its partitions, or, where it is to be
/// made, the brokers that there are.
#[must_use]
pub fn quarantine_configs(
    retention_ms: Option<i64>,
    replicas: usize,
) -> Vec<(&'static str, String)> {
    let mut configs = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", retention_config(retention_ms)),
        (MAX_MESSAGE, QUARANTINE_BATCH_MAX.to_string()),
    ];
    if replicas >= REPLICAS_FOR_TWO {
        configs.push((MIN_IN_SYNC, "2".to_owned()));
    }
    configs
}

/// `retention.ms` of a topic that keeps its records so long; none: for ever.
#[must_use]
pub fn retention_config(retention_ms: Option<i64>) -> String {
    retention_ms.unwrap_or(-1).to_string()
}

/// Whether a setting of this name may be larger than what is wanted.
#[must_use]
pub fn is_at_least(key: &str) -> bool {
    matches!(key, MAX_MESSAGE | MIN_IN_SYNC)
}

/// Whether a setting that has the value `found` does where `wanted` is: of a limit that quarantine
/// needs, more does as well.
#[must_use]
pub fn suffices(key: &str, found: &str, wanted: &str) -> bool {
    let larger = || {
        let (found, wanted) = (found.parse::<i64>(), wanted.parse::<i64>());
        matches!((found, wanted), (Ok(found), Ok(wanted)) if found >= wanted)
    };
    found == wanted || (is_at_least(key) && larger())
}

/// Kafka's default partitioner hash (murmur2), as the Java client's `Utils.murmur2`.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = chunk
            .iter()
            .rev()
            .fold(0u32, |k, b| (k << 8) | u32::from(*b));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, b) in rest.iter().enumerate() {
            h ^= u32::from(*b) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// Partition that Kafka's default partitioner gives `key` among `partitions` (at least 1).
#[must_use]
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    let hash = i32::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or(0);
    hash % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_quarantines_limits_more_does_as_well() {
        let (bytes, retention) = (QUARANTINE_BATCH_MAX.to_string(), "1000");
        for (key, found, wanted, does) in [
            (MAX_MESSAGE, "1048588", bytes.as_str(), false),
            (MAX_MESSAGE, &bytes, &bytes, true),
            (MAX_MESSAGE, "99999999", &bytes, true),
            (MIN_IN_SYNC, "1", "2", false),
            (MIN_IN_SYNC, "3", "2", true),
            (MIN_IN_SYNC, "", "2", false),
            ("retention.ms", "2000", retention, false),
            ("retention.ms", retention, retention, true),
        ] {
            assert_eq!(suffices(key, found, wanted), does, "{key} {found}");
        }
        let keys = |replicas| -> Vec<_> {
            let configs = quarantine_configs(None, replicas).into_iter();
            configs.map(|(key, _)| key).collect()
        };
        assert_eq!(keys(2), ["cleanup.policy", "retention.ms", MAX_MESSAGE]);
        assert_eq!(keys(3).last(), Some(&MIN_IN_SYNC));
    }

    /// Values from Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_the_java_client() {
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()), hash.cast_unsigned(), "{text}");
        }
    }
}
