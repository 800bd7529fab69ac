//! What differs between two schemas, change by change, for people who decide about it: in commands,
//! on the page of a product, in the message that announces a new version. Whether a change breaks
//! anybody is `compatibility`'s to say.

mod fields;
mod path;
#[cfg(test)]
mod tests;
mod walk;
mod words;

use std::fmt;

use crate::schema::Schema;

pub use fields::fields;
pub use words::in_words;

/// Changes that are listed: more than anyone reads.
pub const MAX_CHANGES: usize = 1_000;

/// Characters of one value in a change; longer ones end in `…`.
pub const MAX_VALUE: usize = 1_000;

/// What differs between two schemas.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diff {
    /// The changes in the order of the new schema, what went at the end of where it was.
    pub changes: Vec<Change>,
    /// Whether these are all: at most [`MAX_CHANGES`] are listed, types are followed 1,000 deep,
    /// and 500,000 pairs of types, fields and symbols are looked at.
    pub complete: bool,
}

impl Diff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.complete
    }
}

/// One change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What kind.
    pub kind: ChangeKind,
    /// JSON pointer (RFC 6901), with the steps that [`crate::Incompatibility::path`] has: into the
    /// new schema, and into the old one for what was removed. Empty for the whole.
    pub path: String,
    /// The place in words: `field customer.address.city`, `record com.acme.Address`.
    pub place: String,
    /// What was; none where there was nothing. Types are in words, other values as JSON.
    pub old: Option<String>,
    /// What is; none where there is nothing.
    pub new: Option<String>,
}

/// What kind of change.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A record has a field more; `new` is its type and default.
    FieldAdded,
    /// A record has a field less; `old` is its type and default.
    FieldRemoved,
    /// A field has another name, and its old one as an alias.
    FieldRenamed,
    /// The fields that both have stand in another order, and so do their values.
    FieldsReordered,
    /// A type became one of another kind, or a union, or ceased to be one.
    TypeChanged,
    /// The annotation by which a type is read changed: `date`, `decimal 9, 2`.
    LogicalTypeChanged,
    /// A record, enum or fixed has another full name.
    NameChanged,
    /// The documentation of a field or a named type.
    DocChanged,
    /// The default of a field or an enum.
    DefaultChanged,
    /// How records sort by a field.
    OrderChanged,
    /// The aliases of a field or a named type.
    AliasesChanged,
    /// A custom attribute of a field or a type.
    AttributeChanged,
    /// An enum has more symbols.
    SymbolsAdded,
    /// An enum has fewer symbols.
    SymbolsRemoved,
    /// The symbols that both have stand in another order.
    SymbolsReordered,
    /// A fixed has another length.
    SizeChanged,
    /// A union has a branch more.
    BranchAdded,
    /// A union has a branch less.
    BranchRemoved,
    /// The branches that both have stand in another order.
    BranchesReordered,
}

impl ChangeKind {
    /// A stable name for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldAdded => "field-added",
            Self::FieldRemoved => "field-removed",
            Self::FieldRenamed => "field-renamed",
            Self::FieldsReordered => "fields-reordered",
            Self::TypeChanged => "type-changed",
            Self::LogicalTypeChanged => "logical-type-changed",
            Self::NameChanged => "name-changed",
            Self::DocChanged => "doc-changed",
            Self::DefaultChanged => "default-changed",
            Self::OrderChanged => "order-changed",
            Self::AliasesChanged => "aliases-changed",
            Self::AttributeChanged => "attribute-changed",
            Self::SymbolsAdded => "symbols-added",
            Self::SymbolsRemoved => "symbols-removed",
            Self::SymbolsReordered => "symbols-reordered",
            Self::SizeChanged => "size-changed",
            Self::BranchAdded => "branch-added",
            Self::BranchRemoved => "branch-removed",
            Self::BranchesReordered => "branches-reordered",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What differs between `old` and `new`: nothing between equal schemas, something between any two
/// whose normal forms differ.
#[must_use]
pub fn diff(old: &Schema, new: &Schema) -> Diff {
    walk::walk(old, new)
}
