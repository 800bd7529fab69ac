//! Why a JSON text does not fit a schema: which field, what was expected, what was found.

use std::fmt;

use super::tape::{Document, Token};

/// Why a line is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}{reason}", Place(path))]
pub struct JsonFault {
    /// JSON pointer (RFC 6901) to the value; empty for the line as a whole.
    pub path: String,
    /// What is wrong there.
    pub reason: JsonReason,
}

/// What is wrong with a JSON value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonReason {
    /// It is not JSON.
    #[error("not JSON: {what} (byte {at})")]
    Syntax {
        /// The byte from the start of the text.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A value of another kind, or outside of the type's range.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// What the schema takes.
        expected: String,
        /// What stands there, cut short.
        found: String,
    },
    /// A field without a default is missing.
    #[error("field {field:?} of record {record} is missing and has no default")]
    Missing {
        /// The field.
        field: String,
        /// The record's full name.
        record: String,
    },
    /// A member that is no field.
    #[error("record {record} has no field {field:?}{}", Nearest(nearest.as_deref()))]
    Unknown {
        /// The member's name.
        field: String,
        /// The record's full name.
        record: String,
        /// The field that it may be a slip for.
        nearest: Option<String>,
    },
    /// A field that stands there twice.
    #[error("field {field:?} stands there twice")]
    Repeated {
        /// The field.
        field: String,
    },
    /// A text that is no symbol of the enum.
    #[error("enum {name} has no symbol {symbol:?}{}", Nearest(nearest.as_deref()))]
    Symbol {
        /// The text.
        symbol: String,
        /// The enum's full name.
        name: String,
        /// The symbol that it may be a slip for.
        nearest: Option<String>,
    },
    /// Several branches of a union would take the value.
    #[error("{found} could be {}; tag it: {{\"{}\": …}}", branches.join(" or "), branches.first().map_or("type", String::as_str))]
    Ambiguous {
        /// What stands there, cut short.
        found: String,
        /// The branches' names.
        branches: Vec<String>,
    },
    /// The default of a missing field does not fit its type.
    #[error("field {field:?} is missing and its default does not fit its type: {why}")]
    Default {
        /// The field.
        field: String,
        /// In what way.
        why: String,
    },
    /// The value nests deeper than a datum may.
    #[error("nested deeper than {most} levels")]
    TooDeep {
        /// The limit.
        most: u32,
    },
}

impl JsonReason {
    /// A short name that stays, for headers and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            JsonReason::Syntax { .. } => "json-syntax",
            JsonReason::Mismatch { .. } => "json-type",
            JsonReason::Missing { .. } => "json-missing-field",
            JsonReason::Unknown { .. } => "json-unknown-field",
            JsonReason::Repeated { .. } => "json-repeated-field",
            JsonReason::Symbol { .. } => "json-symbol",
            JsonReason::Ambiguous { .. } => "json-ambiguous",
            JsonReason::Default { .. } => "json-default",
            JsonReason::TooDeep { .. } => "json-too-deep",
        }
    }
}

/// Where a text is not JSON.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct Syntax {
    pub at: usize,
    pub what: &'static str,
}

impl From<Syntax> for JsonFault {
    fn from(Syntax { at, what }: Syntax) -> Self {
        JsonReason::Syntax { at, what }.here()
    }
}

impl JsonReason {
    /// A fault at the value in hand; [`JsonFault::within`] adds the way to it.
    pub(super) fn here(self) -> JsonFault {
        JsonFault {
            path: String::new(),
            reason: self,
        }
    }

    /// A value that is not what is expected.
    pub(super) fn mismatch(
        expected: impl Into<String>,
        document: Document<'_>,
        at: usize,
    ) -> JsonFault {
        JsonReason::Mismatch {
            expected: expected.into(),
            found: found(document, at),
        }
        .here()
    }
}

impl JsonFault {
    /// The same fault, seen from one level further out.
    #[must_use]
    pub(super) fn within(mut self, segment: &str) -> Self {
        let segment = segment.replace('~', "~0").replace('/', "~1");
        self.path = format!("/{segment}{}", self.path);
        self
    }
}

/// A value as a message shows it.
pub(super) fn found(document: Document<'_>, at: usize) -> String {
    match document.token(at) {
        Token::Null => "null".to_owned(),
        Token::Bool(value) => value.to_string(),
        Token::Number { from, to } => short(document.number(from, to)),
        Token::Text { from, to, escaped } => {
            format!("{:?}", short(&document.string(from, to, escaped)))
        }
        Token::Array { .. } => "an array".to_owned(),
        Token::Object { .. } => "an object".to_owned(),
    }
}

fn short(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}

struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "{}: ", self.0)
        }
    }
}

struct Nearest<'a>(Option<&'a str>);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |name| write!(f, "; did you mean {name:?}?"))
    }
}

/// The name that `wrong` is most likely a slip for: the least edits, at most a third of it.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Longer names are not compared: the cost grows with the square.
    const MOST: usize = 64;
    let wrong: Vec<char> = wrong.to_lowercase().chars().take(MOST).collect();
    let most = (wrong.len() / 3).max(1);
    names
        .take(1_000)
        .map(|name| {
            (
                edits(
                    &wrong,
                    &name.to_lowercase().chars().take(MOST).collect::<Vec<_>>(),
                ),
                name,
            )
        })
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name.to_owned())
}

/// Levenshtein's distance.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, left) in from.iter().zip(1..) {
        let mut corner = left - 1;
        let mut last = left;
        for (slot, wanted) in row.iter_mut().skip(1).zip(to) {
            let change = corner + usize::from(above != wanted);
            corner = *slot;
            last = change.min(corner + 1).min(last + 1);
            *slot = last;
        }
        if let Some(first) = row.first_mut() {
            *first = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_that_was_meant() {
        let names = ["flight", "carrier", "origin", "dep_delay"];
        let cases = [
            ("fligth", Some("flight")),
            ("Carrier", Some("carrier")),
            ("orgin", Some("origin")),
            ("depdelay", Some("dep_delay")),
            ("tailnum", None),
            ("", None),
        ];
        for (wrong, expected) in cases {
            assert_eq!(
                nearest(wrong, names.into_iter()).as_deref(),
                expected,
                "{wrong}"
            );
        }
    }
}
