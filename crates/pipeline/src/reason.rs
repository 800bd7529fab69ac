//! Why a record is refused: a stable code for counts, headers and scripts, and words for people.

use std::fmt;

use meshwork_avro::validator::MAX_PATH;

/// Longest detail or path, bytes: they quote names from schemas, which may be long, and a batch may
/// have many refusals.
pub(crate) const TEXT_MAX: usize = MAX_PATH;

/// The kinds of refusal. Codes never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// No value, in a product that is not compacted.
    NoValue,
    /// Value or key is not framed: no schema can be told.
    Framing,
    /// The registry has no such schema.
    UnknownSchema,
    /// The schema is not one of the topic's subject.
    ForeignSchema,
    /// The schema exists and can't be used: not Avro, or it does not compile.
    UnusableSchema,
    /// The value does not decode exactly under its schema.
    Datum,
    /// The key breaks the contract's rule.
    Key,
    /// The product version is retired.
    Retired,
    /// A line of input that fits no schema of the product (`meshwork produce`).
    Line,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NoValue,
        Self::Framing,
        Self::UnknownSchema,
        Self::ForeignSchema,
        Self::UnusableSchema,
        Self::Datum,
        Self::Key,
        Self::Retired,
        Self::Line,
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoValue => "no-value",
            Self::Framing => "framing",
            Self::UnknownSchema => "unknown-schema",
            Self::ForeignSchema => "foreign-schema",
            Self::UnusableSchema => "unusable-schema",
            Self::Datum => "datum",
            Self::Key => "key",
            Self::Retired => "retired",
            Self::Line => "line",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why one record is refused, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}{}", Place { path: path.as_deref(), at: *at })]
pub struct Refusal {
    /// What kind.
    pub reason: Reason,
    /// In words, 1,024 bytes at most.
    pub detail: String,
    /// JSON pointer into the value, where that is known, cut at 1,024 bytes; empty: the value as a
    /// whole.
    pub path: Option<String>,
    /// Byte of the datum (without its frame), or of the key, where it goes wrong.
    pub at: Option<usize>,
}

impl Refusal {
    /// Without a place. A detail that is too long is cut.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: cut(detail.into()),
            path: None,
            at: None,
        }
    }

    /// At a byte.
    #[must_use]
    pub const fn at(mut self, byte: usize) -> Self {
        self.at = Some(byte);
        self
    }

    /// At a path. One that is too long is cut.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(cut(path.into()));
        self
    }

    /// Bytes of its words.
    pub(crate) fn words(&self) -> usize {
        self.detail.len() + self.path.as_ref().map_or(0, String::len)
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.shrink_to_fit();
    }
    text
}

struct Place<'a> {
    path: Option<&'a str>,
    at: Option<usize>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.filter(|p| !p.is_empty()), self.at) {
            (Some(path), Some(at)) => write!(f, " (at {path}, byte {at})"),
            (Some(path), None) => write!(f, " (at {path})"),
            (None, Some(at)) => write!(f, " (at byte {at})"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_differ_and_are_plain() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(
            codes
                .iter()
                .all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
    }

    #[test]
    fn long_words_are_cut_between_letters() {
        let long = format!("x{}", "ö".repeat(5_000));
        let refusal = Refusal::new(Reason::Datum, long.as_str()).path(long.as_str());
        let cut = format!("x{}", "ö".repeat(511));
        assert_eq!(refusal.detail, cut);
        assert_eq!(refusal.path, Some(cut));
        assert!(refusal.detail.capacity() <= TEXT_MAX);
    }

    #[test]
    fn a_refusal_says_where() {
        let refusal = Refusal::new(Reason::Datum, "text is not UTF-8")
            .path("/origin")
            .at(12);
        assert_eq!(
            refusal.to_string(),
            "datum: text is not UTF-8 (at /origin, byte 12)"
        );
        assert_eq!(
            Refusal::new(Reason::Retired, "gone").to_string(),
            "retired: gone"
        );
    }
}
