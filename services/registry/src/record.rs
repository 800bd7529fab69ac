//! Records of `_schemas`, byte for byte as the Confluent Schema Registry writes them, so that one
//! registry can take over from the other in place. Reading is lenient: what can't be understood is
//! an [`Oddity`], never an error.

mod contract;
mod key;
mod settings;
mod text;
mod value;

pub use contract::{Metadata, Rule, RuleSet};
pub use key::{Key, ReadKey};
pub use settings::{Mode, Settings};
pub use value::{Reference, SchemaValue, SubjectValue};

pub(crate) use key::OWN_NOOP;
pub(crate) use text::{from_json, to_json};
pub(crate) use value::{ContextValue, ModeValue, OwnValue};

/// Header of every record that a registry of ours writes; its value is the writer's name.
pub const OWN_HEADER: &str = "meshwork-writer";

/// A record to be written. A value of none is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Key bytes; compaction compares these.
    pub key: Vec<u8>,
    /// Value bytes.
    pub value: Option<Vec<u8>>,
}

/// Why a record of `_schemas` has no effect. Each is counted, none stops the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Oddity {
    /// No key.
    NullKey,
    /// The key is not the JSON of a key.
    UnreadableKey,
    /// A `keytype` that this build does not know.
    UnknownKeyType,
    /// The value is not the JSON that its key calls for.
    UnreadableValue,
    /// A schema id or version that is out of range.
    OutOfRange,
    /// The id is held by another schema: the first one wins.
    IdTaken,
    /// Redpanda's mark of a write that lost a race.
    LostRace,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NullKey,
        Self::UnreadableKey,
        Self::UnknownKeyType,
        Self::UnreadableValue,
        Self::OutOfRange,
        Self::IdTaken,
        Self::LostRace,
    ];

    /// Stable name, for metrics and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NullKey => "null-key",
            Self::UnreadableKey => "unreadable-key",
            Self::UnknownKeyType => "unknown-keytype",
            Self::UnreadableValue => "unreadable-value",
            Self::OutOfRange => "out-of-range",
            Self::IdTaken => "id-taken",
            Self::LostRace => "lost-race",
        }
    }
}
