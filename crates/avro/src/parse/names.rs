//! Which names are valid.

use super::error::ParseFault;
use crate::schema::{Name, Strictness};

/// The names of primitive types; no type can be called so.
pub(super) const PRIMITIVES: [&str; 8] = [
    "string", "bytes", "int", "long", "float", "double", "boolean", "null",
];

/// Whether a simple name is valid: Java's strict rule for new schemas, its rule for letters of
/// any script for stored ones.
pub(super) fn is_valid(name: &str, strictness: Strictness) -> bool {
    let mut chars = name.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    match strictness {
        Strictness::Strict => {
            (first.is_ascii_alphabetic() || first == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        }
        Strictness::Stored => {
            (first.is_alphabetic() || first == '_')
                && chars.all(|c| c.is_alphanumeric() || c == '_')
        }
    }
}

/// A simple name, or the fault.
pub(super) fn simple(name: &str, strictness: Strictness) -> Result<(), ParseFault> {
    if is_valid(name, strictness) {
        Ok(())
    } else {
        Err(ParseFault::InvalidName(name.to_owned()))
    }
}

/// Splits a name that may carry its namespace. Only the part after the last dot is checked:
/// Java checks namespaces where types are defined, and those of aliases never.
pub(super) fn split(
    name: &str,
    namespace: Option<&str>,
    strictness: Strictness,
) -> Result<Name, ParseFault> {
    let (namespace, name) = match name.rsplit_once('.') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (namespace, name),
    };
    simple(name, strictness)?;
    Ok(Name::new(namespace, name))
}

/// An alias: as [`split`], but for stored schemas nothing is checked.
pub(super) fn alias(
    name: &str,
    namespace: Option<&str>,
    strictness: Strictness,
) -> Result<Name, ParseFault> {
    match strictness {
        Strictness::Strict => split(name, namespace, strictness),
        Strictness::Stored => Ok(match name.rsplit_once('.') {
            Some((namespace, name)) => Name::new(Some(namespace), name),
            None => Name::new(namespace, name),
        }),
    }
}

/// What a defined type's full name must be beyond [`split`].
pub(super) fn full(name: &Name, strictness: Strictness) -> Result<(), ParseFault> {
    if PRIMITIVES.contains(&name.full()) {
        return Err(ParseFault::PrimitiveName(name.full().to_owned()));
    }
    if strictness == Strictness::Strict
        && let Some(namespace) = name.namespace()
        && !namespace.split('.').all(|part| is_valid(part, strictness))
    {
        return Err(ParseFault::InvalidNamespace(name.full().to_owned()));
    }
    Ok(())
}
