//! Subjects and the contexts they live in: `s` is in the default context, `:.ctx:s` in `.ctx`.

use std::fmt;
use std::sync::Arc;

/// Name of the default context.
pub const DEFAULT_CONTEXT: &str = ".";

/// Name of the context whose settings are those of all contexts.
const ALL_CONTEXTS: &str = ".__GLOBAL";

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

    /// What settings of all contexts are kept under.
    #[must_use]
    pub fn all_contexts() -> Self {
        Self(format!(":{ALL_CONTEXTS}:").into())
    }

    /// Whether it is in the context whose settings are those of all contexts.
    #[must_use]
    pub fn is_of_all_contexts(&self) -> bool {
        self.context() == ALL_CONTEXTS
    }

    /// What settings under a name are about: a subject, a context, or with none the default
    /// context.
    #[must_use]
    pub fn scope(name: &str) -> Option<Self> {
        Some(Self::new(name)).filter(|scope| !scope.0.is_empty())
    }

    /// Whether it is a whole context: `:.ctx:`.
    #[must_use]
    pub fn is_context(&self) -> bool {
        self.plain().is_empty()
    }

    /// Whether schemas may be registered under the name: not empty, no control characters, not one
    /// of Confluent's own, and not of all contexts.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.is_valid_scope() && !self.is_context() && !self.is_of_all_contexts()
    }

    /// Whether settings may be kept under the name, which may be that of a context.
    #[must_use]
    pub fn is_valid_scope(&self) -> bool {
        !self.0.chars().any(char::is_control) && !matches!(self.plain(), "__GLOBAL" | "__EMPTY")
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
        for name in ["", ":.ctx:", ":.__GLOBAL:s"] {
            let subject = Subject::new(name);
            assert!(!subject.is_valid() && subject.is_valid_scope(), "{name:?}");
        }
        for name in ["__GLOBAL", "__EMPTY", ":.ctx:__GLOBAL", "a\nb", "a\u{7f}"] {
            let subject = Subject::new(name);
            assert!(!subject.is_valid() && !subject.is_valid_scope(), "{name:?}");
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
