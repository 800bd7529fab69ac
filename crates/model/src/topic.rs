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

/// Settings of a product's quarantine whose topic has this `retention.ms`: it keeps refused records as
/// long, and is never compacted, since two refused records of a key are two facts.
#[must_use]
pub fn quarantine_configs(retention: &str) -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", retention.to_owned()),
    ]
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
