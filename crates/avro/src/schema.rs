//! The resolved schema graph: what everything in this crate, and the gateway's
//! validator above it, works on. Nodes are numbered, references between named
//! types are node numbers, so that a recursive schema is a plain vector.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::json::Json;

/// The place of a node in its [`Schema`]. Only meaningful for that schema.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Ord, PartialOrd)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The position in [`Schema::nodes`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A parsed schema: immutable, every name resolved. Cheap to clone.
///
/// Each occurrence of an unnamed type is its own node; each named type is one
/// node, whoever refers to it. A node that was reached only through a reference
/// to another schema (`ParseOptions::references`) is here too, so a `Schema`
/// never needs another one.
#[derive(Clone)]
pub struct Schema {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// The schemas it was parsed with, in order.
    pub(crate) references: Vec<Arc<Schema>>,
    /// How it was parsed; its texts are read again in the same way.
    pub(crate) strictness: Strictness,
    /// The named types that its own text defines, in the order of their definition.
    pub(crate) defined: Vec<NodeId>,
    /// A new schema has been parsed with it since, and so it and its references were found to be as
    /// strict.
    pub(crate) reads_strictly: AtomicBool,
}

/// How strictly a schema's text is read.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Strictness {
    /// For a new schema: names and namespaces are ASCII identifiers, defaults fit their types.
    #[default]
    Strict,
    /// For a schema that a registry holds already: namespaces, aliases and defaults are
    /// taken as they are, names may use letters and digits of any script.
    Stored,
}

/// One type in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its logical type where that is valid on `kind`; an invalid one stays in `props` only.
    pub logical: Option<LogicalType>,
    /// Custom attributes as written and in order, `logicalType`, `precision` and `scale` among them.
    pub props: Vec<(String, Json)>,
}

/// The kinds of Avro types, with what each consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// No value.
    Null,
    /// One byte, 0 or 1.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// IEEE 754, 32 bits.
    Float,
    /// IEEE 754, 64 bits.
    Double,
    /// Bytes of any length.
    Bytes,
    /// UTF-8 text.
    String,
    /// Items of one type.
    Array(NodeId),
    /// Values of one type under string keys.
    Map(NodeId),
    /// One of several types, in the order that the branch index counts.
    Union(Vec<NodeId>),
    /// Named fields in order.
    Record(Record),
    /// One of several symbols.
    Enum(Enum),
    /// Bytes of one length.
    Fixed(Fixed),
}

impl Kind {
    /// The type's name as schemas write it; `record` for an `error` too.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
        }
    }

    /// The name of a named type.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Record(record) => Some(&record.name),
            Self::Enum(symbols) => Some(&symbols.name),
            Self::Fixed(fixed) => Some(&fixed.name),
            _ => None,
        }
    }

    /// The aliases of a named type; none for the others.
    #[must_use]
    pub fn aliases(&self) -> &[Name] {
        match self {
            Self::Record(record) => &record.aliases,
            Self::Enum(symbols) => &symbols.aliases,
            Self::Fixed(fixed) => &fixed.aliases,
            _ => &[],
        }
    }

    /// The documentation of a named type.
    #[must_use]
    pub fn doc(&self) -> Option<&str> {
        match self {
            Self::Record(record) => record.doc.as_deref(),
            Self::Enum(symbols) => symbols.doc.as_deref(),
            Self::Fixed(fixed) => fixed.doc.as_deref(),
            _ => None,
        }
    }
}

/// A record, or an `error`, which is the same on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// Written as `"type":"error"`.
    pub is_error: bool,
    /// Documentation.
    pub doc: Option<String>,
    /// Other names that a reader accepts, as written order has them, without repeats.
    pub aliases: Vec<Name>,
    /// Its fields, in the order of their values.
    pub fields: Vec<Field>,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name, unique in the record.
    pub name: String,
    /// Its type.
    pub node: NodeId,
    /// Documentation.
    pub doc: Option<String>,
    /// The default, which may be JSON `null`. `None`: there is none.
    pub default: Option<Json>,
    /// How records sort by it.
    pub order: Order,
    /// Other names that a reader accepts, in written order, without repeats.
    pub aliases: Vec<String>,
    /// Custom attributes as written and in order.
    pub props: Vec<(String, Json)>,
}

/// How records sort by a field.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// Least first.
    #[default]
    Ascending,
    /// Greatest first.
    Descending,
    /// Not sorted by it.
    Ignore,
}

impl Order {
    /// As schemas write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
            Self::Ignore => "ignore",
        }
    }
}

/// An enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Enum {
    /// Its name.
    pub name: Name,
    /// Documentation.
    pub doc: Option<String>,
    /// Other names that a reader accepts.
    pub aliases: Vec<Name>,
    /// Its symbols, in the order that a datum's index counts.
    pub symbols: Vec<String>,
    /// What a reader takes for a symbol that it lacks.
    pub default: Option<String>,
}

/// A fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixed {
    /// Its name.
    pub name: Name,
    /// Documentation.
    pub doc: Option<String>,
    /// Other names that a reader accepts.
    pub aliases: Vec<Name>,
    /// Its length in bytes.
    pub size: u32,
}

/// The name of a record, enum or fixed.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct Name {
    full: String,
    /// Where the unqualified name begins in `full`: 0, or one past the last dot.
    start: usize,
}

impl Name {
    /// From an optional namespace and an unqualified name. An empty namespace is none.
    pub(crate) fn new(namespace: Option<&str>, name: &str) -> Self {
        match namespace {
            Some(space) if !space.is_empty() => Self {
                full: format!("{space}.{name}"),
                start: space.len() + 1,
            },
            _ => Self {
                full: name.to_owned(),
                start: 0,
            },
        }
    }

    /// Namespace and name, with a dot between.
    #[must_use]
    pub fn full(&self) -> &str {
        &self.full
    }

    /// The name without its namespace.
    #[must_use]
    pub fn unqualified(&self) -> &str {
        self.full.get(self.start..).unwrap_or_default()
    }

    /// The namespace, unless it is the null one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.start
            .checked_sub(1)
            .and_then(|dot| self.full.get(..dot))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// A logical type that is valid on the type it annotates.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum LogicalType {
    /// Digits in all, and digits after the point; on bytes and fixed.
    Decimal {
        /// Digits in all.
        precision: u32,
        /// Digits after the point.
        scale: u32,
    },
    /// A decimal that carries its own scale; on bytes.
    BigDecimal,
    /// On string, or on a fixed of 16.
    Uuid,
    /// Days since 1970-01-01; on int.
    Date,
    /// Milliseconds since midnight; on int.
    TimeMillis,
    /// Microseconds since midnight; on long.
    TimeMicros,
    /// Milliseconds since 1970-01-01 00:00 UTC; on long, like all that follow.
    TimestampMillis,
    /// Microseconds since 1970-01-01 00:00 UTC.
    TimestampMicros,
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    TimestampNanos,
    /// Milliseconds since 1970-01-01 00:00 in no particular zone.
    LocalTimestampMillis,
    /// Microseconds since 1970-01-01 00:00 in no particular zone.
    LocalTimestampMicros,
    /// Nanoseconds since 1970-01-01 00:00 in no particular zone.
    LocalTimestampNanos,
    /// Months, days and milliseconds; on a fixed of 12.
    Duration,
}

impl LogicalType {
    /// As schemas write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decimal { .. } => "decimal",
            Self::BigDecimal => "big-decimal",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::TimeMillis => "time-millis",
            Self::TimeMicros => "time-micros",
            Self::TimestampMillis => "timestamp-millis",
            Self::TimestampMicros => "timestamp-micros",
            Self::TimestampNanos => "timestamp-nanos",
            Self::LocalTimestampMillis => "local-timestamp-millis",
            Self::LocalTimestampMicros => "local-timestamp-micros",
            Self::LocalTimestampNanos => "local-timestamp-nanos",
            Self::Duration => "duration",
        }
    }
}

impl Schema {
    /// The node that stands for the whole schema.
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.inner.root
    }

    /// A node of this schema.
    ///
    /// # Panics
    /// With an id that is another schema's and out of range here.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "ids are made by the parser of this schema only"
    )]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.inner.nodes[id.index()]
    }

    /// All nodes, by [`NodeId::index`].
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.inner.nodes
    }

    /// The schemas that it was parsed with.
    #[must_use]
    pub fn references(&self) -> &[Arc<Schema>] {
        &self.inner.references
    }

    /// How it was parsed.
    #[must_use]
    pub fn strictness(&self) -> Strictness {
        self.inner.strictness
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("root", &self.inner.root)
            .field("nodes", &self.inner.nodes)
            .finish_non_exhaustive()
    }
}
