//! Why a text is not a schema, and where in it.

use std::fmt;

use thiserror::Error;

use crate::json::JsonError;

/// Why a text is not a schema.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub struct ParseError {
    /// JSON pointer (RFC 6901) to the part of the text; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub fault: ParseFault,
}

impl ParseError {
    pub(super) fn new(fault: ParseFault) -> Self {
        Self {
            pointer: String::new(),
            fault,
        }
    }

    /// Marks an error as one of a referenced schema.
    pub(super) fn within_reference(self, at: usize) -> Self {
        if matches!(
            self.fault,
            ParseFault::Reference { .. }
                | ParseFault::TooManyTypes(_)
                | ParseFault::TooMuchSpelled(_)
        ) {
            return self;
        }
        Self::new(ParseFault::Reference {
            at,
            error: Box::new(self),
        })
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            write!(f, "{}", self.fault)
        } else {
            write!(f, "at {}: {}", self.pointer, self.fault)
        }
    }
}

/// What is wrong with a schema.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParseFault {
    /// Not JSON.
    #[error("{0}")]
    Json(JsonError),
    /// Longer than the limit.
    #[error("schema of {bytes} bytes, at most {limit} are taken")]
    TextTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More levels than the limit, in the text as stored.
    #[error("types nested to more than {0} levels of JSON, give inner types fewer levels")]
    TooDeep(usize),
    /// More types than the limit.
    #[error("more than {0} types")]
    TooManyTypes(usize),
    /// More bytes of names and references than the limit.
    #[error(
        "full names, counted wherever they are named, and references of more than {0} bytes, shorten the namespaces"
    )]
    TooMuchSpelled(usize),
    /// Defaults or forward references that take too long to check.
    #[error("defaults or forward references take more than {0} steps to check, make them smaller")]
    TooCostly(u64),
    /// Neither name, object nor array.
    #[error("{0} is not a schema, write a type's name, an object or an array")]
    NotASchema(&'static str),
    /// An object without what it needs.
    #[error("{what} has no {member}, or not as {form}")]
    Missing {
        /// What lacks it.
        what: &'static str,
        /// The member.
        member: &'static str,
        /// What it must be.
        form: &'static str,
    },
    /// A name with characters that it can't have.
    #[error("{0:?} is not a valid name, use letters, digits and _, and no digit first")]
    InvalidName(String),
    /// A namespace with characters that it can't have.
    #[error("{0:?} has an invalid namespace, use names with dots between")]
    InvalidNamespace(String),
    /// A named type called like a primitive one.
    #[error("a type can't be named {0:?} like a primitive type")]
    PrimitiveName(String),
    /// A second and different definition of a name.
    #[error("{0:?} is defined twice, define it once and use its name after that")]
    Redefined(String),
    /// A name that nothing defines.
    #[error("{0:?} is not defined here or in a referenced schema")]
    Undefined(String),
    /// Two fields of one name.
    #[error("record {record:?} has two fields {field:?}")]
    DuplicateField {
        /// The record.
        record: String,
        /// The field.
        field: String,
    },
    /// Two equal symbols.
    #[error("enum symbol {0:?} is there twice")]
    DuplicateSymbol(String),
    /// An enum's default that is no symbol of it.
    #[error("enum default {0:?} is not one of its symbols")]
    EnumDefault(String),
    /// More symbols than the limit.
    #[error("enum of more than {0} symbols")]
    TooManySymbols(usize),
    /// A union within a union.
    #[error("a union can't hold a union, merge their branches")]
    NestedUnion,
    /// Two branches that data can't tell apart.
    #[error("the union has {0:?} twice")]
    DuplicateBranch(String),
    /// A fixed of an impossible size.
    #[error("fixed size {size} is not between 0 and {limit}")]
    FixedSize {
        /// The size.
        size: i64,
        /// The limit.
        limit: u32,
    },
    /// An unknown sort order.
    #[error("order {0:?} is not ascending, descending or ignore")]
    Order(String),
    /// A default that its type does not take.
    #[error("default {default} of field {field:?} does not fit its type {kind}")]
    Default {
        /// The field.
        field: String,
        /// The default, shortened.
        default: String,
        /// The type's name.
        kind: String,
    },
    /// A default of a record type that is still being defined.
    #[error(
        "default of field {field:?} depends on record {record:?}, whose fields are not known there yet"
    )]
    DefaultOfUnfinished {
        /// The field.
        field: String,
        /// The record.
        record: String,
    },
    /// Text as the default of a float or double that is no number.
    #[error("default {0:?} is not a number")]
    NotANumber(String),
    /// Aliases that are not a list of names.
    #[error("aliases are not an array of strings")]
    Aliases,
    /// A custom attribute of a record, array or map with a whole number beyond 64 bits.
    #[error("attribute {0:?} holds a whole number of more than 64 bits, write it as text")]
    BigAttribute(String),
    /// References in a circle that can't be put in order.
    #[error("{0:?} refers to types that refer back before they are complete")]
    Tangled(String),
    /// Something in a referenced schema.
    #[error("reference {at}: {error}")]
    Reference {
        /// Its place among the references, from 0.
        at: usize,
        /// What is wrong with it.
        error: Box<ParseError>,
    },
}
