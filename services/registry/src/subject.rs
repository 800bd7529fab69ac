//! Subjects and the contexts they live in: `s` is in the default context, `:.ctx:s` in `.ctx`.

use std::fmt;
use std::sync::Arc;

/// Name of the default context.
pub const DEFAULT_CONTEXT: &str = ".";

/// A subject's full name, `s` or `:.ctx:s`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

impl Subject {
    /// From a name in any of its forms: `:.:s` is `s`, `:.ctx` is `:.ctx:`, and `:x:s`, which has
    /// no context, is a plain name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        if let Some(rest) = name.strip_prefix(":.") {
            return match rest.split_once(':') {
                Some(("", plain)) => Self(plain.into()),
                Some(_) => Self(name.into()),
                None => Self(format!("{name}:").into()),
            };
        }
        Self(name.into())
    }

    /// From a full name as [`Self::as_str`] gave it.
    pub(crate) fn from_full(name: &str) -> Self {
        Self(name.into())
    }

    /// Whether the name may be registered under: not empty, no control characters, not one of
    /// Confluent's own.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let plain = self.plain();
        !plain.is_empty()
            && !self.0.chars().any(char::is_control)
            && !matches!(plain, "__GLOBAL" | "__EMPTY")
    }

    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The context, such as `.` or `.ctx`.
    #[must_use]
    pub fn context(&self) -> &str {
        self.split().map_or(DEFAULT_CONTEXT, |(context, _)| context)
    }

    /// The name without its context.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.split().map_or(&self.0, |(_, plain)| plain)
    }

    /// The subject that settings of a whole context are kept under: `:.ctx:`; none for the default
    /// context, whose settings are the global ones.
    #[must_use]
    pub fn context_scope(&self) -> Option<Self> {
        self.split()
            .map(|(context, _)| Self(format!(":{context}:").into()))
    }

    /// `plain` in the same context.
    #[must_use]
    pub fn sibling(&self, plain: &str) -> Self {
        match (self.split(), plain.starts_with(":.")) {
            (Some((context, _)), false) => Self(format!(":{context}:{plain}").into()),
            _ => Self::new(plain),
        }
    }

    fn split(&self) -> Option<(&str, &str)> {
        let rest = self.0.strip_prefix(':')?;
        if !rest.starts_with('.') {
            return None;
        }
        rest.split_once(':')
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_told_from_a_name() {
        for (given, full, context, plain) in [
            ("s", "s", ".", "s"),
            (":.:s", "s", ".", "s"),
            (":.ctx:s", ":.ctx:s", ".ctx", "s"),
            (":.ctx:", ":.ctx:", ".ctx", ""),
            (":.ctx", ":.ctx:", ".ctx", ""),
            (":x:s", ":x:s", ".", ":x:s"),
            (":.a:b:c", ":.a:b:c", ".a", "b:c"),
            ("", "", ".", ""),
        ] {
            let subject = Subject::new(given);
            assert_eq!(subject.as_str(), full, "{given}");
            assert_eq!(subject.context(), context, "{given}");
            assert_eq!(subject.plain(), plain, "{given}");
        }
    }

    #[test]
    fn some_names_may_not_be_registered_under() {
        for name in ["", "__GLOBAL", "__EMPTY", "a\nb", ":.ctx:", "a\u{7f}"] {
            assert!(!Subject::new(name).is_valid(), "{name:?}");
        }
        for name in ["a/b", "é", "a b", ":x:", ":.ctx:s"] {
            assert!(Subject::new(name).is_valid(), "{name:?}");
        }
    }

    #[test]
    fn a_reference_stays_in_the_context_of_its_referrer() {
        assert_eq!(Subject::new(":.c:s").sibling("t").as_str(), ":.c:t");
        assert_eq!(Subject::new(":.c:s").sibling(":.d:t").as_str(), ":.d:t");
        assert_eq!(Subject::new("s").sibling("t").as_str(), "t");
    }
}
